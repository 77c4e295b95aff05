"""Kubernetes objects, only the fields that a question is asked of (meta/v1, core/v1, apps/v1, discovery.k8s.io/v1)."""

from __future__ import annotations

from typing import Any

import msgspec


class Fact(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Base of every object struct: camelCase on the wire, immutable, unknown fields left out."""


class OwnerReference(Fact, frozen=True):
    kind: str = ""
    name: str = ""
    controller: bool = False


class ManagedField(Fact, frozen=True):
    manager: str = ""
    operation: str = ""
    time: str | None = None
    subresource: str = ""


class Meta(Fact, frozen=True):
    """metadata of any object; times are RFC 3339 text."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    owner_references: list[OwnerReference] = []
    managed_fields: list[ManagedField] = []
    generation: int = 0
    resource_version: str = ""


class Object(Fact, frozen=True):
    """What every object has."""

    api_version: str = ""
    kind: str = ""
    metadata: Meta = Meta()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def key(self) -> str:
        """`namespace/name`, or the bare name of an object without a namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class ContainerPort(Fact, frozen=True):
    container_port: int = 0
    name: str = ""
    protocol: str = "TCP"


class Probe(Fact, frozen=True):
    """A readiness, liveness or startup probe; periods in seconds (core/v1 defaults)."""

    http_get: dict[str, Any] | None = None
    tcp_socket: dict[str, Any] | None = None
    exec: dict[str, Any] | None = None
    grpc: dict[str, Any] | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    failure_threshold: int = 3


class Lifecycle(Fact, frozen=True):
    pre_stop: dict[str, Any] | None = None
    post_start: dict[str, Any] | None = None


class EnvVar(Fact, frozen=True):
    name: str = ""
    value: str = ""


class Container(Fact, frozen=True):
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


class PodSpec(Fact, frozen=True):
    containers: list[Container] = []
    init_containers: list[Container] = []
    node_name: str = ""
    node_selector: dict[str, str] = {}
    host_network: bool = False
    service_account_name: str = ""
    termination_grace_period_seconds: int | None = None
    restart_policy: str = ""


class StateDetail(Fact, frozen=True):
    """One of running, waiting or terminated of a container's state."""

    started_at: str | None = None
    finished_at: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    message: str = ""


class ContainerState(Fact, frozen=True):
    running: StateDetail | None = None
    waiting: StateDetail | None = None
    terminated: StateDetail | None = None


class ContainerStatus(Fact, frozen=True):
    name: str = ""
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class Condition(Fact, frozen=True):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class PodIP(Fact, frozen=True):
    ip: str = ""


class PodStatus(Fact, frozen=True):
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


class ServicePort(Fact, frozen=True):
    name: str = ""
    port: int = 0
    target_port: int | str | None = None
    protocol: str = "TCP"
    app_protocol: str | None = None
    node_port: int | None = None


class ServiceSpec(Fact, frozen=True):
    type: str = "ClusterIP"
    selector: dict[str, str] | None = None
    ports: list[ServicePort] = []
    cluster_ip: str = msgspec.field(name="clusterIP", default="")
    cluster_ips: list[str] = msgspec.field(name="clusterIPs", default_factory=list)
    external_name: str = ""
    publish_not_ready_addresses: bool = False
    external_traffic_policy: str = ""


class Service(Object, frozen=True):
    spec: ServiceSpec = ServiceSpec()
    status: dict[str, Any] = {}


class EndpointConditions(Fact, frozen=True):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class TargetRef(Fact, frozen=True):
    kind: str = ""
    name: str = ""
    namespace: str = ""


class SliceEndpoint(Fact, frozen=True):
    addresses: list[str] = []
    conditions: EndpointConditions = EndpointConditions()
    target_ref: TargetRef | None = None
    node_name: str = ""


class SlicePort(Fact, frozen=True):
    name: str | None = None
    port: int | None = None
    protocol: str = "TCP"
    app_protocol: str | None = None


class EndpointSlice(Object, frozen=True):
    address_type: str = ""
    endpoints: list[SliceEndpoint] | None = None
    ports: list[SlicePort] | None = None


class PodTemplate(Fact, frozen=True):
    metadata: Meta = Meta()
    spec: PodSpec = PodSpec()


class WorkloadSpec(Fact, frozen=True):
    replicas: int | None = None
    selector: dict[str, Any] | None = None
    template: PodTemplate = PodTemplate()
    strategy: dict[str, Any] = {}
    update_strategy: dict[str, Any] = {}


class WorkloadStatus(Fact, frozen=True):
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


class EventSource(Fact, frozen=True):
    component: str = ""
    host: str = ""


class InvolvedObject(Fact, frozen=True):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    field_path: str = ""


class EventSeries(Fact, frozen=True):
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


class NodeStatus(Fact, frozen=True):
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


class NetworkPolicySpec(Fact, frozen=True):
    pod_selector: dict[str, Any] = {}
    policy_types: list[str] = []
    ingress: list[dict[str, Any]] | None = None
    egress: list[dict[str, Any]] | None = None


class NetworkPolicy(Object, frozen=True):
    spec: NetworkPolicySpec = NetworkPolicySpec()


class WebhookConfiguration(Object, frozen=True):
    webhooks: list[dict[str, Any]] = []
