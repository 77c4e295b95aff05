"""NetworkPolicies of networking.k8s.io/v1, as its API reference defines them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.network_policy import blocking, matches
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.snapshot import Fact, Missing, Origin, Snapshot, SourceInfo, Want
from meshdoctor.model.wants import Objects
from tests.kube_objects import istio, namespace, pod

SERVER = pod("ledger", "books", "10.0.0.1", {"app": "ledger", "tier": "data"}, ports=[("pages", 9191)])
CLIENT = pod("picker", "depot", "10.0.0.2", {"app": "picker"})
NEIGHBOUR = pod("clerk", "books", "10.0.0.3", {"app": "clerk"})


def policy(name: str = "shelf", where: str = "books", **spec: Any) -> Any:
    return istio(name, where, {"podSelector": {}, **spec})


def blocked(
    *policies: Any, client: Any = CLIENT, port: int = 9191, spaces_read: tuple[str, ...] = ("depot", "books")
) -> list[str]:
    """The names of the policies that keep *client* from the server's *port*."""
    spaces = [namespace(name, team=name) for name in spaces_read]
    facts: dict[Want[Any], Fact[Any] | Missing] = {
        Objects("NetworkPolicy"): Fact(msgspec.convert(policies, tuple[k8s.NetworkPolicy, ...]), Origin("x")),
        Objects("Namespace"): Fact(msgspec.convert(spaces, tuple[k8s.Namespace, ...]), Origin("x")),
    }
    mesh = MeshIndex(Snapshot(SourceInfo("recording", "x"), facts))
    server = msgspec.convert(SERVER, k8s.Pod)
    return [one.name for one in blocking(mesh, server, port, msgspec.convert(client, k8s.Pod) if client else None)]


def ingress(*rules: Any) -> dict[str, Any]:
    return {"policyTypes": ["Ingress"], "ingress": list(rules)}


@pytest.mark.parametrize(
    ("selector", "blocks"),
    [
        ({"matchLabels": {"team": "other"}}, False),  # nobody knows
        ({"matchExpressions": [{"key": "team", "operator": "Exists"}]}, False),
        ({"matchLabels": {"kubernetes.io/metadata.name": "depot"}}, False),
        ({"matchLabels": {"kubernetes.io/metadata.name": "books"}}, True),
        ({}, False),
        (None, False),
    ],
)
def test_a_namespace_that_was_not_read_accuses_no_policy(selector: Any, blocks: bool) -> None:
    asked = policy(**ingress({"from": [{"namespaceSelector": selector}]}))
    assert bool(blocked(asked, spaces_read=())) is blocks


def test_without_policies_everything_passes() -> None:
    assert blocked() == []


