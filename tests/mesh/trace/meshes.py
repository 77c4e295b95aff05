"""A small mesh for journeys: `shop/web` calls `shop/cart`, each a pod with a sidecar, and an ingress gateway."""

from __future__ import annotations

import json
from typing import Any

from meshdoctor.model import kubernetes as k8s
from meshdoctor.model import wants as ask
from meshdoctor.model.decode import convert, decode_json
from meshdoctor.model.envoy.admin import Certificates
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.endpoint import ClusterStatuses
from meshdoctor.model.istio import Gateway, PeerAuthentication, ServiceEntry, VirtualService
from meshdoctor.model.meta import Object
from meshdoctor.model.snapshot import Fact, Missing, Origin, PodRef, Snapshot, SourceInfo, Want
from tests.mesh.trace.dumps import (
    TLS_INSPECTOR,
    Json,
    cluster,
    dump,
    endpoints,
    host,
    http_chain,
    istio,
    listener,
    passthrough,
    routes,
    to,
    upstream_tls,
    with_tls,
)

CART = "outbound|80||cart.shop.svc.cluster.local"
WEB_IP, CART_IP, EDGE_IP, CART_VIP = "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.96.0.2"
NOW = 1_800_000_000.0
ALPN = ("istio", "istio-http/1.1")


def client(tls: Json | None = None, *, route: Json | None = None, **more: Any) -> ConfigDump:
    """The caller's Envoy: HTTP on port 80, the cluster of `cart` with *tls*."""
    table = routes(
        "80",
        host("cart", ["cart", "cart.shop", "cart.shop.svc.cluster.local", CART_VIP], route or to(CART)),
        host("allow_any", ["*"], to("PassthroughCluster")),
    )
    target = cluster(CART, metadata=istio("destination-rule", "shop", "cart"), **more)
    if tls:
        target["transport_socket"] = tls
    return dump(
        [
            listener("virtualOutbound", "0.0.0.0", 15001, use_original_dst=True),
            listener("0.0.0.0_80", "0.0.0.0", 80, http_chain("80")),
        ],
        [table],
        [target, passthrough()],
        [endpoints(CART, f"{CART_IP}:8080")],
    )


MTLS = upstream_tls("outbound_.80_._.cart.shop.svc.cluster.local", alpn=ALPN)
SIMPLE = upstream_tls("cart.shop", certificate=False)


def server(mode: str, *filters: Json, upstream: Json | None = None) -> ConfigDump:
    """The server's Envoy with the filter chains of a PeerAuthentication *mode* (istiod 1.32, an HTTP port)."""
    inside = routes("inbound|8080||", host("inbound|http|80", ["*"], to("inbound|8080||", name="default")))
    chains: list[Json] = []
    if mode != "DISABLE":
        match: Json = {"destination_port": 8080, "transport_protocol": "tls"}
        if mode == "PERMISSIVE":
            match["application_protocols"] = [*ALPN, "istio-h2"]
        chains.append(with_tls(http_chain(inside, match, "mtls", list(filters)), ["h2", "http/1.1"], client=True))
    if mode != "STRICT":
        plain: Json = {"destination_port": 8080}
        if mode == "PERMISSIVE":
            plain["transport_protocol"] = "raw_buffer"
        chains.append(http_chain(inside, plain, "plain", list(filters)))
    found = listener(
        "virtualInbound",
        "0.0.0.0",
        15006,
        *chains,
        traffic_direction="INBOUND",
        listener_filters=[TLS_INSPECTOR] if mode != "DISABLE" else [],
    )
    return dump([found], [], [upstream or passthrough("inbound|8080||")])


def pod(name: str, ip: str, *, sidecar: bool = True, labels: Json | None = None, **meta: Any) -> Json:
    app: Json = {"name": "app", "ports": [{"containerPort": 8080}]}
    proxy = {"name": "istio-proxy", "args": ["proxy", "sidecar"]}
    if name == "edge":
        containers = [{"name": "istio-proxy", "args": ["proxy", "router"]}]
    else:
        containers = [app, proxy] if sidecar else [app]
    return {
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": name, **(labels or {})}, **meta},
        "spec": {"containers": containers, "serviceAccountName": name},
        "status": {"phase": "Running", "podIP": ip},
    }


def service(name: str, ip: str, port: int, target: int) -> Json:
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"clusterIP": ip, "selector": {"app": name}, "ports": [{"port": port, "targetPort": target}]},
    }


def slice_of(name: str, port: int, *addresses: str) -> Json:
    return {
        "metadata": {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": name}},
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": [{"name": "", "port": port}],
    }


def certificate(account: str, root: str = "r1", expires: str = "2040-01-01T00:00:00Z") -> Certificates:
    own = {
        "ca_cert": [{"serial_number": root}],
        "cert_chain": [
            {
                "expiration_time": expires,
                "subject_alt_names": [{"uri": f"spiffe://cluster.local/ns/shop/sa/{account}"}],
            }
        ],
    }
    return decode_json(json.dumps({"certificates": [own]}).encode(), Certificates)


_STRUCTS: dict[str, type[Object]] = {
    "Pod": k8s.Pod,
    "Service": k8s.Service,
    "EndpointSlice": k8s.EndpointSlice,
    "ServiceEntry": ServiceEntry,
    "Gateway": Gateway,
    "VirtualService": VirtualService,
    "NetworkPolicy": k8s.NetworkPolicy,
    "PeerAuthentication": PeerAuthentication,
}


class World:
    """What a source would answer; whatever is not there is missing."""

    def __init__(self, **dumps: ConfigDump) -> None:
        self.dumps = dumps
        self.objects: dict[str, list[Json]] = {
            "Pod": [pod("web", WEB_IP), pod("cart", CART_IP)],
            "Service": [service("cart", CART_VIP, 80, 8080)],
            "EndpointSlice": [slice_of("cart", 8080, CART_IP)],
        }
        self.certificates: dict[str, Certificates] = {}
        self.statuses: dict[str, Json] = {}

    def replace(self, found: Json) -> None:
        """Put a pod in the place of the one with its name."""
        name = found["metadata"]["name"]
        self.objects["Pod"] = [each for each in self.objects["Pod"] if each["metadata"]["name"] != name] + [found]

    def read(self, wants: tuple[Want[Any], ...], snapshot: Snapshot) -> Snapshot:
        return snapshot.updated({want: self._answer(want) for want in wants})

    def _answer(self, want: Want[Any]) -> Fact[Any] | Missing:
        value: Any = None
        match want:
            case ask.Contents():
                value = ask.Inventory(proxies=tuple(PodRef("shop", name) for name in self.dumps))
            case ask.Objects(kind=kind):
                value = tuple(convert(each, _STRUCTS.get(kind, Object)) for each in self.objects.get(kind, []))
            case ask.ProxyConfig(pod=ref):
                value = self.dumps.get(ref.name)
            case ask.ProxyClusters(pod=ref):
                found = self.statuses.get(ref.name)
                value = decode_json(json.dumps(found).encode(), ClusterStatuses) if found else None
            case ask.ProxyCertificates(pod=ref):
                value = self.certificates.get(ref.name)
        return Missing("not recorded") if value is None else Fact(value, Origin("x"))

    @property
    def empty(self) -> Snapshot:
        return Snapshot(SourceInfo("recording", "x", NOW, NOW), {})
