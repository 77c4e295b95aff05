from __future__ import annotations

import pytest

from meshdoctor.model.kubernetes import Container, ContainerPort, Pod, PodSpec, Service, ServicePort, ServiceSpec
from meshdoctor.model.pods import (
    container_port,
    has_proxy,
    has_sidecar,
    is_native_sidecar,
    proxy_role,
    served_port,
    target_port,
)


def proxied(*args: str) -> Pod:
    return Pod(spec=PodSpec(containers=[Container(name="app"), Container(name="istio-proxy", args=list(args))]))


@pytest.mark.parametrize(
    ("args", "role"),
    [
        (("proxy", "sidecar", "--domain", "shop.svc.cluster.local"), "sidecar"),
        (("proxy", "router"), "gateway"),
        (("proxy", "waypoint"), "waypoint"),
        (("proxy", "ztunnel"), "ztunnel"),
        (("proxy", "--log_output_level=default:info", "router"), "gateway"),
        ((), "sidecar"),
    ],
)
def test_what_the_proxy_was_started_as(args: tuple[str, ...], role: str) -> None:
    pod = proxied(*args)
    assert proxy_role(pod.spec) == role
    assert has_proxy(pod)
    assert has_sidecar(pod) == (role == "sidecar")


def test_an_init_container_is_a_sidecar_only_if_it_goes_on_running() -> None:
    once = Container(name="istio-proxy", args=["proxy", "sidecar"])
    spec = PodSpec(containers=[Container(name="app")], init_containers=[once])
    assert not has_proxy(Pod(spec=spec)) and not has_sidecar(Pod(spec=spec)) and not is_native_sidecar(spec)
    native = Container(name="istio-proxy", args=["proxy", "sidecar"], restart_policy="Always")
    spec = PodSpec(containers=[Container(name="app")], init_containers=[native])
    assert has_sidecar(Pod(spec=spec)) and is_native_sidecar(spec)


def test_a_pod_without_a_proxy() -> None:
    pod = Pod(spec=PodSpec(containers=[Container(name="app", args=["proxy", "sidecar"])]))
    assert proxy_role(pod.spec) == "none" and not has_proxy(pod) and not has_sidecar(pod)


PORTS = [
    ContainerPort(container_port=53, name="dns", protocol="UDP"),
    ContainerPort(container_port=5353, name="dns", protocol="TCP"),
]


@pytest.mark.parametrize(("protocol", "number"), [("UDP", 53), ("TCP", 5353), ("SCTP", None)])
def test_a_named_port_is_one_of_name_and_protocol(protocol: str, number: int | None) -> None:
    spec = PodSpec(containers=[Container(name="app", ports=PORTS)])
    assert container_port(spec, "dns", protocol) == number
    assert target_port(ServicePort(port=53, target_port="dns", protocol=protocol), spec) == number


def test_a_native_sidecar_declares_ports_and_other_init_containers_do_not() -> None:
    cache = Container(name="cache", ports=[ContainerPort(6379, "redis")], restart_policy="Always")
    once = Container(name="migrate", ports=[ContainerPort(9999, "once")])
    spec = PodSpec(containers=[Container(name="app")], init_containers=[cache, once])
    assert container_port(spec, "redis") == 6379
    assert container_port(spec, "once") is None


def test_a_target_port_without_a_name() -> None:
    assert target_port(ServicePort(port=80, target_port=8080), PodSpec()) == 8080
    assert target_port(ServicePort(port=80), PodSpec()) == 80
    assert target_port(ServicePort(port=80, target_port="http"), PodSpec()) is None


def test_the_port_behind_a_services_port() -> None:
    pod = Pod(spec=PodSpec(containers=[Container(name="app", ports=[ContainerPort(8080, "http")])]))
    one = Service(spec=ServiceSpec(ports=[ServicePort(port=80, target_port="http")]))
    assert [served_port(one, port, pod) for port in (80, 0, 81)] == [8080, 8080, 0]
    two = Service(spec=ServiceSpec(ports=[ServicePort(port=80), ServicePort(port=81, target_port="grpc")]))
    assert [served_port(two, port, pod) for port in (80, 0, 81)] == [80, 0, 0]
