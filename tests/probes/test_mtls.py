"""tls-handshake and no-filter-chain: which object makes two sides disagree about TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.envoy_dumps import certificates, cluster, config_dump, object_path, route, routes, tls_socket
from tests.kube_objects import deployment, istio, namespace, service
from tests.probes.depot import (
    APP,
    CALLER,
    HOST,
    LEDGER_IP,
    LEDGERS,
    OUTBOUND,
    OWNER,
    PICKER,
    PICKER_IP,
    PODS,
    RESET,
    SERVICE_IP,
    Depot,
    accuses,
    causes,
    is_open,
    ledgers,
    picker,
    spares,
)
from tests.recordings import access_line, call_line

RULE = object_path("destination-rule", "books", "locks")
STRICT = {"mtls": {"mode": "STRICT"}}


def handshake(depot: Depot, reason: str, detail: str = "") -> Depot:
    """Handshakes that failed at the caller; as Envoy 1.36 writes them."""
    text = f"TLS_error:|268435703:SSL_routines:OPENSSL_internal:{reason}{detail}:TLS_error_end"
    for at in range(100, 106):
        details = f"upstream_reset_before_response_started{{remote_connection_failure|{text}}}"
        depot.request(at, 503, "UF,URX", details, failure=text)
    return depot


def rule(mode: str = "SIMPLE", name: str = "locks") -> Any:
    return istio(name, "books", {"host": HOST, "trafficPolicy": {"tls": {"mode": mode}}})


def test_plain_tls_towards_a_sidecar(tmp_path: Path) -> None:
    depot = Depot(tmp_path).configured(transport_socket=tls_socket(certificate=""), metadata=RULE)
    finding = handshake(depot, "TLSV1_ALERT_UNKNOWN_CA").ask("tls-handshake")
    accuses(finding, "double-tls", "DestinationRule books/locks")
    spares(finding, "tls-origination-wrong", "mtls-to-plaintext-server", "ca-mismatch")


def test_tls_towards_a_pod_without_sidecar(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=ledgers(sidecar=False))
    depot.configured(transport_socket=tls_socket(certificate=""), metadata=RULE)
    finding = handshake(depot, "WRONG_VERSION_NUMBER").ask("tls-handshake")
    accuses(finding, "tls-origination-wrong", "DestinationRule books/locks")


@pytest.mark.parametrize("owned", [True, False], ids=["metadata", "object"])
def test_mutual_tls_towards_a_pod_without_sidecar(tmp_path: Path, owned: bool) -> None:
    metadata = RULE if owned else {}
    depot = Depot(tmp_path, servers=ledgers(sidecar=False))
    depot.configured(transport_socket=tls_socket(), metadata=metadata)
    depot.objects("DestinationRule", rule("ISTIO_MUTUAL"))
    depot.objects("DestinationRule", istio("pool", "books", {"host": HOST, "trafficPolicy": {"connectionPool": {}}}))
    verdict = accuses(handshake(depot, "WRONG_VERSION_NUMBER").ask("tls-handshake"), "mtls-to-plaintext-server")
    assert [str(one) for one in verdict.resources] == ["DestinationRule books/locks", OWNER]


def test_mutual_tls_towards_a_server_that_disables_it(tmp_path: Path) -> None:
    depot = Depot(tmp_path).configured(transport_socket=tls_socket(), metadata=RULE)
    depot.objects("PeerAuthentication", istio("open", "books", {"mtls": {"mode": "DISABLE"}}))
    finding = handshake(depot, "WRONG_VERSION_NUMBER").ask("tls-handshake")
    accuses(finding, "mtls-to-plaintext-server", "DestinationRule books/locks", "PeerAuthentication books/open")


def test_a_plain_text_answer_of_a_server_that_does_mutual_tls(tmp_path: Path) -> None:
    depot = Depot(tmp_path).configured(transport_socket=tls_socket(), metadata=RULE)
    depot.objects("PeerAuthentication", istio("locked", "books", STRICT))
    is_open(handshake(depot, "WRONG_VERSION_NUMBER").ask("tls-handshake"))


ROTTEN = ":verify_cert_failed:X509_verify_cert:certificate_verification_error_at_depth_0:"


def identities(depot: Depot, ours: str, theirs: str, **more: float) -> Depot:
    depot.proxy(PICKER, certs=certificates("spiffe://cluster.local/ns/depot/sa/picker", ours))
    for ref in LEDGERS:
        depot.proxy(ref, certs=certificates("spiffe://cluster.local/ns/books/sa/ledger", theirs, **more))
    return depot


def test_two_roots(tmp_path: Path) -> None:
    depot = identities(Depot(tmp_path).configured(transport_socket=tls_socket()), "a1", "b2")
    finding = handshake(depot, "CERTIFICATE_VERIFY_FAILED").ask("tls-handshake")
    accuses(finding, "ca-mismatch", CALLER, OWNER)


def test_one_root_is_no_mismatch(tmp_path: Path) -> None:
    depot = identities(Depot(tmp_path).configured(transport_socket=tls_socket()), "a1", "a1")
    is_open(handshake(depot, "CERTIFICATE_VERIFY_FAILED").ask("tls-handshake"))


@pytest.mark.parametrize(("ours", "accused"), [(["a1"], True), ([f"{n:x}" for n in range(100)], False)])
def test_the_public_roots_of_both_proxies_are_no_mesh_root(tmp_path: Path, ours: list[str], accused: bool) -> None:
    """Both proxies originate TLS to the outside; of roots that are too many to be a mesh's nothing is known."""
    public = {"ca_cert": [{"serial_number": f"9{n}"} for n in range(140)], "cert_chain": []}
    depot = identities(Depot(tmp_path).configured(transport_socket=tls_socket()), "a1", "b2")
    for ref, uri, roots in ((PICKER, "depot/sa/picker", ours), *((ref, "books/sa/ledger", ["b2"]) for ref in LEDGERS)):
        certs = certificates(f"spiffe://cluster.local/ns/{uri}", "")
        certs["certificates"][0]["ca_cert"] = [{"serial_number": root} for root in roots]
        depot.proxy(ref, certs={"certificates": [*certs["certificates"], public]})
    finding = handshake(depot, "CERTIFICATE_VERIFY_FAILED").ask("tls-handshake")
    if accused:
        accuses(finding, "ca-mismatch", CALLER, OWNER)
    else:
        is_open(finding)


