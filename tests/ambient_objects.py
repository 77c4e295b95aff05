"""A small ambient mesh: till calls stock in namespace depot, one node, one ztunnel; and what ztunnel logs of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from meshdoctor.guide.diagnosis import Diagnosis
from meshdoctor.guide.examination import Examination
from meshdoctor.mesh.question import parse_question
from meshdoctor.model.snapshot import Snapshot
from tests.kube_objects import deployment, endpoint_slice, meta, pod, replica_set, service
from tests.moments import START, Json
from tests.recordings import Recording, call_line

NODE = "node-a"
TILL, STOCK, OTHER_STOCK = "till-7d9f8c6b5d-bx2vz", "stock-6c8d7f9b4-k4wzp", "stock-6c8d7f9b4-q9ztl"
TILL_IP, STOCK_IP, OTHER_IP, STOCK_VIP = "10.8.0.5", "10.8.0.6", "10.8.0.7", "10.99.0.6"
ZTUNNEL = "ztunnel-m5k8x"
ZTUNNEL_LOG = f"istio-system/{ZTUNNEL}"
URL = "http://stock.depot:8000/parts"


def ambient_pod(
    name: str, ip: str, app: str, *, namespace: str = "depot", captured: bool = True, node: str = NODE, **more: Any
) -> Json:
    """A pod without sidecar; *captured* writes istio-cni's annotation."""
    labels = {"app": app, **more.pop("labels", {})}
    annotations = {"ambient.istio.io/redirection": "enabled"} if captured else {}
    found = pod(name, namespace, ip, labels, sidecar=False, annotations=annotations, ports=[9000], **more)
    found["spec"]["nodeName"] = node
    return found


def ztunnel_pod(name: str = ZTUNNEL, *, node: str = NODE, ready: bool = True, **more: Any) -> Json:
    labels = {"app": "ztunnel", "istio.io/dataplane-mode": "none"}
    found = pod(name, "istio-system", "10.8.0.2", labels, sidecar=False, ready=ready, **more)
    found["spec"] |= {"nodeName": node, "containers": [{"name": "istio-proxy", "args": ["proxy", "ztunnel"]}]}
    return found


def ztunnel_set(ready: int = 1, desired: int = 1, node_selector: dict[str, str] | None = None) -> Json:
    spec = {
        "containers": [{"name": "istio-proxy", "args": ["proxy", "ztunnel"]}],
        "nodeSelector": node_selector or {"kubernetes.io/os": "linux"},
    }
    return {
        "kind": "DaemonSet",
        "metadata": meta("ztunnel", "istio-system"),
        "spec": {"template": {"metadata": {"labels": {"app": "ztunnel"}}, "spec": spec}},
        "status": {"desiredNumberScheduled": desired, "numberReady": ready},
    }


def waypoint_pod(name: str, ip: str, gateway: str, ready: bool = True) -> Json:
    labels = {"gateway.networking.k8s.io/gateway-name": gateway}
    found = pod(name, "depot", ip, labels, sidecar=False, ready=ready)
    found["spec"]["containers"] = [{"name": "istio-proxy", "args": ["proxy", "waypoint"]}]
    return found


def labelled(name: str, labels: dict[str, str]) -> Json:
    """A namespace."""
    return {"metadata": meta(name, labels=labels)}


def tunnel_line(
    at: float,
    direction: str = "outbound",
    error: str = "",
    *,
    source: str = f"depot/{TILL}",
    source_ip: str = TILL_IP,
    target: str = f"depot/{STOCK}",
    target_ip: str = STOCK_IP,
    port: int = 9000,
    hbone: str = "",
    tunnel: bool = True,
    host: str = "stock.depot.svc.cluster.local",
    ms: int = 2,
    principal: str = "cluster.local/ns/depot/sa/till",
) -> str:
    """A line of ztunnel's text log (1.24 to 1.32) for a connection that ended at *at*; "" leaves a field out."""
    fields = [f"src.addr={source_ip}:41234"]
    if source:
        namespace, _, name = source.partition("/")
        fields += [f'src.workload="{name}"', f'src.namespace="{namespace}"']
        fields += [f'src.identity="spiffe://{principal}"'] if principal else []
    fields.append(f"dst.addr={target_ip}:{15008 if tunnel else port}")
    if tunnel:
        fields.append(f"dst.hbone_addr={hbone or f'{target_ip}:{port}'}")
    if host:
        fields.append(f'dst.service="{host}"')
    if target:
        namespace, _, name = target.partition("/")
        fields += [f'dst.workload="{name}"', f'dst.namespace="{namespace}"']
    fields.append(f'direction="{direction}" bytes_sent=0 bytes_recv=0 duration="{ms}ms"')
    if error:
        fields.append(f'error="{error}"')
    level = "error" if error else "info"
    return f"{_moment(at)}\t{level}\taccess\tconnection complete\t{' '.join(fields)}"


