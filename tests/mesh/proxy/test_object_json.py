"""The JSON of just one object: a filter chain, an endpoint as it was sent and as Envoy sees it, a certificate."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshdoctor.mesh.proxy.joined_routing import listener_rows
from meshdoctor.mesh.proxy.object_json import (
    certificates_with,
    chain_json,
    endpoint_json,
    host_json,
    resource_json,
)
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.config_dump import decode_config_dump
from tests.mesh.proxy.dumps import dump, listeners, socket

TLS = {"filter_chain_match": {"transport_protocol": "tls"}, "name": "tls"}
PORT = {"filter_chain_match": {"destination_port": 9}, "name": "port"}
LAST = {"name": "last"}


def endpoint(address: str) -> dict[str, Any]:
    return {"endpoint": {"address": socket(address, 80)}, "metadata": {"filter_metadata": {"istio": {}}}}


CONFIG = decode_config_dump(
    dump(
        ListenersConfigDump=listeners({"name": "l", "filter_chains": [TLS, PORT], "default_filter_chain": LAST}),
        EndpointsConfigDump={
            "dynamic_endpoint_configs": [
                {
                    "endpoint_config": {
                        "cluster_name": "c",
                        "endpoints": [{"lb_endpoints": [endpoint("10.0.0.1"), endpoint("10.0.0.2")]}],
                    }
                }
            ]
        },
    )
)


@pytest.mark.parametrize(
    ("match", "name"), [("tls", "tls"), ("port 9", "port"), ("any", "last"), ("sni nothing", None)]
)
def test_a_chain_by_what_it_asks(match: str, name: str | None) -> None:
    assert [chain["name"] for chain in chain_json(CONFIG, "l", match)] == ([name] if name else [])
    assert chain_json(CONFIG, "other", match) == []


def test_an_endpoint_by_its_address() -> None:
    assert endpoint_json(CONFIG, "c", "10.0.0.2:80") == [endpoint("10.0.0.2")]
    assert endpoint_json(CONFIG, "c", "10.0.0.2:81") == []
    assert len(resource_json(CONFIG, "endpoint", "c")) == 1


def test_a_host_as_envoy_sees_it() -> None:
    hosts = [{"address": socket(address, 80), "stats": [{"name": "rq_total"}]} for address in ("10.0.0.1", "10.0.0.2")]
    body = json.dumps({"cluster_statuses": [{"name": "c", "host_statuses": hosts}, {"name": "d"}]}).encode()
    assert host_json(body, "c", "10.0.0.1:80") == hosts[:1]
    assert host_json(body, "c", "") == hosts
    assert host_json(body, "d", "") == []
    with pytest.raises(UnreadableError):
        host_json(b"no healthy upstream", "c", "")


def test_a_certificate_by_its_serial_once() -> None:
    one, two = ({"serial_number": number, "path": "<inline>"} for number in ("a1", "b2"))
    body = json.dumps({"certificates": [{"ca_cert": [one], "cert_chain": [two]}, {"ca_cert": [one]}]}).encode()
    assert certificates_with(body, "a1") == [one]
    assert certificates_with(body, "zz") == []
    with pytest.raises(UnreadableError):
        certificates_with(b"{", "a1")


def test_a_waypoints_chains_go_by_their_names() -> None:
    inside = {"name": "main_internal", "filter_chain_matcher": {"matcher_tree": {}}, "filter_chains": [TLS, PORT]}
    config = decode_config_dump(dump(ListenersConfigDump=listeners(inside)))
    rows = list(listener_rows(config))
    assert [(row.address, row.port, row.match) for row in rows] == [
        ("main_internal", 0, "tls"),
        ("main_internal", 0, "port"),
    ]
    assert chain_json(config, "main_internal", "port") == [PORT]