@pytest.mark.parametrize(
    ("spec", "blocks"),
    [
        # whom the policy is for
        ({"policyTypes": ["Ingress"]}, True),
        ({"policyTypes": ["Egress"]}, False),
        ({}, True),  # without policyTypes a policy is one of ingress
        ({"podSelector": {"matchLabels": {"app": "ledger"}}}, True),
        ({"podSelector": {"matchLabels": {"app": "folio"}}}, False),
        # ports
        (ingress({}), False),
        (ingress({"ports": [{"port": 9191}]}), False),
        (ingress({"ports": [{"port": 80}]}), True),
        (ingress({"ports": [{"port": 80}, {"port": 9191}]}), False),
        (ingress({"ports": [{"port": "pages"}]}), False),
        (ingress({"ports": [{"port": "metrics"}]}), True),
        (ingress({"ports": [{"port": 9000, "endPort": 9200}]}), False),
        (ingress({"ports": [{"port": 9000, "endPort": 9100}]}), True),
        (ingress({"ports": [{"protocol": "UDP", "port": 9191}]}), True),
        (ingress({"ports": [{"protocol": "TCP"}]}), False),
        # peers
        (ingress({"from": [{"podSelector": {"matchLabels": {"app": "picker"}}}]}), True),  # of its own namespace only
        (ingress({"from": [{"namespaceSelector": {}}]}), False),
        (ingress({"from": [{"namespaceSelector": {"matchLabels": {"team": "depot"}}}]}), False),
        (ingress({"from": [{"namespaceSelector": {"matchLabels": {"team": "audit"}}}]}), True),
        (
            ingress(
                {"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "picker"}}}]},
            ),
            False,
        ),
        (ingress({"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "other"}}}]}), True),
        (ingress({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}), False),
        (ingress({"from": [{"namespaceSelector": {}}], "ports": [{"port": 80}]}), True),  # both have to fit
        (ingress({"ports": [{"port": 80}]}, {"from": [{"namespaceSelector": {}}]}), False),  # one rule is enough
        ({"policyTypes": ["Ingress"], "ingress": None}, True),
        ({"policyTypes": ["Ingress", "Egress"], "egress": [{}]}, True),
    ],
)
def test_one_policy(spec: dict[str, Any], blocks: bool) -> None:
    assert blocked(policy(**spec)) == (["shelf"] if blocks else [])


def test_a_pod_selector_means_the_policys_own_namespace() -> None:
    spec = ingress({"from": [{"podSelector": {"matchLabels": {"app": "clerk"}}}]})
    assert blocked(policy(**spec), client=NEIGHBOUR) == []


def test_policies_only_add() -> None:
    closed = policy("closed", **ingress())
    opened = policy("opened", **ingress({"from": [{"namespaceSelector": {}}]}))
    assert blocked(closed, opened) == []
    assert blocked(closed, policy("other", **ingress({"ports": [{"port": 80}]}))) == ["closed", "other"]


def test_policies_of_another_namespace_do_not_count() -> None:
    assert blocked(policy(where="depot")) == []


def test_a_client_that_is_not_known_is_given_the_benefit() -> None:
    """Nobody is accused by a policy that may well admit the caller."""
    spec = ingress({"from": [{"namespaceSelector": {"matchLabels": {"team": "audit"}}}]})
    assert blocked(policy(**spec), client=None) == []
    assert blocked(policy(**ingress()), client=None) == ["shelf"]


def expression(operator: str, *values: str, key: str = "app") -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        (None, True),
        ({}, True),
        ({"matchLabels": {"app": "ledger"}}, True),
        ({"matchLabels": {"app": "ledger", "tier": "web"}}, False),
        (expression("In", "folio", "ledger"), True),
        (expression("In", "folio"), False),
        (expression("NotIn", "folio"), True),
        (expression("NotIn", "ledger"), False),
        (expression("NotIn", "x", key="absent"), True),
        (expression("Exists"), True),
        (expression("Exists", key="absent"), False),
        (expression("DoesNotExist", key="absent"), True),
        (expression("DoesNotExist"), False),
        (expression("Resembles", "ledger"), False),
        ({"matchLabels": {"app": "ledger"}, **expression("NotIn", "data", key="tier")}, False),
    ],
)
def test_label_selectors(selector: dict[str, Any] | None, fits: bool) -> None:
    assert matches(selector, {"app": "ledger", "tier": "data"}) is fits


RULES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "ports": st.lists(st.sampled_from([{"port": 80}, {"port": 9191}, {"port": "pages"}, {}]), max_size=2),
            "from": st.lists(
                st.sampled_from([{"podSelector": {}}, {"namespaceSelector": {}}, {"ipBlock": {"cidr": "0.0.0.0/0"}}]),
                max_size=2,
            ),
        },
    ),
    max_size=3,
)


@given(RULES, RULES)
def test_another_rule_never_takes_a_permission_away(rules: list[Any], more: list[Any]) -> None:
    if not blocked(policy(**ingress(*rules))):
        assert not blocked(policy(**ingress(*rules, *more)))
        assert not blocked(policy(**ingress(*rules)), policy("second", **ingress(*more)))


@pytest.mark.parametrize(
    ("block", "names"),
    [
        ({"cidr": "10.0.0.0/24"}, []),
        ({"cidr": "10.0.0.2/32"}, []),
        ({"cidr": "192.168.0.0/16"}, ["shelf"]),
        ({"cidr": "10.0.0.0/24", "except": ["10.0.0.2/32"]}, ["shelf"]),
        ({"cidr": "fd00::/8"}, ["shelf"]),
        ({"cidr": "what?"}, []),
        ({}, []),
    ],
)
def test_address_ranges(block: dict[str, Any], names: list[str]) -> None:
    assert blocked(policy(**ingress({"from": [{"ipBlock": block}]}))) == names