def early_denial(at: float, error: str, address: str = f"{STOCK_VIP}:8000") -> str:
    """What ztunnel writes when it does not come to a connection."""
    what = f'src.addr={TILL_IP}:41234 dst.addr={address} direction="outbound" error="{error}"'
    return f"{_moment(at)}\twarn\taccess\tconnection failed\t{what}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(START + at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def workload(name: str, ip: str, protocol: str = "HBONE", **more: Any) -> Json:
    """A workload of ztunnel's dump."""
    uid = f"Kubernetes//Pod/depot/{name}"
    found = {"uid": uid, "name": name, "namespace": "depot", "workloadIps": [ip], "protocol": protocol, "node": NODE}
    return {**found, "status": "Healthy", **more}


def calls(*outcomes: tuple[float, int], every: str = URL, ms: float = 5) -> list[str]:
    """Calls of till at these times, with these statuses (0: no answer)."""
    return [call_line(at, every, status, "reset" if status == 0 else "", ms) for at, status in outcomes]


def mesh(tmp_path: Path, **parts: list[Json]) -> Recording:
    """The whole mesh; a keyword replaces the objects of a kind (`Pod=[…]`, `Service=[…]`)."""
    objects: dict[str, list[Json]] = {
        "Namespace": [labelled("depot", {"istio.io/dataplane-mode": "ambient"}), labelled("istio-system", {})],
        "Node": [{"metadata": meta(NODE, labels={"kubernetes.io/os": "linux"})}],
        "Pod": [*clients(), *servers(), ztunnel_pod()],
        "Service": [stock()],
        "EndpointSlice": [endpoint_slice("stock", "depot", [STOCK_IP, OTHER_IP], 9000)],
        "Deployment": [deployment("till", "depot", {"app": "till"}), deployment("stock", "depot", {"app": "stock"})],
        "ReplicaSet": [
            replica_set("till-7d9f8c6b5d", "depot", "till"),
            replica_set("stock-6c8d7f9b4", "depot", "stock"),
        ],
        "DaemonSet": [ztunnel_set()],
        "StatefulSet": [],
        "Event": [],
        "NetworkPolicy": [],
        "PeerAuthentication": [],
        "AuthorizationPolicy": [],
        "VirtualService": [],
        "DestinationRule": [],
        "K8sGateway": [],
        "HTTPRoute": [],
    } | parts
    found = Recording(tmp_path).mesh(rootNamespace="istio-system")
    for kind, entries in objects.items():
        found.objects(kind, *entries)
    return found


def clients(**more: Any) -> list[Json]:
    return [ambient_pod(TILL, TILL_IP, "till", replica_set="till-7d9f8c6b5d", **more)]


def servers(**more: Any) -> list[Json]:
    return [
        ambient_pod(name, ip, "stock", replica_set="stock-6c8d7f9b4", **more)
        for name, ip in ((STOCK, STOCK_IP), (OTHER_STOCK, OTHER_IP))
    ]


def stock(
    target: int | str = 9000, selector: dict[str, str] | None = None, labels: dict[str, str] | None = None
) -> Json:
    found = service("stock", "depot", STOCK_VIP, [(8000, "http", target)], selector or {"app": "stock"})
    found["metadata"]["labels"] = labels or {}
    return found


def examined(recording: Recording, client: str = "", target: str = "") -> Diagnosis:
    """The diagnosis of a recording, with or without a question."""
    source = recording.source()
    examination = Examination(source.read, Snapshot(source.info, {}), parse_question(client, target))
    for _ in examination.steps():
        pass
    return examination.diagnosis()


def sure(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """Cause and first resource of every verdict that traffic proves."""
    return [(one.cause, str(one.resources[0])) for one in diagnosis.verdicts if one.confidence > 0.6]


def step(diagnosis: Diagnosis, probe: str) -> tuple[str, str]:
    """Outcome and sentence of a probe's first step."""
    return next((one.outcome, one.says) for one in diagnosis.steps if one.probe == probe)
