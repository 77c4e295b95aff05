from __future__ import annotations

import pytest

from meshdoctor.mesh.objects import Features
from tests.mesh.mtls_world import (
    BARE_SERVER,
    HOST,
    SERVER,
    Json,
    outcomes,
    pod,
    policy,
    rule,
    service,
    thing,
    world,
)

BOTH = (SERVER, BARE_SERVER)
FULL = {"clientCertificate": "/c", "privateKey": "/k", "caCertificates": "/ca"}


def test_auto_mtls_asks_each_endpoints_label() -> None:
    found = world(servers=BOTH).client_tls("cli/c-1", "s.srv", 80)
    assert found.tls == "auto"
    assert [entry.tls for entry in found.endpoints] == ["mtls-istio", "plaintext"]
    assert found.sni == f"outbound_.80_._.{HOST}"
    assert found.alpn == ("istio-peer-exchange", "istio")
    assert found.sans == ("spiffe://cluster.local/ns/srv/sa/s",)


def test_a_workload_policy_with_disable_reaches_the_endpoint_a_namespace_policy_the_service() -> None:
    workload = policy("DISABLE", selector={"matchLabels": {"app": "s"}})
    found = world(workload).client_tls("cli/c-1", HOST, 80)
    assert (found.tls, found.endpoints[0].tls) == ("auto", "plaintext")
    whole = world(policy("DISABLE")).client_tls("cli/c-1", HOST, 80)
    assert whole.tls == "plaintext"
    assert "auto mTLS is off for the whole service" in whole.reasons[0]


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ({"mode": "DISABLE"}, "plaintext"),
        ({"mode": "ISTIO_MUTUAL"}, "mtls-istio"),
        ({"mode": "SIMPLE"}, "tls-simple"),
        ({"mode": "SIMPLE", "credentialName": "x"}, "plaintext"),
        ({"mode": "SIMPLE", "credentialName": "configmap://x"}, "tls-simple"),
        ({"mode": "MUTUAL", **FULL}, "mtls-custom"),
        ({"mode": "MUTUAL"}, "plaintext"),
    ],
)
def test_a_rules_tls_mode_on_a_sidecar(tls: Json, expected: str) -> None:
    found = world(rule(trafficPolicy={"tls": tls})).client_tls("cli/c-1", HOST, 80)
    assert found.tls == expected
    assert found.auto_sni == (expected in ("tls-simple", "mtls-custom"))


def test_credentials_work_on_gateways_and_for_selected_workloads() -> None:
    tls = {"tls": {"mode": "SIMPLE", "credentialName": "x"}}
    gateway = pod("gw-1", "cli", "10.2.0.9", proxy="router")
    assert world(rule(trafficPolicy=tls), gateway).client_tls("cli/gw-1", HOST, 80).tls == "tls-simple"
    selected = rule(namespace="cli", trafficPolicy=tls, workloadSelector={"matchLabels": {"app": "c"}})
    assert world(selected).client_tls("cli/c-1", HOST, 80).tls == "tls-simple"


def test_a_port_entry_replaces_the_rule_for_the_cluster_but_not_for_the_endpoints() -> None:
    entry = {"port": {"number": 80}, "loadBalancer": {"simple": "ROUND_ROBIN"}}
    hidden = rule(trafficPolicy={"tls": {"mode": "DISABLE"}, "portLevelSettings": [entry]})
    found = world(hidden).client_tls("cli/c-1", HOST, 80)
    assert (found.tls, found.endpoints[0].tls) == ("auto", "plaintext")
    mutual = rule(trafficPolicy={"tls": {"mode": "ISTIO_MUTUAL"}, "portLevelSettings": [entry]})
    strict_off = policy("DISABLE", selector={"matchLabels": {"app": "s"}})
    both = world(mutual, strict_off, servers=BOTH)
    assert outcomes(both) == {"srv/s-1:8080": "fail-mtls-to-plaintext", "srv/s-2:8080": "ok-plaintext"}


