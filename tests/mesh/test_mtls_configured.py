from __future__ import annotations

from typing import Any

import msgspec
import pytest

from meshdoctor.mesh.mtls import configured
from meshdoctor.model.envoy.config_dump import ConfigDump, decode_config_dump

Json = dict[str, Any]
TYPE = "type.googleapis.com/envoy"
TLS = "extensions.transport_sockets.tls.v3"


def downstream(names: tuple[str, ...] = ("default",), client_certificate: bool = True) -> Json:
    common = {"tls_certificate_sds_secret_configs": [{"name": name} for name in names]}
    config = {"@type": f"{TYPE}.{TLS}.DownstreamTlsContext", "common_tls_context": common}
    return {"name": "tls", "typed_config": {**config, "require_client_certificate": client_certificate}}


def upstream(names: tuple[str, ...] = ("default",), sni: str = "outbound_.80_._.s") -> Json:
    common = {
        "alpn_protocols": ["istio"],
        "tls_certificate_sds_secret_configs": [{"name": name} for name in names],
    }
    return {
        "name": "tls",
        "typed_config": {"@type": f"{TYPE}.{TLS}.UpstreamTlsContext", "sni": sni, "common_tls_context": common},
    }


def chain(port: int, transport: str = "", socket: Json | None = None, http: bool = False) -> Json:
    kind = "http_connection_manager.v3.HttpConnectionManager" if http else "tcp_proxy.v3.TcpProxy"
    typed = {"@type": f"{TYPE}.extensions.filters.network.{kind}"}
    found: Json = {
        "filter_chain_match": {"transport_protocol": transport},
        "filters": [{"name": "f", "typed_config": typed}],
    }
    if port:
        found["filter_chain_match"]["destination_port"] = port
    return {**found, "transport_socket": socket} if socket else found


def dump(chains: list[Json] | None = None, clusters: list[Json] | None = None) -> ConfigDump:
    address = {"socket_address": {"address": "0.0.0.0", "port_value": 15006}}
    listener = {"name": "virtualInbound", "address": address, "filter_chains": chains or []}
    inbound = {"name": "virtualInbound", "active_state": {"listener": listener}}
    sections = [
        {"@type": f"{TYPE}.admin.v3.ListenersConfigDump", "dynamic_listeners": [inbound] if chains is not None else []},
        {
            "@type": f"{TYPE}.admin.v3.ClustersConfigDump",
            "dynamic_active_clusters": [{"cluster": c} for c in clusters or []],
        },
    ]
    return decode_config_dump(msgspec.json.encode({"configs": sections}))


@pytest.mark.parametrize(
    ("chains", "expected"),
    [
        ([chain(8080, "tls", downstream())], "STRICT"),
        ([chain(8080, "tls", downstream()), chain(8080, "raw_buffer")], "PERMISSIVE"),
        ([chain(8080, "tls", downstream()), chain(8080, "tls"), chain(8080, "raw_buffer")], "PERMISSIVE"),
        ([chain(8080, "raw_buffer")], "DISABLE"),
        ([chain(8080, "tls", downstream(("file-cert:/c~/k",), client_certificate=False))], "CUSTOM_SIMPLE"),
        ([chain(8080, "tls", downstream(("file-cert:/c~/k",)))], "CUSTOM_MUTUAL"),
        ([chain(8080, "tls")], ""),
    ],
)
def test_the_mode_of_a_port_from_its_chains(chains: list[Json], expected: str) -> None:
    found = configured.server(dump([*chains, chain(0, "raw_buffer"), chain(15006)]))
    assert found is not None
    assert found.at(8080) == expected
    assert found.at(9999) == "DISABLE"
    assert 15006 not in found.ports


def test_how_a_port_is_read() -> None:
    found = configured.server(dump([chain(1, http=True), chain(2), chain(3), chain(3, http=True)]))
    assert found is not None
    assert [found.protocol(port) for port in (1, 2, 3, 4)] == ["http", "tcp", "auto", "auto"]


def test_a_gateway_has_no_inbound_side() -> None:
    assert configured.server(dump()) is None


def endpoint(address: str, **metadata: str) -> Json:
    socket = {"socket_address": {"address": address, "port_value": 8080}}
    found: Json = {"endpoint": {"address": socket}}
    if metadata:
        found["metadata"] = {"filter_metadata": {"envoy.transport_socket_match": metadata}}
    return found


def test_the_first_socket_match_whose_keys_an_endpoint_has_is_taken() -> None:
    cluster = {
        "name": "outbound|80||s",
        "type": "EDS",
        "transport_socket_matches": [
            {"name": "hbone", "match": {"tunnel": "http"}, "transport_socket": upstream()},
            {"name": "istio", "match": {"tlsMode": "istio"}, "transport_socket": upstream()},
            {"name": "off", "match": {}, "transport_socket": {"name": "raw"}},
        ],
        "load_assignment": {
            "endpoints": [
                {
                    "lb_endpoints": [
                        endpoint("10.0.0.1", tlsMode="istio"),
                        endpoint("10.0.0.2"),
                        endpoint("10.0.0.3", tunnel="http"),
                    ]
                }
            ]
        },
        "metadata": {
            "filter_metadata": {"istio": {"config": "/apis/networking.istio.io/v1/namespaces/shop/destination-rule/r"}}
        },
    }
    found = configured.client(dump(clusters=[cluster]), "s", 80)
    assert found is not None
    assert (found.tls, found.sni, found.alpn, found.rule) == ("auto", "outbound_.80_._.s", ("istio",), "shop/r")
    assert [(own.address, own.tls) for own in found.endpoints] == [
        ("10.0.0.1:8080", "mtls-istio"),
        ("10.0.0.2:8080", "plaintext"),
        ("10.0.0.3:8080", "hbone"),
    ]


@pytest.mark.parametrize(
    ("socket", "expected"),
    [
        (None, "plaintext"),
        (upstream(), "mtls-istio"),
        (upstream(("kubernetes://x",)), "mtls-custom"),
        (upstream(()), "tls-simple"),
        (
            {"name": "raw", "typed_config": {"@type": f"{TYPE}.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}},
            "plaintext",
        ),
    ],
)
def test_one_socket_for_the_whole_cluster(socket: Json | None, expected: str) -> None:
    cluster: Json = {"name": "outbound|80||s"}
    found = configured.client(dump(clusters=[{**cluster, "transport_socket": socket} if socket else cluster]), "s", 80)
    assert found is not None
    assert found.tls == expected
    assert configured.client(dump(), "s", 80) is None
