"""Connections that ztunnel rejects: by an L4 policy, by one made for HTTP, by STRICT mTLS."""

from __future__ import annotations

from pathlib import Path

from tests import ambient_objects as world
from tests.ambient_objects import ZTUNNEL_LOG, calls, examined, mesh, step, sure, tunnel_line
from tests.kube_objects import istio, replica_set
from tests.moments import Json
from tests.recordings import Recording

NONE_ALLOWED = "connection closed due to policy rejection: allow policies exist, but none allowed"
STRICT = "connection closed due to policy rejection: explicitly denied by: istio-system/istio_converted_static_strict"
SELECTOR = {"selector": {"matchLabels": {"app": "stock"}}}
OTHERS = [{"from": [{"source": {"principals": ["cluster.local/ns/depot/sa/auditor"]}}]}]
BY_METHOD = [{"to": [{"operation": {"methods": ["GET"]}}]}]


def rejected(tmp_path: Path, *policies: Json, error: str = NONE_ALLOWED, **parts: list[Json]) -> Recording:
    """Good until second 100, rejected from 110 on."""
    found = mesh(tmp_path, AuthorizationPolicy=list(policies), **parts)
    for at in range(90, 100, 2):
        found.log(ZTUNNEL_LOG, "istio-proxy", tunnel_line(at))
        found.log(f"depot/{world.TILL}", "server", *calls((at, 200)))
    for at in range(110, 130, 2):
        found.log(ZTUNNEL_LOG, "istio-proxy", tunnel_line(at, "inbound", error))
        found.log(ZTUNNEL_LOG, "istio-proxy", tunnel_line(at + 0.001, "outbound", "http status: 401 Unauthorized"))
        found.log(f"depot/{world.TILL}", "server", *calls((at, 0)))
    return found


def test_an_allow_policy_without_the_caller(tmp_path: Path) -> None:
    policy = istio("callers", "depot", {**SELECTOR, "action": "ALLOW", "rules": OTHERS}, 105)
    found = examined(rejected(tmp_path, policy))
    assert sure(found) == [("authorization-denied", "AuthorizationPolicy depot/callers")]
    (verdict,) = found.verdicts
    assert "cluster.local/ns/depot/sa/till" in verdict.summary
    assert verdict.failures == 10
    assert verdict.affects == ({"from": "depot/till", "to": "stock.depot.svc.cluster.local:8000"},)
    assert found.exit_status == 1


def test_the_question_finds_the_same(tmp_path: Path) -> None:
    policy = istio("callers", "depot", {**SELECTOR, "rules": OTHERS}, 105)
    found = examined(rejected(tmp_path, policy), "depot/till", "stock.depot.svc.cluster.local:8000/parts")
    assert sure(found) == [("authorization-denied", "AuthorizationPolicy depot/callers")]


def test_http_rules_that_would_admit_the_caller(tmp_path: Path) -> None:
    policy = istio("readers", "depot", {**SELECTOR, "rules": BY_METHOD}, 105)
    found = examined(rejected(tmp_path, policy))
    assert sure(found) == [("l7-policy-at-ztunnel", "AuthorizationPolicy depot/readers")]
    assert "targetRefs" in found.verdicts[0].remedy.yaml


def test_http_rules_for_somebody_else_are_an_ordinary_denial(tmp_path: Path) -> None:
    policy = istio("readers", "depot", {**SELECTOR, "rules": [{**BY_METHOD[0], **OTHERS[0]}]}, 105)
    assert sure(examined(rejected(tmp_path, policy)))[0][0] == "authorization-denied"


def test_a_deny_policy_is_named_by_ztunnel(tmp_path: Path) -> None:
    says = "connection closed due to policy rejection: explicitly denied by: depot/no-tills"
    spec = {**SELECTOR, "action": "DENY", "rules": [{"from": [{"source": {"namespaces": ["depot"]}}]}]}
    found = examined(rejected(tmp_path, istio("no-tills", "depot", spec, 105), error=says))
    assert sure(found) == [("authorization-denied", "AuthorizationPolicy depot/no-tills")]
    http = {**SELECTOR, "action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/admin"]}}]}]}
    found = examined(rejected(tmp_path / "http", istio("no-tills", "depot", http, 105), error=says))
    assert sure(found) == [("l7-policy-at-ztunnel", "AuthorizationPolicy depot/no-tills")]


def test_a_policy_that_is_gone_or_younger_proves_nothing(tmp_path: Path) -> None:
    found = examined(rejected(tmp_path))
    assert sure(found) == []
    assert step(found, "policy-at-ztunnel")[0] == "inconclusive"
    young = istio("callers", "depot", {**SELECTOR, "rules": OTHERS}, 300)
    assert sure(examined(rejected(tmp_path / "young", young))) == []


def test_a_policy_on_a_waypoint_or_for_other_pods_is_not_blamed(tmp_path: Path) -> None:
    targeted = istio("waypoint", "depot", {"targetRefs": [{"kind": "Service", "name": "stock"}], "rules": OTHERS}, 105)
    other = istio("other", "depot", {"selector": {"matchLabels": {"app": "till"}}, "rules": OTHERS}, 105)
    mesh_wide = istio("wide", "istio-system", {"rules": OTHERS}, 105)
    assert sure(examined(rejected(tmp_path, targeted, other))) == []
    found = examined(rejected(tmp_path / "wide", targeted, other, mesh_wide))
    assert sure(found) == [("authorization-denied", "AuthorizationPolicy istio-system/wide")]