def test_a_subset_overrides_field_by_field_and_is_absent_when_no_rule_defines_it() -> None:
    subsets = [
        {"name": "v1", "labels": {"app": "s"}, "trafficPolicy": {"tls": {"mode": "DISABLE"}}},
        {"name": "v2", "labels": {"version": "v2"}},
    ]
    mtls = world(rule(tls="ISTIO_MUTUAL", subsets=subsets))
    assert mtls.client_tls("cli/c-1", HOST, 80, "v1").tls == "plaintext"
    second = mtls.client_tls("cli/c-1", HOST, 80, "v2")
    assert (second.tls, second.endpoints) == ("mtls-istio", ())
    assert second.sni == f"outbound_.80_.v2_.{HOST}"
    third = mtls.client_tls("cli/c-1", HOST, 80, "v3")
    assert (third.tls, third.reasons) == (
        "no-cluster",
        ("DestinationRule srv/r, the one in force, defines no subset v3",),
    )


def test_a_headless_service_has_no_choice_by_endpoint() -> None:
    headless = service(clusterIP="None")
    assert outcomes(world(own=headless)) == {"srv/s-1:8080": "ok-mtls"}
    mixed = world(own=headless, servers=BOTH).client_tls("cli/c-1", HOST, 80)
    assert (mixed.cluster_type, mixed.tls) == ("ORIGINAL_DST", "plaintext")
    assert "srv/s-2:8080 has no sidecar" in mixed.reasons[0]
    not_ready = pod("s-3", "srv", "10.1.0.3", proxy="", ready=False)
    assert world(own=headless, servers=(SERVER, not_ready)).client_tls("cli/c-1", HOST, 80).tls == "plaintext"
    off = policy("DISABLE", selector={"matchLabels": {"app": "s"}})
    assert outcomes(world(off, own=headless)) == {"srv/s-1:8080": "fail-mtls-to-plaintext"}


def test_gateways_and_a_switch_of_istiod_give_headless_services_endpoints() -> None:
    headless = service(clusterIP="None")
    gateway = pod("gw-1", "cli", "10.2.0.9", proxy="router")
    assert world(gateway, own=headless).client_tls("cli/gw-1", HOST, 80).cluster_type == "EDS"
    on = Features(eds_for_headless=True)
    assert world(own=headless, features=on).client_tls("cli/c-1", HOST, 80).cluster_type == "EDS"


def test_passthrough_at_port_level_skips_the_check_of_instances() -> None:
    entry = {"port": {"number": 80}, "loadBalancer": {"simple": "PASSTHROUGH"}}
    found = world(rule(trafficPolicy={"portLevelSettings": [entry]}), servers=BOTH)
    assert found.client_tls("cli/c-1", HOST, 80).cluster_type == "ORIGINAL_DST"
    assert outcomes(found)["srv/s-2:8080"] == "fail-mtls-to-plaintext"
    top = world(rule(trafficPolicy={"loadBalancer": {"simple": "PASSTHROUGH"}}), servers=BOTH)
    assert outcomes(top) == {"srv/s-1:8080": "ok-plaintext", "srv/s-2:8080": "ok-plaintext"}


def test_auto_mtls_off_for_the_mesh() -> None:
    found = world(mesh={"enableAutoMtls": False}).client_tls("cli/c-1", HOST, 80)
    assert found.tls == "plaintext"


def test_http2_ports_and_upgrades_offer_h2() -> None:
    assert world(own=service(port_name="grpc")).client_tls("cli/c-1", HOST, 80).alpn[-1] == "h2"
    upgrade = rule(trafficPolicy={"connectionPool": {"http": {"h2UpgradePolicy": "UPGRADE"}}})
    assert world(upgrade).client_tls("cli/c-1", HOST, 80).alpn[-1] == "h2"


