"""Istio and Gateway API objects, typed where a question is asked of them (istio.io/api 1.29 to 1.32)."""

from __future__ import annotations

from typing import Any

from meshdoctor.model.meta import Fields, Object

Json = dict[str, Any]


class WorkloadSelector(Fields, frozen=True):
    match_labels: dict[str, str] = {}
    labels: dict[str, str] = {}

    @property
    def all_labels(self) -> dict[str, str]:
        """`matchLabels` (security) or `labels` (networking): the two spellings of one idea."""
        return self.match_labels or self.labels


class TargetReference(Fields, frozen=True):
    kind: str = ""
    name: str = ""
    group: str = ""
    namespace: str = ""


class Mtls(Fields, frozen=True):
    mode: str = "UNSET"


class PeerAuthenticationSpec(Fields, frozen=True):
    selector: WorkloadSelector | None = None
    mtls: Mtls | None = None
    port_level_mtls: dict[str, Mtls] = {}


class PeerAuthentication(Object, frozen=True):
    spec: PeerAuthenticationSpec = PeerAuthenticationSpec()


class ClientTls(Fields, frozen=True):
    mode: str = "DISABLE"
    client_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    credential_name: str = ""
    subject_alt_names: list[str] = []
    sni: str = ""
    insecure_skip_verify: bool | None = None


class PortSelector(Fields, frozen=True):
    number: int = 0


class TrafficPolicy(Fields, frozen=True):
    load_balancer: Json | None = None
    connection_pool: Json | None = None
    outlier_detection: Json | None = None
    tls: ClientTls | None = None
    port_level_settings: list[PortTrafficPolicy] = []
    tunnel: Json | None = None
    proxy_protocol: Json | None = None


class PortTrafficPolicy(Fields, frozen=True):
    port: PortSelector = PortSelector()
    load_balancer: Json | None = None
    connection_pool: Json | None = None
    outlier_detection: Json | None = None
    tls: ClientTls | None = None


class Subset(Fields, frozen=True):
    name: str = ""
    labels: dict[str, str] = {}
    traffic_policy: TrafficPolicy | None = None


class DestinationRuleSpec(Fields, frozen=True):
    host: str = ""
    traffic_policy: TrafficPolicy | None = None
    subsets: list[Subset] = []
    export_to: list[str] = []
    workload_selector: WorkloadSelector | None = None


class DestinationRule(Object, frozen=True):
    spec: DestinationRuleSpec = DestinationRuleSpec()


class Destination(Fields, frozen=True):
    host: str = ""
    subset: str = ""
    port: PortSelector | None = None


class RouteDestination(Fields, frozen=True):
    destination: Destination = Destination()
    weight: int = 0


class HttpRoute(Fields, frozen=True):
    """One `http` route of a VirtualService; matches and actions keep the API's own shape."""

    name: str = ""
    match: list[Json] = []
    route: list[RouteDestination] = []
    redirect: Json | None = None
    direct_response: Json | None = None
    delegate: Json | None = None
    fault: Json | None = None
    timeout: str | None = None
    retries: Json | None = None
    rewrite: Json | None = None
    mirror: Destination | None = None


class L4Route(Fields, frozen=True):
    match: list[Json] = []
    route: list[RouteDestination] = []


class VirtualServiceSpec(Fields, frozen=True):
    hosts: list[str] = []
    gateways: list[str] = []
    http: list[HttpRoute] = []
    tls: list[L4Route] = []
    tcp: list[L4Route] = []
    export_to: list[str] = []


class VirtualService(Object, frozen=True):
    spec: VirtualServiceSpec = VirtualServiceSpec()


class Port(Fields, frozen=True):
    number: int = 0
    name: str = ""
    protocol: str = ""
    target_port: int = 0


class GatewayServer(Fields, frozen=True):
    port: Port = Port()
    hosts: list[str] = []
    tls: Json | None = None
    bind: str = ""
    name: str = ""


class GatewaySpec(Fields, frozen=True):
    selector: dict[str, str] = {}
    servers: list[GatewayServer] = []


class Gateway(Object, frozen=True):
    """networking.istio.io Gateway."""

    spec: GatewaySpec = GatewaySpec()


class WorkloadEntrySpec(Fields, frozen=True):
    address: str = ""
    ports: dict[str, int] = {}
    labels: dict[str, str] = {}
    service_account: str = ""
    network: str = ""
    locality: str = ""
    weight: int = 0


class WorkloadEntry(Object, frozen=True):
    spec: WorkloadEntrySpec = WorkloadEntrySpec()


class ServiceEntrySpec(Fields, frozen=True):
    hosts: list[str] = []
    addresses: list[str] = []
    ports: list[Port] = []
    location: str = "MESH_EXTERNAL"
    resolution: str = "NONE"
    endpoints: list[WorkloadEntrySpec] = []
    workload_selector: WorkloadSelector | None = None
    export_to: list[str] = []
    subject_alt_names: list[str] = []


class ServiceEntry(Object, frozen=True):
    spec: ServiceEntrySpec = ServiceEntrySpec()
    status: Json = {}


class SidecarEgress(Fields, frozen=True):
    hosts: list[str] = []
    port: Port | None = None
    bind: str = ""
    capture_mode: str = ""


class SidecarIngress(Fields, frozen=True):
    port: Port = Port()
    bind: str = ""
    default_endpoint: str = ""
    capture_mode: str = ""
    tls: Json | None = None
    connection_pool: Json | None = None


class SidecarSpec(Fields, frozen=True):
    workload_selector: WorkloadSelector | None = None
    egress: list[SidecarEgress] = []
    ingress: list[SidecarIngress] = []
    outbound_traffic_policy: Json | None = None
    inbound_connection_pool: Json | None = None


class Sidecar(Object, frozen=True):
    spec: SidecarSpec = SidecarSpec()


class AuthorizationPolicySpec(Fields, frozen=True):
    selector: WorkloadSelector | None = None
    target_ref: TargetReference | None = None
    target_refs: list[TargetReference] = []
    action: str = "ALLOW"
    rules: list[Json] | None = None
    provider: Json | None = None


class AuthorizationPolicy(Object, frozen=True):
    spec: AuthorizationPolicySpec = AuthorizationPolicySpec()
    status: Json = {}


class RequestAuthenticationSpec(Fields, frozen=True):
    selector: WorkloadSelector | None = None
    target_ref: TargetReference | None = None
    target_refs: list[TargetReference] = []
    jwt_rules: list[Json] = []


class RequestAuthentication(Object, frozen=True):
    spec: RequestAuthenticationSpec = RequestAuthenticationSpec()


class GenericObject(Object, frozen=True):
    """A kind whose spec keeps the API's own shape (EnvoyFilter, Telemetry, WasmPlugin, Gateway API and so on)."""

    spec: Json = {}
    status: Json = {}
