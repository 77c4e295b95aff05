"""What every mesh has and nobody is to be accused of: impatient people, scanners, one lost packet, an old rollout."""

from __future__ import annotations

import json
from pathlib import Path

from tests.envoy_dumps import config_dump, server_info
from tests.kube_objects import container_status, event, istio, pod
from tests.probes.depot import (
    APP,
    CALLER,
    LEDGER,
    LEDGER_IP,
    LEDGERS,
    OWNER,
    Depot,
    accuses,
    causes,
    is_open,
    ledgers,
    spares,
)
from tests.recordings import access_line

UNANSWERED = "upstream_reset_before_response_started{connection_timeout}"
REFUSED = "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
GATE, GATE_IP = "edge/front-door-5c7d8f9b6c-t6v8x", "10.40.7.7"


def hung_up(depot: Depot, *times: float, ms: float = 700) -> Depot:
    for at in times:
        depot.request(at, 0, "DC", "downstream_remote_disconnect", duration=ms, server={})
    return depot


def test_a_few_hang_ups_among_many_answers_are_no_culprit(tmp_path: Path) -> None:
    depot = hung_up(Depot(tmp_path).good(*range(100, 160)), 103.5, 120.5, 140.5)
    assert causes(depot.diagnose()) == []
    assert depot.diagnose().exit_status == 3


def test_hang_ups_that_are_a_good_part_of_all_calls(tmp_path: Path) -> None:
    depot = hung_up(Depot(tmp_path).good(*range(100, 110)), 103.5, 105.5, 107.5)
    accuses(depot.ask("client-left"), "client-gave-up", CALLER)


def test_many_hang_ups_after_one_time_among_very_many_answers(tmp_path: Path) -> None:
    depot = hung_up(Depot(tmp_path).good(*range(100, 400)), *(at + 0.5 for at in range(100, 400, 25)))
    accuses(depot.ask("client-left"), "client-gave-up", CALLER)


def test_connections_that_got_no_answer_where_others_did(tmp_path: Path) -> None:
    """Two lost handshakes are no firewall when the same pod answers on the same address meanwhile."""
    depot = Depot(tmp_path).configured(connect_timeout="10s").good(*range(100, 150))
    for at in (105.5, 125.5):
        depot.request(at, 503, "UF,URX", UNANSWERED, duration=10000)
    is_open(depot.ask("upstream-connect"))
    assert causes(depot.diagnose()) == []


def test_connections_that_got_no_answer_any_more(tmp_path: Path) -> None:
    depot = Depot(tmp_path).configured(connect_timeout="10s").good(*range(100, 110))
    for at in (115, 126, 137):
        depot.request(at, 503, "UF,URX", UNANSWERED, duration=10000)
    accuses(depot.ask("upstream-connect"), "packets-dropped", OWNER)


def test_a_pod_that_was_stopped_only_later_was_no_stale_endpoint(tmp_path: Path) -> None:
    old = "ledger-5b9d8c6f7d-k2j8h"
    probe_failed = 'Readiness probe failed: Get "http://10.40.2.99:9191/": context deadline exceeded'
    depot = Depot(tmp_path).configured().good(*range(100, 110), to="10.40.2.99")
    depot.objects(
        "Event",
        event("Pod", "books", old, "Unhealthy", probe_failed, 90),
        event("Pod", "books", old, "Killing", "Stopping container server", 300),
    )
    for at in (120, 121):
        depot.request(at, 503, "UF,URX", REFUSED, to="10.40.2.99")
    spares(depot.ask("upstream-connect"))
    for at in (305, 306):
        depot.request(at, 503, "UF,URX", REFUSED, to="10.40.2.99")
    accuses(depot.ask("upstream-connect"), "stale-endpoint-after-delete", OWNER)


