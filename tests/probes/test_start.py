"""Failures that no proxy logged: silent-failure and gateway-certificate, and what metrics and replies tell instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.envoy_dumps import config_dump, server_info
from tests.kube_objects import container_status, event, istio, pod, service
from tests.moments import Json, when
from tests.probes.depot import (
    CALLER,
    HOST,
    OUTBOUND,
    PICKER,
    PODS,
    Depot,
    accuses,
    causes,
    is_open,
    ledgers,
    picker,
    spares,
)


def silent(depot: Depot, *times: float, error: str = "Connection refused") -> Depot:
    for at in times:
        depot.call(at, 0, error)
    return depot


# -- silent-failure


def starting(root: Path, **more: Any) -> Depot:
    """The caller calls from 100 on; its sidecar is ready at 104."""
    depot = Depot(root, client=picker(**{"ready_at": 105, "created": 98} | more))
    depot.log(PICKER, "istio-proxy", f"{when(104)[:-1]}.2Z\tinfo\tEnvoy proxy is ready")
    return silent(depot, 100, 101, 102, 103).good(106, 107, 108, 109, 120)


def test_calls_before_the_sidecar_listens(tmp_path: Path) -> None:
    depot = starting(tmp_path)
    accuses(depot.ask("silent-failure"), "sidecar-start-race", CALLER)


def test_calls_before_the_sidecar_listens_by_the_pods_ready_time(tmp_path: Path) -> None:
    depot = silent(Depot(tmp_path, client=picker(ready_at=104, created=98)), 100, 101, 102)
    accuses(depot.ask("silent-failure"), "sidecar-start-race", CALLER)


def test_a_native_sidecar_has_no_start_race(tmp_path: Path) -> None:
    is_open(starting(tmp_path, native=True).ask("silent-failure"))


def test_an_application_that_waits_for_its_sidecar_has_no_start_race(tmp_path: Path) -> None:
    for index, text in enumerate(
        ('{"holdApplicationUntilProxyStarts": true}', "holdApplicationUntilProxyStarts: true\n")
    ):
        depot = starting(tmp_path / str(index), annotations={"proxy.istio.io/config": text})
        is_open(depot.ask("silent-failure"))
    not_waiting = {"proxy.istio.io/config": "holdApplicationUntilProxyStarts: false\n"}
    mesh_wide = starting(tmp_path / "c").mesh(defaultConfig={"holdApplicationUntilProxyStarts": True})
    is_open(mesh_wide.ask("silent-failure"))
    own = starting(tmp_path / "d", annotations=not_waiting)
    own.mesh(defaultConfig={"holdApplicationUntilProxyStarts": True})
    accuses(own.ask("silent-failure"), "sidecar-start-race", CALLER)


def test_calls_long_after_the_start_are_no_start_race(tmp_path: Path) -> None:
    is_open(silent(starting(tmp_path), 300, 301).ask("silent-failure"))


def test_calls_after_the_stop(tmp_path: Path) -> None:
    depot = Depot(tmp_path, client=picker(stopped=100, grace=60)).good(50, 60)
    finding = silent(depot, 106, 107, 108).ask("silent-failure")
    accuses(finding, "sidecar-exits-before-app", CALLER)
    spares(finding, "sidecar-start-race")


def test_calls_after_the_stop_of_a_pod_that_is_gone(tmp_path: Path) -> None:
    depot = Depot(tmp_path).drop(PODS)
    depot.objects("Pod", *ledgers())
    name = PICKER.partition("/")[2]
    depot.objects("Event", event("Pod", "depot", name, "Killing", "Stopping container server", 100))
    accuses(silent(depot.good(50, 60), 106, 107).ask("silent-failure"), "sidecar-exits-before-app", CALLER)


def test_a_sidecar_that_never_became_ready(tmp_path: Path) -> None:
    statuses = [container_status("server"), container_status("istio-proxy", False)]
    depot = Depot(tmp_path, client=picker(ready=False, statuses=statuses))
    finding = silent(depot, *range(100, 110)).ask("silent-failure")
    accuses(finding, "sidecar-never-ready", CALLER)
    spares(finding, "sidecar-start-race")


def test_a_caller_without_sidecar_is_not_accused(tmp_path: Path) -> None:
    is_open(silent(Depot(tmp_path, client=picker(sidecar=False, ready_at=104)), 100, 101).ask("silent-failure"))


def test_calls_whose_failure_the_proxy_logged_are_not_silent(tmp_path: Path) -> None:
    depot = silent(Depot(tmp_path, client=picker(ready_at=104)), 100, 101, 102)
    for at in (100, 101, 102):
        depot.request(at, 503, "UF,URX", "upstream_reset_before_response_started{connection_timeout}")
    spares(depot.ask("silent-failure"))


def test_silent_failures_and_pods_that_were_not_read(tmp_path: Path) -> None:
    depot = starting(tmp_path).drop(PODS)
    spares(depot.ask("silent-failure"))
    assert causes(depot.diagnose()) == []


# -- gateway-certificate

GATE = "edge/front-door-5c7d8f9b6c-t6v8x"
SECRET = "kubernetes://door-plate"


def door(
    root: Path,
    *,
    secrets: tuple[tuple[str, str], ...] = (),
    waits: bool = False,
    host: str = "*.example.org",
    port: int = 443,
    selector: dict[str, str] | None = None,
) -> Depot:
    depot = Depot(root)
    name = GATE.partition("/")[2]
    depot.objects("Pod", pod(name, "edge", "10.40.7.7", {"istio": "front-door"}, gateway=True))
    server: Json = {"port": {"number": port, "name": "https", "protocol": "HTTPS"}, "hosts": [host]}
    server["tls"] = {"mode": "SIMPLE", "credentialName": "door-plate"}
    selector = {"istio": "front-door"} if selector is None else selector
    depot.objects("Gateway", istio("door", "edge", {"selector": selector, "servers": [server]}))
    depot.proxy(GATE, server_info=server_info("router"), config_dump=config_dump(secrets=secrets))
    targets = [{"name": "listener", "target_names": [f"SdsApi {SECRET}"]}] if waits else []
    depot.proxy(GATE, init_dump={"unready_targets_dumps": targets})
    for at in range(100, 106):
        depot.call(at, 0, "EOF occurred in violation of protocol", "https://read.example.org/page")
    return depot


@pytest.mark.parametrize(("secrets", "waits"), [((), True), (((SECRET, "warming"),), False)], ids=["waits", "warming"])
def test_a_gateway_without_its_certificate(tmp_path: Path, secrets: tuple[tuple[str, str], ...], waits: bool) -> None:
    depot = door(tmp_path, secrets=secrets, waits=waits)
    accuses(depot.ask("gateway-certificate"), "gateway-tls-credential", "Gateway edge/door", "Secret edge/door-plate")
    assert causes(depot.diagnose()) == ["gateway-tls-credential"]


def test_a_gateway_without_a_selector_is_for_gateways_only(tmp_path: Path) -> None:
    """The caller's sidecar is no gateway, whose configuration would have to be read, too."""
    assert door(tmp_path, secrets=((SECRET, "active"),), selector={}).ask("gateway-certificate").outcome == "cleared"
    accuses(
        door(tmp_path / "b", waits=True, selector={}).ask("gateway-certificate"),
        "gateway-tls-credential",
        "Gateway edge/door",
    )


