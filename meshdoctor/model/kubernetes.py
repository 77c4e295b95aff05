"""Kubernetes objects, only the fields that a question is asked of (core/v1, apps/v1, discovery.k8s.io/v1)."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.model.meta import Fields, Meta, Object
from meshdoctor.model.snapshot import PodRef


class ContainerPort(Fields, frozen=True):
    container_port: int = 0
    name: str = ""
    protocol: str = "TCP"


class Probe(Fields, frozen=True):
    """A readiness, liveness or startup probe; periods in seconds (core/v1 defaults)."""

    http_get: dict[str, Any] | None = None
    tcp_socket: dict[str, Any] | None = None
    exec: dict[str, Any] | None = None
    grpc: dict[str, Any] | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    failure_threshold: int = 3


class Lifecycle(Fields, frozen=True):
    pre_stop: dict[str, Any] | None = None
    post_start: dict[str, Any] | None = None


class EnvVar(Fields, frozen=True):
    name: str = ""
    value: str = ""


class Container(Fields, frozen=True):
    name: str = ""
    image: str = ""
    args: list[str] = []
    ports: list[ContainerPort] = []
    env: list[EnvVar] = []
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    restart_policy: str = ""
    resources: dict[str, Any] = {}


class PodSpec(Fields, frozen=True):
    containers: list[Container] = []
    init_containers: list[Container] = []
    node_name: str = ""
    node_selector: dict[str, str] = {}
    host_network: bool = False
    service_account_name: str = ""
    termination_grace_period_seconds: int | None = None
    restart_policy: str = ""


class StateDetail(Fields, frozen=True):
    """One of running, waiting or terminated of a container's state."""

    started_at: str | None = None
    finished_at: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    message: str = ""


class ContainerState(Fields, frozen=True):
    running: StateDetail | None = None
    waiting: StateDetail | None = None
    terminated: StateDetail | None = None


class ContainerStatus(Fields, frozen=True):
    name: str = ""
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class Condition(Fields, frozen=True):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class PodIP(Fields, frozen=True):
    ip: str = ""


class PodStatus(Fields, frozen=True):
    phase: str = ""
    reason: str = ""
    message: str = ""
    pod_ip: str = msgspec.field(name="podIP", default="")
    pod_ips: list[PodIP] = msgspec.field(name="podIPs", default_factory=list)
    start_time: str | None = None
    conditions: list[Condition] = []
    container_statuses: list[ContainerStatus] = []
    init_container_statuses: list[ContainerStatus] = []


class Pod(Object, frozen=True):
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def ref(self) -> PodRef:
        return PodRef(self.namespace, self.name)


class ServicePort(Fields, frozen=True):
    name: str = ""
    port: int = 0
    target_port: int | str | None = None
    protocol: str = "TCP"
    app_protocol: str | None = None
    node_port: int | None = None


class ServiceSpec(Fields, frozen=True):
    type: str = "ClusterIP"
    selector: dict[str, str] | None = None
    ports: list[ServicePort] = []
    cluster_ip: str = msgspec.field(name="clusterIP", default="")
    cluster_ips: list[str] = msgspec.field(name="clusterIPs", default_factory=list)
    external_name: str = ""
    publish_not_ready_addresses: bool = False
    external_traffic_policy: str = ""
    internal_traffic_policy: str = ""


class Service(Object, frozen=True):
    spec: ServiceSpec = ServiceSpec()
    status: dict[str, Any] = {}


class EndpointConditions(Fields, frozen=True):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class TargetRef(Fields, frozen=True):
    kind: str = ""
    name: str = ""
    namespace: str = ""


class SliceEndpoint(Fields, frozen=True):
    addresses: list[str] = []
    conditions: EndpointConditions = EndpointConditions()
    target_ref: TargetRef | None = None
    node_name: str = ""


class SlicePort(Fields, frozen=True):
    name: str | None = None
    port: int | None = None
    protocol: str = "TCP"
    app_protocol: str | None = None


class EndpointSlice(Object, frozen=True):
    address_type: str = ""
    endpoints: list[SliceEndpoint] | None = None
    ports: list[SlicePort] | None = None


class PodTemplate(Fields, frozen=True):
    metadata: Meta = Meta()
    spec: PodSpec = PodSpec()


class WorkloadSpec(Fields, frozen=True):
    replicas: int | None = None
    selector: dict[str, Any] | None = None
    template: PodTemplate = PodTemplate()
    strategy: dict[str, Any] = {}
    update_strategy: dict[str, Any] = {}


class WorkloadStatus(Fields, frozen=True):
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    updated_replicas: int = 0
    unavailable_replicas: int = 0
    desired_number_scheduled: int = 0
    number_ready: int = 0
    conditions: list[Condition] = []


class Workload(Object, frozen=True):
    """A Deployment, ReplicaSet, StatefulSet or DaemonSet."""

    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()


class EventSource(Fields, frozen=True):
    component: str = ""
    host: str = ""


class InvolvedObject(Fields, frozen=True):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    field_path: str = ""


class EventSeries(Fields, frozen=True):
    count: int = 0
    last_observed_time: str | None = None


class Event(Object, frozen=True):
    """core/v1 Event; `first` and `last` are the times that some emitter filled in."""

    involved_object: InvolvedObject = InvolvedObject()
    reason: str = ""
    message: str = ""
    type: str = ""
    count: int = 0
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    series: EventSeries | None = None
    source: EventSource = EventSource()

    @property
    def first(self) -> str | None:
        return self.first_timestamp or self.event_time or self.metadata.creation_timestamp

    @property
    def last(self) -> str | None:
        observed = self.series.last_observed_time if self.series else None
        return observed or self.last_timestamp or self.event_time or self.metadata.creation_timestamp


class NodeStatus(Fields, frozen=True):
    conditions: list[Condition] = []
    addresses: list[dict[str, str]] = []
    node_info: dict[str, Any] = {}


class Node(Object, frozen=True):
    status: NodeStatus = NodeStatus()


class Namespace(Object, frozen=True):
    status: dict[str, Any] = {}


class ConfigMap(Object, frozen=True):
    data: dict[str, str] | None = None


class ServiceAccount(Object, frozen=True):
    pass


class NetworkPolicySpec(Fields, frozen=True):
    pod_selector: dict[str, Any] = {}
    policy_types: list[str] = []
    ingress: list[dict[str, Any]] | None = None
    egress: list[dict[str, Any]] | None = None


class NetworkPolicy(Object, frozen=True):
    spec: NetworkPolicySpec = NetworkPolicySpec()


class WebhookConfiguration(Object, frozen=True):
    webhooks: list[dict[str, Any]] = []
