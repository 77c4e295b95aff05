"""Which pods of a cluster are proxies, ztunnels and istiods, and what can be asked of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

import msgspec

from meshdoctor.kube.client import Listing
from meshdoctor.kube.podhttp import PORTS
from meshdoctor.kube.quantity import quantity
from meshdoctor.model.kubernetes import ContainerState, ContainerStatus, Pod
from meshdoctor.model.labels import ISTIOD, selects
from meshdoctor.model.names import mistaken_for
from meshdoctor.model.pods import NONE, PROXY_CONTAINER, ZTUNNEL, long_running, proxy_container, proxy_role
from meshdoctor.model.snapshot import Fact, Missing, Part, PodRef
from meshdoctor.model.wants import Inventory, LogRef

_ENDED = ("Succeeded", "Failed")
_MONITORING = "prometheus.io/port"
_PROXY_CONFIG = "PROXY_CONFIG"


class MeshPods(NamedTuple):
    """The pods that matter, by what they are; *istiods* are those of every revision, by pod name."""

    proxies: dict[PodRef, Pod]
    ztunnels: dict[PodRef, Pod]
    istiods: dict[str, Pod]
    all: dict[PodRef, Pod]
    part: Part | None = None
    """Of which namespaces the pods are; None: of all."""

    def absent(self, pod: PodRef) -> Missing:
        """What is to be said of a *pod* that is not among them."""
        name = "/".join(filter(None, pod))
        if self.part is None or pod.namespace in self.part.namespaces:
            return Missing("no such pod", f"{name} is not in the cluster")
        return Missing("not asked for", f"{name} may exist: pods were listed {self.part}")


def mesh_pods(pods: Iterable[Pod], part: Part | None = None) -> MeshPods:
    """Sort *pods* by what they are; a pod that has ended has no admin port, but may have a log.

    A proxy counts from the begin: a native sidecar runs while the pod is Pending and its other init containers call
    through it (Kubernetes 1.29). An istiod is one that can be asked. *part*: of which namespaces they are.
    """
    proxies: dict[PodRef, Pod] = {}
    ztunnels: dict[PodRef, Pod] = {}
    istiods: dict[str, Pod] = {}
    everything: dict[PodRef, Pod] = {}
    for pod in pods:
        ref = PodRef(pod.namespace, pod.name)
        everything[ref] = pod
        if pod.status.phase in _ENDED:
            continue
        role = proxy_role(pod.spec)
        if role == ZTUNNEL:
            ztunnels[ref] = pod
        elif selects(ISTIOD, pod.metadata.labels):
            if pod.status.phase in ("Running", ""):
                istiods[pod.name] = pod
        elif role != NONE:
            proxies[ref] = pod
    return MeshPods(proxies, ztunnels, istiods, everything, part)


def not_started(pod: Pod) -> str:
    """Why the proxy of a pod that does not run yet cannot be asked; "" where it can."""
    if pod.status.phase != "Pending":
        return ""
    state = next((one.state for one in _statuses(pod) if one.name == PROXY_CONTAINER), ContainerState())
    if state.running is not None:
        return ""
    detail = state.waiting or state.terminated
    return f"its container {PROXY_CONTAINER} does not run: {detail.reason if detail and detail.reason else 'Pending'}"


def _statuses(pod: Pod) -> tuple[ContainerStatus, ...]:
    return (*pod.status.container_statuses, *pod.status.init_container_statuses)


def _has_run(pod: Pod, container: str) -> bool:
    """Whether a container of it may have a log: of a pod that does not run yet, only some do."""
    if pod.status.phase != "Pending":
        return True
    status = next((one for one in _statuses(pod) if one.name == container), ContainerStatus())
    return status.state.running is not None or status.state.terminated is not None or status.restart_count > 0


def is_sidecar(pod: Pod) -> bool:
    """Whether its proxy is told to be a sidecar; one that is told nothing may be started as something else."""
    container = proxy_container(pod.spec)
    return container is not None and "sidecar" in container.args


def why_not_asked(proxy: str, others: Iterable[str]) -> str:
    """Why istiod is not asked what it would send to *proxy* (`NAME.NAMESPACE`), one of several; "" where it is."""
    other = mistaken_for(proxy, others)
    return f"istiod finds a connection by a part of its name, and that of {other} has the same part" if other else ""


def memory_limit(pod: Pod) -> int | None:
    """The proxy container's memory limit in bytes, None without one."""
    container = proxy_container(pod.spec)
    limits = container.resources.get("limits") if container is not None else None
    return quantity(limits.get("memory")) if isinstance(limits, dict) and "memory" in limits else None