def test_a_gateway_that_is_asked_at_its_services_port(tmp_path: Path) -> None:
    """The Gateway's server has the number of the container's port, the caller dials a node port."""
    depot = door(tmp_path, secrets=((SECRET, "warming"),), port=8443)
    assert depot.ask("gateway-certificate").outcome == "not-applicable"
    door_service = service("front-door", "edge", "10.96.44.9", [(443, "https", 8443)], {"istio": "front-door"})
    depot.objects("Service", door_service)
    accuses(depot.ask("gateway-certificate"), "gateway-tls-credential", "Gateway edge/door")


API_SECRET = "kubernetes-gateway://vault/door-plate"


def api_door(root: Path, *secrets: tuple[str, str], conditions: list[Json] | None = None) -> Depot:
    """A Gateway of the Gateway API whose listener names a certificate in another namespace."""
    depot = Depot(root)
    labels = {"gateway.networking.k8s.io/gateway-name": "door"}
    depot.objects("Pod", pod(GATE.partition("/")[2], "edge", "10.40.7.7", labels, gateway=True))
    tls = {"certificateRefs": [{"name": "door-plate", "namespace": "vault"}]}
    listener = {"name": "https", "port": 443, "protocol": "HTTPS", "hostname": "*.example.org", "tls": tls}
    made = istio("door", "edge", {"gatewayClassName": "istio", "listeners": [listener]})
    made["status"] = {"listeners": [{"name": "https", "conditions": conditions or []}]}
    depot.objects("K8sGateway", made)
    depot.proxy(GATE, server_info=server_info("router"), config_dump=config_dump(secrets=secrets))
    depot.proxy(GATE, init_dump={"unready_targets_dumps": []})
    for at in range(100, 106):
        depot.call(at, 0, "Connection refused", "https://read.example.org/page")
    return depot


