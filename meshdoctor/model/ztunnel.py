"""ztunnel's `/config_dump`: the workloads, services, policies, certificates and connections of one ztunnel.

Shapes of ztunnel 1.24 to 1.32 (`src/state.rs`, `src/state/workload.rs`, `src/admin.rs`); earlier ones write maps where
later ones write lists, and both are read. The structs have the fields that istioctl prints as JSON, in its order and
under its names (istioctl/pkg/writer/ztunnel/configdump/api.go), and what is not there stays unset, as it does there.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from meshdoctor.model.decode import UnreadableError, decode_raw, scrub
from meshdoctor.model.envoy.body import beginning, utf8, without_halves
from meshdoctor.model.envoy.sections import documents, salvaged

T = TypeVar("T")


class _Fields(msgspec.Struct, rename="camel", gc=False, frozen=True):
    """Fields that istioctl prints even when they are empty."""


class Locality(_Fields, frozen=True, omit_defaults=True):
    region: str = ""
    zone: str = ""
    subzone: str = ""


class GatewayAddress(_Fields, frozen=True):
    """A waypoint or network gateway: *destination* is `network/ip` or `namespace/hostname`."""

    destination: str = ""


class ApplicationTunnel(_Fields, frozen=True):
    protocol: str = ""
    port: int | msgspec.UnsetType = msgspec.UNSET


class Workload(_Fields, frozen=True):
    """A pod (or other workload) as istiod described it; *protocol* HBONE: its node's ztunnel tunnels for it."""

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
    authorization_policies: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    """`namespace/name` of the policies that select it; namespace-wide and mesh-wide ones are not repeated here."""


class LoadBalancer(_Fields, frozen=True):
    mode: str = ""
    routing_preferences: list[str] | None = None
    health_policy: str = ""


class ServiceEndpoint(_Fields, frozen=True):
    workload_uid: str = ""
    service: str = ""
    address: str | msgspec.UnsetType = msgspec.UNSET
    port: dict[str, int] | None = None


class Service(_Fields, frozen=True):
    """A service with its *vips* (`network/ip`), *ports* (service port to target port) and endpoints by workload."""

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

    @property
    def all_endpoints(self) -> tuple[ServiceEndpoint, ...]:
        found = self.endpoints or ()
        return tuple(found.values()) if isinstance(found, dict) else tuple(found)


