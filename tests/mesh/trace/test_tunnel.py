from __future__ import annotations

from typing import Any

import pytest

from meshdoctor.mesh.trace.facts import Facts
from meshdoctor.mesh.trace.outcome import Trace
from meshdoctor.mesh.trace.tunnel import Tunnelled, through_ztunnel
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model import wants as ask
from meshdoctor.model.decode import convert
from meshdoctor.model.meta import Meta
from meshdoctor.model.snapshot import Fact, Missing, Origin, PodRef, Snapshot, Want
from meshdoctor.model.ztunnel import ZtunnelDump
from tests.mesh.trace.meshes import World, pod

WEB = "cluster.local/ns/shop/sa/web"
CART = convert(pod("cart", "10.0.0.2", sidecar=False), k8s.Pod)
TUNNEL = PodRef("istio-system", "ztunnel-1")


def node(ztunnel: bool) -> tuple[k8s.Pod, ...]:
    meta = Meta(name=TUNNEL.name, namespace=TUNNEL.namespace, labels={"app": "ztunnel"})
    return (CART, k8s.Pod(metadata=meta, status=k8s.PodStatus(phase="Running"))) if ztunnel else (CART,)


def decide(*policies: dict[str, Any], caller: str = WEB, port: int = 8080, ztunnel: bool = True, **more: Any) -> Trace:
    named = [f"{policy['namespace']}/{policy['name']}" for policy in policies]
    workload = {"name": "cart", "namespace": "shop", "uid": "u", "authorizationPolicies": named, **more}
    dump = convert({"workloads": [workload], "policies": list(policies)}, ZtunnelDump)
    origin = Origin("x")
    known: dict[Want[Any], Fact[Any] | Missing] = {
        ask.Objects("Pod"): Fact(node(ztunnel), origin),
        ask.Contents(): Fact(ask.Inventory(ztunnels=(TUNNEL,)), origin),
        ask.ZtunnelConfig(TUNNEL): Fact(dump, origin),
    }
    facts = Facts(Snapshot(World().empty.info, known))
    return through_ztunnel(facts, CART, Tunnelled(caller, "10.0.0.1", "10.0.0.2", port))


def policy(action: str, *matches: dict[str, Any], name: str = "p", **more: Any) -> dict[str, Any]:
    """A policy of one rule with one clause of these alternatives."""
    rules = [[list(matches)]] if matches else []
    return {"name": name, "namespace": "shop", "scope": "WorkloadSelector", "action": action, "rules": rules, **more}


def exact(name: str) -> dict[str, Any]:
    return {"principals": [{"Exact": name}]}


@pytest.mark.parametrize(
    ("policies", "passes"),
    [
        ((), True),
        ((policy("Allow", exact(WEB)),), True),
        ((policy("Allow", exact("other")),), False),
        ((policy("Allow"),), False),
        ((policy("Allow", exact("other")), policy("Allow", exact(WEB), name="q")), True),
        ((policy("Allow", exact("other"), exact(WEB)),), True),
        ((policy("Deny", exact(WEB)),), False),
        ((policy("Deny", exact("other")),), True),
        ((policy("Deny", exact(WEB)), policy("Allow", exact(WEB), name="q")), False),
        ((policy("Allow", exact("other"), dryRun=True),), True),
        ((policy("Allow", {"namespaces": [{"Exact": "shop"}], "destinationPorts": [8080]}),), True),
        ((policy("Allow", {"namespaces": [{"Exact": "shop"}], "destinationPorts": [80]}),), False),
        ((policy("Allow", {"principals": [{"Prefix": "cluster.local/"}]}),), True),
        ((policy("Allow", {"principals": [{"Suffix": "/sa/web"}]}),), True),
        ((policy("Allow", {"sourceIps": ["10.0.0.0/24"]}),), True),
        ((policy("Allow", {"notSourceIps": ["10.0.0.1"]}),), False),
        ((policy("Allow", {"notNamespaces": [{"Exact": "pay"}]}),), True),
    ],
)
def test_policies(policies: tuple[dict[str, Any], ...], passes: bool) -> None:
    found = decide(*policies)
    assert found.failing is not passes
    assert found.hops[-1].step == ("application" if passes else "ztunnel")


def test_which_policies_apply() -> None:
    other = policy("Allow", exact("other"))
    assert decide(other, authorizationPolicies=None).failing is False
    assert decide({**other, "scope": "Namespace"}, authorizationPolicies=[]).failing is True
    assert decide({**other, "scope": "Namespace", "namespace": "pay"}, authorizationPolicies=[]).failing is False
    assert decide({**other, "scope": "Global", "namespace": "istio-system"}, authorizationPolicies=[]).failing is True


def test_strict_refuses_plain_text() -> None:
    strict = policy("Deny", {"notPrincipals": [{"Presence": []}]}, name="istio_converted_static_strict")
    assert decide(strict).failing is False
    refused = decide(strict, caller="")
    assert refused.failing and "STRICT" in refused.outcome.why
    assert refused.hops[-1].sources == ()


def test_what_istiod_makes_of_a_peer_authentication_is_no_authorization_policy() -> None:
    ports: dict[str, Any] = {"notPrincipals": [{"Presence": []}]}
    strict = policy("Deny", ports, name="converted_peer_authentication_only-metrics")
    refused = decide(strict, caller="")
    assert refused.failing and "STRICT PeerAuthentication" in refused.outcome.why
    assert [str(source) for source in refused.hops[-1].sources] == ["PeerAuthentication shop/only-metrics"]


def test_who_no_policy_admits_is_refused_by_those_that_admit_others() -> None:
    strict = policy("Deny", {"notPrincipals": [{"Presence": []}]}, name="converted_peer_authentication_only-metrics")
    found = decide(strict, policy("Deny", exact("other"), name="not-other"), policy("Allow", exact("other")))
    assert [str(source) for source in found.hops[-1].sources] == ["AuthorizationPolicy shop/p"]


def test_the_source_is_the_policy() -> None:
    assert [str(source) for source in decide(policy("Deny", exact(WEB))).hops[-1].sources] == [
        "AuthorizationPolicy shop/p"
    ]


def test_no_ztunnel_no_port_and_a_waypoint() -> None:
    assert "no ztunnel runs" in decide(ztunnel=False).outcome.why
    assert "no container declares port 9" in decide(port=9).outcome.why
    found = decide(waypoint={"destination": "shop/waypoint"})
    assert (found.hops[0].step, found.hops[0].verdict) == ("waypoint", "may match")