def test_roots_that_were_not_read(tmp_path: Path) -> None:
    depot = Depot(tmp_path).configured(transport_socket=tls_socket())
    depot.proxy(PICKER, certs=certificates("spiffe://cluster.local/ns/depot/sa/picker", "a1"))
    handshake(depot, "CERTIFICATE_VERIFY_FAILED")
    is_open(depot.ask("tls-handshake"))
    assert causes(depot.diagnose()) == []


@pytest.mark.parametrize("why", ["certificate_has_expired", "certificate_is_not_yet_valid"])
def test_a_certificate_that_is_not_valid(tmp_path: Path, why: str) -> None:
    depot = identities(Depot(tmp_path).configured(transport_socket=tls_socket()), "a1", "a1", until=50)
    finding = handshake(depot, "CERTIFICATE_VERIFY_FAILED", ROTTEN + why).ask("tls-handshake")
    verdict = accuses(finding, "certificate-expired", OWNER)
    assert ("not yet valid" in verdict.summary) == ("not_yet" in why)
    spares(finding, "ca-mismatch", "control-plane-down")


def test_an_expired_certificate_because_istiod_is_down(tmp_path: Path) -> None:
    depot = identities(Depot(tmp_path).configured(transport_socket=tls_socket()), "a1", "a1", until=50)
    depot.objects("Deployment", deployment("istiod", "istio-config", {"app": "istiod"}, replicas=0))
    finding = handshake(depot, "CERTIFICATE_VERIFY_FAILED", ROTTEN + "certificate_has_expired").ask("tls-handshake")
    accuses(finding, "certificate-expired", OWNER)
    accuses(finding, "control-plane-down", "Deployment istio-config/istiod")


def test_another_identity(tmp_path: Path) -> None:
    wanted = "spiffe://cluster.local/ns/books/sa/librarian"
    depot = Depot(tmp_path).configured(transport_socket=tls_socket(san=[wanted]), metadata=RULE)
    detail = ":verify_cert_failed:SAN_matcher,_cert_SANs_are_[URI:spiffe://cluster.local/ns/books/sa/ledger]"
    finding = handshake(depot, "CERTIFICATE_VERIFY_FAILED", detail).ask("tls-handshake")
    verdict = accuses(finding, "san-mismatch", "DestinationRule books/locks", OWNER)
    assert wanted in verdict.summary and "sa/ledger" in verdict.summary
    spares(finding, "ca-mismatch")


