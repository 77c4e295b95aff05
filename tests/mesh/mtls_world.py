"""Tiny meshes for the tests: a namespace `srv` with a service `s` (port 80 to 8080) and clients in `cli`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meshdoctor.mesh.mtls import DeclaredMtls
from meshdoctor.mesh.objects import KINDS, Features, MeshObjects
from meshdoctor.model.decode import convert
from meshdoctor.model.istiod import MeshConfig
from meshdoctor.model.kinds import BY_NAME
from meshdoctor.model.meta import Object

Json = dict[str, Any]
HOST = "s.srv.svc.cluster.local"


def thing(kind: str, name: str, namespace: str, spec: Json | None = None, at: int = 0, **meta: Any) -> Json:
    """Any object, created *at* that second."""
    created = f"2026-01-01T00:{at // 60:02d}:{at % 60:02d}Z"
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": created, **meta}
    return {"kind": kind, "metadata": metadata, "spec": spec or {}}


def pod(name: str, namespace: str, ip: str, proxy: str = "sidecar", ready: bool = True, **extra: Any) -> Json:
    """A pod with the labels that an injected one has; *proxy* is sidecar, router, or "" for none."""
    labels = {"app": name.split("-")[0], **extra.get("labels", {})}
    if proxy == "sidecar" and extra.get("marked", True):
        labels["security.istio.io/tlsMode"] = "istio"
    containers: list[Json] = [{"name": "app", "ports": [{"containerPort": 8080}, {"containerPort": 9999}]}]
    if proxy:
        containers.append({"name": "istio-proxy", "args": ["proxy", proxy], "env": extra.get("env", [])})
    found = thing(
        "Pod",
        name,
        namespace,
        {"containers": containers, "serviceAccountName": labels["app"]},
        labels=labels,
        annotations=extra.get("annotations", {}),
    )
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {**found, "status": {"phase": "Running", "podIP": ip, "conditions": conditions}}


def service(name: str = "s", namespace: str = "srv", port_name: str = "http", at: int = 0, **spec: Any) -> Json:
    ports = [{"name": port_name, "port": 80, "targetPort": 8080}]
    base = {"selector": {"app": name}, "ports": ports, "clusterIP": "10.96.0.1"}
    return thing("Service", name, namespace, {**base, **spec}, at)


def endpoints(pods: Sequence[Json], name: str = "s", namespace: str = "srv", port_name: str = "http") -> Json:
    """The EndpointSlice that the controller writes for a service and its pods."""
    found = thing("EndpointSlice", f"{name}-0", namespace, labels={"kubernetes.io/service-name": name})
    return {
        **found,
        "ports": [{"name": port_name, "port": 8080}],
        "endpoints": [
            {
                "addresses": [own["status"]["podIP"]],
                "conditions": {
                    "ready": own["status"]["conditions"][0]["status"] == "True",
                    "terminating": False,
                },
                "targetRef": {
                    "kind": "Pod",
                    "name": own["metadata"]["name"],
                    "namespace": own["metadata"]["namespace"],
                },
            }
            for own in pods
        ],
    }


def rule(
    name: str = "r", namespace: str = "srv", tls: str | None = None, host: str = HOST, at: int = 0, **spec: Any
) -> Json:
    """A DestinationRule, with a top-level TLS mode when *tls* is given."""
    policy = {"trafficPolicy": {"tls": {"mode": tls}}} if tls else {}
    return thing("DestinationRule", name, namespace, {"host": host, **policy, **spec}, at)


def policy(mode: str, name: str = "p", namespace: str = "srv", at: int = 0, **spec: Any) -> Json:
    """A PeerAuthentication."""
    return thing("PeerAuthentication", name, namespace, {"mtls": {"mode": mode}, **spec}, at)


def objects(*found: Json, mesh: Json | None = None, features: Features | None = None) -> MeshObjects:
    """Those objects and no others."""
    by_kind: dict[str, list[Object]] = {kind: [] for kind in KINDS}
    for item in found:
        by_kind.setdefault(item["kind"], []).append(convert(item, BY_NAME[item["kind"]].struct))
    return MeshObjects(by_kind, convert(mesh or {}, MeshConfig), features)


SERVER = pod("s-1", "srv", "10.1.0.1")
BARE_SERVER = pod("s-2", "srv", "10.1.0.2", proxy="")
CLIENT = pod("c-1", "cli", "10.2.0.1")


def world(*more: Json, servers: Sequence[Json] = (SERVER,), own: Json | None = None, **options: Any) -> DeclaredMtls:
    """The usual mesh with *more* objects; *own* replaces the service."""
    made = own or service()
    name = made["spec"]["ports"][0]["name"]
    return DeclaredMtls(objects(made, endpoints(servers, port_name=name), *servers, CLIENT, *more, **options))


def outcomes(mtls: DeclaredMtls, client: str = "cli/c-1", subset: str = "") -> dict[str, str]:
    """What becomes of a call to each endpoint."""
    return {pair.endpoint.endpoint.name: pair.outcome for pair in mtls.pairs(client, HOST, 80, subset)}
