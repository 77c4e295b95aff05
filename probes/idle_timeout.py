"""Did a proxy's own idle or duration limit end the stream?

SI, UMSDR, DT, or a TCP line exactly as long as its idle timeout.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdoctor.mesh import blame
from meshdoctor.mesh.applying import applying
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Finding, Resource, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import config_says, lines_say, logged, remedy
from meshdoctor.mesh.traffic import CLIENT, Seen
from meshdoctor.model.accesslog import AccessLine
from meshdoctor.model.envoy.listener import Listener
from meshdoctor.model.moment import duration
from meshdoctor.model.snapshot import PodRef, Want
from meshdoctor.model.wants import ProxyConfig

LIMITS = {"SI": "idle timeout", "UMSDR": "maximum stream duration", "DT": "maximum connection duration"}
DETAILS = {"max_duration_timeout": "maximum stream duration", "stream_idle_timeout": "idle timeout"}
"""The same limits where Envoy sets no flag (a route's max_stream_duration: 504 without one)."""
CLOSE = 0.02
"""A connection that lasted this close to its idle timeout (as a share of it) was ended by it."""
WORDS = (
    *("idle_timeout", "idleTimeout", "max_stream_duration", "maxStreamDuration"),
    *("max_connection_duration", "max_downstream_connection_duration", "maxDownstreamConnectionDuration"),
)


def examine(case: Case, mesh: MeshIndex) -> Finding:
    flagged = tuple(seen for seen in case.failures if seen.access and _limit_of(seen.access))
    if flagged:
        return _flagged(case, mesh, flagged)
    quiet = (
        tuple(seen for seen in case.seen if seen.side == CLIENT and seen.access and _is_plain_tcp(seen))
        if case.calls
        else ()
    )
    ended = [(seen, limit) for seen in quiet if (limit := _limit_hit(mesh, seen)) is not None]
    if not ended:
        return not_applicable("no limit of a proxy ended a stream")
    lines = tuple(seen for seen, _ in ended)
    limit = ended[-1][1]
    owners = _setting(case, mesh, lines[-1].pod) or [blame.of_workload(mesh.workload(lines[-1].pod))]
    return culprit(
        Verdict(
            "proxy-idle-timeout",
            0.9,
            f"The sidecar ends quiet connections to {case.destination} after {limit:.0f} s ({owners[0]})",
            tuple(owners),
            (
                lines_say(lines, f"code 0 without a flag after {lines[-1].duration or 0:.0f} ms"),
                config_says(lines[-1].pod, f"the TCP proxy's idle_timeout is {limit:.0f} s"),
            ),
            remedy(f"Raise tcp.idleTimeout for this host ({owners[0]}), or let the application send keep-alives."),
            (*lines, *case.calls),
        )
    )


def _flagged(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...]) -> Finding:
    newest = lines[-1]
    limit = (_limit_of(newest.access) if newest.access else "") or ""
    # The server's proxy may have ended it, and the caller's only passed the answer on.
    owners = next((found for seen in reversed(lines) if (found := _setting(case, mesh, seen.pod))), [])
    said = lines_say(lines, f"{logged(newest)} after {newest.duration or 0:.0f} ms")
    if not owners:
        return inconclusive(f"the proxy's {limit} ended the streams, and no object that sets it was found", said)
    return culprit(
        Verdict(
            "proxy-idle-timeout",
            0.93,
            f"The {limit} that {owners[0]} sets ends streams of {case.destination}",
            tuple(owners),
            (said,),
            remedy(f"Raise the {limit} in {owners[0]}, or let the streams carry something meanwhile."),
            case.together(lines),
        )
    )


def _limit_of(line: AccessLine) -> str | None:
    """The limit that ended a request, in words."""
    flag = next((flag for flag in LIMITS if flag in line.flags), None)
    return LIMITS[flag] if flag else DETAILS.get(line.details or "")


def _is_plain_tcp(seen: Seen) -> bool:
    line = seen.access
    return line is not None and line.code == 0 and not line.flags and line.method is None and not line.termination


def _limit_hit(mesh: MeshIndex, seen: Seen) -> float | None:
    """The idle timeout in seconds that the connection lasted for; None when it ended otherwise."""
    config = mesh.config(seen.pod)
    raw = seen.access.upstream_cluster if seen.access else None
    if config is None or not raw or not seen.duration:
        return None
    for entry in config.listeners:
        limit = _idle_timeout(entry.body, raw)
        if limit and abs(seen.duration / 1000 - limit) <= max(CLOSE * limit, 0.5):
            return limit
    return None


def _idle_timeout(listener: Listener, cluster: str) -> float | None:
    for chain in listener.chains:
        proxy = chain.tcp
        if proxy and proxy.cluster == cluster:
            return duration(proxy.idle_timeout)
    return None


def _setting(case: Case, mesh: MeshIndex, pod: PodRef) -> list[Resource]:
    """The DestinationRules and EnvoyFilters that set such a limit for this flow."""
    rules = [
        blame.resource(rule, "spec.trafficPolicy.connectionPool")
        for rule in blame.destination_rules(mesh, case.destination.host)
        if rule.spec.traffic_policy and any(word in repr(rule.spec.traffic_policy) for word in WORDS)
    ]
    filters = [
        Resource("EnvoyFilter", one.namespace, one.name, "spec.configPatches")
        for one in applying(mesh, pod, "EnvoyFilter", WORDS)
    ]
    return [*filters, *rules]


def needs(case: Case, mesh: MeshIndex) -> Iterable[Want[Any]]:
    pods = {seen.pod for seen in case.seen if seen.side == CLIENT and _is_plain_tcp(seen)} if case.calls else set()
    return [ProxyConfig(pod) for pod in sorted(pods)]


PROBE = Probe("idle-timeout", "Did a limit of the proxy end the stream?", ("proxy-idle-timeout",), examine, needs)
