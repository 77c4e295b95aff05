"""The flows of a mesh, and the lines of both sides of each joined into a case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from meshdoctor.mesh.ambient import serves_ambient, waypoint_of, waypoint_pods
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.owners import Workload
from meshdoctor.mesh.traffic import CLIENT, GATEWAY, SERVER, Destination, Seen, TrafficReader
from meshdoctor.mesh.unlogged import unlogged
from meshdoctor.mesh.ztunnel.tunnels import read_tunnels, without_unnoticed
from meshdoctor.model.accesslog import AccessLine

CONNECTION_SECONDS = 30.0
"""A port of the client's is used again for another connection at some time, but not this soon."""


Ends = tuple[Workload | None, tuple[str, int]]
"""Who called (None: nobody known), and the `key` of the destination."""


class Flows:
    """All flows of a mesh, from every log that was read."""

    def __init__(self, mesh: MeshIndex) -> None:
        self._mesh = mesh
        logged = (*TrafficReader(mesh).read(), *read_tunnels(mesh))
        self.seen = (*logged, *unlogged(mesh, logged))

    @cached_property
    def by_ends(self) -> Mapping[Ends, Sequence[Seen]]:
        """What was seen of each flow."""
        flows: dict[Ends, list[Seen]] = {}
        for seen in self.seen:
            flows.setdefault((seen.client, seen.destination.key), []).append(seen)
        return flows

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """Every flow with a failure, the one with most failures first.

        A server's lines whose request the caller logged under another name (a route sent it elsewhere) belong to the
        caller's case and are no case of their own.
        """
        cases = [self.case(ends) for ends, seen in self.by_ends.items() if any(entry.failed for entry in seen)]
        told = {id(seen) for case in cases if any(s.side != SERVER for s in case.seen) for seen in case.seen}
        kept = [
            case
            for case in cases
            if any(seen.side != SERVER or id(seen) not in told for seen in case.failures)
            or any(seen.side != SERVER for seen in case.seen)
        ]
        return tuple(sorted(kept, key=lambda case: -len(case.failures)))

    def case(self, ends: Ends, path: str = "") -> Case:
        """The case of one flow, with the lines of the other side about its requests."""
        seen = self.by_ends[ends]
        first = next((entry for entry in seen if entry.side != SERVER), seen[0])
        joined = {id(entry): entry for entry in seen}
        for entry in seen:
            if entry.side in (CLIENT, GATEWAY) and entry.access:
                for served in self._answers_to(entry.access):
                    joined.setdefault(id(served), served)
        for entry in self._behind_waypoint(first.destination):
            joined.setdefault(id(entry), entry)
        kept = tuple(without_unnoticed(joined.values()))
        ambient = serves_ambient(self._mesh, first.client, first.destination.service) or any(map(_tunnelled, kept))
        return Case(first.client, first.destination, kept, path, ambient)

    def _answers_to(self, line: AccessLine) -> Iterator[Seen]:
        """The server's lines of one request, by its id or by the two ends of its connection."""
        yield from self._served_by_request.get(line.request_id or "", ())
        for served in self._served_by_connection.get(line.upstream_local_address or "", ()):
            if abs((served.start or 0.0) - (line.start or 0.0)) <= CONNECTION_SECONDS:
                yield served

    @cached_property
    def _served_by_request(self) -> Mapping[str, Sequence[Seen]]:
        found: dict[str, list[Seen]] = {}
        for seen in self.seen:
            if seen.side == SERVER and seen.access and seen.access.request_id:
                found.setdefault(seen.access.request_id, []).append(seen)
        return found

    @cached_property
    def _served_by_connection(self) -> Mapping[str, Sequence[Seen]]:
        """Server lines without a request id (no filter chain, L4 policy) by the address that the client came from."""
        found: dict[str, list[Seen]] = {}
        for seen in self.seen:
            line = seen.access
            if seen.side == SERVER and line and not line.request_id and line.downstream_remote_address:
                found.setdefault(line.downstream_remote_address, []).append(seen)
        return found

    def _behind_waypoint(self, destination: Destination) -> Iterator[Seen]:
        """ztunnel's lines of the second half of the way, from the Service's waypoint to its pods."""
        service = self._mesh.services.get(destination.service) if destination.service else None
        waypoint = waypoint_of(self._mesh, service) if service else None
        if waypoint is None:
            return
        pods = waypoint_pods(self._mesh, waypoint)
        for client in dict.fromkeys(self._mesh.workload(pod.ref) for pod in pods):
            yield from (seen for seen in self.by_ends.get((client, destination.key), ()) if seen.tunnel)


def _tunnelled(seen: Seen) -> bool:
    """Whether an Envoy sent a request through the HBONE tunnel (its internal listener connect_originate)."""
    return bool(seen.access and (seen.access.upstream_host or "").startswith("envoy://connect_originate/"))
