"""HTTP filters that may answer before the router: fault injection and CORS (authentication: see `rbac`).

Each gives the answers it may give, with their shares; what is left over goes on to the next filter.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from meshdoctor.mesh.trace.headers import Headers
from meshdoctor.mesh.trace.loose import whole
from meshdoctor.mesh.trace.matchers import header_test
from meshdoctor.mesh.trace.outcome import Outcome
from meshdoctor.mesh.trace.route import fraction
from meshdoctor.mesh.trace.strings import all_of, any_of, string_test
from meshdoctor.model.envoy.any import EnvoyFact, typed
from meshdoctor.model.envoy.route import Route, RouteConfiguration, VirtualHost

FAULT, CORS, ROUTER = "envoy.filters.http.fault", "envoy.filters.http.cors", "envoy.filters.http.router"


class Answered(NamedTuple):
    """A filter's own answer and its share of the requests that reach the filter."""

    outcome: Outcome
    share: float


class Fault(EnvoyFact, frozen=True):
    """envoy.extensions.filters.http.fault.v3.HTTPFault."""

    abort: dict[str, Any] | None = None
    delay: dict[str, Any] | None = None
    upstream_cluster: str = ""
    headers: list[dict[str, Any]] = []


class Cors(EnvoyFact, frozen=True):
    """envoy.extensions.filters.http.cors.v3.CorsPolicy."""

    allow_origin_string_match: list[dict[str, Any]] = []
    filter_enabled: dict[str, Any] | None = None
    forward_not_matching_preflights: bool = True


class _Wrapped(EnvoyFact, frozen=True):
    """envoy.config.route.v3.FilterConfig."""

    config: msgspec.Raw = msgspec.Raw()
    disabled: bool = False


def per_route(name: str, *scopes: Route | VirtualHost | RouteConfiguration | None) -> msgspec.Raw | None:
    """The most specific configuration of a filter (pass the route first); None when nothing overrides or it is off."""
    for scope in scopes:
        raw = scope.typed_per_filter_config.get(name) if scope is not None else None
        if raw is not None:
            wrapped = typed(raw, _Wrapped, "route.v3.FilterConfig")
            if wrapped is None:
                return raw
            return None if wrapped.disabled or not bytes(wrapped.config) else wrapped.config
    return None


def fault_of(raw: msgspec.Raw | None) -> Fault | None:
    return typed(raw, Fault, "HTTPFault") if raw is not None else None


def cors_of(raw: msgspec.Raw | None) -> Cors | None:
    return typed(raw, Cors, "CorsPolicy") if raw is not None else None


def abort(fault: Fault, headers: Headers, clusters: tuple[str, ...]) -> Answered | None:
    """The abort that a fault injects, None when it does not concern this request."""
    if fault.abort is None or (fault.upstream_cluster and fault.upstream_cluster not in clusters):
        return None
    if all_of([header_test(config).test(headers) for config in fault.headers]) is False:
        return None
    share = min(1.0, fraction(fault.abort.get("percentage")))
    if share <= 0:
        return None
    status = whole(fault.abort.get("http_status"), 200)
    code = 200 if headers.grpc or "grpc_status" in fault.abort else status
    why = f"the fault of the VirtualService answers {status} to {share:.0%} of the requests"
    return Answered(Outcome("http", code, "FI", "fault_filter_abort", why=why, fix="remove the fault"), share)


def delay(fault: Fault) -> str:
    """The delay that a fault injects, in words; "" for none."""
    if fault.delay is None or not (share := fraction(fault.delay.get("percentage"))):
        return ""
    return f"the fault delays {share:.0%} of the requests by {fault.delay.get('fixed_delay', 'a header-given time')}"


def preflight(cors: Cors, headers: Headers) -> Answered | None:
    """The answer to a CORS preflight whose origin is allowed."""
    if headers.first(":method") != "OPTIONS" or not headers.first("access-control-request-method"):
        return None
    origin = headers.first("origin")
    share = 1.0 if cors.filter_enabled is None else fraction(cors.filter_enabled.get("default_value"))
    if not origin or share <= 0:
        return None
    allowed = any_of([string_test(matcher).test(origin) for matcher in cors.allow_origin_string_match])
    if allowed is False and cors.forward_not_matching_preflights:
        return None
    outcome = Outcome("http", 200, "", "cors_response", why="Envoy answers the CORS preflight by itself")
    return Answered(outcome, share if allowed is not None else share / 2)
