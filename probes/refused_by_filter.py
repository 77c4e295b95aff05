"""Did a filter of the proxy refuse the request?

Rate limit, HTTP/1.0, headers too large, a missing Wasm filter, overload.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from meshdoctor.mesh import blame
from meshdoctor.mesh.applying import applying
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Finding, Resource, Verdict, culprit, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, remedy
from meshdoctor.mesh.traffic import Seen
from meshdoctor.model.accesslog import AccessLine


class Refusal(NamedTuple):
    """One kind of refusal: how its lines look, whom it blames, and the words."""

    cause: str
    fits: Callable[[AccessLine], bool]
    blamed: Callable[[Case, MeshIndex, Seen], list[Resource]]
    summary: str
    fix: str


def _selecting(mesh: MeshIndex, seen: Seen, kind: str, words: tuple[str, ...]) -> list[Resource]:
    """Objects of a generic kind that select the pod and whose spec mentions one of *words*."""
    return [Resource(kind, found.namespace, found.name, "spec") for found in applying(mesh, seen.pod, kind, words)]


def _caller(case: Case, mesh: MeshIndex, seen: Seen) -> list[Resource]:
    return [blame.of_workload(case.client)] if case.client else []


def _pod_owner(case: Case, mesh: MeshIndex, seen: Seen) -> list[Resource]:
    return [blame.of_workload(mesh.workload(seen.pod))]


HEADER_LIMITS = ("max_request_headers_kb", "maxRequestHeadersKb", "max_headers_count", "maxHeadersCount")
REFUSALS = (
    Refusal(
        "rate-limited",
        lambda line: bool({"RL", "RLSE"} & set(line.flags)),
        lambda case, mesh, seen: _selecting(mesh, seen, "EnvoyFilter", ("ratelimit", "rate_limit")),
        "{who} limits the rate of requests, and most are over the limit",
        "Raise the limit in {who}, or slow the callers down.",
    ),
    Refusal(
        "http10-client",
        lambda line: line.details == "low_version",
        _caller,
        "{who} speaks HTTP/1.0, which Envoy refuses with 426",
        "Make {who} speak HTTP/1.1 (proxy_http_version 1.1 in nginx), or set PILOT_HTTP10 on istiod.",
    ),
    Refusal(
        "headers-too-large",
        lambda line: (
            (line.details or "") in ("http1.headers_too_large", "http1.too_many_headers")
            or (line.details or "").startswith(
                ("http2.header_list_size", "http2.too_many_headers", "http2.cookies_total")
            )
        ),
        lambda case, mesh, seen: [*_caller(case, mesh, seen), *_selecting(mesh, seen, "EnvoyFilter", HEADER_LIMITS)],
        "{who} sends more headers than Envoy accepts (60 KiB or 100 headers)",
        "Make the cookies and tokens that {who} sends smaller, or raise the limit with an EnvoyFilter.",
    ),
    Refusal(
        "wasm-missing",
        lambda line: "NFCF" in line.flags or line.details == "wasm_fail_stream",
        lambda case, mesh, seen: (
            _selecting(mesh, seen, "WasmPlugin", ())
            or _selecting(mesh, seen, "EnvoyFilter", ("wasm", "config_discovery", "configDiscovery"))
        ),
        "An extension of {who} did not load, so its filter answers 500",
        "Check url, image pull secret and failStrategy of {who}, and the log of istio-proxy.",
    ),
    Refusal(
        "proxy-overloaded",
        lambda line: line.details == "overload" or "OM" in line.flags,
        _pod_owner,
        "The proxy of {who} sheds load: it is short of memory or of connections",
        "Give istio-proxy of {who} more memory, or scale it out.",
    ),
)


def examine(case: Case, mesh: MeshIndex) -> Finding:
    verdicts = []
    for refusal in REFUSALS:
        lines = tuple(seen for seen in case.failures if seen.access and refusal.fits(seen.access))
        if not lines:
            continue
        resources = tuple(refusal.blamed(case, mesh, lines[-1]))
        who = listed(str(one) for one in resources) or f"the proxy of {lines[-1].pod}"
        verdicts.append(
            Verdict(
                refusal.cause,
                0.97 if resources else 0.75,
                refusal.summary.format(who=who),
                resources or (Resource("Pod", *lines[-1].pod),),
                (lines_say(lines, f"{logged(lines[-1])} at {listed(str(seen.pod) for seen in lines)}"),),
                remedy(refusal.fix.format(who=who)),
                case.together(lines),
            )
        )
    return culprit(*verdicts) if verdicts else not_applicable("no filter refused a request")


PROBE = Probe("refused-by-filter", "Did a filter refuse the request?", tuple(one.cause for one in REFUSALS), examine)