def test_policies_that_could_not_be_read_clear_nobody(tmp_path: Path) -> None:
    found = examined(rejected(tmp_path).drop("kube/security.istio.io/v1/authorizationpolicies"))
    assert sure(found) == []
    assert step(found, "policy-at-ztunnel") == (
        "inconclusive",
        "connections were rejected or lost, and the policies could not be read",
    )


def plain(tmp_path: Path, clients: list[Json], **parts: list[Json]) -> Recording:
    strict = [istio("default", "depot", {"mtls": {"mode": "STRICT"}})]
    found = mesh(tmp_path, Pod=[*clients, *world.servers(), world.ztunnel_pod()], PeerAuthentication=strict, **parts)
    for at in range(10, 30, 2):
        line = tunnel_line(at, "inbound", STRICT, source="", tunnel=False)
        found.log(ZTUNNEL_LOG, "istio-proxy", line).log(f"depot/{world.TILL}", "server", *calls((at, 0)))
    return found


def test_a_client_that_opted_out(tmp_path: Path) -> None:
    clients = world.clients(captured=False, labels={"istio.io/dataplane-mode": "none"})
    found = examined(plain(tmp_path, clients))
    assert sure(found) == [("out-of-mesh-client-to-strict", "Deployment depot/till")]
    assert any("PeerAuthentication depot/default" in one.says for one in found.verdicts[0].evidence)


def test_a_client_of_a_namespace_outside_the_mesh(tmp_path: Path) -> None:
    outside = world.ambient_pod(
        world.TILL, world.TILL_IP, "till", namespace="yard", captured=False, replica_set="till-7d9f8c6b5d"
    )
    found = plain(tmp_path, [outside]).objects("Namespace", world.labelled("yard", {})).drop("logs/depot")
    found.objects("ReplicaSet", replica_set("till-7d9f8c6b5d", "yard", "till"))
    found.log(f"yard/{world.TILL}", "server", *calls(*((at, 0) for at in range(10, 30, 2))))
    assert sure(examined(found)) == [("out-of-mesh-client-to-strict", "Deployment yard/till")]


def test_a_client_that_should_be_captured_and_is_not(tmp_path: Path) -> None:
    found = examined(plain(tmp_path, world.clients(captured=False)))
    assert sure(found) == [("not-captured-by-ztunnel", "Deployment depot/till")]


def test_a_captured_client_that_sends_plain_text_is_a_riddle(tmp_path: Path) -> None:
    found = examined(plain(tmp_path, world.clients()))
    assert sure(found) == []
    assert step(found, "plaintext-at-ztunnel")[0] == "inconclusive"


def test_a_client_that_is_no_pod(tmp_path: Path) -> None:
    found = plain(tmp_path, []).drop("logs/depot")
    assert sure(examined(found)) == [("out-of-mesh-client-to-strict", "PeerAuthentication depot/default")]


# -- without ztunnel's log: the caller's calls fail, and the objects say that they must


def silent(found: Recording) -> Recording:
    return found.drop("logs/istio-system")


def test_a_policy_without_ztunnels_log(tmp_path: Path) -> None:
    policy = istio("callers", "depot", {**SELECTOR, "rules": OTHERS}, 105)
    (verdict,) = examined(silent(rejected(tmp_path, policy))).verdicts
    assert (verdict.cause, verdict.confidence, verdict.failures) == ("authorization-denied", 0.85, 10)
    http = istio("readers", "depot", {**SELECTOR, "rules": BY_METHOD}, 105)
    found = examined(silent(rejected(tmp_path / "http", http)))
    assert sure(found) == [("l7-policy-at-ztunnel", "AuthorizationPolicy depot/readers")]
    deny = istio("no-tills", "depot", {"action": "DENY", "rules": [{"from": [{"source": {"namespaces": ["depot"]}}]}]})
    found = examined(silent(rejected(tmp_path / "deny", deny)))
    assert sure(found) == [("authorization-denied", "AuthorizationPolicy depot/no-tills")]


def test_a_policy_that_admits_the_caller_is_not_blamed(tmp_path: Path) -> None:
    account = "cluster.local/ns/depot/sa/default"
    rules = [{"from": [{"source": {"principals": [account]}}], "to": [{"operation": {"ports": ["9000"]}}]}]
    policy = istio("callers", "depot", {**SELECTOR, "rules": rules}, 105)
    assert sure(examined(silent(rejected(tmp_path, policy)))) == []


def test_calls_that_go_well_in_the_end_prove_nothing(tmp_path: Path) -> None:
    policy = istio("callers", "depot", {**SELECTOR, "rules": OTHERS}, 105)
    found = silent(rejected(tmp_path, policy)).log(f"depot/{world.TILL}", "server", *calls((140, 200)))
    assert sure(examined(found)) == []


def test_a_client_that_opted_out_without_ztunnels_log(tmp_path: Path) -> None:
    clients = world.clients(captured=False, labels={"istio.io/dataplane-mode": "none"})
    found = silent(plain(tmp_path, clients))
    assert sure(examined(found)) == [("out-of-mesh-client-to-strict", "Deployment depot/till")]
    permissive = [istio("default", "depot", {"mtls": {"mode": "PERMISSIVE"}})]
    found = silent(plain(tmp_path / "open", clients))
    path = "kube/security.istio.io/v1/peerauthentications.json"
    found.drop(path).objects("PeerAuthentication", *permissive)
    assert sure(examined(found)) == []


def test_namespaces_that_were_not_read_make_nobody_an_outsider(tmp_path: Path) -> None:
    found = plain(tmp_path, world.clients(captured=False)).drop("kube/core/v1/namespaces")
    diagnosis = examined(found)
    assert sure(diagnosis) == []
    assert step(diagnosis, "plaintext-at-ztunnel")[0] == "inconclusive"
