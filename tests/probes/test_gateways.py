"""What a gateway answers by itself, because no Gateway or no VirtualService of it is for the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.envoy_dumps import config_dump, object_path, route, routes, server_info
from tests.kube_objects import istio, pod
from tests.probes.depot import OUTBOUND, Depot, accuses, causes, is_open, spares
from tests.recordings import access_line

GATE, GATE_IP = "edge/front-door-5c7d8f9b6c-t6v8x", "10.40.7.7"


def gateway(depot: Depot, code: int, flags: str, details: str, authority: str, sni: str = "-") -> Depot:
    """Requests that a gateway answered itself."""
    labels = {"istio": "front-door"}
    name = GATE.partition("/")[2]
    depot.objects("Pod", pod(name, "edge", GATE_IP, labels, replica_set="front-door-5c7d8f9b6c", gateway=True))
    depot.proxy(GATE, server_info=server_info("router"), config_dump=config_dump())
    for at in range(100, 112):
        line = access_line(at, code, flags, details, path="/page", authority=authority, local=f"{GATE_IP}:8443",
                           remote="198.51.100.7:40000", sni=sni)  # fmt: skip
        depot.log(GATE, "istio-proxy", line)
    return depot


def front_door(*hosts: str, selector: dict[str, str] | None = None, name: str = "door") -> Any:
    servers = [{"port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": list(hosts)}]
    return istio(
        name, "edge", {"selector": {"istio": "front-door"} if selector is None else selector, "servers": servers}
    )


def test_a_gateway_that_serves_other_hosts(tmp_path: Path) -> None:
    depot = gateway(Depot(tmp_path), 404, "NR", "route_not_found", "read.example.org")
    depot.objects("Gateway", front_door("library.example.org"), front_door("*", selector={"istio": "x"}, name="back"))
    verdict = accuses(depot.ask("missing-route"), "gateway-host-mismatch", "Gateway edge/door")
    assert "library.example.org" in verdict.summary


def test_a_virtual_service_for_other_hosts_at_the_gateway(tmp_path: Path) -> None:
    depot = gateway(Depot(tmp_path), 404, "NR", "route_not_found", "read.example.org")
    depot.objects("Gateway", front_door("*.example.org"))
    spec = {"hosts": ["library.example.org"], "gateways": ["edge/door"], "http": []}
    depot.objects("VirtualService", istio("reading", "books", spec), istio("inside", "books", {"hosts": ["ledger"]}))
    accuses(depot.ask("missing-route"), "gateway-host-mismatch", "VirtualService books/reading", "Gateway edge/door")


def test_a_gateway_whose_objects_were_not_read(tmp_path: Path) -> None:
    is_open(gateway(Depot(tmp_path), 404, "NR", "route_not_found", "read.example.org").ask("missing-route"))


def test_a_coalesced_connection(tmp_path: Path) -> None:
    depot = gateway(Depot(tmp_path), 404, "NR", "route_not_found", "read.example.org", sni="library.example.org")
    finding = depot.ask("missing-route")
    accuses(finding, "http2-coalescing")


def test_a_misdirected_request_is_a_coalesced_one(tmp_path: Path) -> None:
    """A gateway that compares the two answers 421 by a route of its own."""
    depot = gateway(Depot(tmp_path), 421, "-", "direct_response", "read.example.org", sni="library.example.org")
    depot.objects("Gateway", front_door("*.example.org"))
    assert causes(depot.diagnose()) == ["http2-coalescing"]


def test_a_host_that_nobody_serves_on_a_connection_for_another(tmp_path: Path) -> None:
    depot = gateway(Depot(tmp_path), 404, "NR", "route_not_found", "read.invalid", sni="library.example.org")
    depot.objects("Gateway", front_door("library.example.org"))
    finding = depot.ask("missing-route")
    accuses(finding, "gateway-host-mismatch", "Gateway edge/door")
    spares(finding, "http2-coalescing")


def test_the_same_host_with_a_port_is_not_coalesced(tmp_path: Path) -> None:
    depot = gateway(Depot(tmp_path), 404, "NR", "route_not_found", "read.example.org:443", sni="read.example.org")
    spares(depot.ask("missing-route"), "http2-coalescing")


def test_a_gateway_without_a_selector_is_every_gateways(tmp_path: Path) -> None:
    depot = gateway(Depot(tmp_path), 404, "NR", "route_not_found", "read.example.org")
    depot.objects("Gateway", front_door("library.example.org", selector={}))
    accuses(depot.ask("missing-route"), "gateway-host-mismatch", "Gateway edge/door")


def test_a_virtual_service_for_a_whole_domain_whose_routes_are_for_other_paths(tmp_path: Path) -> None:
    depot = gateway(Depot(tmp_path), 404, "NR", "route_not_found", "Read.Example.Org")
    depot.objects("Gateway", front_door("*.example.org"))
    other = route(OUTBOUND, prefix="/cover", owner=object_path("virtual-service", "books", "reading"))
    tables = [routes("https.443.https.door.edge", ["*.example.org"], other)]
    depot.proxy(GATE, config_dump=config_dump(route_configs=tables))
    verdict = accuses(depot.ask("missing-route"), "no-route", "VirtualService books/reading")
    assert "/page" in verdict.summary
