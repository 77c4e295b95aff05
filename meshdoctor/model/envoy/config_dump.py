"""`GET /config_dump`: sections decoded one by one when asked for, each resource with its state and its own JSON.

One section that cannot be decoded is a problem with a reason; the others are used. Shapes of envoy.admin.v3.ConfigDump,
Envoy 1.30 to 1.40; snake_case as the admin endpoint prints it, or camelCase as istioctl does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec

from meshdoctor.model.decode import UnreadableError, decode_raw, scrub
from meshdoctor.model.envoy.any import EnvoyFact
from meshdoctor.model.envoy.body import utf8
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.envoy.dump_messages import (
    LISTS,
    Bootstrap,
    DynamicListener,
    EcdsFilter,
    Entry,
    ErrorState,
    Secret,
    Section,
)
from meshdoctor.model.envoy.endpoint import ClusterLoadAssignment
from meshdoctor.model.envoy.listener import Listener
from meshdoctor.model.envoy.route import RouteConfiguration
from meshdoctor.model.envoy.sections import find_sections, salvaged, snake
from meshdoctor.model.mending import mended

T = TypeVar("T")


PARTLY = "partly read"
"""The state of a resource of which a part could not be read."""


class Resource(EnvoyFact, Generic[T], frozen=True):
    """One resource: *state* is `active`, `warming`, `draining` or `static`; *raw* its JSON as it stood in the dump."""

    name: str
    state: str
    version: str
    last_updated: str | None
    raw: msgspec.Raw
    body: T
    error: ErrorState | None = None
    client_status: str = ""


def decode_config_dump(body: bytes) -> ConfigDump:
    """A dump from its bytes; raises `UnreadableError` when nothing in it is a section of a config dump.

    Text around the JSON, a cut end or a broken section are problems, and the rest is used.
    """
    body = bytes(utf8(body))
    found = find_sections(scrub(body))
    if not found.parts and b'"configs"' not in body:
        raise UnreadableError("not a config dump: it has no configs")
    problems = list(found.problems)
    sections: dict[str, tuple[msgspec.Raw, ...]] = {}
    for name, parts in found.parts.items():
        try:
            sections[name] = tuple(msgspec.Raw(snake(part)) for part in parts)
        except UnreadableError as error:
            problems.append(f"{name}: {error}")
    return ConfigDump(sections, problems)


class ConfigDump:
    """The sections of one proxy's dump; a section is decoded the first time that it is asked for and then kept."""

    def __init__(self, sections: dict[str, tuple[msgspec.Raw, ...]], problems: Sequence[str] = ()) -> None:
        self.sections = sections
        """Raw JSON by message name (`ClustersConfigDump`); a name may repeat in a dump that was read in parts."""
        self.problems: list[str] = list(problems)
        """What could not be decoded so far, one line each."""
        self._partly: dict[str, list[Resource[Any]]] = {}

    def partly(self, kind: type[T]) -> tuple[Resource[T], ...]:
        """Resources of which a part could not be read (the problems say which): for tables, never to conclude from."""
        return tuple(self._partly.get(kind.__name__, ()))

    @cached_property
    def bootstrap(self) -> Bootstrap | None:
        for section in self._parts("BootstrapConfigDump"):
            if bytes(section.bootstrap):
                return self._body(section.bootstrap, Bootstrap, "bootstrap")
        return None

    @cached_property
    def clusters(self) -> tuple[Resource[Cluster], ...]:
        found: list[Resource[Cluster]] = []
        for section in self._parts("ClustersConfigDump"):
            found += self._entries(section.static_clusters, "static", "cluster", Cluster)
            found += self._entries(section.dynamic_active_clusters, "active", "cluster", Cluster)
            found += self._entries(section.dynamic_warming_clusters, "warming", "cluster", Cluster)
        return tuple(found)

    @cached_property
    def listeners(self) -> tuple[Resource[Listener], ...]:
        found: list[Resource[Listener]] = []
        for section in self._parts("ListenersConfigDump"):
            found += self._entries(section.static_listeners, "static", "listener", Listener)
            for raw in section.dynamic_listeners:
                found += self._dynamic_listener(raw)
        return tuple(found)

    @cached_property
    def routes(self) -> tuple[Resource[RouteConfiguration], ...]:
        found: list[Resource[RouteConfiguration]] = []
        for section in self._parts("RoutesConfigDump"):
            found += self._entries(section.static_route_configs, "static", "route_config", RouteConfiguration)
            found += self._entries(section.dynamic_route_configs, "active", "route_config", RouteConfiguration)
        return tuple(found)

    @cached_property
    def endpoints(self) -> tuple[Resource[ClusterLoadAssignment], ...]:
        found: list[Resource[ClusterLoadAssignment]] = []
        for section in self._parts("EndpointsConfigDump"):
            found += self._entries(section.static_endpoint_configs, "static", "endpoint_config", ClusterLoadAssignment)
            found += self._entries(section.dynamic_endpoint_configs, "active", "endpoint_config", ClusterLoadAssignment)
        return tuple(found)

    @cached_property
    def secrets(self) -> tuple[Resource[Secret], ...]:
        found: list[Resource[Secret]] = []
        for section in self._parts("SecretsConfigDump"):
            found += self._entries(section.static_secrets, "static", "secret", Secret)
            found += self._entries(section.dynamic_active_secrets, "active", "secret", Secret)
            found += self._entries(section.dynamic_warming_secrets, "warming", "secret", Secret)
        return tuple(found)

    @cached_property
    def ecds_filters(self) -> tuple[Resource[EcdsFilter], ...]:
        found: list[Resource[EcdsFilter]] = []
        for section in self._parts("EcdsConfigDump"):
            found += self._entries(section.ecds_filters, "active", "ecds_filter", EcdsFilter)
        return tuple(found)

    def has(self, section: str) -> bool:
        """Whether the dump has that section at all (`EndpointsConfigDump` is there only with `?include_eds`)."""
        return section in self.sections

    def cluster(self, name: str) -> Cluster | None:
        """The active (or static) cluster of that name."""
        return self._active_clusters.get(name)

    def load_assignment(self, cluster: Cluster) -> ClusterLoadAssignment | None:
        """The endpoints of a cluster: those that Envoy has, else those that the cluster names; None when none is known.

        With `include_eds` Envoy prints the hosts of every active cluster under its service name or its own: of one
        that asks DNS what the names resolve to, which may be nothing (source/server/admin/config_dump_handler.cc,
        dumpEndpointConfigs, 1.19 to 1.40). istiod's own dump has those of EDS alone.
        """
        service = cluster.eds_cluster_config.service_name if cluster.eds_cluster_config else ""
        return self._assignments.get(service or cluster.name) or cluster.load_assignment

    @cached_property
    def _active_clusters(self) -> dict[str, Cluster]:
        return {entry.name: entry.body for entry in self.clusters if entry.state != "warming"}

    @cached_property
    def _assignments(self) -> dict[str, ClusterLoadAssignment]:
        return {entry.body.cluster_name: entry.body for entry in self.endpoints}

    def _parts(self, name: str) -> list[Section]:
        parts = []
        for raw in self.sections.get(name, ()):
            try:
                parts.append(decode_raw(raw, Section))
            except UnreadableError as error:
                self.problems.append(f"{name}: {error}")
                entries = salvaged(bytes(raw), LISTS)
                lists: dict[str, Any] = {field: list(map(msgspec.Raw, found)) for field, found in entries.items()}
                parts.append(Section(**lists))
        return parts

    def _entries(self, raws: list[msgspec.Raw], state: str, field: str, kind: type[T]) -> list[Resource[T]]:
        found = []
        for raw in raws:
            try:
                entry = decode_raw(raw, Entry)
            except UnreadableError as error:
                self.problems.append(f"{field}: {error}")
                continue
            found += self._resource(entry, state, field, kind, entry.error_state, entry.client_status)
        return found

    def _dynamic_listener(self, raw: msgspec.Raw) -> list[Resource[Listener]]:
        try:
            entry = decode_raw(raw, DynamicListener)
        except UnreadableError as error:
            self.problems.append(f"listener: {error}")
            return []
        found: list[Resource[Listener]] = []
        states = (("active", entry.active_state), ("warming", entry.warming_state), ("draining", entry.draining_state))
        for state, inner in states:
            if inner:
                found += self._resource(
                    inner, state, "listener", Listener, entry.error_state, entry.client_status, entry.name
                )
        if not found and entry.error_state:
            # A listener whose every version was rejected has no state at all, only the error.
            found.append(
                Resource(entry.name, "rejected", "", None, msgspec.Raw(b"{}"), Listener(entry.name), entry.error_state)
            )
        return found

    def _resource(
        self,
        entry: Entry,
        state: str,
        field: str,
        kind: type[T],
        error: ErrorState | None,
        status: str,
        outer_name: str = "",
    ) -> list[Resource[T]]:
        raw: msgspec.Raw = getattr(entry, field)
        body = self._body(raw, kind, f"{field} {entry.name or outer_name}".strip()) if bytes(raw) else None
        if body is None and not error:
            if (part := mended(raw, kind) if bytes(raw) else None) is not None:
                name = entry.name or outer_name or _name(part)
                found = Resource(name, PARTLY, entry.version_info, entry.last_updated, raw, part, error, status)
                self._partly.setdefault(kind.__name__, []).append(found)
            return []
        body = kind() if body is None else body
        name = entry.name or outer_name or _name(body)
        return [Resource(name, state, entry.version_info, entry.last_updated, raw, body, error, status)]

    def _body(self, raw: msgspec.Raw, kind: type[T], what: str) -> T | None:
        try:
            return decode_raw(raw, kind)
        except UnreadableError as error:
            self.problems.append(f"{what}: {error}")
            return None


def _name(body: object) -> str:
    return str(getattr(body, "name", "") or getattr(body, "cluster_name", ""))
