"""Kubernetes and Istio objects of small recordings, from terse calls; times are seconds after `moments.START`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.moments import Json, when


def meta(name: str, namespace: str = "", at: float = -3600, **more: Any) -> Json:
    where = {"namespace": namespace} if namespace else {}
    return {"name": name, **where, "creationTimestamp": when(at), **more}


def container_status(
    name: str,
    ready: bool = True,
    last_end: tuple[float, int, str] | None = None,
    running: bool = True,
    waiting: str = "",
) -> Json:
    """*last_end*: seconds, exit code and reason of the container's life before this one."""
    state: Json = {"waiting": {"reason": waiting}} if waiting else {"running": {"startedAt": when(-3000)}}
    found: Json = {"name": name, "ready": ready, "restartCount": int(last_end is not None)}
    found["state"] = state if running or waiting else {}
    if last_end:
        found["lastState"] = {
            "terminated": {"finishedAt": when(last_end[0]), "exitCode": last_end[1], "reason": last_end[2]}
        }
    return found


def pod(
    name: str,
    namespace: str,
    ip: str,
    labels: dict[str, str] | None = None,
    *,
    replica_set: str = "",
    owner_kind: str = "ReplicaSet",
    sidecar: bool = True,
    native: bool = False,
    gateway: bool = False,
    ports: Iterable[int | tuple[str, int]] = (),
    ready: bool = True,
    ready_at: float = -3000,
    created: float = -3600,
    stopped: float | None = None,
    grace: int = 30,
    app: str = "server",
    init: Iterable[str] = (),
    statuses: list[Json] | None = None,
    annotations: dict[str, str] | None = None,
    host_network: bool = False,
) -> Json:
    """A pod with one application container (*app*), owned by *replica_set* when it is named."""
    declared = [{"containerPort": one} if isinstance(one, int) else _named(*one) for one in ports]
    proxy: Json = {"name": "istio-proxy", "args": ["proxy", "router" if gateway else "sidecar"]}
    containers: list[Json] = [] if gateway else [{"name": app, "ports": declared}]
    inits: list[Json] = [{"name": one} for one in init]
    if native:
        inits.append({**proxy, "restartPolicy": "Always"})
    elif sidecar:
        containers.append(proxy)
    owners = [{"kind": owner_kind, "name": replica_set, "controller": True}] if replica_set else []
    more: Json = {"labels": labels or {}, "annotations": annotations or {}, "ownerReferences": owners}
    if stopped is not None:
        more |= {"deletionTimestamp": when(stopped + grace), "deletionGracePeriodSeconds": grace}
    return {
        "metadata": meta(name, namespace, created, **more),
        "spec": {
            "containers": containers,
            "initContainers": inits,
            "nodeName": "node-a",
            "hostNetwork": host_network,
            "terminationGracePeriodSeconds": grace,
        },
        "status": {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [
                {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": when(ready_at)}
            ],
            "containerStatuses": statuses
            if statuses is not None
            else [container_status(one["name"], ready) for one in containers],
        },
    }


def _named(name: str, port: int) -> Json:
    return {"name": name, "containerPort": port}


def service(
    name: str,
    namespace: str,
    ip: str,
    ports: Iterable[tuple[int, str, int | str]],
    selector: dict[str, str] | None = None,
    **annotations: str,
) -> Json:
    """*ports* as (port, name, targetPort)."""
    found = [{"port": port, "name": label, "targetPort": target, "protocol": "TCP"} for port, label, target in ports]
    return {
        "metadata": meta(name, namespace, annotations=annotations),
        "spec": {"clusterIP": ip, "clusterIPs": [ip], "selector": selector, "ports": found},
    }


def endpoint_slice(name: str, namespace: str, addresses: Iterable[str], port: int = 0, ready: bool = True) -> Json:
    """The EndpointSlice of Service *name*."""
    return {
        "metadata": meta(f"{name}-x7k2p", namespace, labels={"kubernetes.io/service-name": name}),
        "addressType": "IPv4",
        "endpoints": [{"addresses": [ip], "conditions": {"ready": ready}} for ip in addresses],
        "ports": [{"port": port}],
    }


def deployment(
    name: str,
    namespace: str,
    labels: dict[str, str],
    *,
    replicas: int = 1,
    kind: str = "Deployment",
    strategy: str = "RollingUpdate",
    ports: Iterable[int] = (),
    grace: int = 30,
) -> Json:
    declared = [{"containerPort": port} for port in ports]
    return {
        "kind": kind,
        "metadata": meta(name, namespace),
        "spec": {
            "replicas": replicas,
            "strategy": {"type": strategy},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [{"name": "server", "ports": declared}],
                    "terminationGracePeriodSeconds": grace,
                },
            },
        },
    }


def replica_set(name: str, namespace: str, owner: str) -> Json:
    owners = [{"kind": "Deployment", "name": owner, "controller": True}]
    return {"metadata": meta(name, namespace, ownerReferences=owners)}


def event(kind: str, namespace: str, name: str, reason: str, message: str, at: float) -> Json:
    return {
        "metadata": meta(f"{name}.18f2{abs(hash((name, reason, at))) % 10**8:08x}", namespace),
        "involvedObject": {"kind": kind, "namespace": namespace, "name": name},
        "reason": reason,
        "message": message,
        "firstTimestamp": when(at),
        "lastTimestamp": when(at),
    }


def namespace(name: str, **labels: str) -> Json:
    """Underscores of a label's name stand for dashes."""
    return {"metadata": meta(name, labels={key.replace("_", "-"): value for key, value in labels.items()})}


def istio(name: str, where: str, spec: Json, at: float = -3600) -> Json:
    """Any object that is metadata and a spec (Istio's, NetworkPolicy, Gateway API)."""
    return {"metadata": meta(name, where, at), "spec": spec}
