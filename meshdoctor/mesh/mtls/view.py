"""Effective mTLS of one snapshot: what the objects declare, what the proxies hold and what was seen, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from meshdoctor.mesh.hosts import is_wildcard, qualified, subset_of
from meshdoctor.mesh.identity import Identity, identity
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.logs import access_logs
from meshdoctor.mesh.mtls import configured, observed
from meshdoctor.mesh.mtls.configured import ConfiguredClient, ConfiguredServer
from meshdoctor.mesh.mtls.declared import DeclaredMtls
from meshdoctor.mesh.mtls.matrix import Column, Matrix, all_columns, matrix
from meshdoctor.mesh.mtls.observed import Link, Policies, Seen
from meshdoctor.mesh.objects import KINDS, MeshObjects
from meshdoctor.mesh.traffic_policy import sets_tls
from meshdoctor.mesh.workloads import AMBIENT, Peer
from meshdoctor.model import wants as ask
from meshdoctor.model.pods import NONE, PROXY_CONTAINER, SIDECAR
from meshdoctor.model.snapshot import Missing, Part, PodRef, Want
from meshdoctor.model.ztunnellog import ZtunnelLine

_SPARED = "of a large mesh, who is named is asked, and some of each workload"
_DECIDING = frozenset(("DestinationRule", "PeerAuthentication"))
_NEVER_ASKED = ("not recorded", "not asked for")


def object_wants() -> list[Want[Any]]:
    """What must be read before anything can be said."""
    return [ask.Contents(), ask.Mesh(), *(ask.Objects(kind) for kind in (*KINDS, "ReplicaSet"))]


def proxy_wants(index: MeshIndex, counters: bool = False) -> list[Want[Any]]:
    """What shows what the proxies hold and did, with their counters if asked; any of it may be missing."""
    inventory = index.inventory
    per_proxy: tuple[type[ask.ProxyConfig | ask.ProxyCertificates | ask.ProxyMetrics], ...]
    per_proxy = (ask.ProxyConfig, ask.ProxyCertificates, *((ask.ProxyMetrics,) if counters else ()))
    ambient = _ztunnel_logs(index)
    logs = (ask.AccessLog(log) for log in inventory.logs if log.container == PROXY_CONTAINER and log not in ambient)
    return [
        *(want(pod) for pod in inventory.proxies for want in per_proxy),
        *logs,
        *(ask.ZtunnelAccessLog(log) for log in ambient),
    ]


def _ztunnel_logs(index: MeshIndex) -> tuple[ask.LogRef, ...]:
    ztunnels = frozenset(index.inventory.ztunnels)
    return tuple(log for log in index.inventory.logs if log.pod in ztunnels and log.container == PROXY_CONTAINER)


class MtlsView:
    """The three columns over a snapshot's index; everything is computed when it is first asked for."""

    def __init__(self, index: MeshIndex) -> None:
        self.index = index

    @cached_property
    def objects(self) -> MeshObjects:
        """The objects that could be read; `objects.missing` names the kinds that could not."""
        snapshot = self.index.snapshot
        found = {kind: snapshot.value(ask.Objects(kind)) for kind in KINDS}
        machines = frozenset(str(ref) for ref in self.index.inventory.proxies if ref not in self.index.pods)
        by_kind = {kind: objects for kind, objects in found.items() if objects is not None}
        return MeshObjects(by_kind, self.index.mesh_config, machines_with_proxy=machines)

    @cached_property
    def declared(self) -> DeclaredMtls:
        return DeclaredMtls(self.objects)

    @cached_property
    def seen(self) -> Mapping[Link, Seen]:
        """What the access logs show, by client, server and port."""
        logs = []
        for key, peer in self.objects.pods.items():
            for _, fact in access_logs(self.index, _ref(key)):
                logs.append((peer, fact.value.lines))
        at = self.objects.endpoints.at
        return {**observed.traffic(logs, at), **observed.ambient_traffic(self._ambient_logs, at)}

    @cached_property
    def callers(self) -> Mapping[tuple[str, int], Mapping[str, Seen]]:
        """`seen` by server and port, then by client."""
        found: dict[tuple[str, int], dict[str, Seen]] = {}
        for link, seen in self.seen.items():
            found.setdefault((link.server, link.port), {})[link.client] = seen
        return found

    @cached_property
    def _ambient_logs(self) -> tuple[tuple[ZtunnelLine, ...], ...]:
        snapshot = self.index.snapshot
        facts = (snapshot.value(ask.ZtunnelAccessLog(log)) for log in _ztunnel_logs(self.index))
        return tuple(fact.lines for fact in facts if fact is not None)

    @cached_property
    def logged(self) -> frozenset[str]:
        """Pods whose proxy's access log was read (those of ambient pods when a ztunnel's was)."""
        pods = self.objects.pods
        own = {key for key in pods if any(True for _ in access_logs(self.index, _ref(key)))}
        ambient = {key for key, peer in pods.items() if peer.proxy == AMBIENT} if self._ambient_logs else set()
        return frozenset(own | ambient)

    def identity(self, key: str) -> Identity | None:
        """The certificate that a pod's proxy holds; None when it has none or `/certs` was not read."""
        if key not in self._identities:
            self._identities[key] = identity(self.index, _ref(key))
        return self._identities[key]

    @cached_property
    def _identities(self) -> dict[str, Identity | None]:
        return {}

    def counted(self, key: str) -> Mapping[tuple[str, str], Policies]:
        """What a pod's proxy counted as a server, by (source workload, service host); empty when nothing was read."""
        found = self.index.snapshot.value(ask.ProxyMetrics(_ref(key)))
        return observed.counted(found) if found is not None else {}

    def configured_server(self, key: str) -> ConfiguredServer | None:
        """What a pod's proxy accepts by its own dump."""
        if key not in self._configured:
            dump = self.index.config(_ref(key))
            self._configured[key] = configured.server(dump) if dump is not None else None
        return self._configured[key]

    @cached_property
    def _configured(self) -> dict[str, ConfiguredServer | None]:
        return {}

    def has_dump(self, key: str) -> bool:
        """Whether a proxy's dump was read."""
        return self.index.config(_ref(key)) is not None

    def configured_client(self, key: str, column: Column, subset: str = "") -> ConfiguredClient | None:
        """What a pod's proxy holds for a service port; None without a dump or without such a cluster."""
        dump = self.index.config(_ref(key))
        return configured.client(dump, column.host, column.port, subset) if dump is not None else None

    def workload(self, key: str) -> str:
        """`namespace/name` of what owns a pod (or the key itself, for a WorkloadEntry)."""
        return str(self.index.workload(_ref(key))) if key in self.objects.pods else key

    def workload_label(self, key: str) -> str:
        """`Deployment namespace/name` of what owns a pod, as a cause is named."""
        if key not in self.objects.pods:
            return f"WorkloadEntry {key.replace('we:', '')}"
        found = self.index.workload(_ref(key))
        return f"{found.kind} {found}"

    @cached_property
    def workloads(self) -> Mapping[str, tuple[Peer, ...]]:
        """Every workload with its pods, by name."""
        found: dict[str, list[Peer]] = {}
        for key, peer in self.objects.peers.items():
            found.setdefault(self.workload(key), []).append(peer)
        return {name: tuple(peers) for name, peers in sorted(found.items())}

    def rows(self, only: str = "") -> Mapping[str, tuple[Peer, ...]]:
        """The clients to show: *only* is a namespace or `namespace/workload`, "" means all.

        A workload without a proxy is a row only when it is asked for by name, or when somebody saw it call.
        """
        callers = {link.client for link in self.seen}
        found = {}
        for name, peers in self.workloads.items():
            if only and name != only and not name.startswith(f"{only}/"):
                continue
            meshed = any(peer.proxy != NONE for peer in peers)
            if meshed or name == only or any(peer.key in callers for peer in peers):
                found[name] = peers
        return found

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Service ports with an endpoint that is in the mesh, or without any where there should be one, or that some
        client sends TLS to.
        """
        return tuple(column for column in all_columns(self.declared) if self._interesting(column))

    def _interesting(self, column: Column) -> bool:
        if any(subset_of(column.host, host) for host in self._ruled_hosts):
            return True
        for service in self.objects.registry.by_host.get(column.host, ()):
            port = service.port(column.port)
            endpoints = self.objects.endpoints.of(service, port) if port else ()
            if port and not endpoints and service.selector and service.namespace in self._meshed_namespaces:
                return True
            if any(endpoint.peer is not None and endpoint.peer.proxy in (SIDECAR, AMBIENT) for endpoint in endpoints):
                return True
        return False

    @cached_property
    def _meshed_namespaces(self) -> frozenset[str]:
        """Namespaces with a workload of the mesh: there, a Service without endpoints is one that lost them."""
        return frozenset(peer.namespace for peer in self.objects.peers.values() if peer.proxy in (SIDECAR, AMBIENT))

    @cached_property
    def _ruled_hosts(self) -> frozenset[str]:
        """Hosts of rules that say something about TLS; a wildcard for half the mesh makes no service special."""
        rules = (rule for rule in self.objects.destination_rules.all if sets_tls(rule))
        hosts = (qualified(rule.spec.host, rule.namespace, self.objects.domain) for rule in rules)
        return frozenset(host for host in hosts if not is_wildcard(host))

    @property
    def undecided(self) -> bool:
        """Whether objects could not be read that decide what a side does: then no two sides are known to agree."""
        return not _DECIDING.isdisjoint(self.objects.missing)

    def matrix(self, only: str = "", columns: Iterable[Column] | None = None) -> Matrix:
        """The table of the clients of `rows` against *columns* (all of `columns` by default)."""
        return matrix(self.declared, self.rows(only), self.columns if columns is None else columns)

    def whole(self, only: str = "", columns: Iterable[Column] = ()) -> Matrix:
        """The table of everybody, and of what was asked for by name: disagreements are looked for in all of it."""
        return matrix(self.declared, {**self.rows(), **self.rows(only)}, dict.fromkeys((*self.columns, *columns)))

    @property
    def missing(self) -> tuple[str, ...]:
        """What could not be read, one line each: an answer that hangs on it is no more than a guess."""
        asked = {"mesh config": ask.Mesh(), **{kind: ask.Objects(kind) for kind in KINDS}}
        facts = {name: self.index.snapshot.get(want) for name, want in asked.items()}
        parts: dict[Part, list[str]] = {}
        for name, fact in facts.items():
            if not isinstance(fact, Missing) and fact.part:
                parts.setdefault(fact.part, []).append(name)
        return (
            *(f"{name}: {fact}" for name, fact in facts.items() if isinstance(fact, Missing)),
            *(f"{', '.join(names)}: {part}" for part, names in parts.items()),
            *self._unread_proxies(),
        )

    def _unread_proxies(self) -> tuple[str, ...]:
        """Proxies that should have told what they hold and did not, and those that nobody asked: a line for each."""
        wants = [ask.ProxyConfig(pod) for pod in self.index.inventory.proxies]
        facts = (self.index.snapshot.get(want) for want in wants)
        lost = [fact for fact in facts if isinstance(fact, Missing) and fact.reason not in _NEVER_ASKED]
        spared = sum(not self.index.snapshot.has(want) for want in wants)
        return (
            *((f"configuration of {len(lost)} of {len(wants)} proxies: {lost[0]}",) if lost else ()),
            *((f"configuration of {spared} of {len(wants)} proxies: {_SPARED}",) if spared else ()),
        )


def _ref(key: str) -> PodRef:
    namespace, _, name = key.partition("/")
    return PodRef(namespace, name)
