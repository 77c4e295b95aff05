from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from meshdoctor.mesh.destination_rules import DestinationRules
from meshdoctor.mesh.hosts import qualified, subset_of
from meshdoctor.mesh.services import Registry
from meshdoctor.model.istio import DestinationRule
from meshdoctor.model.istiod import MeshConfig
from tests.mesh.mtls_world import HOST, Json, objects, rule, service


def chosen(*rules: Json, client: str = "cli", labels: dict[str, str] | None = None, mesh: Json | None = None) -> str:
    """The rule that a client obeys, with the TLS mode that it sets."""
    world = objects(service(), *rules, mesh=mesh)
    (own,) = world.registry.by_host[HOST]
    found = world.destination_rules.choose(client, labels or {}, own)
    if found is None:
        return "-"
    tls = found.traffic_policy.tls if found.traffic_policy else None
    return f"{found.name} {tls.mode if tls else '-'}"


def test_the_clients_namespace_comes_first_then_the_services_then_the_root() -> None:
    client, own, root = rule(namespace="cli"), rule(namespace="srv"), rule(namespace="istio-system")
    assert chosen(client, own, root) == "cli/r -"
    assert chosen(own, root) == "srv/r -"
    assert chosen(root) == "istio-system/r -"
    assert chosen(rule(namespace="elsewhere")) == "-"


def test_a_client_in_the_root_namespace_asks_the_services_namespace_first() -> None:
    own, root = rule(namespace="srv"), rule(namespace="istio-system")
    assert chosen(own, root, client="istio-system") == "srv/r -"
    private = rule(namespace="istio-system", exportTo=["."])
    assert chosen(own, private, client="istio-system") == "istio-system/r -"


def test_a_hidden_exact_host_still_hides_a_visible_wildcard() -> None:
    hidden, wide = rule("hidden", exportTo=["other"]), rule("wide", host="*.srv.svc.cluster.local")
    assert chosen(hidden, wide) == "-"
    assert chosen(hidden, wide, client="other") == "srv/hidden -"


def test_export_to_by_default_comes_from_the_mesh() -> None:
    assert chosen(rule(), mesh={"defaultDestinationRuleExportTo": ["."]}) == "-"
    assert chosen(rule(), client="srv", mesh={"defaultDestinationRuleExportTo": ["."]}) == "srv/r -"


def test_short_names_belong_to_the_rules_namespace() -> None:
    assert chosen(rule(host="s")) == "srv/r -"
    assert chosen(rule(host="s", namespace="cli")) == "-"


def test_rules_for_the_same_namespaces_merge_oldest_first() -> None:
    old, young = rule("old", tls="DISABLE", at=1), rule("young", tls="ISTIO_MUTUAL", at=2, subsets=[{"name": "v1"}])
    assert chosen(young, old) == "srv/old DISABLE"
    world = objects(service(), young, old)
    (own,) = world.registry.by_host[HOST]
    found = world.destination_rules.choose("cli", {}, own)
    assert found is not None
    assert found.subset("v1") is not None
    assert [merged.name for merged in found.merged] == ["old", "young"]


def test_absent_and_star_are_different_sets_so_the_youngest_wins() -> None:
    old, young = rule("old", tls="DISABLE", at=1, exportTo=["*"]), rule("young", tls="ISTIO_MUTUAL", at=2)
    assert chosen(old, young) == "srv/young ISTIO_MUTUAL"


def test_a_younger_rule_for_more_namespaces_is_lost_in_the_older_one() -> None:
    old = rule("old", tls="DISABLE", at=1, exportTo=["cli"])
    young = rule("young", tls="ISTIO_MUTUAL", at=2, exportTo=["cli", "other"])
    assert chosen(old, young) == "srv/old DISABLE"
    assert chosen(old, young, client="other") == "-"
    assert chosen(young, client="other") == "srv/young ISTIO_MUTUAL"


def test_a_workload_selector_wins_in_its_own_namespace() -> None:
    selected = rule("sel", "cli", tls="DISABLE", at=2, workloadSelector={"matchLabels": {"app": "c"}})
    plain = rule("plain", "cli", tls="ISTIO_MUTUAL", at=1)
    assert chosen(selected, plain, labels={"app": "c"}) == "cli/sel DISABLE"
    assert chosen(selected, plain, labels={"app": "d"}) == "cli/plain ISTIO_MUTUAL"


def test_a_private_rule_beside_one_with_a_selector_is_swallowed() -> None:
    selected = rule("sel", "cli", tls="DISABLE", at=2, workloadSelector={"matchLabels": {"app": "c"}})
    private = rule("private", "cli", tls="ISTIO_MUTUAL", at=1, exportTo=["."])
    assert chosen(selected, private, labels={"app": "d"}) == "-"
    assert chosen(selected, private, labels={"app": "c"}) == "cli/sel DISABLE"


SPACES = ("cli", "srv", "istio-system", "other")
RULES = st.builds(
    rule,
    st.sampled_from(("a", "b", "c")),
    st.sampled_from(SPACES),
    st.sampled_from((None, "DISABLE", "ISTIO_MUTUAL")),
    st.sampled_from((HOST, "s", "*.srv.svc.cluster.local", "*.local", "t.srv.svc.cluster.local")),
    st.integers(0, 3),
    exportTo=st.lists(st.sampled_from((".", "*", *SPACES)), max_size=2),
)


@settings(max_examples=150)
@given(st.lists(RULES, max_size=6), st.sampled_from(SPACES))
def test_the_choice_fits_the_host_is_visible_and_does_not_hang_on_the_order(rules: list[Json], client: str) -> None:
    unique = list({(own["metadata"]["namespace"], own["metadata"]["name"]): own for own in rules}.values())
    world = objects(service(), *unique)
    (own,) = world.registry.by_host[HOST]
    found = world.destination_rules.choose(client, {}, own)
    reversed_rules = DestinationRules(reversed(world.of("DestinationRule", DestinationRule)), MeshConfig())
    again = reversed_rules.choose(client, {}, own)
    assert (found.name if found else None) == (again.name if again else None)
    if found is not None:
        assert subset_of(HOST, qualified(found.rule.spec.host, found.rule.namespace))
        assert found.rule.namespace in (client, "srv", "istio-system")
        if found.rule.namespace != client:
            assert not found.export_to or found.export_to & {"*", client}


def test_services_are_listed_own_first_then_exported_then_public() -> None:
    public, private = service("pub", "srv", at=1), service("own", "cli", at=5)
    private["metadata"]["annotations"] = {"networking.istio.io/exportTo": "."}
    shared = service("shared", "srv", at=3)
    shared["metadata"]["annotations"] = {"networking.istio.io/exportTo": "cli, other"}
    nobody = service("nobody", "srv")
    nobody["metadata"]["annotations"] = {"networking.istio.io/exportTo": "~"}
    registry: Registry = objects(public, private, shared, nobody).registry
    names = [own.origin.name for own in registry.visible_to("cli")]
    assert names == ["own", "shared", "pub"]
    assert [own.origin.name for own in registry.visible_to("third")] == ["pub"]
