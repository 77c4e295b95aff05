"""The server's side: application-connect, -reset, -protocol, -answer, stopping-server, proxy-died."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.envoy_dumps import config_dump, object_path, route, routes
from tests.kube_objects import container_status, event, service
from tests.moments import Json
from tests.probes.depot import (
    APP,
    LEDGER,
    LEDGER_IP,
    OUTBOUND,
    OWNER,
    PICKER,
    PODS,
    RESET,
    SERVICE_IP,
    Depot,
    accuses,
    causes,
    is_open,
    ledgers,
    spares,
)

REFUSED = "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
TIMED_OUT = "upstream_reset_before_response_started{connection_timeout}"


def behind(depot: Depot, flags: str, details: str, *times: float, **more: Any) -> Depot:
    """Requests that failed between the server's sidecar and its application."""
    for at in times:
        depot.request(at, 503, server={"flags": flags, "details": details}, **more)
    return depot


# -- application-connect


def test_nothing_listens_on_the_target_port(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=ledgers(ports=[7000]))
    behind(depot, "UF", REFUSED, *range(100, 110))
    verdict = accuses(depot.ask("application-connect"), "nothing-listens-on-target-port", "Service books/ledger", OWNER)
    assert verdict.resources[0].field == "spec.ports[].targetPort"
    assert causes(depot.diagnose()) == ["nothing-listens-on-target-port"]


def test_a_declared_port_on_which_the_application_does_not_listen(tmp_path: Path) -> None:
    depot = behind(Depot(tmp_path), "UF", REFUSED, *range(100, 110))
    accuses(depot.ask("application-connect"), "nothing-listens-on-target-port", OWNER, "Service books/ledger")


def test_refusals_at_the_start_of_a_pod(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=ledgers(ready_at=90, created=80))
    behind(depot, "UF", REFUSED, *range(91, 97)).good(*range(98, 130))
    finding = depot.ask("application-connect")
    accuses(finding, "ready-before-listening", OWNER)
    spares(finding, "nothing-listens-on-target-port", "app-crashed")
    assert [verdict.state for verdict in depot.diagnose().verdicts] == ["over"]


def test_refusals_after_a_crash(tmp_path: Path) -> None:
    statuses = [container_status("server", last_end=(99, 139, "Error")), container_status("istio-proxy")]
    depot = behind(Depot(tmp_path, servers=ledgers(statuses=statuses)), "UF", REFUSED, *range(100, 104))
    finding = depot.ask("application-connect")
    accuses(finding, "app-crashed", OWNER)
    spares(finding, "nothing-listens-on-target-port")


def test_an_old_crash_is_not_accused(tmp_path: Path) -> None:
    statuses = [container_status("server", last_end=(-2000, 139, "Error")), container_status("istio-proxy")]
    depot = behind(Depot(tmp_path, servers=ledgers(statuses=statuses)), "UF", REFUSED, *range(100, 104))
    spares(depot.ask("application-connect"), "app-crashed")


def test_refusals_of_a_pod_that_is_told_to_stop(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=ledgers(stopped=98))
    behind(depot, "UF", REFUSED, *range(100, 104))
    finding = depot.ask("application-connect")
    accuses(finding, "app-closes-on-sigterm", OWNER)
    spares(finding, "app-crashed", "nothing-listens-on-target-port")


def test_an_application_that_accepts_no_more(tmp_path: Path) -> None:
    depot = behind(Depot(tmp_path), "UF", TIMED_OUT, *range(100, 110))
    accuses(depot.ask("application-connect"), "app-stalled", OWNER)


def test_one_timeout_is_no_stall(tmp_path: Path) -> None:
    is_open(behind(Depot(tmp_path), "UF", TIMED_OUT, 100).good(*range(101, 120)).ask("application-connect"))


@pytest.mark.parametrize("details", [REFUSED, TIMED_OUT])
def test_without_pods_nobody_is_accused_of_refusals(tmp_path: Path, details: str) -> None:
    depot = behind(Depot(tmp_path), "UF", details, *range(100, 110)).drop(PODS)
    is_open(depot.ask("application-connect"))
    assert causes(depot.diagnose()) == []


# -- application-reset


