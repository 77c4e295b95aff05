"""One caller and what it called: the case that the flowchart is walked for."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import cached_property
from itertools import pairwise

import msgspec

from meshdoctor.errors import NothingMatches, UsageError
from meshdoctor.mesh.ambient import serves_ambient, waypoint_of, waypoint_pods
from meshdoctor.mesh.hosts import candidates
from meshdoctor.mesh.index import MeshIndex, Workload
from meshdoctor.mesh.named import named, near_names
from meshdoctor.mesh.passed_on import passed_on
from meshdoctor.mesh.traffic import APPLICATION, CLIENT, GATEWAY, SERVER, TUNNEL, Destination, Seen, TrafficReader
from meshdoctor.mesh.tunnels import read_tunnels, without_unnoticed
from meshdoctor.mesh.unlogged import unlogged
from meshdoctor.model.accesslog import AccessLine, parse_details
from meshdoctor.model.snapshot import PodRef

ENOUGH_SUCCESSES = 3
"""So many good answers after the last failure, and a long enough silence, before trouble is called over."""
QUIET_SECONDS = 5.0
QUIET_GAPS = 3.0
"""The silence must last this many times the longest pause between two failures."""

CONNECTION_SECONDS = 30.0
"""A port of the client's is used again for another connection at some time, but not this soon."""


class Question(msgspec.Struct, frozen=True):
    """What a person asks: *client* `namespace/workload`, *host* as typed, *port* 0 when not given; "" when open."""

    client: str = ""
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def target(self) -> str:
        return f"{self.host}{f':{self.port}' if self.port else ''}{self.path}"


def parse_question(client: str, target: str) -> Question | None:
    """The question of `--from` and `--to` (`host[:port][/path]`, a scheme is allowed); None when neither is given."""
    if not client and not target:
        return None
    scheme, separator, rest = target.partition("://")
    address, slash, path = (rest if separator else target).partition("/")
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        host, port = address, {"https": "443", "http": "80"}.get(scheme, "0") if separator else "0"
    if target and not host:
        raise UsageError(f"--to {target}: no host in it", "write HOST[:PORT][/PATH]")
    return Question(client, host.strip("[]"), int(port), slash + path)


