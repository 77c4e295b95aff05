"""One transport socket, read by the model and by the tables' own narrow structs: both must say the same."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from meshdoctor.mesh.mtls import configured
from meshdoctor.mesh.mtls.cluster_tls import CUSTOM, MTLS, PLAINTEXT, SIMPLE
from meshdoctor.mesh.proxy import tls_summary
from meshdoctor.mesh.trace.endpoint import Host
from meshdoctor.mesh.trace.upstream_tls import towards
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.envoy.endpoint import LbEndpoint
from meshdoctor.model.envoy.tls import TransportSocket, chosen_match
from tests.mesh.proxy.test_transport import AUTO, BARE_TLS, RAW, SIMPLE_TLS, TLS, WORKLOAD_TLS, WRAPPED
from tests.mesh.proxy.test_transport import HBONE as TUNNEL

Json = dict[str, Any]
OWN_CERTIFICATE: Json = {
    "name": "tls",
    "typed_config": {
        "@type": TLS,
        "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "kubernetes://edge"}]},
    },
}
CONTEXT = WORKLOAD_TLS["typed_config"]
QUIC = {"name": "quic", "typed_config": {"@type": "x/y.QuicUpstreamTransport", "upstream_tls_context": CONTEXT}}
WORDS = {PLAINTEXT: "plaintext", MTLS: "mTLS", SIMPLE: "TLS", CUSTOM: "mTLS (own certificate)", "hbone": "HBONE"}


def around(socket: Json, kind: str = "x/envoy.TapTransport") -> Json:
    return {"name": "around", "typed_config": {"@type": kind, "transport_socket": socket}}


@pytest.mark.parametrize(
    ("socket", "word"),
    [
        (WORKLOAD_TLS, "mTLS"),
        (SIMPLE_TLS, "TLS"),
        (BARE_TLS, "TLS"),
        (OWN_CERTIFICATE, "mTLS (own certificate)"),
        (RAW, "plaintext"),
        (WRAPPED, "mTLS"),
        (around(WRAPPED), "mTLS"),
        (around(RAW), "plaintext"),
        (QUIC, "mTLS"),
        (around(around(WORKLOAD_TLS, "x/y.InternalUpstreamTransport")), "plaintext"),
    ],
)
def test_model_and_tables_read_a_socket_alike(socket: Json, word: str) -> None:
    narrow = msgspec.json.decode(msgspec.json.encode(socket), type=tls_summary.TransportSocket)
    model = msgspec.json.decode(msgspec.json.encode(socket), type=TransportSocket)
    assert narrow.upstream == word
    assert WORDS[configured.socket_tls(model)] == word
    sent = towards(Cluster(transport_socket=model), None, None, "1.1")
    assert (sent.hello is not None, sent.mutual) == (word != "plaintext", word == "mTLS")


def test_a_hostile_nest_of_sockets_is_read_through() -> None:
    nest = RAW
    for _ in range(150):
        nest = around(nest)
    assert msgspec.json.decode(msgspec.json.encode(nest), type=TransportSocket).tls is None


@pytest.mark.parametrize(
    ("marks", "word"),
    [
        ({"tlsMode": "istio"}, "mTLS"),
        ({"tunnel": "http"}, "HBONE"),
        ({"tunnel": "http", "tlsMode": "istio"}, "HBONE"),
        ({"tlsMode": True}, "plaintext"),
        ({}, "plaintext"),
    ],
)
def test_model_and_tables_choose_alike(marks: dict[str, object], word: str) -> None:
    body = msgspec.json.encode({"transport_socket": SIMPLE_TLS, "transport_socket_matches": [TUNNEL, *AUTO]})
    cluster = msgspec.json.decode(body, type=Cluster)
    metadata = {"metadata": {"filter_metadata": {"envoy.transport_socket_match": marks}}}
    endpoint = msgspec.convert(metadata, LbEndpoint)
    assert WORDS[configured.endpoint_tls(cluster, endpoint)] == word
    matches = msgspec.convert([TUNNEL, *AUTO], list[tls_summary.SocketMatch])
    assert tls_summary.endpoint_tls(None, matches, marks) == word
    sent = towards(cluster, Host("10.0.0.1:80", socket_labels=tuple(marks.items())), None, "1.1")
    assert (sent.mutual, sent.tunnel) == (word == "mTLS", word == "HBONE")


def test_an_endpoint_that_fulfils_no_match_gets_the_clusters_own_socket() -> None:
    """A key that is not there is not the same as one without a value."""
    body = {"transport_socket": SIMPLE_TLS, "transport_socket_matches": [{"name": "odd", "match": {"tlsMode": None}}]}
    cluster = msgspec.json.decode(msgspec.json.encode(body), type=Cluster)
    assert chosen_match(cluster.transport_socket_matches, {}) is None
    assert configured.endpoint_tls(cluster, LbEndpoint()) == SIMPLE
    assert tls_summary.endpoint_tls(None, msgspec.convert([], list[tls_summary.SocketMatch]), {}) == "plaintext"