def test_a_crash_in_the_middle_of_a_request(tmp_path: Path) -> None:
    statuses = [container_status("server", last_end=(101, 137, "OOMKilled")), container_status("istio-proxy")]
    depot = behind(Depot(tmp_path, servers=ledgers(statuses=statuses)), "UC", RESET, 100, duration=1000).good(90, 120)
    verdict = accuses(depot.ask("application-reset"), "app-crashed", OWNER)
    assert "OOMKilled 137" in verdict.evidence[1].says


def test_a_sidecar_that_died_is_no_crash_of_the_application(tmp_path: Path) -> None:
    statuses = [container_status("server"), container_status("istio-proxy", last_end=(101, 137, "OOMKilled"))]
    depot = Depot(tmp_path, servers=ledgers(statuses=statuses)).good(90, 91, 92)
    depot.request(100, 503, "UC", RESET, duration=1000)
    depot.request(101, 503, "UF", REFUSED)
    spares(depot.ask("application-reset"))
    accuses(depot.ask("proxy-died"), "proxy-overloaded", OWNER)
    assert causes(depot.diagnose()) == ["proxy-overloaded"]


def test_a_sidecar_that_was_told_to_stop_did_not_die(tmp_path: Path) -> None:
    statuses = [container_status("server"), container_status("istio-proxy", last_end=(101, 143, "Error"))]
    depot = Depot(tmp_path, servers=ledgers(statuses=statuses)).request(100, 503, "UC", RESET, duration=1000)
    spares(depot.ask("proxy-died"))


def test_a_sidecars_death_that_was_not_read(tmp_path: Path) -> None:
    depot = Depot(tmp_path).request(100, 503, "UC", RESET).request(101, 503, "UC", RESET).drop(PODS)
    spares(depot.ask("proxy-died"))
    assert "proxy-overloaded" not in causes(depot.diagnose())


def test_an_exit_at_sigterm(tmp_path: Path) -> None:
    depot = behind(Depot(tmp_path, servers=ledgers(stopped=100)), "UC", RESET, 100.2, 100.4, duration=100)
    finding = depot.ask("application-reset")
    accuses(finding, "app-closes-on-sigterm", OWNER)
    spares(finding, "app-crashed", "keepalive-race")


def test_a_pod_that_is_gone_stopped_by_its_events(tmp_path: Path) -> None:
    """Of a deleted pod only its events and its log are left."""
    depot = behind(Depot(tmp_path, servers=ledgers()[1:]), "UC", RESET, 100.2, 100.4, duration=100)
    name = LEDGER.partition("/")[2]
    depot.objects("Event", event("Pod", "books", name, "Killing", "Stopping container server", 100))
    accuses(depot.ask("application-reset"), "app-closes-on-sigterm", OWNER)


def test_a_restart_by_the_liveness_probe_is_no_stop(tmp_path: Path) -> None:
    depot = behind(Depot(tmp_path), "UC", RESET, 100.2, 100.4, duration=100)
    name = LEDGER.partition("/")[2]
    message = "Container server failed liveness probe, will be restarted"
    depot.objects("Event", event("Pod", "books", name, "Killing", message, 100))
    spares(depot.ask("application-reset"), "app-closes-on-sigterm")


def test_a_timeout_of_the_applications_own(tmp_path: Path) -> None:
    depot = Depot(tmp_path).good(1, 2, 3)
    for at, ms in zip(range(100, 160, 10), (20010, 20003, 20041, 20008, 20020, 20002), strict=True):
        behind(depot, "UC", RESET, at, duration=ms)
    accuses(depot.ask("application-reset"), "app-closes-at-own-timeout", OWNER)


def test_resets_after_all_kinds_of_times_are_no_timeout(tmp_path: Path) -> None:
    depot = Depot(tmp_path).good(1, 2, 3)
    for at, ms in zip(range(100, 150, 10), (1200, 5400, 900, 14000, 2500), strict=True):
        behind(depot, "UC", RESET, at, duration=ms)
    spares(depot.ask("application-reset"))
    is_open(depot.ask("application-reset"))