class Case(msgspec.Struct, frozen=True, dict=True):
    """A flow from *client* (None: nobody known) to *destination*; *seen* is everything that the logs hold of it."""

    client: Workload | None
    destination: Destination
    seen: tuple[Seen, ...]
    path: str = ""
    ambient: bool = False
    """Whether a pod of either side belongs to the ambient mesh."""

    @cached_property
    def failures(self) -> tuple[Seen, ...]:
        return tuple(seen for seen in self.seen if seen.failed)

    def failing(self, *sides: str) -> tuple[Seen, ...]:
        return tuple(seen for seen in self.failures if seen.side in sides)

    @cached_property
    def caller_lines(self) -> tuple[Seen, ...]:
        """Failing lines of the caller's proxy: its sidecar, or the gateway that the call went through."""
        return self.failing(CLIENT, GATEWAY)

    @cached_property
    def server_lines(self) -> tuple[Seen, ...]:
        return self.failing(SERVER)

    @cached_property
    def calls(self) -> tuple[Seen, ...]:
        """Failing calls that the application logged itself."""
        return self.failing(APPLICATION)

    @cached_property
    def refusals(self) -> tuple[Seen, ...]:
        """Calls that were answered with 4xx: right or wrong, only whoever answered can tell."""
        return tuple(seen for seen in self.seen if seen.call and 400 <= seen.call.status < 500)

    @cached_property
    def proxied(self) -> bool:
        """Whether some proxy logged anything of this flow."""
        return any(seen.access for seen in self.seen)

    @cached_property
    def timeline(self) -> tuple[Seen, ...]:
        """What the caller's side saw, in order of time; the server's side where the caller's was not recorded."""
        ours = [seen for seen in self.seen if seen.side not in (SERVER, TUNNEL) and seen.start is not None]
        chosen = ours or [seen for seen in self.seen if seen.start is not None]
        return tuple(sorted(chosen, key=lambda seen: seen.start or 0.0))

    def successes_after(self, moment: float) -> tuple[Seen, ...]:
        return tuple(seen for seen in self.timeline if not seen.failed and (seen.start or 0.0) > moment)

    def without(self, lines: Iterable[Seen]) -> Case:
        """The case without failures that are already explained; what went well stays."""
        told = {id(seen) for seen in lines}
        rest = tuple(seen for seen in self.seen if id(seen) not in told)
        return Case(self.client, self.destination, rest, self.path, self.ambient)

    def together(self, lines: Iterable[Seen]) -> tuple[Seen, ...]:
        """*lines* with the lines of the other side about the same requests (joined by request id)."""
        lines = tuple(lines)
        ids = {seen.access.request_id for seen in lines if seen.access and seen.access.request_id}
        chosen = {id(seen) for seen in lines}
        return lines + tuple(
            seen for seen in self.failures if seen.access and seen.access.request_id in ids and id(seen) not in chosen
        )

    def rest_before(self, seen: Seen) -> float | None:
        """Seconds for which the connection of a request had rested since its last good answer; None for a fresh one.

        The proxy's own port towards the upstream (`upstream_local_address`) names the connection.
        """
        line = seen.access
        if line is None or not line.upstream_local_address or seen.start is None:
            return None
        ends = self._answers_by_connection.get((seen.pod, line.upstream_local_address), [])
        before = bisect_right(ends, seen.start)
        return seen.start - ends[before - 1] if before else None

    @cached_property
    def _answers_by_connection(self) -> dict[tuple[PodRef, str], list[float]]:
        """When each good answer on a connection was complete, in order."""
        found: dict[tuple[PodRef, str], list[float]] = {}
        for seen in self.seen:
            if seen.access and seen.access.upstream_local_address and not seen.failed:
                end = (seen.start or 0.0) + (seen.duration or 0.0) / 1000
                found.setdefault((seen.pod, seen.access.upstream_local_address), []).append(end)
        return {connection: sorted(ends) for connection, ends in found.items()}

    @cached_property
    def signature(self) -> frozenset[str]:
        """What the failures look like, in the words that the flowchart's branches use (see guide/flowchart.toml)."""
        words = {"ambient"} if self.ambient and (self.failures or self.refusals) else set()
        for seen in self.failures:
            if seen.tunnel:
                words.add("ztunnel")
                continue
            line, prefix = seen.access, "server:" if seen.side == SERVER else ""
            if line is None:
                words.add("silent" if seen.call and seen.call.status == 0 else "call")
                continue
            detail = parse_details(line.details).kind if line.details else ""
            words.add(prefix + (line.primary_flag or detail or ("terminated" if line.termination else "none")))
            words.update(prefix + flag for flag in line.flags)
        return frozenset(words)

    def with_flag(self, *flags: str) -> tuple[Seen, ...]:
        """The caller's failing lines whose primary flag is one of *flags*."""
        return tuple(seen for seen in self.caller_lines if seen.access and seen.access.primary_flag in flags)

    def is_over(self, lines: Iterable[Seen]) -> bool:
        """Whether the trouble that *lines* show has ended within what was recorded."""
        lines = tuple(lines)
        codes = {seen.access.code if seen.access else 0 for seen in lines}
        # Proxies write their log every ten seconds, the application at once: its calls tell about the end.
        later = [seen for seen in self.calls if seen.call and (seen.call.status in codes or seen.call.status == 0)]
        times = sorted(seen.start for seen in (*lines, *later) if seen.start is not None)
        if not times:
            return False
        good = self.successes_after(times[-1])
        if len(good) < ENOUGH_SUCCESSES:
            return False
        pause = max((after - before for before, after in pairwise(times)), default=0.0)
        quiet = (good[-1].start or 0.0) - times[-1]
        return quiet > max(QUIET_SECONDS, QUIET_GAPS * pause)


