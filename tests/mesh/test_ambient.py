"""Who belongs to the ambient mesh, which Service a connection of ztunnel was for, and what its error means."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdoctor.guide.examination import Examination
from meshdoctor.mesh import ambient
from meshdoctor.mesh.egress_policy import egress_blocking
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.ztunnel.enforcement import Caller, http_attributes, matches_connection
from meshdoctor.mesh.ztunnel.failures import (
    NO_UPSTREAM,
    OTHER,
    PLAINTEXT,
    POLICY,
    REFUSED,
    TUNNEL_BROKEN,
    TUNNEL_REFUSED,
    TUNNEL_TIMEOUT,
    WAYPOINT,
    explained,
    failures,
    kind,
)
from meshdoctor.model.snapshot import PodRef, Snapshot
from meshdoctor.model.wants import AccessLog, LogRef, ZtunnelAccessLog
from meshdoctor.model.ztunnellog import parse_ztunnel_log
from tests import ambient_objects as world
from tests.ambient_objects import ZTUNNEL_LOG, calls, early_denial, mesh, tunnel_line
from tests.kube_objects import istio, pod, service
from tests.moments import Json
from tests.recordings import Recording, access_line

TILL = PodRef("depot", world.TILL)


def opened(recording: Recording) -> Examination:
    source = recording.source()
    return Examination(source.read, Snapshot(source.info, {}))


def index(recording: Recording) -> MeshIndex:
    return opened(recording).mesh


# -- membership


def test_the_pods_label_is_stronger_than_the_namespaces(tmp_path: Path) -> None:
    out = {"istio.io/dataplane-mode": "none"}
    pods = [
        *world.clients(captured=False),
        *world.servers(captured=False, labels=out),
        pod("old-1", "depot", "10.8.0.8", {"app": "old"}),
        world.ambient_pod("agent-1", "10.8.0.9", "agent", captured=False, host_network=True),
        world.ambient_pod("lone-1", "10.8.0.4", "lone", namespace="yard", captured=False),
    ]
    found = index(mesh(tmp_path, Pod=pods))
    asked = {ref.name: ambient.should_be_captured(found, one) for ref, one in found.pods.items()}
    assert asked == {world.TILL: True, world.STOCK: False, world.OTHER_STOCK: False, "old-1": False} | {
        "agent-1": False,
        "lone-1": False,
    }
    assert ambient.mode(found, found.pods[PodRef("depot", world.STOCK)]) == "none"
    assert ambient.serves_ambient(found, found.workload(TILL), None)
    assert not ambient.serves_ambient(found, None, ("depot", "stock"))


def test_ztunnels_are_known_by_what_they_run(tmp_path: Path) -> None:
    found = index(mesh(tmp_path))
    assert ambient.is_ztunnel(found, PodRef("istio-system", world.ZTUNNEL))
    assert ambient.is_ztunnel(found, PodRef("istio-system", "ztunnel-gone1"))
    assert not ambient.is_ztunnel(found, PodRef("depot", "ztunnel-gone1"))
    assert not ambient.is_ztunnel(found, TILL)
    assert [one.name for one in ambient.ztunnels_on(found, world.NODE)] == [world.ZTUNNEL]
    assert ambient.ztunnels_on(found, "node-b") == ()


def test_a_service_asks_for_a_waypoint_before_its_namespace_does(tmp_path: Path) -> None:
    use = "istio.io/use-waypoint"
    namespaces = [world.labelled("depot", {use: "wide", f"{use}-namespace": "edge"})]
    found = index(mesh(tmp_path, Namespace=namespaces))
    assert ambient.waypoint_of(found, found.services["depot", "stock"]) == PodRef("edge", "wide")
    own = index(mesh(tmp_path / "own", Namespace=namespaces, Service=[world.stock(labels={use: "near"})]))
    assert ambient.waypoint_of(own, own.services["depot", "stock"]) == PodRef("depot", "near")
    none = index(mesh(tmp_path / "none", Namespace=namespaces, Service=[world.stock(labels={use: "none"})]))
    assert ambient.waypoint_of(none, none.services["depot", "stock"]) is None


# -- connections as traffic


def test_ztunnels_log_is_not_read_as_an_envoys(tmp_path: Path) -> None:
    found = index(mesh(tmp_path).log(ZTUNNEL_LOG, "istio-proxy", tunnel_line(5)))
    log = LogRef(PodRef("istio-system", world.ZTUNNEL), "istio-proxy")
    assert not found.snapshot.has(AccessLog(log))
    parsed = found.snapshot.value(ZtunnelAccessLog(log))
    assert parsed is not None
    assert [line.direction for line in parsed.lines] == ["outbound"]


@pytest.mark.parametrize(
    ("line", "destination"),
    [
        (tunnel_line(5), "stock.depot.svc.cluster.local:8000"),
        (tunnel_line(5, tunnel=False), "stock.depot.svc.cluster.local:8000"),
        (tunnel_line(5, hbone=f"{world.STOCK_VIP}:8000"), "stock.depot.svc.cluster.local:8000"),
        (tunnel_line(5, hbone="stock.depot.svc.cluster.local:8000"), "stock.depot.svc.cluster.local:8000"),
        (tunnel_line(5, port=9009), "stock.depot.svc.cluster.local:8000"),
        (early_denial(5, "no healthy upstream"), "stock.depot.svc.cluster.local:8000"),
        (tunnel_line(5, host="far.example", target=""), "far.example:9000"),
        (early_denial(5, "unknown", "192.0.2.7:443"), "192.0.2.7:443"),
    ],
)
def test_the_service_that_a_connection_was_for(tmp_path: Path, line: str, destination: str) -> None:
    (seen,) = opened(mesh(tmp_path).log(ZTUNNEL_LOG, "istio-proxy", line)).traffic.seen
    assert str(seen.destination) == destination
    assert str(seen.client) == "depot/till"


def test_ports_of_a_service_with_several(tmp_path: Path) -> None:
    two = service("stock", "depot", world.STOCK_VIP, [(8000, "http", 9000), (8443, "https", 9443)], {"app": "stock"})
    found = mesh(tmp_path, Service=[two])
    found.log(ZTUNNEL_LOG, "istio-proxy", tunnel_line(5, port=9443), tunnel_line(6, port=7777))
    ports = [seen.destination.port for seen in opened(found).traffic.seen]
    assert ports == [8443, 7777]


def test_a_connection_begins_before_its_line(tmp_path: Path) -> None:
    (seen,) = opened(mesh(tmp_path).log(ZTUNNEL_LOG, "istio-proxy", tunnel_line(20, ms=5000))).traffic.seen
    (instant,) = opened(mesh(tmp_path / "b").log(ZTUNNEL_LOG, "istio-proxy", tunnel_line(15, ms=0))).traffic.seen
    assert seen.start == instant.start


# -- errors


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            tunnel_line(1, "inbound", "connection closed due to policy rejection: allow policies exist, but none"),
            POLICY,
        ),
        (tunnel_line(1, "inbound", "connection closed due to policy rejection: explicitly denied by: a/b"), POLICY),
        (
            tunnel_line(
                1,
                "inbound",
                "connection closed due to policy rejection: explicitly denied by: root/istio_converted_static_strict",
            ),
            PLAINTEXT,
        ),
        (
            tunnel_line(
                1,
                "inbound",
                "connection closed due to policy rejection: explicitly denied by: a/converted_peer_authentication_b",
            ),
            PLAINTEXT,
        ),
        (tunnel_line(1, error="http status: 401 Unauthorized"), POLICY),
        (tunnel_line(1, error="http status: 503 Service Unavailable"), REFUSED),
        (tunnel_line(1, "inbound", "connection failed: Connection refused (os error 111)"), REFUSED),
        (tunnel_line(1, error="connection failed: Connection refused (os error 111)"), TUNNEL_REFUSED),
        (tunnel_line(1, error="connection failed: Connection refused (os error 111)", tunnel=False), REFUSED),
        (
            tunnel_line(1, error="connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008: x"),
            TUNNEL_TIMEOUT,
        ),
        (tunnel_line(1, error="io error: deadline has elapsed"), TUNNEL_TIMEOUT),
        (tunnel_line(1, error="h2 failed: stream closed because of a broken pipe"), TUNNEL_BROKEN),
        (early_denial(1, "no healthy upstream: 10.0.0.1:80"), NO_UPSTREAM),
        (early_denial(1, "unknown waypoint: 10.0.0.1"), WAYPOINT),
        (tunnel_line(1, "inbound", "connection closed due to connection drain"), OTHER),
    ],
)
def test_what_an_error_is_about(line: str, expected: str) -> None:
    (found,) = parse_ztunnel_log(line).lines
    assert kind(found) == expected


def test_a_call_belongs_to_the_nearest_connection(tmp_path: Path) -> None:
    found = mesh(tmp_path)
    rejected = "connection closed due to policy rejection: allow policies exist, but none allowed"
    found.log(
        ZTUNNEL_LOG, "istio-proxy", tunnel_line(10.01, "inbound", rejected), early_denial(20.01, "no healthy upstream")
    )
    found.log(f"depot/{world.TILL}", "server", *calls((10, 0), (20, 0), (40, 0)))
    (case,) = opened(found).cases
    told = explained(case, failures(case, NO_UPSTREAM))
    assert [round((seen.start or 0) % 60) for seen in told if seen.call] == [20]
    assert len(case.failures) == 5
    assert case.signature == {"ambient", "ztunnel", "silent"}


# -- policies


def test_egress_policies_hold_for_the_tunnel_too(tmp_path: Path) -> None:
    def blocked(name: str, spec: Json) -> list[str]:
        found = index(mesh(tmp_path / name, NetworkPolicy=[istio(name, "depot", spec)]))
        pods = (found.pods[TILL], found.pods[PodRef("depot", world.STOCK)])
        return [policy.name for policy in egress_blocking(found, *pods, 15008)]

    till: Json = {"podSelector": {"matchLabels": {"app": "till"}}, "policyTypes": ["Egress"]}
    stock = {"podSelector": {"matchLabels": {"app": "stock"}}}
    assert blocked("nothing", till) == ["nothing"]
    assert blocked("port", till | {"egress": [{"ports": [{"port": 9000}]}]}) == ["port"]
    assert blocked("range", till | {"egress": [{"ports": [{"port": 15000, "endPort": 15010}]}]}) == []
    assert blocked("named", till | {"egress": [{"ports": [{"port": "http"}]}]}) == ["named"]
    assert blocked("udp", till | {"egress": [{"ports": [{"port": 15008, "protocol": "UDP"}]}]}) == ["udp"]
    assert blocked("peer", till | {"egress": [{"to": [stock]}]}) == []
    assert blocked("other", till | {"egress": [{"to": [{"podSelector": {"matchLabels": {"app": "x"}}}]}]}) == ["other"]
    elsewhere = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "yard"}}}
    assert blocked("away", till | {"egress": [{"to": [elsewhere]}]}) == ["away"]
    assert blocked("block", till | {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}) == []
    assert blocked("ingress", {"podSelector": {}, "ingress": []}) == []


CALLER = Caller("cluster.local/ns/depot/sa/till", "depot", "10.8.0.5")


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({}, True),
        ({"from": [{"source": {"principals": ["cluster.local/ns/depot/sa/till"]}}]}, True),
        ({"from": [{"source": {"principals": ["cluster.local/ns/depot/*"]}}]}, True),
        ({"from": [{"source": {"principals": ["*/sa/till"]}}]}, True),
        ({"from": [{"source": {"principals": ["cluster.local/ns/depot/sa/other"]}}]}, False),
        ({"from": [{"source": {"notPrincipals": ["*"]}}]}, False),
        ({"from": [{"source": {"namespaces": ["yard"]}}, {"source": {"namespaces": ["depot"]}}]}, True),
        ({"from": [{"source": {"namespaces": ["depot"], "ipBlocks": ["10.9.0.0/16"]}}]}, False),
        ({"from": [{"source": {"ipBlocks": ["10.8.0.0/16", "nonsense"]}}]}, True),
        ({"from": [{"source": {"serviceAccounts": ["depot/till"]}}]}, True),
        ({"from": [{"source": {"requestPrincipals": ["*"]}}]}, True),
        ({"to": [{"operation": {"ports": ["9000"]}}]}, True),
        ({"to": [{"operation": {"ports": ["9001"]}}]}, False),
        ({"to": [{"operation": {"notPorts": ["9000"]}}]}, False),
        ({"to": [{"operation": {"methods": ["GET"]}}]}, True),
        ({"when": [{"key": "source.namespace", "values": ["depot"]}]}, True),
        ({"when": [{"key": "source.principal", "notValues": ["*"]}]}, False),
        ({"when": [{"key": "source.ip", "values": ["10.8.0.5"]}]}, True),
        ({"when": [{"key": "destination.port", "values": ["80"]}]}, False),
        ({"when": [{"key": "request.headers[x-team]", "values": ["a"]}]}, True),
    ],
)
def test_what_ztunnel_sees_of_a_rule(rule: Json, fits: bool) -> None:
    assert matches_connection(rule, CALLER, 9000) is fits


def test_a_plain_text_caller_has_no_principal() -> None:
    assert not matches_connection({"from": [{"source": {"principals": ["*"]}}]}, Caller("", "", "10.8.0.5"), 9000)


def test_attributes_that_only_http_has() -> None:
    rule = {
        "from": [{"source": {"principals": ["*"], "requestPrincipals": ["*"]}}],
        "to": [{"operation": {"ports": ["80"], "paths": ["/a"], "methods": ["GET"]}}, {"operation": {"hosts": ["b"]}}],
        "when": [{"key": "source.ip", "values": ["a"]}, {"key": "request.auth.claims[x]", "values": ["a"]}],
    }
    found = http_attributes(rule)
    assert set(found) == {"requestPrincipals", "methods", "paths", "hosts", "request.auth.claims[x]"}
    assert http_attributes({"from": [{"source": {"namespaces": ["a"]}}]}) == []


# -- Envoys on the way


def test_a_waypoints_log_is_about_the_service_that_was_called(tmp_path: Path) -> None:
    gate = world.waypoint_pod("gate-5d7c9b8f6-h8h8h", "10.8.0.9", "gate")
    found = mesh(tmp_path).objects("Pod", gate)
    answered = access_line(
        5, 503, "UF", "upstream_reset_before_response_started{remote_connection_failure}",
        cluster="inbound-vip|8000|http|stock.depot.svc.cluster.local", upstream=f"envoy://connect_originate/{world.STOCK_IP}:9000",
        local=f"{world.STOCK_VIP}:8000", remote=f"{world.TILL_IP}:50123", authority="stock.depot:8000",
    )  # fmt: skip
    unrouted = access_line(
        6, 404, "NR", "route_not_found", local=f"{world.STOCK_VIP}:8000", remote=f"{world.TILL_IP}:1"
    )
    found.log("depot/gate-5d7c9b8f6-h8h8h", "istio-proxy", answered, unrouted)
    first, second = opened(found).traffic.seen
    assert (first.side, str(first.client), first.destination.port) == ("gateway", "depot/till", 8000)
    assert first.destination == second.destination
    assert first.destination.service == ("depot", "stock")
