"""What a Pod object says of itself: which proxy runs in it, as what, which ports it declares, whether it is ready."""

from __future__ import annotations

from meshdoctor.model.kubernetes import Container, Pod, PodSpec, Service, ServicePort

PROXY_CONTAINER = "istio-proxy"
"""The container of Envoy, and of ztunnel too (Istio's injection template and charts)."""

SIDECAR, GATEWAY, WAYPOINT, ZTUNNEL, NONE = "sidecar", "gateway", "waypoint", "ztunnel", "none"

_ROLES = {"sidecar": SIDECAR, "router": GATEWAY, "waypoint": WAYPOINT, "ztunnel": ZTUNNEL}


def long_running(spec: PodSpec) -> tuple[Container, ...]:
    """The containers that run for as long as the pod does: its own, and init containers that restart always."""
    return (*spec.containers, *(one for one in spec.init_containers if one.restart_policy == "Always"))


def proxy_container(spec: PodSpec) -> Container | None:
    """The container that runs Envoy or ztunnel; a native sidecar is an init container that restarts always."""
    return next((one for one in long_running(spec) if one.name == PROXY_CONTAINER), None)


def proxy_role(spec: PodSpec) -> str:
    """As what the proxy of a pod was started: `sidecar`, `gateway`, `waypoint`, `ztunnel`, or `none` without one.

    The charts start `pilot-agent proxy ROLE` (a gateway is a `router`) and `ztunnel proxy ztunnel`; without a role
    pilot-agent runs a sidecar (pilot/cmd/pilot-agent/app/cmd.go, manifests/charts, 1.24 to 1.32).
    """
    proxy = proxy_container(spec)
    if proxy is None:
        return NONE
    return next((_ROLES[word] for word in proxy.args if word in _ROLES), SIDECAR)


def has_proxy(pod: Pod) -> bool:
    """Whether an Envoy or a ztunnel runs in the pod: a sidecar, or what makes it a gateway, waypoint or ztunnel."""
    return proxy_container(pod.spec) is not None


def has_sidecar(pod: Pod) -> bool:
    """Whether a proxy stands before the pod's own application: classic or native, and no gateway, waypoint, ztunnel."""
    return proxy_role(pod.spec) == SIDECAR


def is_native_sidecar(spec: PodSpec) -> bool:
    """Whether the proxy is a native sidecar: an init container that restarts always, started before the application
    and ended after it (Kubernetes 1.29).
    """
    return any(one.name == PROXY_CONTAINER and one.restart_policy == "Always" for one in spec.init_containers)


def is_ready(pod: Pod) -> bool:
    return any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions)


def container_port(spec: PodSpec, name: str, protocol: str = "TCP") -> int | None:
    """The number of the port that a container declares by that name *and* protocol; a native sidecar's counts, too.

    Source: kubernetes, pkg/api/v1/pod, FindPort (1.29 and later), and Istio's copy of it (serviceregistry/kube).
    """
    ports = (port for container in long_running(spec) for port in container.ports)
    return next((port.container_port for port in ports if (port.name, port.protocol) == (name, protocol)), None)


def target_port(port: ServicePort, spec: PodSpec) -> int | None:
    """The port of a pod that a Service's port stands for; None where it is a name that no container declares."""
    target = port.target_port or port.port
    return container_port(spec, target, port.protocol) if isinstance(target, str) else target


def served_port(service: Service, port: int, pod: Pod) -> int:
    """The port of *pod* that a port of a Service (0: its only one) stands for; 0 when nothing tells."""
    ports = service.spec.ports
    found = next((one for one in ports if one.port == port or (not port and len(ports) == 1)), None)
    return (target_port(found, pod.spec) or 0) if found else 0
