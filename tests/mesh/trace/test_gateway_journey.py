"""Requests from outside, through a gateway."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mesh.trace.dumps import Json, cluster, dump, endpoints, host, http_chain, listener, routes, to, with_tls
from tests.mesh.trace.journeys import ending, follow
from tests.mesh.trace.meshes import CART, CART_IP, EDGE_IP, MTLS, WEB_IP, World, pod, server, service


def edge(secrets: Json | None = None) -> Any:
    plain = http_chain(routes("http.80", host("shop.test:80", ["shop.test"], to(CART))))
    secure = with_tls(
        http_chain(
            routes("https.443", host("shop.test:443", ["shop.test"], to(CART))), {"server_names": ["shop.test"]}
        ),
        ["h2", "http/1.1"],
        secret="kubernetes://edge",
    )
    inspector = [{"name": "envoy.filters.listener.tls_inspector"}]
    return dump(
        [
            listener("0.0.0.0_8080", "0.0.0.0", 8080, plain),
            listener("0.0.0.0_8443", "0.0.0.0", 8443, secure, listener_filters=inspector),
        ],
        [],
        [{**cluster(CART), "transport_socket": MTLS}],
        [endpoints(CART, f"{CART_IP}:8080")],
        secrets,
    )


def gateway_world(secrets: Json | None = None) -> World:
    world = World(cart=server("STRICT"), edge=edge(secrets))
    world.replace(pod("web", WEB_IP, sidecar=False))
    world.objects["Pod"].append(pod("edge", EDGE_IP))
    ports = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443, "targetPort": 8443}]
    public = service("edge", "10.96.0.3", 80, 8080)
    public["spec"]["ports"] = ports
    world.objects["Service"].append(public)
    servers = [{"hosts": ["*/shop.test"], "port": {"number": 80}}]
    spec = {"selector": {"app": "edge"}, "servers": servers}
    world.objects["Gateway"] = [{"metadata": {"name": "edge", "namespace": "shop"}, "spec": spec}]
    return world


@pytest.mark.parametrize("caller", ["web", "edge"])
def test_through_a_gateway(caller: str) -> None:
    found = follow(gateway_world(), client=caller, host="shop.test")
    assert ending(found) == ("", "application", False)
    assert "shop/edge" in [hop.where for hop in found.hops]
    secure = follow(gateway_world(), client=caller, host="shop.test", tls=True)
    assert ending(secure) == ("", "application", False)
    unknown = follow(gateway_world(), client=caller, host="other.test")
    assert unknown.outcome.flags == "NR"
    wrong = follow(gateway_world(), client=caller, host="shop.test", tls=True, sni="other.test")
    assert wrong.outcome.details == "filter_chain_not_found"


def test_a_certificate_that_was_never_delivered() -> None:
    warming = {"dynamic_warming_secrets": [{"name": "kubernetes://edge", "version_info": "uninitialized"}]}
    secrets = {
        "dynamic_warming_secrets": [{**warming["dynamic_warming_secrets"][0], "secret": {"name": "kubernetes://edge"}}]
    }
    found = follow(gateway_world(secrets), host="shop.test", tls=True)
    assert found.failing and "edge was never delivered" in found.outcome.why
    assert not follow(gateway_world(secrets), host="shop.test").failing


def test_a_gateway_that_does_not_run_yet_is_not_asked() -> None:
    world = gateway_world()
    world.dumps["canary"] = dump([], [], [], [])
    waits = pod("edge", "10.0.0.99")
    waits["metadata"]["name"] = "canary"  # before edge by name
    waits["status"]["phase"] = "Pending"
    world.objects["Pod"].append(waits)
    found = follow(world, client="web", host="shop.test")
    assert "shop/edge" in [hop.where for hop in found.hops]
