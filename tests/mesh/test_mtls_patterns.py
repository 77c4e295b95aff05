"""Each of M1 to M13 in the smallest mesh that shows it."""

from __future__ import annotations

from typing import Any

import pytest

from meshdoctor.mesh.mtls import DeclaredMtls
from meshdoctor.mesh.mtls.patterns import Disagreement, Pattern, disagreement
from meshdoctor.mesh.mtls.silent import silent
from tests.mesh.mtls_world import BARE_SERVER, HOST, SERVER, Json, pod, policy, rule, service, thing, world

SELECTOR: Json = {"selector": {"matchLabels": {"app": "s"}}}
STRICT = policy("STRICT", "strict", **SELECTOR)
PORT: Json = {"port": {"number": 80}, "loadBalancer": {"simple": "RANDOM"}}
HIDDEN_TLS = rule(trafficPolicy={"tls": {"mode": "DISABLE"}, "portLevelSettings": [PORT]})


def named(mtls: DeclaredMtls, client: str = "cli/c-1") -> list[Disagreement]:
    pairs = mtls.pairs(client, HOST, 80)
    return [found for pair in pairs if (found := disagreement(pair, client)) is not None]


@pytest.mark.parametrize(
    ("mtls", "pattern", "objects"),
    [
        (world(STRICT, rule(tls="DISABLE")), Pattern.M1, ("DestinationRule srv/r", "PeerAuthentication srv/strict")),
        (world(STRICT, rule(tls="SIMPLE")), Pattern.M1, ("DestinationRule srv/r", "PeerAuthentication srv/strict")),
        (world(rule(tls="ISTIO_MUTUAL"), servers=(BARE_SERVER,)), Pattern.M2, ("DestinationRule srv/r",)),
        (
            world(rule(tls="ISTIO_MUTUAL"), policy("DISABLE", "off")),
            Pattern.M2,
            ("DestinationRule srv/r", "PeerAuthentication srv/off"),
        ),
        (
            world(STRICT, policy("DISABLE", "ns")),
            Pattern.M3,
            ("PeerAuthentication srv/ns", "PeerAuthentication srv/strict"),
        ),
        (world(STRICT, HIDDEN_TLS), Pattern.M4, ("DestinationRule srv/r", "PeerAuthentication srv/strict")),
        (
            world(STRICT, own=service(clusterIP="None"), servers=(SERVER, BARE_SERVER)),
            Pattern.M5,
            ("Service srv/s", "Pod srv/s-2", "PeerAuthentication srv/strict"),
        ),
        (world(STRICT, mesh={"enableAutoMtls": False}), Pattern.M6, ("PeerAuthentication srv/strict",)),
        (
            world(STRICT, servers=(pod("s-1", "srv", "10.1.0.1", marked=False),)),
            Pattern.M12,
            ("Pod srv/s-1", "PeerAuthentication srv/strict"),
        ),
    ],
    ids=["M1-disable", "M1-simple", "M2-bare", "M2-disable", "M3", "M4", "M5", "M6", "M12"],
)
def test_a_pair_that_fails_has_a_name_and_its_objects(
    mtls: DeclaredMtls, pattern: Pattern, objects: tuple[str, ...]
) -> None:
    (found,) = named(mtls)
    assert found.pattern is pattern
    assert found.objects == objects
    assert found.remedy


def test_m7_a_client_outside_the_mesh() -> None:
    bare = pod("b-1", "cli", "10.2.0.7", proxy="")
    (found,) = named(world(STRICT, bare), "cli/b-1")
    assert (found.pattern, found.objects) == (Pattern.M7, ("PeerAuthentication srv/strict",))
    assert "srv/s-1:8080 is STRICT (PeerAuthentication srv/strict wins" in found.says


def test_pairs_that_agree_have_no_name() -> None:
    assert named(world(STRICT)) == []
    assert named(world(policy("DISABLE", **SELECTOR))) == []


def quiet(*found: Json, **options: Any) -> list[tuple[str, str]]:
    return [(entry.pattern.name, entry.says) for entry in silent(world(*found, **options))]


def test_nothing_is_said_of_a_mesh_in_order() -> None:
    assert quiet(STRICT, rule(tls="ISTIO_MUTUAL"), rule("wide", "istio-system", host="*.other.local")) == []


@pytest.mark.parametrize(
    ("policies", "why"),
    [
        ([policy("STRICT", "p", "istio-system", **SELECTOR)], "a selector in the root namespace selects nothing"),
        (
            [policy("PERMISSIVE", portLevelMtls={"8080": {"mode": "STRICT"}})],
            "on srv/s-1: its portLevelMtls needs a selector",
        ),
        ([policy("STRICT", "a", at=1), policy("DISABLE", "p", at=2)], "srv/a without a selector is older"),
        (
            [policy("STRICT", "a", at=1, **SELECTOR), policy("DISABLE", "p", at=2, **SELECTOR)],
            "srv/a selects the same pod",
        ),
    ],
)
def test_m8_policies_without_effect(policies: list[Json], why: str) -> None:
    ((name, says),) = quiet(*policies)
    assert name == "M8"
    assert "/p has no effect" in says
    assert why in says


def test_m9_a_service_port_where_the_container_port_is_meant() -> None:
    mistaken = policy("PERMISSIVE", **SELECTOR, portLevelMtls={"80": {"mode": "STRICT"}})
    ((name, says),) = quiet(mistaken)
    assert name == "M9"
    assert says == "PeerAuthentication srv/p names port 80, the port of Service srv/s; the container port is 8080"
    assert quiet(policy("PERMISSIVE", **SELECTOR, portLevelMtls={"8080": {"mode": "STRICT"}})) == []


def test_m10_a_rule_that_no_client_obeys() -> None:
    astray = rule("astray", "third", tls="DISABLE")
    assert quiet(astray) == [
        (
            "M10",
            f"DestinationRule third/astray for {HOST} is in force for no client: "
            "it is neither in a client's namespace, nor in the service's, nor in the root namespace",
        )
    ]
    hidden = rule("hidden", exportTo=["elsewhere"])
    assert [name for name, _ in quiet(hidden, servers=(BARE_SERVER,))] == ["M10"]
    assert quiet(rule("near", "cli", tls="DISABLE")) == []


def test_m13_disable_on_an_ambient_workload() -> None:
    ambient = pod("s-1", "srv", "10.1.0.1", proxy="", annotations={"ambient.istio.io/redirection": "enabled"})
    ((name, says),) = quiet(policy("DISABLE", "off"), servers=(ambient,))
    assert (name, says) == ("M13", "PeerAuthentication srv/off says DISABLE, but srv/s-1 is ambient: HBONE stays on")


def test_an_external_entry_that_leads_to_pods_of_the_mesh_names_the_entry() -> None:
    spec = {
        "hosts": ["s.corp"],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8080}],
        "resolution": "STATIC",
        "workloadSelector": {"labels": {"app": "s"}},
    }
    mtls = world(STRICT, thing("ServiceEntry", "e", "srv", spec))
    (pair,) = mtls.pairs("cli/c-1", "s.corp", 80)
    found = disagreement(pair, "cli/c")
    assert found is not None
    assert found.objects[0] == "ServiceEntry srv/e"
    assert "MESH_INTERNAL" in found.remedy