def test_an_address_that_answers_later_was_not_gone(tmp_path: Path) -> None:
    depot = Depot(tmp_path).configured()
    for at in (120, 121):
        depot.request(at, 503, "UF,URX", REFUSED, to="10.40.2.99")
    accuses(depot.ask("upstream-connect"), "stale-endpoint-after-delete", OWNER)
    depot.good(130, 131, to="10.40.2.99")
    spares(depot.ask("upstream-connect"))


def test_no_healthy_host_while_pods_were_ready_is_no_rollout_without_pods(tmp_path: Path) -> None:
    """A rollout was near, and at every moment of it some pod was ready."""
    old = "ledger-5b9d8c6f7d-k2j8h"
    depot = Depot(tmp_path, servers=ledgers(created=90, ready_at=95)).good(50, 60, 98)
    depot.objects("Event", event("Pod", "books", old, "Killing", "Stopping container server", 99))
    for at in (105, 106):
        depot.request(at, 503, "UH", "no_healthy_upstream", upstream="-")
    depot.good(*range(107, 150))
    spares(depot.ask("no-healthy-upstream"))


def test_resets_near_the_end_of_a_container_are_no_keep_alive_race(tmp_path: Path) -> None:
    """The clocks of two nodes may differ: a crash a minute away may have been the reset."""
    calm = Depot(tmp_path / "calm")
    crashed = [container_status("server", last_end=(160, 1, "Error")), container_status("istio-proxy")]
    shaky = Depot(tmp_path / "shaky", servers=ledgers(statuses=crashed))
    for depot in (calm, shaky):
        for at in range(100, 120, 4):
            same = {"upstream_local": "127.0.0.6:38001"}
            depot.request(at, server=same).request(at + 1, server=same)
            depot.request(at + 2, 503, server={"flags": "UC", "details": RESET_AT_ONCE, "duration": 1, **same})
    accuses(calm.ask("application-reset"), "keepalive-race", OWNER)
    is_open(shaky.ask("application-reset"))


RESET_AT_ONCE = "upstream_reset_before_response_started{connection_termination}"


def test_refusals_before_a_crash_are_no_wrong_port(tmp_path: Path) -> None:
    statuses = [container_status("server", last_end=(160, 1, "Error")), container_status("istio-proxy")]
    depot = Depot(tmp_path, servers=ledgers(statuses=statuses))
    for at in range(100, 104):
        depot.request(at, 503, server={"flags": "UF", "details": REFUSED})
    spares(depot.ask("application-connect"), "nothing-listens-on-target-port")


# -- a StatefulSet gives the names of its pods again


def test_a_pod_that_has_the_name_of_one_that_was_stopped_is_not_stopping(tmp_path: Path) -> None:
    servers = [
        pod(f"ledger-{index}", "books", ip, APP, replica_set="ledger", owner_kind="StatefulSet", ports=[9191],
            created=-90, ready_at=-80)
        for index, ip in enumerate(LEDGERS.values())
    ]  # fmt: skip
    depot = Depot(tmp_path, servers=servers)
    depot.objects("Event", event("Pod", "books", "ledger-0", "Killing", "Stopping container server", -95))
    for at in range(100, 104):
        depot.request(
            at, 503, server={"flags": "UF", "details": REFUSED}, to="books/ledger-0", upstream=f"{LEDGER_IP}:1"
        )
    finding = depot.ask("application-connect")
    accuses(finding, "nothing-listens-on-target-port")
    spares(finding, "app-closes-on-sigterm")


def test_the_pod_that_had_the_name_before_is_known_by_its_address(tmp_path: Path) -> None:
    servers = [
        pod(f"ledger-{index}", "books", ip, APP, replica_set="ledger", owner_kind="StatefulSet", created=130,
            ready_at=140)
        for index, ip in enumerate(LEDGERS.values())
    ]  # fmt: skip
    probe_failed = 'Readiness probe failed: Get "http://10.40.2.99:9191/": connection refused'
    depot = Depot(tmp_path, servers=servers).configured()
    depot.objects(
        "Event",
        event("Pod", "books", "ledger-0", "Killing", "Stopping container server", 110),
        event("Pod", "books", "ledger-0", "Unhealthy", probe_failed, 111),
    )
    for at in (120, 121, 122):
        depot.request(at, 503, "UF,URX", REFUSED, to="10.40.2.99")
    verdict = accuses(depot.ask("upstream-connect"), "stale-endpoint-after-delete", "StatefulSet books/ledger")
    assert any("told to stop" in evidence.says for evidence in verdict.evidence)


