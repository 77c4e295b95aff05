"""`python -m benchmarks.mtls_matrix`: the mTLS matrix of 500 workloads and 500 services, from objects to cells.

The mesh is made here: 50 namespaces of ten workloads with two pods each, one service a workload, policies and rules as
a real mesh has them. Counted: building the indexes and every cell; not counted: decoding the objects.
"""

from __future__ import annotations

import time

from meshdoctor.mesh.mtls import DeclaredMtls
from meshdoctor.mesh.mtls.matrix import Matrix, all_columns, matrix
from meshdoctor.mesh.objects import KINDS, MeshObjects
from meshdoctor.mesh.workloads import Peer
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.meta import Meta, Object

NAMESPACES, WORKLOADS, PODS = 50, 10, 2


def mesh() -> dict[str, list[Object]]:
    """The objects of the mesh, by kind."""
    found: dict[str, list[Object]] = {kind: [] for kind in ("Pod", "Service", "EndpointSlice")}
    found |= {kind: [] for kind in ("PeerAuthentication", "DestinationRule", "Sidecar")}
    for space in range(NAMESPACES):
        namespace = f"team-{space}"
        strict = istio.PeerAuthenticationSpec(mtls=istio.Mtls("STRICT" if space % 3 else "PERMISSIVE"))
        found["PeerAuthentication"].append(istio.PeerAuthentication(metadata=_meta("default", namespace), spec=strict))
        for number in range(WORKLOADS):
            for kind, made in _workload(namespace, f"app-{number}", space * WORKLOADS + number):
                found[kind].append(made)
    return found


def _meta(name: str, namespace: str, labels: dict[str, str] | None = None) -> Meta:
    created = "2026-01-01T00:00:00Z"
    return Meta(name=name, namespace=namespace, labels=labels or {}, creation_timestamp=created)


def _workload(namespace: str, name: str, number: int) -> list[tuple[str, Object]]:
    labels = {"app": name, "security.istio.io/tlsMode": "istio"}
    containers = [
        k8s.Container(name="app", ports=[k8s.ContainerPort(8080, "http")]),
        k8s.Container(name="istio-proxy", args=["proxy", "sidecar"]),
    ]
    made: list[tuple[str, Object]] = []
    endpoints = []
    for replica in range(PODS):
        address = f"10.{number // 250}.{number % 250}.{replica + 1}"
        pod = f"{name}-{replica}"
        ready = [k8s.Condition("Ready", "True")]
        made.append(
            (
                "Pod",
                k8s.Pod(
                    metadata=_meta(pod, namespace, labels),
                    spec=k8s.PodSpec(containers=containers, service_account_name=name),
                    status=k8s.PodStatus(phase="Running", pod_ip=address, conditions=ready),
                ),
            )
        )
        target = k8s.TargetRef("Pod", pod, namespace)
        endpoints.append(k8s.SliceEndpoint([address], k8s.EndpointConditions(ready=True), target))
    ports = [k8s.ServicePort("http", 80, 8080)]
    spec = k8s.ServiceSpec(selector={"app": name}, ports=ports, cluster_ip=f"10.96.{number // 250}.{number % 250}")
    made.append(("Service", k8s.Service(metadata=_meta(name, namespace), spec=spec)))
    owner = {"kubernetes.io/service-name": name}
    slice_ports = [k8s.SlicePort("http", 8080)]
    made.append(
        (
            "EndpointSlice",
            k8s.EndpointSlice(metadata=_meta(name, namespace, owner), endpoints=endpoints, ports=slice_ports),
        )
    )
    if number % 5 == 0:
        tls = istio.ClientTls(mode="DISABLE" if number % 10 else "ISTIO_MUTUAL")
        rule = istio.DestinationRuleSpec(host=name, traffic_policy=istio.TrafficPolicy(tls=tls))
        made.append(("DestinationRule", istio.DestinationRule(metadata=_meta(name, namespace), spec=rule)))
    return made


def run() -> tuple[Matrix, float]:
    """The matrix and the seconds that it took."""
    objects = mesh()
    begun = time.perf_counter()
    mtls = DeclaredMtls(MeshObjects({kind: objects.get(kind, ()) for kind in KINDS}))
    rows: dict[str, list[Peer]] = {}
    for peer in mtls.objects.pods.values():
        rows.setdefault(peer.key.rpartition("-")[0], []).append(peer)
    found = matrix(mtls, rows, all_columns(mtls))
    return found, time.perf_counter() - begun


def main() -> None:
    found, seconds = run()
    print(f"mtls matrix: {len(found.rows)} workloads x {len(found.columns)} services in {seconds:.2f} s")
    print(f"cells that fail: {len(found.failures())}")


if __name__ == "__main__":
    main()
