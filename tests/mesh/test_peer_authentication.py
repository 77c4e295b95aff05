from __future__ import annotations

import pytest

from tests.mesh.mtls_world import Json, pod, policy, service, thing, world

SELECTOR: Json = {"selector": {"matchLabels": {"app": "s"}}}


def mode(*found: Json, port: int = 8080) -> tuple[str, str]:
    got = world(*found).server_mode("srv/s-1", port)
    return got.mode, got.reason


def test_nothing_declared_is_permissive() -> None:
    assert mode() == ("PERMISSIVE", "no PeerAuthentication applies: PERMISSIVE is the default")


def test_the_narrowest_policy_wins() -> None:
    mesh = policy("STRICT", "mesh", "istio-system")
    namespace = policy("DISABLE", "ns")
    workload = policy("PERMISSIVE", "strict", **SELECTOR)
    assert mode(mesh)[0] == "STRICT"
    assert mode(mesh, namespace)[0] == "DISABLE"
    assert mode(mesh, namespace, workload) == (
        "PERMISSIVE",
        "PeerAuthentication srv/strict wins: the oldest with a matching selector",
    )


def test_unset_inherits_and_a_root_policy_that_sets_nothing_is_permissive() -> None:
    assert (
        mode(policy("STRICT", "mesh", "istio-system"), policy("UNSET", "ns"), policy("UNSET", "w", **SELECTOR))[0]
        == "STRICT"
    )
    assert mode(policy("UNSET", "mesh", "istio-system"))[0] == "PERMISSIVE"


def test_the_oldest_wins_and_the_name_breaks_a_tie() -> None:
    old, young = policy("STRICT", "zz", at=1, **SELECTOR), policy("DISABLE", "aa", at=2, **SELECTOR)
    assert mode(young, old)[0] == "STRICT"
    same = policy("DISABLE", "aa", at=1, **SELECTOR)
    assert mode(same, old)[0] == "DISABLE"
    got = world(young, old).server_mode("srv/s-1", 8080)
    assert [str(entry) for entry in got.ignored] == [
        "PeerAuthentication srv/aa has no effect: srv/zz selects the same pod and is older"
    ]


def test_of_two_policies_without_a_selector_the_younger_does_nothing_at_all() -> None:
    old, young = policy("UNSET", "old", at=1), policy("STRICT", "young", at=2)
    assert mode(young, old)[0] == "PERMISSIVE"


def test_a_selector_in_the_root_namespace_selects_nothing() -> None:
    assert mode(policy("STRICT", "root", "istio-system", **SELECTOR))[0] == "PERMISSIVE"


def test_port_modes_need_a_selector_and_count_container_ports() -> None:
    ports: Json = {"portLevelMtls": {"8080": {"mode": "STRICT"}, "9999": {}}}
    with_selector = policy("DISABLE", **SELECTOR, **ports)
    assert mode(with_selector) == ("STRICT", "portLevelMtls of PeerAuthentication srv/p sets port 8080")
    assert mode(with_selector, port=9999)[0] == "DISABLE"
    assert mode(with_selector, port=80)[0] == "DISABLE"
    assert mode(policy("DISABLE", **ports))[0] == "DISABLE"


@pytest.mark.parametrize(("proxy", "expected"), [("", "NONE"), ("router", "GATEWAY")])
def test_without_a_sidecar_no_policy_counts(proxy: str, expected: str) -> None:
    mtls = world(policy("STRICT"), pod("x-1", "srv", "10.1.0.9", proxy=proxy))
    assert mtls.server_mode("srv/x-1", 8080).mode == expected


def test_a_port_left_to_the_application_takes_what_it_gets() -> None:
    excluded = pod("x-1", "srv", "10.1.0.9", annotations={"traffic.sidecar.istio.io/excludeInboundPorts": "8080, 1"})
    mtls = world(policy("STRICT"), excluded)
    assert mtls.server_mode("srv/x-1", 8080).mode == "NONE"
    assert mtls.server_mode("srv/x-1", 9999).mode == "STRICT"


def test_the_oldest_service_decides_how_a_shared_port_is_read() -> None:
    tcp = service("t", port_name="tcp", at=1)
    tcp["spec"]["selector"] = {"app": "s"}
    assert world(tcp, own=service(at=2)).server_mode("srv/s-1", 8080).protocol == "tcp"
    assert world(tcp, own=service(at=0)).server_mode("srv/s-1", 8080).protocol == "http"


def test_a_named_target_port_needs_a_container_port_of_that_name() -> None:
    named = service(ports=[{"name": "http", "port": 80, "targetPort": "web"}])
    assert not world(own=named).server_mode("srv/s-1", 8080).own_chain


def test_ingress_tls_needs_istiods_switch_and_disable() -> None:
    from meshdoctor.mesh.objects import Features

    ingress = [{"port": {"number": 8080, "protocol": "HTTPS"}, "tls": {"mode": "SIMPLE"}}]
    sidecar = thing("Sidecar", "in", "srv", {"workloadSelector": {"labels": {"app": "s"}}, "ingress": ingress})
    on = Features(tls_on_sidecar_ingress=True)
    assert world(sidecar, policy("DISABLE")).server_mode("srv/s-1", 8080).mode == "DISABLE"
    assert world(sidecar, policy("DISABLE"), features=on).server_mode("srv/s-1", 8080).mode == "CUSTOM_SIMPLE"
    permissive = world(sidecar, features=on).server_mode("srv/s-1", 8080)
    assert (permissive.mode, permissive.protocol) == ("PERMISSIVE", "http")