def test_a_host_outside_the_scope_says_why() -> None:
    sidecar = thing("Sidecar", "default", "cli", {"egress": [{"hosts": ["./*"]}]})
    assert world(sidecar).client_tls("cli/c-1", HOST, 80).reasons == (f"Sidecar cli/default does not import {HOST}",)
    private = service()
    private["metadata"]["annotations"] = {"networking.istio.io/exportTo": "."}
    assert world(own=private).client_tls("cli/c-1", HOST, 80).reasons == (
        "Service srv/s is not exported to namespace cli",
    )
    assert world().client_tls("cli/c-1", "nowhere", 80).reasons == ("no Service or ServiceEntry has the host nowhere",)
    assert world().client_tls("cli/c-1", HOST, 81).reasons == ("Service srv/s has no port 81 that cli sees",)


def test_external_entries_stay_plain_and_internal_ones_follow_their_machines() -> None:
    port = [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8080}]
    spec = {"hosts": ["vm.corp"], "ports": port, "resolution": "STATIC", "workloadSelector": {"labels": {"app": "vm"}}}
    entry = thing("ServiceEntry", "e", "srv", {**spec, "location": "MESH_INTERNAL"})
    labelled = thing(
        "WorkloadEntry", "vm-1", "srv", {"address": "10.3.0.1", "labels": {"app": "vm"}, "serviceAccount": "a"}
    )
    bare = thing("WorkloadEntry", "vm-2", "srv", {"address": "10.3.0.2", "labels": {"app": "vm"}})
    found = world(entry, labelled, bare).client_tls("cli/c-1", "vm.corp", 80)
    assert [(entry.endpoint.name, entry.tls) for entry in found.endpoints] == [
        ("srv/we:vm-1:8080", "mtls-istio"),
        ("srv/we:vm-2:8080", "plaintext"),
    ]
    outside = thing("ServiceEntry", "e", "srv", {"hosts": ["api.example.com"], "ports": port, "resolution": "DNS"})
    external = world(outside)
    assert external.client_tls("cli/c-1", "api.example.com", 80).tls == "plaintext"
    (pair,) = external.pairs("cli/c-1", "api.example.com", 80)
    assert (pair.outcome, pair.endpoint.endpoint.name) == ("external", "api.example.com:8080")


def test_a_client_without_a_sidecar_sends_plain_text_to_all() -> None:
    bare = pod("b-1", "cli", "10.2.0.7", proxy="")
    assert outcomes(world(bare, policy("STRICT")), "cli/b-1") == {"srv/s-1:8080": "fail-plaintext-to-strict"}


def test_a_port_that_the_clients_sidecar_never_sees_is_plain() -> None:
    past = pod("x-1", "cli", "10.2.0.8", annotations={"traffic.sidecar.istio.io/excludeOutboundPorts": "80"})
    mtls = world(past, policy("STRICT"))
    assert outcomes(mtls, "cli/x-1") == {"srv/s-1:8080": "fail-plaintext-to-strict"}
    assert outcomes(mtls) == {"srv/s-1:8080": "ok-mtls"}


def test_ambient_peers_speak_hbone_and_others_must_be_plain() -> None:
    marks = {"ambient.istio.io/redirection": "enabled"}
    server = pod("s-1", "srv", "10.1.0.1", proxy="", annotations=marks)
    client = pod("a-1", "cli", "10.2.0.5", proxy="", annotations=marks)
    strict = world(client, policy("STRICT"), servers=(server,))
    assert outcomes(strict, "cli/a-1") == {"srv/s-1:8080": "ok-mtls"}
    assert outcomes(strict) == {"srv/s-1:8080": "fail-plaintext-to-strict"}
    forced = world(client, rule(tls="ISTIO_MUTUAL"), servers=(server,))
    assert outcomes(forced) == {"srv/s-1:8080": "fail-mtls-to-plaintext"}
    told = pod("h-1", "cli", "10.2.0.6", env=[{"name": "ISTIO_META_ENABLE_HBONE", "value": "true"}])
    assert outcomes(world(told, policy("DISABLE"), servers=(server,)), "cli/h-1") == {"srv/s-1:8080": "ok-mtls"}