def race(depot: Depot, rest: float) -> Depot:
    for at in range(0, 100, 10):
        depot.good(at, at + 0.1, at + 0.2)
        if at in (50, 80):
            behind(depot, "UC", RESET, at + 0.2 + rest, duration=1)
    return depot


def test_a_keepalive_race(tmp_path: Path) -> None:
    accuses(race(Depot(tmp_path), 5).ask("application-reset"), "keepalive-race", OWNER)


def test_resets_on_busy_connections_are_no_keepalive_race(tmp_path: Path) -> None:
    finding = race(Depot(tmp_path), 0.05).ask("application-reset")
    spares(finding)
    is_open(finding)


def test_without_pods_nobody_is_accused_of_resets(tmp_path: Path) -> None:
    depot = race(Depot(tmp_path), 5).drop(PODS)
    is_open(depot.ask("application-reset"))
    assert causes(depot.diagnose()) == []


# -- application-protocol

BROKEN = "upstream_reset_before_response_started{protocol_error}"


def unspeakable(depot: Depot) -> Depot:
    for at in range(100, 105):
        depot.request(at, 502, server={"flags": "UPE", "details": BROKEN})
    return depot


def test_an_answer_that_is_no_http(tmp_path: Path) -> None:
    finding = unspeakable(Depot(tmp_path)).ask("application-protocol")
    accuses(finding, "upstream-protocol-error", OWNER)
    spares(finding, "http2-http1-mismatch")


@pytest.mark.parametrize(("name", "protocol"), [("grpc-pages", None), ("pages", "kubernetes.io/h2c"), ("http2", None)])
def test_a_port_declared_http2(tmp_path: Path, name: str, protocol: str | None) -> None:
    depot = unspeakable(Depot(tmp_path)).drop(r"kube/core/v1/services\.json")
    found: Json = service("ledger", "books", SERVICE_IP, [(8090, name, 9191)], APP)
    if protocol:
        found["spec"]["ports"][0]["appProtocol"] = protocol
    depot.objects("Service", found)
    accuses(depot.ask("application-protocol"), "http2-http1-mismatch", "Service books/ledger", OWNER)


def test_an_application_that_speaks_http2_and_breaks_it_now_and_then(tmp_path: Path) -> None:
    depot = unspeakable(Depot(tmp_path)).drop(r"kube/core/v1/services\.json")
    depot.objects("Service", service("ledger", "books", SERVICE_IP, [(8090, "grpc-pages", 9191)], APP))
    depot.good(*(at + 0.5 for at in range(100, 104)))
    finding = depot.ask("application-protocol")
    accuses(finding, "upstream-protocol-error")
    spares(finding, "http2-http1-mismatch")


