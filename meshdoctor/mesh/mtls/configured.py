"""The mTLS that proxies really hold, read off their dumps: inbound filter chains and outbound transport sockets.

Shapes: `pilot/pkg/networking/core/filterchain_options.go` and `cluster_tls.go` (istiod 1.24 to 1.32).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from meshdoctor.mesh import protocols
from meshdoctor.mesh.mtls.cluster_tls import AUTO, CUSTOM, MTLS, PLAINTEXT, SIMPLE
from meshdoctor.mesh.mtls.peer_authentication import DISABLE, PERMISSIVE, STRICT
from meshdoctor.mesh.mtls.server import CUSTOM_MUTUAL, CUSTOM_SIMPLE
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.endpoint import LbEndpoint
from meshdoctor.model.envoy.listener import FilterChain, Listener
from meshdoctor.model.envoy.tls import SOCKET_MATCH, TlsContext, TransportSocket, chosen_match

VIRTUAL_INBOUND = "virtualInbound"
INBOUND_PORT = 15006
_SERVER_MODES = {(True, False): STRICT, (True, True): PERMISSIVE, (False, True): DISABLE}


class ConfiguredServer(NamedTuple):
    """What a proxy's inbound listener takes: modes by container port, *other* for every other port.

    *protocols* says how it treats plain bytes of a port (`http`, `tcp`, `auto`). A mode is "" when its chains have no
    shape that istiod makes (an EnvoyFilter, say).
    """

    ports: Mapping[int, str]
    other: str
    protocols: Mapping[int, str]

    def at(self, port: int) -> str:
        return self.ports.get(port, self.other)

    def protocol(self, port: int) -> str:
        return self.protocols.get(port, protocols.AUTO)


class ConfiguredEndpoint(NamedTuple):
    """An endpoint that a proxy knows, and the TLS that it would use towards it (`hbone`: inside a tunnel)."""

    address: str
    tls: str
    health: str


class ConfiguredClient(NamedTuple):
    """A proxy's cluster: its TLS (`auto` when endpoints differ), and the details of the TLS context."""

    tls: str
    cluster_type: str
    sni: str
    alpn: tuple[str, ...]
    sans: tuple[str, ...]
    endpoints: tuple[ConfiguredEndpoint, ...]
    rule: str
    """The DestinationRule that istiod noted in the cluster's metadata, as `namespace/name`, or ""."""


def server(dump: ConfigDump) -> ConfiguredServer | None:
    """The inbound side of a sidecar; None for a gateway, or when the dump has no inbound listener."""
    listener = next((entry.body for entry in dump.listeners if _is_inbound(entry.body, entry.state)), None)
    if listener is None:
        return None
    by_port: dict[int, list[FilterChain]] = {}
    for chain in listener.chains:
        by_port.setdefault(chain.filter_chain_match.destination_port or 0, []).append(chain)
    by_port.pop(listener.address.port or INBOUND_PORT, None)  # the blackhole chain guards against loops
    by_port.pop(INBOUND_PORT, None)
    other = _server_mode(by_port.pop(0, ()))
    modes = {port: _server_mode(chains) for port, chains in by_port.items()}
    return ConfiguredServer(modes, other, {port: _protocol(chains) for port, chains in by_port.items()})


def client(dump: ConfigDump, host: str, port: int, subset: str = "") -> ConfiguredClient | None:
    """The outbound cluster of a host, port and subset; None when the proxy has none."""
    cluster = dump.cluster(f"outbound|{port}|{subset}|{host}")
    return of_cluster(dump, cluster) if cluster else None


def of_cluster(dump: ConfigDump, cluster: Cluster) -> ConfiguredClient:
    """What a cluster does, and towards which endpoint."""
    assignment = dump.load_assignment(cluster)
    endpoints = tuple(
        ConfiguredEndpoint(_address(entry), endpoint_tls(cluster, entry), entry.health_status)
        for entry in (assignment.all if assignment else ())
    )
    sockets = [match.transport_socket for match in cluster.transport_socket_matches]
    context = cluster.tls or next((tls for socket in sockets if (tls := context_of(socket)) is not None), None)
    return ConfiguredClient(
        tls=AUTO if cluster.transport_socket_matches else socket_tls(cluster.transport_socket),
        cluster_type=cluster.type,
        sni=context.sni if context else "",
        alpn=tuple(context.common_tls_context.alpn_protocols) if context else (),
        sans=context.subject_alt_names if context else (),
        endpoints=endpoints,
        rule=rule_of(cluster),
    )


def endpoint_tls(cluster: Cluster, endpoint: LbEndpoint) -> str:
    """The TLS towards one endpoint, as Envoy picks its transport socket."""
    match = chosen_match(cluster.transport_socket_matches, endpoint.metadata.filter_metadata.get(SOCKET_MATCH, {}))
    if match is None:
        return socket_tls(cluster.transport_socket)
    return "hbone" if match.match.get("tunnel") else socket_tls(match.transport_socket)


def socket_tls(socket: TransportSocket | None) -> str:
    """The word for a client's transport socket."""
    context = context_of(socket)
    if context is None:
        return PLAINTEXT
    if context.presents_workload_certificate:
        return MTLS
    common = context.common_tls_context
    return CUSTOM if common.tls_certificate_sds_secret_configs or common.tls_certificates else SIMPLE


def context_of(socket: TransportSocket | None) -> TlsContext | None:
    return socket.tls if socket else None


def rule_of(cluster: Cluster) -> str:
    """`namespace/name` of the DestinationRule in a cluster's metadata (`/apis/…/namespaces/NS/destination-rule/N`)."""
    path = str(cluster.istio.get("config", ""))
    parts = path.strip("/").split("/")
    if "namespaces" not in parts or len(parts) < 2 or parts[-2] != "destination-rule":
        return ""
    return f"{parts[parts.index('namespaces') + 1]}/{parts[-1]}"


def _is_inbound(listener: Listener, state: str) -> bool:
    return listener.name == VIRTUAL_INBOUND and state in ("active", "static")


def _server_mode(chains: Iterable[FilterChain]) -> str:
    """STRICT, PERMISSIVE or DISABLE from the chains of one port; CUSTOM_… when another certificate is presented."""
    mtls = plain = False
    for chain in chains:
        context = chain.tls
        if context is None:
            # A `tls` chain without a context hands the application's own TLS on: it is no plain text.
            plain = plain or chain.filter_chain_match.transport_protocol != "tls"
        elif not context.presents_workload_certificate:
            return CUSTOM_MUTUAL if context.require_client_certificate else CUSTOM_SIMPLE
        else:
            mtls = True
    return _SERVER_MODES.get((mtls, plain), "")


def _protocol(chains: Iterable[FilterChain]) -> str:
    """How plain bytes (or what is inside the mTLS) are treated: by HTTP chains, TCP chains, or both after a look."""
    http = any(chain.http is not None for chain in chains)
    tcp = any(chain.tcp is not None for chain in chains)
    return protocols.AUTO if http and tcp else "http" if http else "tcp"


def _address(entry: LbEndpoint) -> str:
    """The endpoint's own address; a tunnelled one has it in `endpoint_id`."""
    internal = entry.endpoint.address.envoy_internal_address
    return internal.endpoint_id if internal and internal.endpoint_id else str(entry.endpoint.address)
