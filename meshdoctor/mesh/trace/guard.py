"""Filters of a chain that may turn a request away: RBAC, JWT, rate limits, external authorization, unknown ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from meshdoctor.mesh.trace import jwt, rbac
from meshdoctor.mesh.trace.filters import CORS, FAULT, ROUTER
from meshdoctor.mesh.trace.headers import Headers
from meshdoctor.mesh.trace.loose import number
from meshdoctor.mesh.trace.outcome import Outcome, Source
from meshdoctor.mesh.trace.request import Request
from meshdoctor.mesh.trace.route import View
from meshdoctor.mesh.trace.strings import Answer
from meshdoctor.model.envoy.any import EnvoyFact, type_name, typed
from meshdoctor.model.envoy.listener import Filter
from meshdoctor.model.moment import duration

# Filters that never refuse a request: statistics, compression, header and metadata exchange, protocol helpers.
_HARMLESS = (
    *("stats", "compressor", "metadata_exchange", "peer_metadata", "alpn", "grpc_web", "set_filter_state"),
    *("header_to_metadata", "sni_cluster", "tcp_cluster_rewrite", "mongo_proxy", "grpc_http1_reverse_bridge"),
)
_KNOWN = frozenset({CORS, FAULT, ROUTER, "istio_authn", "envoy.filters.network.http_connection_manager"})


class RateLimit(EnvoyFact, frozen=True):
    """envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit."""

    token_bucket: dict[str, Any] | None = None
    filter_enforced: dict[str, Any] | None = None


class Guard(NamedTuple):
    """A filter, decoded; *config* None for one that is not known here."""

    name: str
    config: rbac.Rbac | jwt.JwtAuthentication | RateLimit | None


class Guarded(NamedTuple):
    """What a filter does with a request: *passes* None means that it cannot be said from the configuration.

    *refusal* is its answer if it refuses; with *passes* None, one that must be expected.
    """

    guard: str
    passes: Answer
    why: str
    refusal: Outcome | None = None
    others: tuple[tuple[str, str], ...] = ()
    sources: tuple[Source, ...] = ()


def guards_of(filters: Iterable[Filter]) -> tuple[Guard, ...]:
    """The filters up to the router that may refuse, in their order."""
    found = []
    for entry in filters:
        if entry.name == ROUTER:
            break
        if entry.disabled or entry.name in _KNOWN or any(word in entry.name for word in _HARMLESS):
            continue
        if type_name(entry.typed_config).endswith(("tcp_proxy.v3.TcpProxy", "HttpConnectionManager")):
            continue
        config = rbac.rbac_of(entry) or jwt.jwt_of(entry) or typed(entry.typed_config, RateLimit, "LocalRateLimit")
        found.append(Guard(entry.name, config))
    return tuple(found)


def check(guards: tuple[Guard, ...], request: Request, sni: str, view: View | None) -> list[Guarded]:
    """Each filter's answer, in order, until one refuses; *view* None for a plain TCP connection."""
    answers: list[Guarded] = []
    claims: jwt.Claims | None = {}
    for guard in guards:
        config = guard.config
        if isinstance(config, jwt.JwtAuthentication) and view is not None:
            found = jwt.authenticate(config, view, request.at)
            claims = found.claims
            refusal = _grpc(jwt.refusal(found), view.headers) if found.passes is False else None
            answers.append(Guarded("authentication", found.passes, found.why, refusal))
        elif isinstance(config, rbac.Rbac):
            answers.append(_authorize(config, request, sni, view, claims))
        elif isinstance(config, RateLimit):
            answers.append(_limited(config))
        else:
            answers.append(Guarded(guard.name, None, "a filter that is not judged here: it may answer by itself"))
        if answers[-1].passes is False:
            break
    return answers


def _authorize(config: rbac.Rbac, request: Request, sni: str, view: View | None, claims: jwt.Claims | None) -> Guarded:
    headers = view.headers if view is not None else None
    caller = rbac.Caller(request.ip, request.port, request.source_ip, request.identity, sni, headers, claims)
    verdict = rbac.judge(config, caller)
    others = tuple((entry.policy, entry.reason) for entry in verdict.judged)
    if verdict.passes is False:
        refusal = rbac.refusal(verdict, tcp=headers is None)
        names = [verdict.decided_by] if verdict.action == "DENY" else [entry.policy for entry in verdict.judged]
        refusal = _grpc(refusal, headers) if headers is not None else refusal
        return Guarded("authorization", False, refusal.why, refusal, others, _sources(names))
    if verdict.action == "":
        return Guarded("authorization", verdict.passes, "dry run: nothing is enforced")
    if verdict.passes is None:
        open_ = [entry.policy for entry in verdict.judged if entry.holds is None]
        return Guarded("authorization", None, f"{verdict.action}: it depends on {', '.join(open_)}", None, others)
    if verdict.action == "ALLOW":
        why = f"{rbac.policy_source(verdict.decided_by) or verdict.decided_by} allows it"
        return Guarded("authorization", True, why, None, others, _sources([verdict.decided_by]))
    return Guarded("authorization", True, f"no {verdict.action} policy matches", None, others)


def _sources(policies: Iterable[str]) -> tuple[Source, ...]:
    found = (rbac.policy_source(policy) for policy in policies)
    return tuple(dict.fromkeys(source for source in found if source is not None))


def _limited(config: RateLimit) -> Guarded:
    """A local rate limit: one request alone passes; how many a second may follow it."""
    bucket = config.token_bucket or {}
    interval = duration(str(bucket.get("fill_interval", "")))
    fill = number(bucket.get("tokens_per_fill"), 1)
    if not interval:
        return Guarded("rate limit", None, "a local rate limit of unknown size (429 RL above it)")
    most = bucket.get("max_tokens", "?")
    rate = fill / interval
    why = f"at most {most} requests at once, {rate:g} a second on average, then 429 RL"
    if rate >= 1:
        return Guarded("rate limit", None, why)
    # Slower than a request a second: any steady caller runs into it.
    fix = "raise the limit (the EnvoyFilter that sets it), or call less often"
    return Guarded("rate limit", None, why, Outcome("http", 429, "RL", "local_rate_limited", why=why, fix=fix))


def _grpc(outcome: Outcome, headers: Headers) -> Outcome:
    return msgspec.structs.replace(outcome, code=200) if headers.grpc else outcome