def test_the_applications_own_502_is_no_protocol_error(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    for at in range(100, 105):
        depot.request(at, 502, server={})
    spares(depot.ask("application-protocol"))


def test_a_protocol_error_and_services_that_were_not_read(tmp_path: Path) -> None:
    """What the port declares is the decisive fact: without it nothing says which of the two causes it is."""
    is_open(unspeakable(Depot(tmp_path)).drop(r"kube/core/v1/services\.json").ask("application-protocol"))


# -- application-answer


def test_the_application_answers_with_an_error(tmp_path: Path) -> None:
    depot = Depot(tmp_path).good(1, 2, 3)
    for at in range(100, 106):
        depot.request(at, 503, server={})
    verdict = accuses(depot.ask("application-answer"), "app-returned-error", OWNER)
    assert len(verdict.lines) == 12, "both sides' lines are explained"
    assert causes(depot.diagnose()) == ["app-returned-error"]


def test_only_the_workload_that_answered_is_accused(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    for at in range(100, 106):
        depot.request(at, 503, server={"flags": "UF", "details": REFUSED})
    spares(depot.ask("application-answer"))


def test_an_error_from_a_pod_without_sidecar(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=ledgers(sidecar=False))
    for at in range(100, 106):
        depot.request(at, 500)
    accuses(depot.ask("application-answer"), "app-returned-error", OWNER)


def test_an_error_whose_server_wrote_no_log(tmp_path: Path) -> None:
    """With a sidecar on the other side, the sidecar may have answered: only its log can tell."""
    depot = Depot(tmp_path)
    for at in range(100, 106):
        depot.request(at, 503)
    is_open(depot.ask("application-answer"))
    assert causes(depot.diagnose()) == []


def test_an_error_of_a_peer_that_is_not_known(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=ledgers(sidecar=False)).drop(PODS)
    for at in range(100, 106):
        depot.request(at, 500)
    is_open(depot.ask("application-answer"))


def stormy(depot: Depot, retries: int) -> Depot:
    owner = object_path("virtual-service", "books", "eager")
    dump = config_dump(
        route_configs=[routes("8090", ["ledger.books:8090"], route(OUTBOUND, owner=owner, retries=retries))]
    )
    depot.proxy(PICKER, config_dump=dump)
    for at in range(100, 104):
        for attempt in range(retries):
            depot.request(at + attempt / 10, 503, "URX" if attempt == 0 else "-", server={"flags": "-"})
    # Only the last try of a request has a line at the caller.
    lines = depot.files[f"logs/{PICKER}/istio-proxy.log"].decode().splitlines()
    depot.put(f"logs/{PICKER}/istio-proxy.log", "\n".join(line for line in lines if " URX " in line))
    return depot


def test_a_retry_storm(tmp_path: Path) -> None:
    finding = stormy(Depot(tmp_path), 6).ask("application-answer")
    accuses(finding, "app-returned-error", OWNER)
    accuses(finding, "retry-storm", "VirtualService books/eager")


def test_istios_own_two_retries_are_no_storm(tmp_path: Path) -> None:
    finding = stormy(Depot(tmp_path), 2).ask("application-answer")
    spares(finding, "retry-storm")


def test_retries_whose_route_was_not_read(tmp_path: Path) -> None:
    spares(stormy(Depot(tmp_path), 6).drop("envoy/").ask("application-answer"), "retry-storm")


# -- stopping-server


def stopped(root: Path, after: float, duration: float = 3000, grace: int = 25) -> Depot:
    """Requests of *duration* ms, cut *after* seconds from the stop of the server's pods at 100."""
    depot = Depot(root, servers=ledgers(stopped=100, grace=grace)).good(50, 60)
    for shift in (0.0, 0.1, 0.2):
        depot.request(100 + after + shift - duration / 1000, 503, "UC", RESET, duration=duration)
    return depot


def test_a_grace_period_that_is_too_short(tmp_path: Path) -> None:
    verdict = accuses(stopped(tmp_path, 25, 29_000).ask("stopping-server"), "grace-period-too-short", OWNER)
    assert verdict.resources[0].field.endswith("terminationGracePeriodSeconds")


def test_a_sidecar_that_leaves_before_its_application(tmp_path: Path) -> None:
    finding = stopped(tmp_path, 5).ask("stopping-server")
    accuses(finding, "sidecar-exits-before-app", OWNER)
    spares(finding, "grace-period-too-short")


def test_long_streams(tmp_path: Path) -> None:
    finding = stopped(tmp_path, 12, 400_000).ask("stopping-server")
    accuses(finding, "long-stream-cut-by-rollout", OWNER)


def test_requests_cut_by_a_stop_at_no_telling_time(tmp_path: Path) -> None:
    is_open(stopped(tmp_path, 14).ask("stopping-server"))


def test_requests_cut_before_the_stop_are_not_its_fault(tmp_path: Path) -> None:
    spares(stopped(tmp_path, -20).ask("stopping-server"))


def test_a_stop_of_which_nothing_was_read(tmp_path: Path) -> None:
    depot = stopped(tmp_path, 25, 29_000).drop(PODS)
    spares(depot.ask("stopping-server"))
    assert causes(depot.diagnose()) == []


def test_an_address_that_another_pod_had_by_then(tmp_path: Path) -> None:
    """The old pod's address went to a new pod; a request to it later is not cut by the old pod's stop."""
    old, new = ledgers(stopped=100)[0], ledgers(created=200, ready_at=210)[1]
    new["status"] |= {"podIP": LEDGER_IP, "podIPs": [{"ip": LEDGER_IP}]}
    depot = Depot(tmp_path, servers=[old, new])
    for at in (300, 301):
        depot.request(at, 503, "UC", RESET, duration=10)
    spares(depot.ask("stopping-server"))