# -- strangers


def scanned(depot: Depot, count: int, *hosts: str) -> Depot:
    depot.objects("Pod", pod(GATE.partition("/")[2], "edge", GATE_IP, {"istio": "front-door"},
                             replica_set="front-door-5c7d8f9b6c", gateway=True))  # fmt: skip
    depot.proxy(GATE, server_info=server_info("router"), config_dump=config_dump())
    servers = [{"port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": ["*"]}]
    depot.objects("Gateway", istio("door", "edge", {"selector": {"istio": "front-door"}, "servers": servers}))
    depot.objects("VirtualService", istio("shop", "edge", {"hosts": ["*.example.org"], "gateways": ["door"]}))
    for host in hosts:
        for at in range(100, 100 + count):
            line = access_line(at, 404, "NR", "route_not_found", path="/.env", authority=host, upstream="-",
                               local=f"{GATE_IP}:8443", remote="198.51.100.7:40000")  # fmt: skip
            depot.log(GATE, "istio-proxy", line)
    return depot


def test_scanners_at_a_gateway_are_no_mismatch(tmp_path: Path) -> None:
    depot = scanned(Depot(tmp_path).good(*range(100, 140)), 4, "203.0.113.9", "admin.invalid")
    assert causes(depot.diagnose()) == []


def test_scanners_by_address_stay_scanners_however_many(tmp_path: Path) -> None:
    assert causes(scanned(Depot(tmp_path), 40, "203.0.113.9", "2001:db8::7").diagnose()) == []


def test_a_host_that_an_object_means_is_a_mismatch(tmp_path: Path) -> None:
    assert causes(scanned(Depot(tmp_path), 4, "read.example.org").diagnose()) == ["gateway-host-mismatch"]


def test_a_policy_that_keeps_strangers_out_does_its_work(tmp_path: Path) -> None:
    depot = Depot(tmp_path).good(*range(100, 140))
    depot.objects("AuthorizationPolicy", istio("no-admin", "books", {"action": "DENY", "rules": [{}]}))
    for at in range(100, 104):
        line = access_line(at, 403, details="rbac_access_denied_matched_policy[ns[books]-policy[no-admin]-rule[0]]",
                           path="/admin", authority="ledger", cluster="inbound|9191||", upstream="-",
                           local=f"{LEDGER_IP}:9191", remote="198.51.100.7:40000", request_id=f"out-{at}")  # fmt: skip
        depot.log(LEDGER, "istio-proxy", line)
    assert causes(depot.diagnose()) == []
    assert causes(depot.drop(r"kube/security").diagnose()) == []


# -- what only the caller was told


def refused_by_body(depot: Depot, status: int, body: str) -> Depot:
    for at in range(100, 106):
        depot.request(at, status).call(at, status, body)
    return depot


def test_a_denial_that_only_the_callers_logs_hold_is_not_healthy(tmp_path: Path) -> None:
    depot = refused_by_body(Depot(tmp_path).configured().good(*range(90, 99)), 403, "RBAC: access denied")
    depot.drop(rf"logs/({'|'.join(LEDGERS)})/")
    depot.objects("AuthorizationPolicy", istio("readers", "books", {"rules": [{"to": [{}]}]}))
    found = depot.diagnose()
    assert causes(found) == ["authorization-denied"]
    assert str(found.verdicts[0].resources[0]) == "AuthorizationPolicy books/readers"
    assert found.verdicts[0].confidence <= 0.8


