from __future__ import annotations

import pytest

from meshdoctor.model.kubernetes import (
    Container,
    ContainerState,
    ContainerStatus,
    EnvVar,
    Pod,
    PodSpec,
    PodStatus,
    StateDetail,
)
from meshdoctor.sources.live_pods import admin_port, inventory, mesh_pods, not_started


@pytest.mark.parametrize(
    ("config", "port"),
    [
        ('{"concurrency":1,"proxyAdminPort":15900}\n', 15900),
        ('{"proxyAdminPort":"15901"}', 15901),
        ('{"concurrency":1}', 15000),
        ('{"proxyAdminPort":70000}', 15000),
        ("not JSON", 15000),
        ("", 15000),
    ],
)
def test_the_admin_port_is_where_the_injector_put_it(config: str, port: int) -> None:
    env = [EnvVar(name="PROXY_CONFIG", value=config)] if config else []
    pod = Pod(spec=PodSpec(containers=[Container(name="app"), Container(name="istio-proxy", env=env)]))
    assert admin_port(pod) == port


def test_a_pod_without_a_proxy_has_the_usual_one() -> None:
    assert admin_port(Pod()) == 15000


def native(phase: str, **state: StateDetail) -> Pod:
    sidecar = Container(name="istio-proxy", restart_policy="Always")
    statuses = [ContainerStatus(name="istio-proxy", state=ContainerState(**state))] if state else []
    return Pod(
        spec=PodSpec(containers=[Container(name="app")], init_containers=[sidecar]),
        status=PodStatus(phase=phase, init_container_statuses=statuses),
    )


@pytest.mark.parametrize(
    ("pod", "counts", "why", "logs"),
    [
        (native("Running", running=StateDetail()), True, "", ["app", "istio-proxy"]),
        (native("Pending", running=StateDetail()), True, "", ["istio-proxy"]),
        (native("Pending", waiting=StateDetail(reason="ImagePullBackOff")), True, "ImagePullBackOff", []),
        (native("Pending", terminated=StateDetail(reason="Error")), True, "Error", ["istio-proxy"]),
        (native("Pending"), True, "Pending", []),
        (native("Unknown"), True, "", ["app", "istio-proxy"]),
        (native("Succeeded"), False, "", []),
        (native("Failed"), False, "", []),
    ],
)
def test_a_proxy_counts_by_its_own_container(pod: Pod, counts: bool, why: str, logs: list[str]) -> None:
    found = mesh_pods([pod])
    assert bool(found.proxies) is counts
    assert not_started(pod) == (f"its container istio-proxy does not run: {why}" if why else "")
    assert [log.container for log in inventory(found, ()).logs] == logs