def requests(lines: Iterable[Seen]) -> int:
    """How many requests *lines* tell of: one that the caller's proxy, the server's and the application log is one."""
    # ztunnel writes one line at each end of a connection.
    sides = Counter((seen.side, seen.tunnel.direction if seen.tunnel else "") for seen in lines)
    return max(sides.values(), default=0)


class Traffic:
    """All flows of a mesh, from every log that was read."""

    def __init__(self, mesh: MeshIndex) -> None:
        self._mesh = mesh
        self._reader = TrafficReader(mesh)
        logged = (*self._reader.read(), *read_tunnels(mesh, self._reader))
        self.seen = (*logged, *unlogged(mesh, logged))

    @cached_property
    def _flows(self) -> dict[tuple[Workload | None, tuple[str, int]], list[Seen]]:
        flows: dict[tuple[Workload | None, tuple[str, int]], list[Seen]] = {}
        for seen in self.seen:
            flows.setdefault((seen.client, seen.destination.key), []).append(seen)
        return flows

    @cached_property
    def _served_by_request(self) -> dict[str, list[Seen]]:
        found: dict[str, list[Seen]] = {}
        for seen in self.seen:
            if seen.side == SERVER and seen.access and seen.access.request_id:
                found.setdefault(seen.access.request_id, []).append(seen)
        return found

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """Every flow with a failure, the one with most failures first.

        A server's lines whose request the caller logged under another name (a route sent it elsewhere) belong to the
        caller's case and are no case of their own.
        """
        cases = [self._case(seen) for seen in self._flows.values() if any(entry.failed for entry in seen)]
        told = {id(seen) for case in cases if any(s.side != SERVER for s in case.seen) for seen in case.seen}
        kept = [
            case
            for case in cases
            if any(seen.side != SERVER or id(seen) not in told for seen in case.failures)
            or any(seen.side != SERVER for seen in case.seen)
        ]
        return tuple(sorted(kept, key=lambda case: -len(case.failures)))

    @cached_property
    def _served_by_connection(self) -> dict[str, list[Seen]]:
        """Server lines without a request id (no filter chain, L4 policy) by the address that the client came from."""
        found: dict[str, list[Seen]] = {}
        for seen in self.seen:
            line = seen.access
            if seen.side == SERVER and line and not line.request_id and line.downstream_remote_address:
                found.setdefault(line.downstream_remote_address, []).append(seen)
        return found

    def _case(self, seen: Sequence[Seen], path: str = "") -> Case:
        first = next((entry for entry in seen if entry.side != SERVER), seen[0])
        joined = {id(entry): entry for entry in seen}
        for entry in seen:
            if entry.side in (CLIENT, GATEWAY) and entry.access:
                for served in self._answers_to(entry.access):
                    joined.setdefault(id(served), served)
        for entry in self._behind_waypoint(first.destination):
            joined.setdefault(id(entry), entry)
        kept = tuple(without_unnoticed(joined.values()))
        ambient = self._ambient(first.client, first.destination) or any(_tunnelled(entry) for entry in kept)
        return Case(first.client, first.destination, kept, path, ambient)

    def _behind_waypoint(self, destination: Destination) -> Iterator[Seen]:
        """ztunnel's lines of the second half of the way, from the Service's waypoint to its pods."""
        service = self._mesh.services.get(destination.service) if destination.service else None
        waypoint = waypoint_of(self._mesh, service) if service else None
        if waypoint is None:
            return
        pods = waypoint_pods(self._mesh, waypoint)
        for client in dict.fromkeys(self._mesh.workload(PodRef(pod.namespace, pod.name)) for pod in pods):
            yield from (seen for seen in self._flows.get((client, destination.key), ()) if seen.tunnel)

    def _ambient(self, client: Workload | None, destination: Destination) -> bool:
        return serves_ambient(self._mesh, client, destination.service)

    def _answers_to(self, line: AccessLine) -> Iterator[Seen]:
        """The server's lines of one request, by its id or by the two ends of its connection."""
        yield from self._served_by_request.get(line.request_id or "", ())
        for served in self._served_by_connection.get(line.upstream_local_address or "", ()):
            if abs((served.start or 0.0) - (line.start or 0.0)) <= CONNECTION_SECONDS:
                yield served

    def ask(self, question: Question) -> tuple[Case, ...]:
        """The cases of a question; a flow that nobody logged is a case without traffic.

        Raises `NothingMatches` with the nearest names when the client or the host names nothing in the source.
        """
        clients = self._clients(question.client)
        namespace = clients[0].namespace if clients else ""
        wanted = self._reader.destination(question.host, question.port, namespace) if question.host else None
        found = [
            self._case(seen, question.path)
            for (client, _), seen in self._flows.items()
            if (not clients or client in clients) and (wanted is None or _same(wanted, seen[0].destination, namespace))
        ]
        if found:
            failing = sorted((case for case in found if case.failures), key=lambda case: -len(case.failures))
            return (*failing, *self._behind(failing)) if failing else tuple(found)
        if wanted is not None and wanted.service is None and not self._is_known_host(question.host):
            raise NothingMatches(f"--to {question.target}: no Service or host of that name", self._near(question.host))
        if wanted is None:
            return ()
        self._check_port(question, wanted)
        client = clients[0] if clients else None
        return (Case(client, wanted, (), question.path, self._ambient(client, wanted)),)

    def _check_port(self, question: Question, wanted: Destination) -> None:
        service = self._mesh.services.get(wanted.service) if wanted.service else None
        ports = [port.port for port in service.spec.ports] if service else []
        if service and question.port and question.port not in ports:
            raise NothingMatches(
                f"--to {question.target}: Service {service.key} has no port {question.port}",
                tuple(f"{question.host}:{port}" for port in ports),
            )

    def _behind(self, cases: Sequence[Case]) -> Iterator[Case]:
        """The flows whose failures the servers of *cases* only pass on."""
        told = {id(seen) for case in cases for seen in case.seen}
        calls = passed_on(self._mesh, (seen for case in cases for seen in case.server_lines), self.seen)
        for key in dict.fromkeys((seen.client, seen.destination.key) for seen in calls if id(seen) not in told):
            yield self._case(self._flows[key])

    def _clients(self, text: str) -> tuple[Workload, ...]:
        if not text:
            return ()
        found = named(self._mesh, text)
        if not found:
            raise NothingMatches(f"--from {text}: no workload of that name", near_names(self._mesh, text))
        return tuple(dict.fromkeys(one.workload for one in found))

    def _is_known_host(self, host: str) -> bool:
        return any(seen.destination.host == host for seen in self.seen) or host in self._mesh.declared_hosts

    def _near(self, host: str) -> tuple[str, ...]:
        names = {f"{name}.{namespace}" for namespace, name in self._mesh.services}
        return _nearest(host, sorted(names | {seen.destination.host for seen in self.seen} | self._mesh.declared_hosts))


def _tunnelled(seen: Seen) -> bool:
    """Whether an Envoy sent a request through the HBONE tunnel (its internal listener connect_originate)."""
    return bool(seen.access and (seen.access.upstream_host or "").startswith("envoy://connect_originate/"))


def _same(wanted: Destination, found: Destination, namespace: str) -> bool:
    if wanted.port and found.port and wanted.port != found.port:
        return False
    if wanted.key[0] == found.key[0] or wanted.host == found.host:
        return True
    # Where the Services could not be read, only the spelling tells that two names are one.
    return found.service is None and wanted.host in candidates(found.host, namespace)


def _nearest(text: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(get_close_matches(text, list(dict.fromkeys(names)), n=3, cutoff=0.4))