class Policy(_Fields, frozen=True):
    """An authorization rule set: *scope* Global, Namespace or WorkloadSelector; *rules* as ztunnel nests them."""

    name: str = ""
    namespace: str = ""
    scope: str = ""
    action: str = ""
    rules: list[Any] | None = None
    dry_run: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether it only counts what it would refuse; istioctl does not print it."""


class Certificate(_Fields, frozen=True):
    pem: str = ""
    serial_number: str = ""
    valid_from: str = ""
    expiration_time: str = ""


class CertificateState(_Fields, frozen=True):
    """One identity with its chain."""

    identity: str = ""
    state: Any = ""
    cert_chain: list[Certificate] | None = None
    root_certs: list[Certificate] | None = None


class Connection(_Fields, frozen=True):
    src: str = ""
    original_dst: str | None = ""
    actual_dst: str = ""
    protocol: str = ""

    def __post_init__(self) -> None:
        if self.original_dst is None:  # Go reads null as an empty string
            msgspec.structs.force_setattr(self, "original_dst", "")


class Connections(_Fields, frozen=True):
    inbound: list[Connection] | None = None
    outbound: list[Connection] | None = None


class WorkloadInfo(_Fields, frozen=True):
    name: str = ""
    namespace: str = ""
    trust_domain: str = ""
    service_account: str = ""


class WorkloadState(_Fields, frozen=True):
    state: Any = msgspec.UNSET
    connections: Connections | None = msgspec.field(default_factory=Connections)
    info: WorkloadInfo = msgspec.field(default_factory=WorkloadInfo)


class ZtunnelDump(msgspec.Struct, frozen=True, rename="camel"):
    """What one ztunnel knows; *problems* names what could not be decoded, a line each."""

    workloads: tuple[Workload, ...] = ()
    services: tuple[Service, ...] = ()
    policies: tuple[Policy, ...] = ()
    certificates: tuple[CertificateState, ...] = ()
    workload_state: tuple[WorkloadState, ...] = ()
    problems: tuple[str, ...] = ()

    def workload(self, namespace: str, name: str) -> Workload | None:
        """The workload of a pod."""
        return next((one for one in self.workloads if (one.namespace, one.name) == (namespace, name)), None)

    def service(self, namespace: str, name: str) -> Service | None:
        return next((one for one in self.services if (one.namespace, one.name) == (namespace, name)), None)


def decode_ztunnel_dump(body: bytes) -> ZtunnelDump:
    """A dump from its bytes; a wrong entry is left out and named. Raises `UnreadableError` for what is no dump."""
    problems: list[str] = []
    plain = bytes(utf8(body))
    if plain[: max(plain.find(b"{"), 0)].strip():
        problems.append("text before the JSON was skipped")
    raw = _parts(plain, problems)
    if raw.keys() == {"configs"}:
        problems.append("Envoy's dump, not ztunnel's; use meshdoctor proxy-config")
    # Go matches names without regard to case.
    parts = {name.lower(): value for name, value in raw.items()}
    return ZtunnelDump(
        _entries(parts.get("workloads"), Workload, "workloads", problems),
        _entries(parts.get("services"), Service, "services", problems),
        _entries(parts.get("policies"), Policy, "policies", problems),
        _entries(parts.get("certificates"), CertificateState, "certificates", problems),
        _entries(parts.get("workloadstate"), WorkloadState, "workloadState", problems),
        tuple(problems),
    )


def whole_answer(body: bytes) -> dict[str, Any]:
    """Everything that a dump holds as JSON values, known or not; raises `UnreadableError`."""
    found = {}
    for name, raw in _parts(bytes(utf8(body)), []).items():
        try:
            text = bytes(raw).decode(errors="replace").encode()
            found[name] = msgspec.json.decode(without_halves(text) or text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnreadableError(f"{name}: {error}") from None
    return found


_LISTS = ("certificates", "policies", "services", "workloadState", "workloads")


def _parts(body: bytes, problems: list[str]) -> dict[str, msgspec.Raw]:
    """The fields of the last dump in *body*; text around it is skipped, of a broken one the whole entries are left."""
    if not body.strip():
        raise UnreadableError("the body is empty")
    start = max(body.find(b"{"), 0)
    try:
        return msgspec.json.decode(body[start:], type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        why = str(error)
    if whole := without_halves(body):
        problems.append("halves of UTF-16 pairs are shown as \ufffd")
        return _parts(whole, problems)
    dumps, rest = documents(body[start:])
    if dumps:
        if len(dumps) > 1:
            problems.append(f"the file holds {len(dumps)} dumps; the last one is shown")
        elif rest:
            problems.append("text after the JSON was skipped")
        return msgspec.json.decode(dumps[-1], type=dict[str, msgspec.Raw])
    found = salvaged(body[start:], _LISTS)
    if not found:
        raise UnreadableError(f"{why}; it begins with: {beginning(body)}")
    problems.append(f"not valid JSON ({why}); what could be read of its entries is shown")
    return {name: msgspec.Raw(b"[" + b",".join(entries) + b"]") for name, entries in found.items()}


def decode_whole_dump(body: bytes) -> ZtunnelDump:
    """A dump of which every entry could be read, as a fact; raises `UnreadableError`.

    Of a dump with a wrong entry, what is not in it would prove nothing.
    """
    found = decode_ztunnel_dump(scrub(body))
    if found.problems:
        raise UnreadableError(found.problems[0])
    return found


def _entries(raw: msgspec.Raw | None, kind: type[T], what: str, problems: list[str]) -> tuple[T, ...]:
    """The values of a list or of an object."""
    if raw is None:
        return ()
    try:
        found = decode_raw(raw, list[msgspec.Raw] | dict[str, msgspec.Raw] | None)  # type: ignore[arg-type]
    except UnreadableError as error:
        problems.append(f"{what}: {error}")
        return ()
    values = []
    for entry in found.values() if isinstance(found, dict) else found or ():
        try:
            values.append(decode_raw(entry, kind))
        except UnreadableError as error:
            problems.append(f"{what}: {error}")
    return tuple(values)
