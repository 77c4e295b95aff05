"""Which pod a person means: `[type/]name[.namespace]`, istioctl's grammar (istioctl/pkg/util/handlers/handlers.go).

The namespace follows the last dot. Where istioctl would fail only because no namespace was given, a name that exists in
one namespace is enough; `namespace/name` works too, as everywhere else in this program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from meshdoctor.errors import NothingMatches, UsageError
from meshdoctor.model.kubernetes import Pod, Service, Workload
from meshdoctor.model.labels import GATEWAY_NAME, selects, selects_some
from meshdoctor.model.snapshot import PodRef

# kubectl's names of the kinds that select pods.
_KINDS = {
    "Deployment": ("deployment", "deployments", "deploy", "deployment.apps", "deployments.apps"),
    "StatefulSet": ("statefulset", "statefulsets", "sts", "statefulset.apps", "statefulsets.apps"),
    "DaemonSet": ("daemonset", "daemonsets", "ds", "daemonset.apps", "daemonsets.apps"),
    "ReplicaSet": ("replicaset", "replicasets", "rs", "replicaset.apps", "replicasets.apps"),
    "Service": ("service", "services", "svc"),
    "Pod": ("pod", "pods", "po"),
    "Gateway": ("gateway", "gateways", "gtw", "gateway.gateway.networking.k8s.io"),
}
_KIND = {alias: kind for kind, aliases in _KINDS.items() for alias in aliases}
# Kinds that exist and select no pods: `serviceaccount/x` is not a namespace.
_OTHERS = frozenset({"serviceaccount", "sa", "configmap", "cm", "secret", "node", "namespace", "ns", "job", "cronjob"})


def kind_of(alias: str) -> str:
    """The kind that kubectl knows by *alias* (`deploy`, `svc`, ...); "" for none that selects pods."""
    return _KIND.get(alias.lower(), "")


class Places(NamedTuple):
    """What a target is looked up in; *recorded* are pods that a source knows without their object."""

    pods: tuple[Pod, ...] = ()
    recorded: tuple[PodRef, ...] = ()
    workloads: Mapping[str, tuple[Workload, ...]] = {}
    services: tuple[Service, ...] = ()

    @property
    def refs(self) -> list[PodRef]:
        return list(dict.fromkeys((*(PodRef(pod.namespace, pod.name) for pod in self.pods), *self.recorded)))


def find_pod(target: str, places: Places, namespace: str = "") -> PodRef:
    """The pod of *target*; *namespace* is that of `-n` ("": not given). Raises `NothingMatches`."""
    kind, slash, rest = target.partition("/")
    if slash and kind.lower() in _KIND:
        name, where = split(rest, namespace)
        found = _selected(_KIND[kind.lower()], name, where, places)
        if found is None:
            raise NothingMatches(f'"{kind}/{name}" does not refer to a pod', ())
        return found
    if slash:
        ref = PodRef(kind, rest)
        if ref in places.refs:
            return ref
        name = rest if kind.lower() in _OTHERS else target
        raise NothingMatches(f'"{kind}/{rest}" does not refer to a pod', _nearest(name, places))
    return _named(target, namespace, places)


def split(name: str, namespace: str) -> tuple[str, str]:
    """`name.namespace` at the last dot; *namespace* where there is none."""
    head, dot, tail = name.rpartition(".")
    return (head, tail) if dot else (name, namespace)


def _named(target: str, namespace: str, places: Places) -> PodRef:
    refs = places.refs
    name, where = split(target, namespace)
    wanted = [PodRef(where, name)] if where else []
    if "." in target:
        # A pod's name may hold dots, and then the namespace was not given.
        wanted.append(PodRef(namespace or "default", target))
    for ref in wanted:
        if ref in refs:
            return ref
    if not namespace:
        alone = [ref for ref in refs if ref.name == target]
        if len(alone) == 1:
            return alone[0]
        default = PodRef("default", target)
        if default in alone:
            return default
        if alone:
            raise NothingMatches(
                f"{target} exists in several namespaces", tuple(f"{r.name}.{r.namespace}" for r in alone)
            )
    raise NothingMatches(f'unable to retrieve Pod: pods "{name}" not found', _nearest(name, places))


def find_pods(target: str, places: Places, namespace: str = "") -> tuple[PodRef, ...]:
    """As `find_pod`, but of a workload or a Service every pod, as the commands on log levels have it."""
    kind, slash, rest = target.partition("/")
    first = find_pod(target, places, namespace)
    if not slash or kind.lower() not in _KIND:
        return (first,)
    pods = _selected_pods(_KIND[kind.lower()], split(rest, namespace)[0], first.namespace, places)
    return tuple(PodRef(pod.namespace, pod.name) for pod in sorted(pods, key=lambda pod: pod.name))


def labelled_pods(selector: str, places: Places, namespace: str = "") -> tuple[PodRef, ...]:
    """The pods that `-l key=value,...` selects; *namespace* "" is default. Raises `NothingMatches`, `UsageError`."""
    wanted = {}
    for part in selector.split(","):
        key, sign, value = part.replace("==", "=").partition("=")
        if not sign or key.endswith("!"):
            raise UsageError(f"--selector {selector}: only key=value,... is known")
        wanted[key.strip()] = value.strip()
    pods = [pod for pod in places.pods if pod.namespace == (namespace or "default")]
    found = tuple(pod.ref for pod in pods if selects(wanted, pod.metadata.labels))
    if not found:
        raise NothingMatches("no pods found", ())
    return found


def _selected(kind: str, name: str, namespace: str, places: Places) -> PodRef | None:
    """The pod of an object that kubectl's `logs deployment/x` chooses."""
    namespaces = (
        [namespace] if namespace else sorted({pod.namespace for pod in places.pods}, key=lambda n: (n != "default", n))
    )
    for where in namespaces:
        chosen = _selected_pods(kind, name, where, places)
        if chosen:
            return min(chosen, key=_by_logging).ref
    return None