def test_no_certificate(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    text = "TLS_error:_Secret_is_not_supplied_by_SDS"
    for at in range(100, 103):
        details = f"upstream_reset_before_response_started{{remote_connection_failure|{text}}}"
        depot.request(at, 503, "UF,URX", details, failure=text)
    accuses(depot.ask("tls-handshake"), "certificate-not-delivered", CALLER)


@pytest.mark.parametrize(("secrets", "cause"), [((), True), ((("default", "active"),), False)], ids=["none", "held"])
def test_a_server_without_a_certificate(tmp_path: Path, secrets: tuple[tuple[str, str], ...], cause: bool) -> None:
    """Its listener resets every handshake; the caller only sees the reset."""
    depot = Depot(tmp_path).configured(transport_socket=tls_socket())
    for ref in LEDGERS:
        depot.proxy(ref, config_dump=config_dump(secrets=secrets))
    finding = handshake(depot, "Connection_reset_by_peer").ask("tls-handshake")
    if cause:
        accuses(finding, "certificate-not-delivered", OWNER)
    else:
        spares(finding, "certificate-not-delivered")


def test_a_reset_by_a_server_whose_secrets_were_not_read(tmp_path: Path) -> None:
    depot = Depot(tmp_path).configured(transport_socket=tls_socket())
    spares(handshake(depot, "Connection_reset_by_peer").ask("tls-handshake"), "certificate-not-delivered")


OUTSIDE = "outbound|443||rates.example.org"


def test_tls_origination_to_an_outside_host(tmp_path: Path) -> None:
    owner = object_path("destination-rule", "depot", "rates")
    dump = config_dump([cluster(OUTSIDE, "STRICT_DNS", transport_socket=tls_socket(certificate=""), metadata=owner)])
    depot = Depot(tmp_path).proxy(PICKER, config_dump=dump)
    text = "TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end"
    for at in range(100, 104):
        details = f"upstream_reset_before_response_started{{remote_connection_failure|{text}}}"
        depot.request(at, 503, "UF", details, failure=text, cluster=OUTSIDE, to="203.0.113.9", local="203.0.113.9:443",
                      authority="rates.example.org")  # fmt: skip
    finding = depot.ask("tls-handshake")
    accuses(finding, "tls-origination-wrong", "DestinationRule depot/rates")
    spares(finding, "double-tls", "mtls-to-plaintext-server")


@pytest.mark.parametrize("missing", [PODS, "envoy/"])
@pytest.mark.parametrize("reason", ["WRONG_VERSION_NUMBER", "CERTIFICATE_VERIFY_FAILED", "TLSV1_ALERT_UNKNOWN_CA"])
def test_failed_handshakes_without_the_facts(tmp_path: Path, missing: str, reason: str) -> None:
    depot = identities(Depot(tmp_path).configured(transport_socket=tls_socket(), metadata=RULE), "a1", "b2")
    handshake(depot, reason).drop(missing)
    is_open(depot.ask("tls-handshake"))
    assert causes(depot.diagnose()) == []


# -- no-filter-chain


def turned_away(depot: Depot, *, sent: bool = True, **more: Any) -> Depot:
    """Plain text that the server's listener refused; *sent*: the caller's sidecar logged it as well."""
    for at in range(100, 106):
        depot.refused(at, **more)
        if sent:
            depot.request(at, 503, "UC", RESET, upstream_local=f"{PICKER_IP}:{41000 + at}")
    return depot


def strict(depot: Depot, **spec: Any) -> Depot:
    return depot.objects("PeerAuthentication", istio("locked", "books", {**STRICT, **spec}))


LOCKED = "PeerAuthentication books/locked"


def test_a_rule_that_turns_mutual_tls_off(tmp_path: Path) -> None:
    depot = strict(turned_away(Depot(tmp_path).configured(metadata=RULE)))
    accuses(depot.ask("no-filter-chain"), "mtls-plaintext-to-strict", "DestinationRule books/locks", LOCKED)
    assert causes(depot.diagnose()) == ["mtls-plaintext-to-strict"]


def test_a_rule_that_leaves_tls_alone_is_not_accused(tmp_path: Path) -> None:
    depot = strict(turned_away(Depot(tmp_path).configured(metadata=RULE, transport_socket=tls_socket())))
    is_open(depot.ask("no-filter-chain"))


def test_a_permissive_server_is_not_accused(tmp_path: Path) -> None:
    depot = turned_away(Depot(tmp_path).configured(metadata=RULE))
    depot.objects("PeerAuthentication", istio("soft", "books", {"mtls": {"mode": "PERMISSIVE"}}))
    is_open(depot.ask("no-filter-chain"))


def test_a_port_that_is_exempt_is_not_accused(tmp_path: Path) -> None:
    depot = turned_away(Depot(tmp_path).configured(metadata=RULE))
    strict(depot, selector={"matchLabels": APP}, portLevelMtls={"9191": {"mode": "PERMISSIVE"}})
    is_open(depot.ask("no-filter-chain"))


@pytest.mark.parametrize("missing", ["envoy/", r"kube/security"])
def test_refused_plain_text_without_the_facts(tmp_path: Path, missing: str) -> None:
    depot = strict(turned_away(Depot(tmp_path).configured(metadata=RULE))).drop(missing)
    is_open(depot.ask("no-filter-chain"))
    assert causes(depot.diagnose()) == []


def test_refused_plain_text_of_a_server_that_was_not_read(tmp_path: Path) -> None:
    depot = strict(turned_away(Depot(tmp_path).configured(metadata=RULE))).drop(PODS)
    spares(depot.ask("no-filter-chain"))
    assert causes(depot.diagnose()) == []


def outsider(root: Path, injected: bool, **more: Any) -> Depot:
    """A client without a sidecar; *injected*: its namespace asks for one."""
    depot = Depot(root, client=picker(sidecar=False, **more))
    depot.drop(r"kube/core/v1/namespaces")
    labels = {"istio_injection": "enabled"} if injected else {}
    depot.objects("Namespace", namespace("depot", **labels), namespace("books", istio_injection="enabled"))
    for at in range(100, 106):
        depot.call(at, 0, "Connection reset by peer")
    return strict(turned_away(depot, sent=False))


def test_a_client_out_of_the_mesh(tmp_path: Path) -> None:
    finding = outsider(tmp_path, injected=False).ask("no-filter-chain")
    accuses(finding, "out-of-mesh-client-to-strict", LOCKED, CALLER)
    spares(finding, "injection-missing")


def test_a_client_that_should_have_been_injected(tmp_path: Path) -> None:
    finding = outsider(tmp_path, injected=True).ask("no-filter-chain")
    accuses(finding, "injection-missing", CALLER, LOCKED)
    spares(finding, "out-of-mesh-client-to-strict")


def test_a_client_of_the_hosts_network_is_not_missing_its_injection(tmp_path: Path) -> None:
    """Its address is the node's: nothing tells which pod it was."""
    spares(outsider(tmp_path, injected=True, host_network=True).ask("no-filter-chain"), "injection-missing")


def test_a_client_whose_namespace_was_not_read(tmp_path: Path) -> None:
    """Whether it should have had a sidecar is then not known: neither of the two causes is proven."""
    depot = outsider(tmp_path, injected=True).drop(r"kube/core/v1/namespaces")
    is_open(depot.ask("no-filter-chain"))


def test_an_init_container_before_the_sidecar(tmp_path: Path) -> None:
    depot = Depot(tmp_path, client=picker(init=["fetch-pages"]))
    for at in range(100, 104):
        depot.log(PICKER, "fetch-pages", call_line(at, "http://ledger.books:8090/page", 0, "reset"))
    finding = strict(turned_away(depot, sent=False)).ask("no-filter-chain")
    accuses(finding, "init-container-needs-network", CALLER)


def test_plain_text_of_an_application_with_a_running_sidecar(tmp_path: Path) -> None:
    depot = strict(turned_away(Depot(tmp_path, client=picker(init=["fetch-pages"])), sent=False))
    spares(depot.ask("no-filter-chain"))


def around(root: Path, address: str, peer: bool = True) -> Depot:
    """Calls that the caller's sidecar passed through to *address*."""
    depot = turned_away(Depot(root).configured(), sent=False)
    for at in range(100, 106):
        there, ours = f"{address}:9191", f"{PICKER_IP}:{41000 + at}"
        passed: dict[str, Any] = {"cluster": "PassthroughCluster", "authority": there, "route": "allow_any"}
        depot.request(at, 503, "UC", RESET, local=there, upstream=there, upstream_local=ours, **passed)
    return strict(depot) if peer else depot


def test_a_call_to_a_pods_address(tmp_path: Path) -> None:
    finding = around(tmp_path, LEDGER_IP).ask("no-filter-chain")
    accuses(finding, "headless-or-pod-ip-call", CALLER, LOCKED)
    spares(finding, "mtls-plaintext-to-strict")


def test_a_call_to_a_pods_address_and_no_policy(tmp_path: Path) -> None:
    is_open(around(tmp_path, LEDGER_IP, peer=False).ask("no-filter-chain"))


def test_a_headless_service(tmp_path: Path) -> None:
    depot = Depot(tmp_path).drop(r"kube/core/v1/services")
    depot.objects("Service", service("ledger", "books", "None", [(8090, "http", 9191)], APP))
    dump = config_dump([cluster(OUTBOUND, "ORIGINAL_DST")], [routes("8090", [HOST], route(OUTBOUND))])
    depot.proxy(PICKER, config_dump=dump)
    finding = strict(turned_away(depot)).ask("no-filter-chain")
    accuses(finding, "headless-or-pod-ip-call", "Service books/ledger", LOCKED)


def test_tls_on_a_port_declared_http(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    for at in range(100, 106):
        depot.refused(at, sni="ledger.books")
        line = access_line(
            at, 0, "UF,URX", "-", method="-", path="-", protocol="-", cluster="PassthroughCluster",
            upstream=f"{SERVICE_IP}:8090", local=f"{SERVICE_IP}:8090", remote=f"{PICKER_IP}:51000",
            upstream_local=f"{PICKER_IP}:{41000 + at}", sni="ledger.books",
        )  # fmt: skip
        depot.log(PICKER, "istio-proxy", line)
    finding = depot.ask("no-filter-chain")
    accuses(finding, "wrong-protocol-on-http-port", "Service books/ledger")


def test_tls_at_a_server_whose_caller_was_not_recorded(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    for at in range(100, 106):
        depot.refused(at, sni="ledger.books")
    is_open(depot.ask("no-filter-chain"))


def test_an_address_of_nobody(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    for at in range(100, 106):
        depot.refused(at, client_ip="198.51.100.44")
    is_open(strict(depot).ask("no-filter-chain"))


def test_a_port_that_goes_past_the_servers_sidecar(tmp_path: Path) -> None:
    """The pod has a sidecar and no policy turns mutual TLS off, but its port is not redirected to the sidecar."""
    past = {"traffic.sidecar.istio.io/excludeInboundPorts": "15090, 9191"}
    depot = (
        Depot(tmp_path, servers=ledgers(annotations=past)).configured().objects("DestinationRule", rule("ISTIO_MUTUAL"))
    )
    verdict = accuses(handshake(depot, "WRONG_VERSION_NUMBER").ask("tls-handshake"), "mtls-to-plaintext-server")
    assert [str(one) for one in verdict.resources] == ["DestinationRule books/locks", OWNER]
    some = {"traffic.sidecar.istio.io/includeInboundPorts": "9191"}
    depot = Depot(tmp_path / "b", servers=ledgers(annotations=some)).configured()
    is_open(handshake(depot, "WRONG_VERSION_NUMBER").ask("tls-handshake"))


def test_plain_text_that_was_refused_by_a_policy_that_is_gone(tmp_path: Path) -> None:
    """The listener refused it, so nothing but mutual TLS was accepted; now everything goes well."""
    client = picker(sidecar=False)
    depot = Depot(tmp_path, client=client).objects("PeerAuthentication")
    depot.drop(r"kube/core/v1/namespaces\.json").objects("Namespace", namespace("depot"), namespace("books"))
    for at in range(100, 106):
        depot.refused(at).call(at, error="Connection reset by peer")
    is_open(depot.ask("no-filter-chain"))
    for at in range(110, 200):
        depot.call(at, 200, "")
    accuses(depot.ask("no-filter-chain"), "out-of-mesh-client-to-strict")
