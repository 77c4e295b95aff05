from __future__ import annotations

import json
from typing import Any

import pytest

from meshdoctor.mesh.proxy.cluster import ClusterFilter
from meshdoctor.mesh.proxy.cluster_wide import HEADER as CLUSTER_HEADER
from meshdoctor.mesh.proxy.cluster_wide import wide_clusters
from meshdoctor.mesh.proxy.endpoint import ClusterHosts, EndpointFilter
from meshdoctor.mesh.proxy.endpoint_wide import EDS_HEADER, HEADER, wide_eds, wide_endpoints
from meshdoctor.mesh.proxy.listener import ListenerFilter
from meshdoctor.mesh.proxy.listener_wide import HEADER as LISTENER_HEADER
from meshdoctor.mesh.proxy.listener_wide import wide_listeners
from meshdoctor.mesh.texttable import TextTable
from meshdoctor.model.envoy.sections import Sections
from tests.mesh.proxy.dumps import clusters, http, listeners, read, socket

TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
WORKLOAD_TLS = {
    "name": "envoy.transport_sockets.tls",
    "typed_config": {
        "@type": TLS,
        "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "default"}]},
    },
}
SIMPLE_TLS = {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": TLS, "common_tls_context": {}}}
BARE_TLS = {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": TLS, "sni": "db.example.com"}}
RAW = {"name": "envoy.transport_sockets.raw_buffer"}
WRAPPED = {
    "name": "envoy.transport_sockets.upstream_proxy_protocol",
    "typed_config": {"@type": "x/ProxyProtocolUpstreamTransport", "transport_socket": WORKLOAD_TLS},
}
INTERNAL = {
    "name": "internal_upstream",
    "typed_config": {"@type": "x/envoy.transport.InternalUpstreamTransport", "transport_socket": RAW},
}
AUTO = [
    {"name": "tlsMode-istio", "match": {"tlsMode": "istio"}, "transport_socket": WORKLOAD_TLS},
    {"name": "tlsMode-disabled", "match": {}, "transport_socket": RAW},
]
HBONE = {"name": "hbone", "match": {"tunnel": "http"}, "transport_socket": INTERNAL}


def marked(address: str, **marks: str) -> dict[str, Any]:
    metadata = {"filter_metadata": {"envoy.transport_socket_match": marks, "istio": {"workload": "web;shop;web;v1;"}}}
    return {"endpoint": {"address": socket(address, 80)}, "metadata": metadata}


def world(**cluster: Any) -> Sections:
    """One cluster, whose endpoints are marked for mTLS, for a tunnel, and not at all."""
    endpoints = [marked("10.0.0.1", tlsMode="istio"), marked("10.0.0.2", tunnel="http"), marked("10.0.0.3")]
    assignment = {"cluster_name": "sent", "endpoints": [{"lb_endpoints": endpoints}]}
    body = {"name": "c", "type": "EDS", "eds_cluster_config": {"service_name": "sent"}, **cluster}
    return read(
        ClustersConfigDump=clusters(body),
        EndpointsConfigDump={"dynamic_endpoint_configs": [{"endpoint_config": assignment}]},
    )


def column(table: TextTable, name: str, header: tuple[str, ...]) -> list[str]:
    return [dict(zip(header, row, strict=True))[name] for row in table.rows]


@pytest.mark.parametrize(
    ("cluster", "of_cluster", "of_endpoints"),
    [
        ({"transport_socket_matches": AUTO}, "auto mTLS", ["mTLS", "plaintext", "plaintext"]),
        ({"transport_socket_matches": [HBONE, *AUTO]}, "auto mTLS, HBONE", ["mTLS", "HBONE", "plaintext"]),
        ({"transport_socket": SIMPLE_TLS}, "TLS", ["TLS"] * 3),
        ({"transport_socket": BARE_TLS}, "TLS", ["TLS"] * 3),
        ({"transport_socket": WORKLOAD_TLS}, "mTLS", ["mTLS"] * 3),
        ({"transport_socket": WRAPPED}, "mTLS", ["mTLS"] * 3),
        ({"transport_socket": INTERNAL}, "HBONE", ["HBONE"] * 3),
        ({}, "plaintext", ["plaintext"] * 3),
    ],
)
def test_endpoints_are_spoken_to_as_their_cluster_says(
    cluster: dict[str, Any], of_cluster: str, of_endpoints: list[str]
) -> None:
    sections = world(**cluster)
    assert column(wide_clusters(sections, ClusterFilter()), "TLS", CLUSTER_HEADER) == [of_cluster]
    assert column(wide_eds(sections, EndpointFilter()), "TLS", EDS_HEADER) == of_endpoints


def test_without_clusters_it_is_what_the_endpoint_is_ready_for() -> None:
    sections = world()
    del sections.parts["ClustersConfigDump"]
    table = wide_eds(sections, EndpointFilter())
    assert column(table, "TLS", EDS_HEADER) == ["mTLS", "HBONE", "plaintext"]
    assert column(table, "WORKLOAD", EDS_HEADER) == ["shop/web"] * 3


def test_hosts_are_joined_with_the_config_dump() -> None:
    statuses = [
        {"name": "sent", "host_statuses": [{"address": socket("10.0.0.1", 80)}, {"address": socket("9.9.9.9", 80)}]},
        {"name": "headless"},
        {"name": "inbound|8080||"},
        {"name": "empty"},
    ]
    answer = ClusterHosts(json.dumps({"cluster_statuses": statuses}).encode())
    sections = world(transport_socket_matches=AUTO)
    section = clusters({"name": "headless", "type": "ORIGINAL_DST"}, {"name": "sent", "transport_socket_matches": AUTO})
    sections.parts.update(read(ClustersConfigDump=section).parts)
    table = wide_endpoints(answer, EndpointFilter(), sections)
    assert column(table, "CLUSTER", HEADER) == ["empty", "sent", "sent"]
    assert column(table, "TLS", HEADER) == ["-", "mTLS", "plaintext"]
    alone = wide_endpoints(answer, EndpointFilter())
    assert column(alone, "CLUSTER", HEADER) == ["empty", "headless", "sent", "sent"]
    assert column(alone, "TLS", HEADER)[2:] == ["?", "?"]


def test_a_cluster_of_an_extension_is_named_by_it() -> None:
    sections = world(type="STATIC", cluster_type={"name": "envoy.cluster.dns"})
    assert column(wide_clusters(sections, ClusterFilter()), "TYPE", CLUSTER_HEADER) == ["envoy.cluster.dns"]


def test_http3_is_udp_with_the_tls_that_quic_wraps() -> None:
    context = {"common_tls_context": {}, "require_client_certificate": True}
    quic = {
        "name": "envoy.transport_sockets.quic",
        "typed_config": {"@type": "x/QuicDownstreamTransport", "downstream_tls_context": context},
    }
    address = {"socket_address": {"address": "0.0.0.0", "port_value": 443, "protocol": "UDP"}}
    chain = {"filters": [http(rds={"route_config_name": "https.443"})], "transport_socket": quic}
    section = listeners({"name": "udp_0.0.0.0_443", "address": address, "filter_chains": [chain]})
    table = wide_listeners(read(ListenersConfigDump=section), ListenerFilter())
    assert column(table, "PORT", LISTENER_HEADER) == ["443/UDP"]
    assert column(table, "TLS", LISTENER_HEADER) == ["mTLS"]
