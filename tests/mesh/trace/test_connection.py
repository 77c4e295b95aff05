from __future__ import annotations

from typing import Any

import pytest

from meshdoctor.mesh.trace.firstline import absolute, http_version, parse, target_valid
from meshdoctor.mesh.trace.handshake import negotiate, shake
from meshdoctor.mesh.trace.listener import Listeners
from meshdoctor.mesh.trace.request import ClientHello, Request
from meshdoctor.mesh.trace.sniff import Inspectors, Sniffed
from meshdoctor.model.decode import convert
from meshdoctor.model.envoy.listener import Listener
from meshdoctor.model.envoy.tls import CommonTlsContext, SdsConfig, TlsContext
from tests.mesh.trace.dumps import HTTP_INSPECTOR, TLS_INSPECTOR, listener


def listeners(*bodies: dict[str, Any]) -> Listeners:
    return Listeners([convert(body, Listener) for body in bodies])


def test_the_dialled_address_then_every_address_then_what_is_left_over() -> None:
    found = listeners(
        listener("virtualOutbound", "0.0.0.0", 15001, use_original_dst=True),
        listener("virtualInbound", "0.0.0.0", 15006, traffic_direction="INBOUND"),
        listener("0.0.0.0_80", "0.0.0.0", 80),
        listener("10.0.0.1_80", "10.0.0.1", 80),
    )

    def name(direction: str, ip: str, port: int) -> str:
        chosen = found.choose(direction, ip, port)
        return chosen.name if chosen else ""

    assert name("outbound", "10.0.0.1", 80) == "10.0.0.1_80"
    assert name("outbound", "10.0.0.2", 80) == "0.0.0.0_80"
    assert name("outbound", "10.0.0.2", 81) == "virtualOutbound"
    assert name("inbound", "10.0.0.2", 80) == "virtualInbound"
    assert name("gateway", "10.0.0.2", 81) == ""


def test_a_listener_has_all_its_addresses() -> None:
    second = {"address": {"socket_address": {"address": "::", "port_value": 80}}}
    found = listeners(listener("dual", "0.0.0.0", 80, additional_addresses=[second]))
    assert found.exact("fd00::1", 80) is found.exact("10.0.0.1", 80) is not None


def inspectors(*filters: dict[str, Any]) -> Inspectors:
    return Inspectors(convert(listener("x", "0.0.0.0", 1, listener_filters=list(filters)), Listener))


HELLO = ClientHello("Shop.Test", ("h2",))


def test_what_the_inspectors_learn() -> None:
    both = inspectors(TLS_INSPECTOR, HTTP_INSPECTOR)
    plain, secret = Request("outbound", "10.0.0.1", 80), Request("outbound", "10.0.0.1", 80, tls=HELLO)
    assert both.sniff(secret, 80) == Sniffed("tls", "shop.test", ("h2",))
    assert both.sniff(plain, 80) == Sniffed("raw_buffer", "", ("http/1.1",))
    assert inspectors(HTTP_INSPECTOR).sniff(secret, 80) == Sniffed()
    assert inspectors().sniff(plain, 80) == Sniffed()


@pytest.mark.parametrize(
    ("predicate", "ports"),
    [
        ({"destination_port_range": {"start": 80, "end": 82}}, {80, 81}),
        ({"destination_port_range": {"end": 80}}, {79}),
        ({"not_match": {"destination_port_range": {"start": 80, "end": 81}}}, {79, 81, 82}),
        (
            {"or_match": {"rules": [{"destination_port_range": {"start": n, "end": n + 1}} for n in (79, 82)]}},
            {79, 82},
        ),
        ({"and_match": {"rules": [{"any_match": True}, {"destination_port_range": {"end": 80}}]}}, {79}),
        ({"any_match": True}, {79, 80, 81, 82}),
        ({"unknown": 1}, set()),
    ],
)
def test_where_an_inspector_is_off(predicate: dict[str, Any], ports: set[int]) -> None:
    found = inspectors({**TLS_INSPECTOR, "filter_disabled": predicate})
    asked = Request("inbound", "10.0.0.1", 80, tls=HELLO)
    assert {port for port in (79, 80, 81, 82) if found.sniff(asked, port).transport == "raw_buffer"} == ports


@pytest.mark.parametrize(
    ("request_", "version"),
    [
        ({"version": "1.1"}, "http/1.1"),
        ({"version": "1.0"}, "http/1.0"),
        ({"version": "2"}, "h2c"),
        ({"version": ""}, ""),
        ({"method": "made-up"}, "http/1.1"),
        ({"path": "no-slash"}, ""),
        ({"path": "/é"}, ""),
        ({"path": "*"}, "http/1.1"),
        ({"path": "http://shop.test/x"}, "http/1.1"),
        ({"payload": b"GET  / HTTP/1.1\r\n\r\n"}, "http/1.1"),
        ({"payload": b"GET / HTTP/3.1\r\n\r\n"}, "http/1.0"),
        ({"payload": b"HELLO x\r\n\r\n"}, ""),
        ({"payload": b"\x00\x01\r\n"}, ""),
        ({"payload": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}, "h2c"),
    ],
)
def test_what_counts_as_http(request_: dict[str, Any], version: str) -> None:
    assert http_version(Request("outbound", "10.0.0.1", 80, **request_)) == version


def test_targets() -> None:
    assert absolute("http://a.test:81?x") == ("http", "a.test:81", "/?x")
    assert absolute("/x") is None and absolute("http:///x") is None
    assert not target_valid("http://a@@b/")
    assert target_valid("a.test:80", connect=True)


def test_raw_bytes_are_parsed_as_far_as_a_request_goes() -> None:
    found = parse(b"\r\nPOST /x HTTP/1.1\r\nHost: a.test\r\nX: 1 \r\n\r\nbody: no")
    assert found is not None
    assert (found.method, found.path, found.version, found.authority) == ("POST", "/x", "1.1", "a.test")
    assert found.headers == (("x", "1"),)
    assert parse(b"no line") is None


def server(client: bool = False) -> TlsContext:
    common = CommonTlsContext(
        alpn_protocols=["h2", "http/1.1"], tls_certificate_sds_secret_configs=[SdsConfig("kubernetes://edge")]
    )
    return TlsContext(common_tls_context=common, require_client_certificate=client)


def test_handshakes() -> None:
    assert shake(HELLO, None).terminated is False
    assert shake(None, server()).failure == "plain_text"
    assert shake(HELLO, server()).alpn == "h2"
    assert shake(HELLO, server(client=True)).failure == "no_client_certificate"
    assert shake(ClientHello(certificate=True), server(client=True)).failure == ""
    assert shake(HELLO, server(), {"kubernetes://edge"}).failure == "no_secret:kubernetes://edge"


def test_the_servers_preference_decides_and_no_overlap_is_no_error() -> None:
    assert negotiate(ClientHello(alpn=("http/1.1", "h2")), server()) == "h2"
    assert negotiate(ClientHello(alpn=("foo",)), server()) == ""
