"""Which protocol a port has, as istiod 1.32 decides it.

Source: `pkg/config/kube/conversion.go` (ConvertProtocol) and `pkg/config/protocol/instance.go`.
"""

from __future__ import annotations

from meshdoctor.model.kubernetes import ServicePort

AUTO = "auto"
"""No protocol that Istio knows: the proxy looks at the first bytes."""

_NAMES = {
    "tcp": "TCP",
    "udp": "UDP",
    "grpc": "GRPC",
    "grpc-web": "GRPC-Web",
    "http": "HTTP",
    "http_proxy": "HTTP_PROXY",
    "http2": "HTTP2",
    "https": "HTTPS",
    "tls": "TLS",
    "mongo": "Mongo",
    "redis": "Redis",
    "mysql": "MySQL",
}
_KUBERNETES = {"kubernetes.io/h2c": "HTTP2", "kubernetes.io/ws": "HTTP", "kubernetes.io/wss": "HTTPS"}
_HTTP = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-Web", "HTTP_PROXY"})
_HTTP2 = frozenset({"HTTP2", "GRPC", "GRPC-Web"})
# Server-first protocols cannot be sniffed, so their usual ports are TCP unless the port says otherwise.
_SERVER_FIRST_PORTS = frozenset({25, 53, 3306, 27017})


def parse(text: str) -> str:
    """A protocol name of an Istio object (ServiceEntry, Sidecar, Gateway), or AUTO when it is none."""
    return _NAMES.get(text.lower(), AUTO)


def of_service_port(port: ServicePort) -> str:
    """The protocol of a Kubernetes Service's port: appProtocol alone when it is set, else the prefix of its name."""
    if port.protocol == "UDP":
        return "UDP"
    name = port.name if port.app_protocol is None else port.app_protocol
    if name in _KUBERNETES and port.app_protocol is not None:
        return _KUBERNETES[name]
    if name.lower().startswith("grpc-web"):
        return "GRPC-Web"
    found = parse(name.partition("-")[0])
    return "TCP" if found == AUTO and port.port in _SERVER_FIRST_PORTS else found


def is_http(protocol: str) -> bool:
    return protocol in _HTTP


def is_http2(protocol: str) -> bool:
    return protocol in _HTTP2


def listener_class(protocol: str) -> str:
    """How an inbound listener treats it: `http`, `tcp`, or AUTO."""
    if protocol in _HTTP:
        return "http"
    return AUTO if protocol == AUTO else "tcp"


def after_tls_termination(protocol: str) -> str:
    """What is inside once the proxy has taken the TLS off (Instance.AfterTLSTermination)."""
    return {"HTTPS": "HTTP", "TLS": "TCP"}.get(protocol, protocol)
