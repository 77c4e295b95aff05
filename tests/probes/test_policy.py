"""access-policy, refused-by-filter, tcp-policy: who refused the request, and by which object."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdoctor.model.labels import GATEWAY_NAME
from meshdoctor.model.snapshot import PodRef
from meshdoctor.probes.access_policy import policies
from tests.kube_objects import istio, pod, service
from tests.probes.depot import (
    APP,
    INBOUND,
    LEDGER,
    LEDGER_IP,
    PICKER_IP,
    SERVICE_IP,
    Depot,
    accuses,
    causes,
    is_open,
    spares,
)
from tests.recordings import access_line

DENIED = "rbac_access_denied_matched_policy"
POLICIES = r"kube/security\.istio\.io/"


def refused(depot: Depot, code: int, flags: str, details: str, times: int = 4, **server: object) -> Depot:
    """Requests that the server's sidecar refused; the caller's only passes the answer on."""
    for at in range(times):
        depot.request(10.0 + at, code, server={"flags": flags, "details": details, **server})
    return depot


def policy(name: str, action: str, labels: dict[str, str] | None = None, **spec: object) -> dict[str, object]:
    selector = {"selector": {"matchLabels": labels}} if labels else {}
    return istio(name, "books", {"action": action, **selector, **spec})


def test_a_deny_rule_that_envoy_names(tmp_path: Path) -> None:
    depot = refused(Depot(tmp_path), 403, "-", f"{DENIED}[ns[books]-policy[closed-hours]-rule[2]]")
    depot.objects("AuthorizationPolicy", policy("closed-hours", "DENY", rules=[{}, {}, {}]))
    verdict = accuses(depot.ask("access-policy"), "authorization-denied", "AuthorizationPolicy books/closed-hours")
    assert verdict.resources[0].field == "spec.rules[2]"
    assert causes(depot.diagnose()) == ["authorization-denied"]


def test_no_allow_rule_matches(tmp_path: Path) -> None:
    depot = refused(Depot(tmp_path), 403, "-", f"{DENIED}[none]")
    depot.objects(
        "AuthorizationPolicy",
        policy("readers", "ALLOW", APP, rules=[{}]),
        policy("for-others", "ALLOW", {"app": "archive"}, rules=[{}]),
        policy("no-writes", "DENY", APP, rules=[{}]),
    )
    verdict = accuses(depot.ask("access-policy"), "authorization-denied", "AuthorizationPolicy books/readers")
    assert [str(one) for one in verdict.resources] == ["AuthorizationPolicy books/readers"], "only what can have denied"


def test_a_policy_is_not_accused_of_the_applications_own_403(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.objects("AuthorizationPolicy", policy("readers", "ALLOW", APP, rules=[{}]))
    for at in range(4):
        depot.request(10 + at, 403, server={})
        depot.request(10 + at, 503, server={})
    spares(depot.ask("access-policy"))
    assert "authorization-denied" not in causes(depot.diagnose())


def test_policies_that_were_not_read(tmp_path: Path) -> None:
    depot = refused(Depot(tmp_path), 403, "-", f"{DENIED}[none]").drop(POLICIES)
    """The details say what it was; only whose it is stays open."""
    verdict = accuses(depot.ask("access-policy"), "authorization-denied", "Deployment books/ledger")
    assert verdict.confidence < 0.8 and "AuthorizationPolicy objects were not read" in verdict.summary
    assert causes(depot.diagnose()) == ["authorization-denied"]


def test_policies_of_which_none_is_left(tmp_path: Path) -> None:
    depot = refused(Depot(tmp_path), 403, "-", f"{DENIED}[none]").objects("AuthorizationPolicy")
    is_open(depot.ask("access-policy"))
    depot.good(*range(400, 460))
    accuses(depot.ask("access-policy"), "authorization-denied")
    assert [verdict.state for verdict in depot.diagnose().verdicts] == ["over"]


def test_a_policy_of_a_gateways_proxy(tmp_path: Path) -> None:
    """A policy that targets the Gateway (or, behind a waypoint, the Service) selects no pod by labels."""
    waypoint = pod("way-5d7c9f8b6-k4j2h", "books", "10.40.3.3", {GATEWAY_NAME: "way"}, gateway=True)
    mesh = (
        Depot(tmp_path)
        .objects("Pod", waypoint)
        .objects(
            "AuthorizationPolicy",
            istio("gate", "books", {"targetRefs": [{"kind": "Gateway", "name": "way"}], "rules": []}),
            istio("served", "books", {"targetRefs": [{"kind": "Service", "name": "ledger"}], "rules": []}),
            istio("other", "books", {"targetRefs": [{"kind": "Service", "name": "archive"}], "rules": []}),
            istio("there", "depot", {"targetRefs": [{"kind": "Gateway", "name": "way"}], "rules": []}),
        )
        .examination()
        .mesh
    )
    ref = PodRef("books", "way-5d7c9f8b6-k4j2h")
    assert [one.name for one in policies(mesh, ref, "ALLOW", ("books", "ledger"))] == ["gate", "served"]
    assert not policies(mesh, PodRef(*LEDGER.split("/")), "ALLOW", ("books", "ledger"))


def test_a_token_that_is_rejected(tmp_path: Path) -> None:
    depot = refused(Depot(tmp_path), 401, "-", "jwt_authn_access_denied{Jwt_is_expired}")
    depot.objects("RequestAuthentication", istio("staff", "books", {"selector": {"matchLabels": APP}, "jwtRules": []}))
    depot.objects("RequestAuthentication", istio("guests", "depot", {"jwtRules": []}))
    verdict = accuses(depot.ask("access-policy"), "jwt-rejected", "RequestAuthentication books/staff")
    assert len(verdict.resources) == 1
    assert "Jwt is expired" in verdict.summary


def test_a_rejected_token_without_its_object(tmp_path: Path) -> None:
    depot = refused(Depot(tmp_path), 401, "-", "jwt_authn_access_denied{Jwt_is_expired}")
    assert accuses(depot.ask("access-policy"), "jwt-rejected").confidence < 0.8
    is_open(depot.objects("RequestAuthentication").ask("access-policy"))


def test_the_applications_own_401_is_not_a_rejected_token(tmp_path: Path) -> None:
    depot = Depot(tmp_path).request(1, 401, server={}).request(2, 503, server={})
    depot.objects("RequestAuthentication", istio("staff", "books", {"jwtRules": []}))
    spares(depot.ask("access-policy"))


@pytest.mark.parametrize(
    ("details", "says"), [("ext_authz_denied", "denied the request"), ("ext_authz_error", "could not be asked")]
)
def test_an_external_authorization_service(tmp_path: Path, details: str, says: str) -> None:
    depot = refused(Depot(tmp_path), 403, "UAEX", details)
    depot.objects("AuthorizationPolicy", policy("ask-gatekeeper", "CUSTOM", APP, provider={"name": "gatekeeper"}))
    verdict = accuses(depot.ask("access-policy"), "ext-authz-failed", "AuthorizationPolicy books/ask-gatekeeper")
    assert says in verdict.summary and "gatekeeper" in verdict.summary


def test_an_external_authorization_service_without_its_policy(tmp_path: Path) -> None:
    depot = refused(Depot(tmp_path), 403, "UAEX", "ext_authz_denied")
    depot.objects("AuthorizationPolicy", policy("readers", "ALLOW", APP, rules=[{}]))
    is_open(depot.ask("access-policy"))


# -- filters


def test_a_rate_limit(tmp_path: Path) -> None:
    depot = refused(Depot(tmp_path), 429, "RL", "local_rate_limited").good(20, 21)
    patch = {"configPatches": [{"patch": {"value": {"name": "envoy.filters.http.local_ratelimit"}}}]}
    depot.objects("EnvoyFilter", istio("slow-down", "books", {"workloadSelector": {"labels": APP}, **patch}))
    depot.objects("EnvoyFilter", istio("of-others", "books", {"workloadSelector": {"labels": {"app": "x"}}, **patch}))
    depot.objects("EnvoyFilter", istio("lua", "books", {"configPatches": []}))
    verdict = accuses(depot.ask("refused-by-filter"), "rate-limited", "EnvoyFilter books/slow-down")
    assert len(verdict.resources) == 1


def test_the_applications_own_429_is_no_rate_limit_of_the_mesh(tmp_path: Path) -> None:
    depot = Depot(tmp_path).request(1, 429, server={}).request(2, 503, server={})
    spares(depot.ask("refused-by-filter"))


@pytest.mark.parametrize(
    ("code", "flags", "details", "cause", "resource"),
    [
        (426, "DPE", "low_version", "http10-client", "Deployment depot/picker"),
        (431, "DPE", "http1.headers_too_large", "headers-too-large", "Deployment depot/picker"),
        (503, "-", "overload", "proxy-overloaded", "Deployment books/ledger"),
    ],
)
def test_refusals(tmp_path: Path, code: int, flags: str, details: str, cause: str, resource: str) -> None:
    depot = refused(Depot(tmp_path), code, flags, details)
    accuses(depot.ask("refused-by-filter"), cause, resource)
    assert causes(depot.diagnose())[0] == cause


def test_a_filter_that_did_not_load(tmp_path: Path) -> None:
    depot = refused(Depot(tmp_path), 500, "NFCF", "filter_chain_not_found")
    depot.objects("WasmPlugin", istio("stamps", "books", {"selector": {"matchLabels": APP}}))
    accuses(depot.ask("refused-by-filter"), "wasm-missing", "WasmPlugin books/stamps")


# -- policies on TCP


def tcp(depot: Depot, port_name: str) -> Depot:
    """The same Service with a port that is declared TCP, and connections that RBAC ended."""
    depot.drop(r"kube/core/v1/services\.json")
    depot.objects("Service", service("ledger", "books", SERVICE_IP, [(8090, port_name, 9191)], APP))
    for at in range(3):
        line = access_line(
            10 + at, 0, details="-", method="-", path="-", protocol="-", termination=f"{DENIED}[none]", cluster=INBOUND,
            local=f"{LEDGER_IP}:9191", remote=f"{PICKER_IP}:{41000 + at}", sni=f"outbound_.8090_._.{HOST}",
        )  # fmt: skip
        depot.log(LEDGER, "istio-proxy", line)
        depot.call(10 + at, 0, "Remote end closed connection without response")
    return depot


HOST = "ledger.books.svc.cluster.local"
HTTP_RULES = [{"to": [{"operation": {"methods": ["GET"]}}]}]


def test_http_on_a_tcp_port(tmp_path: Path) -> None:
    depot = tcp(Depot(tmp_path), "tcp-pages")
    depot.objects("AuthorizationPolicy", policy("readers", "ALLOW", APP, rules=HTTP_RULES))
    accuses(depot.ask("tcp-policy"), "http-on-tcp-port", "Service books/ledger", "AuthorizationPolicy books/readers")
    assert causes(depot.diagnose())[0] == "http-on-tcp-port"


def test_a_tcp_policy_that_means_it(tmp_path: Path) -> None:
    """Rules on principals work on TCP: then the policy itself denies, and the port's name is not to blame."""
    depot = tcp(Depot(tmp_path), "tcp-pages")
    rules = [{"from": [{"source": {"principals": ["cluster.local/ns/depot/sa/other"]}}]}]
    depot.objects("AuthorizationPolicy", policy("staff", "ALLOW", APP, rules=rules))
    finding = depot.ask("tcp-policy")
    accuses(finding, "authorization-denied", "AuthorizationPolicy books/staff")
    spares(finding, "http-on-tcp-port")


def test_a_tcp_connection_ended_and_the_policies_not_read(tmp_path: Path) -> None:
    depot = tcp(Depot(tmp_path), "tcp-pages").drop(POLICIES)
    is_open(depot.ask("tcp-policy"))
