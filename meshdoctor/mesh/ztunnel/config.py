"""ztunnel's `/config_dump` as istioctl reads it (istioctl/pkg/writer/ztunnel/configdump/api.go, 1.24 to 1.32).

The structs have the fields that istioctl prints as JSON, under its names; unknown ones are left out as it does.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from meshdoctor.model.decode import UnreadableError

T = TypeVar("T")


class _Fact(msgspec.Struct, rename="camel", gc=False):
    """Fields that istioctl prints even when they are empty."""


class Locality(_Fact, omit_defaults=True):
    region: str = ""
    zone: str = ""
    subzone: str = ""


class GatewayAddress(_Fact):
    destination: str = ""


class ApplicationTunnel(_Fact):
    protocol: str = ""
    port: int | msgspec.UnsetType = msgspec.UNSET


class Workload(_Fact):
    uid: str = ""
    workload_ips: list[str] | None = None
    waypoint: GatewayAddress | msgspec.UnsetType | None = msgspec.UNSET
    network_gateway: GatewayAddress | msgspec.UnsetType | None = msgspec.UNSET
    protocol: str = ""
    name: str = ""
    namespace: str = ""
    service_account: str = ""
    workload_name: str = ""
    workload_type: str = ""
    canonical_name: str = ""
    canonical_revision: str = ""
    cluster_id: str = ""
    trust_domain: str | msgspec.UnsetType = msgspec.UNSET
    locality: Locality = msgspec.field(default_factory=Locality)
    node: str = ""
    network: str | msgspec.UnsetType = msgspec.UNSET
    status: str = ""
    hostname: str = ""
    capacity: int = 0
    application_tunnel: ApplicationTunnel | None = msgspec.field(default_factory=ApplicationTunnel)
    authorization_policies: list[str] | msgspec.UnsetType = msgspec.UNSET


class LoadBalancer(_Fact):
    mode: str = ""
    routing_preferences: list[str] | None = None
    health_policy: str = ""


class ServiceEndpoint(_Fact):
    workload_uid: str = ""
    service: str = ""
    address: str | msgspec.UnsetType = msgspec.UNSET
    port: dict[str, int] | None = None


class Service(_Fact):
    name: str = ""
    namespace: str = ""
    hostname: str = ""
    vips: list[str] | None = None
    ports: dict[str, int] | None = None
    load_balancer: LoadBalancer | msgspec.UnsetType | None = msgspec.UNSET
    waypoint: GatewayAddress | msgspec.UnsetType | None = msgspec.UNSET
    endpoints: dict[str, ServiceEndpoint] | list[ServiceEndpoint] | None = None
    subject_alt_names: list[str] | msgspec.UnsetType = msgspec.UNSET
    ip_families: str | None = ""


class Policy(_Fact):
    name: str = ""
    namespace: str = ""
    scope: str = ""
    action: str = ""
    rules: list[Any] | None = None


class Certificate(_Fact):
    pem: str = ""
    serial_number: str = ""
    valid_from: str = ""
    expiration_time: str = ""


class CertificateState(_Fact):
    identity: str = ""
    state: Any = ""
    cert_chain: list[Certificate] | None = None
    root_certs: list[Certificate] | None = None


class Connection(_Fact):
    src: str = ""
    original_dst: str | None = ""
    actual_dst: str = ""
    protocol: str = ""

    def __post_init__(self) -> None:
        if self.original_dst is None:  # Go reads null as an empty string
            self.original_dst = ""


class Connections(_Fact):
    inbound: list[Connection] | None = None
    outbound: list[Connection] | None = None


class WorkloadInfo(_Fact):
    name: str = ""
    namespace: str = ""
    trust_domain: str = ""
    service_account: str = ""


class WorkloadState(_Fact):
    state: Any = msgspec.UNSET
    connections: Connections | None = msgspec.field(default_factory=Connections)
    info: WorkloadInfo = msgspec.field(default_factory=WorkloadInfo)


class ZtunnelDump(msgspec.Struct):
    """What one ztunnel knows; *problems* names what could not be decoded, a line each."""

    workloads: list[Workload] = []
    services: list[Service] = []
    policies: list[Policy] = []
    certificates: list[CertificateState] = []
    workload_state: list[WorkloadState] = []
    problems: list[str] = []


def decode_ztunnel_dump(body: bytes) -> ZtunnelDump:
    """A dump from its bytes; lists may also be objects, whose values count. Raises `UnreadableError`."""
    if not body.strip():
        raise UnreadableError("error unmarshalling config dump response from ztunnel: the body is empty")
    start = body.find(b"{")
    try:
        raw = msgspec.json.decode(body[max(start, 0) :], type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableError(f"error unmarshalling config dump response from ztunnel: {error}") from None
    # Go matches names without regard to case.
    parts = {name.lower(): value for name, value in raw.items()}
    problems = ["text before the JSON was skipped"] if body[: max(start, 0)].strip(b" \r\n\t\xef\xbb\xbf") else []
    return ZtunnelDump(
        _values(parts.get("workloads"), Workload, "workloads", problems),
        _values(parts.get("services"), Service, "services", problems),
        _values(parts.get("policies"), Policy, "policies", problems),
        _values(parts.get("certificates"), CertificateState, "certificates", problems),
        _values(parts.get("workloadstate"), WorkloadState, "workloadState", problems),
        problems,
    )


def _values(raw: msgspec.Raw | None, kind: type[T], what: str, problems: list[str]) -> list[T]:
    if raw is None:
        return []
    try:
        found = msgspec.json.decode(raw, type=list[msgspec.Raw] | dict[str, msgspec.Raw] | None)
    except msgspec.DecodeError as error:
        problems.append(f"{what}: {error}")
        return []
    values = []
    for entry in found.values() if isinstance(found, dict) else found or ():
        try:
            values.append(msgspec.json.decode(entry, type=kind, strict=False))
        except msgspec.DecodeError as error:
            problems.append(f"{what}: {error}")
    return values
