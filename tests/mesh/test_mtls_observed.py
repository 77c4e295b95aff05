from __future__ import annotations

import pytest

from meshdoctor.mesh.mtls import observed
from meshdoctor.mesh.mtls.observed import Link
from meshdoctor.mesh.workloads import Peer
from meshdoctor.model.accesslog import AccessLine
from meshdoctor.model.decode import convert
from meshdoctor.model.envoy.admin import parse_prometheus
from meshdoctor.model.ztunnellog import ZtunnelLine


def peer(key: str, address: str) -> Peer:
    namespace, _, name = key.partition("/")
    return Peer(key, namespace, name, {}, "sidecar", "istio", (address,))


WEB, CART = peer("shop/web", "10.0.0.1"), peer("shop/cart", "10.0.0.2")
AT = {"10.0.0.1": WEB, "10.0.0.2": CART}.get
INBOUND = {"downstream_local_address": "10.0.0.2:8080", "downstream_remote_address": "10.0.0.1:4711"}
OUTBOUND = {"upstream_cluster": "outbound|80||cart", "upstream_host": "10.0.0.2:8080", "code": 503}
LINK = Link("shop/web", "shop/cart", 8080)


def line(**fields: object) -> AccessLine:
    return convert({"line": 1, **fields}, AccessLine)


def test_a_servers_log_tells_mtls_plain_text_and_refusals_apart() -> None:
    lines = [
        line(requested_server_name="outbound_.80_._.cart", **INBOUND),
        line(**INBOUND),
        line(flags=("NR",), details="filter_chain_not_found", start=5.0, **INBOUND),
        line(flags=("NR",), details="filter_chain_not_found", requested_server_name="cart", start=7.0, **INBOUND),
        line(flags=("DPE",), details="http1.codec_error", code=400, start=6.0, **INBOUND),
        line(**{**INBOUND, "downstream_local_address": "10.9.9.9:80"}),
    ]
    found = observed.traffic([(CART, lines)], AT)
    assert set(found) == {LINK}
    seen = found[LINK]
    assert (seen.mtls, seen.plaintext, seen.refused, seen.foreign, seen.garbled) == (1, 1, 2, 1, 1)
    assert (seen.failed, seen.last_failure) == (3, 7.0)


def test_a_clients_log_counts_only_what_failed() -> None:
    tls = "TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end"
    lines = [
        line(transport_failure=tls, flags=("UF",), **OUTBOUND),
        line(flags=("UC",), **OUTBOUND),
        line(flags=("UT",), **OUTBOUND),
        line(**{**OUTBOUND, "code": 200}),
        line(flags=("UF",), **{**OUTBOUND, "upstream_cluster": "PassthroughCluster"}),
    ]
    seen = observed.traffic([(WEB, lines)], AT)[LINK]
    assert (seen.tls_failed, seen.reset, seen.passed, seen.failed) == (1, 1, 1, 3)


def test_an_unknown_caller_is_called_by_its_address() -> None:
    stranger = {**INBOUND, "downstream_remote_address": "10.9.9.9:1"}
    found = observed.traffic([(CART, [line(details="filter_chain_not_found", flags=("NR",), **stranger)])], AT)
    assert set(found) == {Link("10.9.9.9", "shop/cart", 8080)}


@pytest.mark.parametrize(
    "policy", ["istio-system/istio_converted_static_strict", "shop/converted_peer_authentication_only-metrics"]
)
def test_a_ztunnels_log_has_the_identity_or_the_policy_that_refused(policy: str) -> None:
    base = {"line": 1, "direction": "inbound", "src_addr": "10.0.0.1:9", "dst_addr": "10.0.0.2:8080"}
    rejected = f"connection closed due to policy rejection: explicitly denied by: {policy}"
    lines = [
        convert({**base, "src_identity": "spiffe://td/ns/shop/sa/web", "dst_hbone_addr": "10.0.0.2:8080"}, ZtunnelLine),
        convert({**base, "error": rejected, "time": 3.0}, ZtunnelLine),
        convert({**base, "direction": "outbound"}, ZtunnelLine),
    ]
    seen = observed.ambient_traffic([lines], AT)[LINK]
    assert (seen.mtls, seen.refused, seen.plaintext, seen.last_failure) == (1, 1, 0, 3.0)


def test_counters_are_the_servers_own() -> None:
    labels = 'source_workload="web",source_workload_namespace="shop",destination_service="cart"'
    text = "\n".join(
        (
            f'istio_requests_total{{reporter="destination",connection_security_policy="mutual_tls",{labels}}} 5',
            f'istio_requests_total{{reporter="destination",connection_security_policy="none",{labels}}} 2',
            f'istio_requests_total{{reporter="source",connection_security_policy="unknown",{labels}}} 7',
        )
    )
    assert observed.counted(parse_prometheus(text)) == {("shop/web", "cart"): observed.Policies(5, 2)}