def monitoring_port(istiod: Pod) -> int:
    """istiod's HTTP port for `/debug`, as istioctl finds it (`FindIstiodMonitoringPort`)."""
    told = istiod.metadata.annotations.get(_MONITORING, "")
    return int(told) if told.isdigit() and 0 < int(told) < 65536 else PORTS["istiod"]


def admin_port(proxy: Pod) -> int:
    """Envoy's admin port, which a mesh or a pod can move: the injector writes its ProxyConfig into the environment."""
    container = proxy_container(proxy.spec)
    values = (variable.value for variable in (container.env if container else ()) if variable.name == _PROXY_CONFIG)
    try:
        told = msgspec.json.decode(next(values, "{}"), type=_ProxyConfig, strict=False).proxy_admin_port
    except msgspec.DecodeError:
        told = 0
    return told if 0 < told < 65536 else PORTS["envoy"]


class _ProxyConfig(msgspec.Struct):
    proxy_admin_port: int = msgspec.field(name="proxyAdminPort", default=0)


def inventory(pods: MeshPods, kinds: tuple[str, ...]) -> Inventory:
    """What can be asked about: every container of a pod of the mesh that has run has a log, one that restarted two."""
    logs: list[LogRef] = []
    for ref, pod in pods.all.items():
        if ref not in pods.proxies and ref not in pods.ztunnels and pod.name not in pods.istiods:
            continue
        restarts = {status.name: status.restart_count for status in _statuses(pod)}
        for container in long_running(pod.spec):
            if not _has_run(pod, container.name):
                continue
            logs.append(LogRef(ref, container.name))
            if restarts.get(container.name):
                logs.append(LogRef(ref, container.name, previous=True))
    return Inventory(tuple(pods.proxies), tuple(pods.ztunnels), tuple(pods.istiods), tuple(logs), kinds)


LIST_SHARE = 20
"""At most one part in so many of the time is listing pods."""


class KnownPods:
    """The pods as they were last listed or heard of: whatever else is read of a cluster needs to know them.

    *refresh*: after so many seconds a list is old, later if it takes long, unless a watch keeps it up to date. *clock*
    gives Unix seconds.
    """

    def __init__(self, clock: Callable[[], float], refresh: float) -> None:
        self._clock = clock
        self._refresh = refresh
        self._pods: tuple[Pod, ...] | Missing | None = None
        self._part: Part | None = None
        self._sorted: MeshPods | None = None
        self._at = float("-inf")
        self._seconds = 0.0
        self._version = ""
        self._watched = False

    @property
    def is_old(self) -> bool:
        """Whether they are to be listed (again)."""
        unknown = self._pods is None or isinstance(self._pods, Missing)
        lasts = max(self._refresh, LIST_SHARE * self._seconds)
        return unknown or (not self._watched and self._clock() - self._at > lasts)

    @property
    def sorted(self) -> MeshPods | Missing:
        """The pods by what they are, or why they are unknown; sorted when somebody asks, and then once."""
        if self._pods is None:
            return Missing("not asked for")
        if isinstance(self._pods, Missing):
            return self._pods
        if self._sorted is None:
            self._sorted = mesh_pods(self._pods, self._part)
        return self._sorted

    @property
    def listing(self) -> Listing[Pod] | None:
        """The list that a watch can go on from; None when there is none."""
        known = not isinstance(self._pods, Missing | None) and self._version
        return Listing(cast("tuple[Pod, ...]", self._pods), self._version) if known else None

    def remember(self, fact: Fact[Any] | Missing, version: str, seconds: float = 0.0) -> None:
        """The pods were listed, at a resource *version* ("" for a part of them), which took *seconds*."""
        self._seconds = seconds
        if isinstance(fact, Missing):
            self._take(fact, "")
        else:  # a watch that goes on from a list could not say what of it was not decoded
            self._take(fact.value, "" if fact.problems else version, fact.part)

    def hear(self, pods: tuple[Pod, ...], *, lost: bool) -> None:
        """A watch told all pods, or was *lost*."""
        self._watched = not lost
        if not lost:
            self._take(pods, "")

    def hear_no_more(self) -> None:
        """The watch ends."""
        self._watched = False

    def _take(self, pods: tuple[Pod, ...] | Missing, version: str, part: Part | None = None) -> None:
        self._pods, self._part, self._version, self._at, self._sorted = pods, part, version, self._clock(), None