def _selected_pods(kind: str, name: str, namespace: str, places: Places) -> list[Pod]:
    pods = [pod for pod in places.pods if pod.namespace == namespace]
    if kind == "Pod":
        return [pod for pod in pods if pod.name == name]
    if kind == "Gateway":
        return [pod for pod in pods if pod.metadata.labels.get(GATEWAY_NAME) == name]
    labels = _labels(kind, name, namespace, places)
    return [pod for pod in pods if selects_some(labels, pod.metadata.labels)]


_PHASES = {"Running": 2, "Unknown": 1}


def _by_logging(pod: Pod) -> tuple[bool, int, bool, bool, str, int, bool, str, str]:
    """The smaller, the better: kubectl's podutils.ByLogging, which istioctl takes, and the name where that is equal.

    Assigned, running, ready, ready for longer, restarted more often, older.
    """
    ready = next((entry for entry in pod.status.conditions if entry.type == "Ready"), None)
    is_ready = ready is not None and ready.status == "True"
    since = (ready.last_transition_time or "") if ready is not None and is_ready else ""
    restarts = max((status.restart_count for status in pod.status.container_statuses), default=0)
    created = pod.metadata.creation_timestamp or ""
    return (
        not pod.spec.node_name,
        -_PHASES.get(pod.status.phase, 0),
        not is_ready,
        not since,
        since,
        -restarts,
        not created,
        created,
        pod.name,
    )


def _labels(kind: str, name: str, namespace: str, places: Places) -> dict[str, str]:
    if kind == "Service":
        for service in places.services:
            if (service.namespace, service.name) == (namespace, name):
                return service.spec.selector or {}
        return {}
    for workload in places.workloads.get(kind, ()):
        if (workload.namespace, workload.name) == (namespace, name):
            return dict((workload.spec.selector or {}).get("matchLabels") or {})
    return {}


def _nearest(name: str, places: Places) -> tuple[str, ...]:
    from difflib import get_close_matches  # only for an error

    names = {ref.name: f"{ref.name}.{ref.namespace}" for ref in places.refs}
    return tuple(names[found] for found in get_close_matches(name, names, 3, 0.5))


def workload_kinds() -> Iterable[str]:
    """The kinds whose objects `Places.workloads` wants."""
    return ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