def test_a_certificate_that_a_listener_names_and_nobody_has(tmp_path: Path) -> None:
    depot = api_door(tmp_path, (API_SECRET, "warming"))
    accuses(depot.ask("gateway-certificate"), "gateway-tls-credential", "Gateway edge/door", "Secret vault/door-plate")
    assert api_door(tmp_path / "b", (API_SECRET, "active")).ask("gateway-certificate").outcome == "cleared"


def test_a_listener_that_istiod_refuses(tmp_path: Path) -> None:
    """Without a usable certificate the port is not opened at all: nothing of it is in the gateway's configuration."""
    why = {"type": "ResolvedRefs", "status": "False", "reason": "InvalidCertificateRef", "message": "secret not found"}
    finding = api_door(tmp_path, conditions=[why]).ask("gateway-certificate")
    verdict = accuses(finding, "gateway-tls-credential", "Gateway edge/door", "Secret vault/door-plate")
    assert any("InvalidCertificateRef" in evidence.says for evidence in verdict.evidence)
    fine = {"type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs"}
    spares(api_door(tmp_path / "b", conditions=[fine]).ask("gateway-certificate"))


def test_a_gateway_that_holds_its_certificate(tmp_path: Path) -> None:
    finding = door(tmp_path, secrets=((SECRET, "active"),)).ask("gateway-certificate")
    assert finding.outcome == "cleared"


def test_a_gateway_for_other_hosts_is_not_accused(tmp_path: Path) -> None:
    spares(door(tmp_path, waits=True, host="library.example.com").ask("gateway-certificate"))


def test_a_gateway_that_was_not_read(tmp_path: Path) -> None:
    depot = door(tmp_path, waits=True).drop("envoy/")
    is_open(depot.ask("gateway-certificate"))
    assert causes(depot.diagnose()) == []


# -- without access logs


def test_a_counter_is_not_claimed_as_surely_as_a_log(tmp_path: Path) -> None:
    """Istio's default profile writes no access log; the proxy's own metrics say who fails towards whom."""
    depot = Depot(tmp_path, servers=[])
    labels = f'reporter="source",response_code="503",response_flags="UH",destination_service="{HOST}"'
    depot.put(f"envoy/{PICKER}/stats.prom", f"istio_requests_total{{{labels}}} 12\n").configured()
    diagnosis = depot.diagnose()
    assert [group.flags for group in diagnosis.traffic] == [("UH",)]
    assert causes(diagnosis) == ["no-endpoints"]
    assert diagnosis.verdicts[0].confidence <= 0.8


def test_the_text_of_envoys_own_answer(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=[]).configured()
    for at in range(100, 106):
        depot.call(at, 503, "no healthy upstream")
    assert causes(depot.diagnose()) == ["no-endpoints"]
    assert depot.diagnose().verdicts[0].confidence <= 0.8


def test_an_answer_that_the_application_may_have_written(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=[]).configured()
    for at in range(100, 106):
        depot.call(at, 503, "database is down")
    assert causes(depot.diagnose()) == []


def test_quiet_counters_accuse_nobody(tmp_path: Path) -> None:
    depot = Depot(tmp_path).configured()
    labels = f'reporter="source",response_code="200",response_flags="-",destination_service="{HOST}"'
    depot.put(f"envoy/{PICKER}/stats.prom", f"istio_requests_total{{{labels}}} 12\n")
    assert depot.diagnose().verdicts == () or causes(depot.diagnose()) in ([], ["healthy"])
    assert OUTBOUND not in str(depot.diagnose().traffic)