def test_a_token_that_only_the_callers_logs_tell_of(tmp_path: Path) -> None:
    depot = refused_by_body(Depot(tmp_path), 401, "Jwt is expired").drop(rf"logs/({'|'.join(LEDGERS)})/")
    depot.objects("RequestAuthentication", istio("tokens", "books", {"jwtRules": [{"issuer": "x"}]}))
    found = depot.diagnose()
    assert causes(found) == ["jwt-rejected"] and "Jwt is expired" in found.verdicts[0].summary


def test_an_application_that_says_no_in_its_own_words_is_left_alone(tmp_path: Path) -> None:
    depot = refused_by_body(Depot(tmp_path).good(*range(90, 99)), 403, "no such permission")
    depot.drop(rf"logs/({'|'.join(LEDGERS)})/")
    depot.objects("AuthorizationPolicy", istio("readers", "books", {"rules": [{"to": [{}]}]}))
    assert causes(depot.diagnose()) == ["healthy"]


# -- logs that say less than Istio's default format


def short(at: float, code: int, flags: str = "-", **more: str | None) -> str:
    """A line of a JSON format without response_code_details."""
    line = {
        "start_time": f"2026-03-03T09:{int(at) // 60:02}:{int(at) % 60:02}.000Z",
        "response_code": code,
        "response_flags": flags,
        "method": "GET",
        "path": "/page",
        "upstream_cluster": "inbound|9191||",
        "upstream_host": f"{LEDGER_IP}:9191",
        "downstream_local_address": f"{LEDGER_IP}:9191",
        "downstream_remote_address": "10.40.1.5:51000",
    }
    return json.dumps(line | more)


def test_a_connection_that_failed_nobody_knows_how_accuses_no_port(tmp_path: Path) -> None:
    depot = Depot(tmp_path).log(LEDGER, "istio-proxy", *(short(at, 503, "UF") for at in range(100, 106)))
    is_open(depot.ask("application-connect"))
    assert causes(depot.diagnose()) == []
    told = {"upstream_transport_failure_reason": "delayed_connect_error:_111"}
    depot = Depot(tmp_path / "b").log(LEDGER, "istio-proxy", *(short(at, 503, "UF", **told) for at in range(100, 106)))
    accuses(depot.ask("application-connect"), "nothing-listens-on-target-port")


def test_a_refusal_without_details_is_not_healthy(tmp_path: Path) -> None:
    """The sidecar chose no host: it answered by itself."""
    good = [short(at, 200, upstream_service_time="1") for at in range(90, 99)]
    depot = Depot(tmp_path).log(LEDGER, "istio-proxy", *good)
    depot.log(LEDGER, "istio-proxy", *(short(at, 403, upstream_host="-") for at in range(100, 106)))
    assert causes(depot.diagnose()) == []
    assert depot.diagnose().exit_status == 3
    depot = Depot(tmp_path / "b").log(LEDGER, "istio-proxy", *good)
    depot.log(LEDGER, "istio-proxy", *(short(at, 403, upstream_service_time="2") for at in range(100, 106)))
    assert depot.diagnose().exit_status == 0


def test_a_failed_connection_to_an_address_that_was_not_logged(tmp_path: Path) -> None:
    depot = Depot(tmp_path).configured().good(*range(90, 99))
    for at in range(100, 106):
        depot.request(at, 503, "UF,URX", UNANSWERED, upstream="-", duration=10000)
    is_open(depot.ask("upstream-connect"))
    assert causes(depot.diagnose()) == []


def test_a_pod_that_had_answered_already_was_not_starting(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=ledgers(ready_at=90)).good(95, 96)
    for at in (100, 101):
        depot.request(at, 503, server={"flags": "UF", "details": REFUSED})
    spares(depot.good(110, 111).ask("application-connect"))
    late = Depot(tmp_path / "b", servers=ledgers(ready_at=90))
    for at in (100, 101):
        late.request(at, 503, server={"flags": "UF", "details": REFUSED})
    accuses(late.good(110, 111).ask("application-connect"), "ready-before-listening", OWNER)
