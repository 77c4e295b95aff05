"""ztunnel's workloads, services, policies, certificates and connections (istioctl/pkg/writer/ztunnel/configdump)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from meshdoctor.mesh.gosort import sort_by
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.moment import unix
from meshdoctor.model.ztunnel import (
    Certificate,
    CertificateState,
    GatewayAddress,
    Policy,
    Service,
    Workload,
    WorkloadState,
    ZtunnelDump,
)


class WorkloadFilter(NamedTuple):
    """istioctl's flags, compared whole and without regard to case; *name* is `pod.namespace`."""

    namespace: str = ""
    address: str = ""
    node: str = ""
    name: str = ""

    def keeps(self, workload: Workload) -> bool:
        addresses = [address.lower() for address in workload.workload_ips or ()]
        return (
            (not self.namespace or workload.namespace.lower() == self.namespace.lower())
            and (not self.address or self.address.lower() in addresses)
            and (not self.node or workload.node.lower() == self.node.lower())
            and (not self.name or f"{workload.name}.{workload.namespace}" == self.name)
        )


class ConnectionFilter(NamedTuple):
    """*direction* is inbound or outbound; *raw* shows addresses instead of names; *name* is `pod.namespace`."""

    namespace: str = ""
    direction: str = ""
    raw: bool = False
    name: str = ""

    def keeps(self, state: WorkloadState) -> bool:
        info = state.info
        return (not self.namespace or info.namespace == self.namespace) and (
            not self.name or f"{info.name}.{info.namespace}" == self.name
        )


def workloads(dump: ZtunnelDump, chosen: WorkloadFilter) -> list[Workload]:
    return [workload for workload in dump.workloads if chosen.keeps(workload)]


def workload_table(dump: ZtunnelDump, chosen: WorkloadFilter) -> TextTable:
    rows = []
    for workload in sort_by(workloads(dump, chosen), lambda w: (f"{w.namespace}.{w.name}", w.node)):
        address = ",".join(workload.workload_ips or ()) or workload.hostname
        waypoint = waypoint_name(workload.waypoint, dump.services)
        rows.append((workload.namespace, workload.name, address, workload.node, waypoint, workload.protocol))
    return TextTable(("NAMESPACE", "POD NAME", "ADDRESS", "NODE", "WAYPOINT", "PROTOCOL"), rows, padding=1)


def services(dump: ZtunnelDump, namespace: str) -> list[Service]:
    kept = [s for s in dump.services if not namespace or s.namespace.lower() == namespace.lower()]
    return sort_by(kept, lambda s: (s.namespace, s.name, s.hostname))


def service_table(dump: ZtunnelDump, namespace: str) -> TextTable:
    healthy = {workload.uid for workload in dump.workloads if workload.status == "Healthy"}
    rows = []
    for service in services(dump, namespace):
        vips = ",".join(vip.partition("/")[2] for vip in service.vips or ())
        endpoints = service.all_endpoints
        alive = sum(endpoint.workload_uid in healthy for endpoint in endpoints)
        waypoint = waypoint_name(service.waypoint, dump.services)
        rows.append((service.namespace, service.name, vips, waypoint, f"{alive}/{len(endpoints)}"))
    return TextTable(("NAMESPACE", "SERVICE NAME", "SERVICE VIP", "WAYPOINT", "ENDPOINTS"), rows, padding=1)


def waypoint_name(waypoint: Any, known: Iterable[Service]) -> str:
    """The waypoint's name, found by its address (`network/ip`) or `namespace/hostname`; "NA" when none has it."""
    if not isinstance(waypoint, GatewayAddress):
        return "None"
    for service in known:
        if waypoint.destination in (f"{service.namespace}/{service.hostname}", *(service.vips or ())):
            return service.name
    return "NA"


def policies(dump: ZtunnelDump, namespace: str) -> list[Policy]:
    kept = [p for p in dump.policies if not namespace or p.namespace.lower() == namespace.lower()]
    return sort_by(kept, lambda p: (p.namespace, p.name))


def policy_table(dump: ZtunnelDump, namespace: str) -> TextTable:
    rows = [(p.namespace, p.name, p.action, p.scope) for p in policies(dump, namespace)]
    return TextTable(("NAMESPACE", "POLICY NAME", "ACTION", "SCOPE"), rows, padding=1)


def certificate_table(dump: ZtunnelDump, now: float) -> TextTable:
    """A row per certificate, or one of NA for an identity without any; *now* in Unix seconds."""
    header = ("CERTIFICATE NAME", "TYPE", "STATUS", "VALID CERT", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE")
    return TextTable(header, [row for state in dump.certificates for row in _certificate_rows(state, now)])


def _certificate_rows(state: CertificateState, now: float) -> Iterator[Cells]:
    status = certificate_status(state)
    if not state.cert_chain:
        yield (state.identity, "NA", status, "false", "NA", "NA", "NA")
        return
    for kind, certificate in with_kinds(state):
        yield _certificate_row(state.identity, kind, status, certificate, now)


def with_kinds(state: CertificateState) -> Iterator[tuple[str, Certificate]]:
    """The certificates of an identity, its own first, each with what it is.

    Older ztunnels have the root at the end of the chain.
    """
    chain, roots = state.cert_chain or [], state.root_certs or []
    for index, certificate in enumerate(chain):
        last_is_root = not roots and index == len(chain) - 1
        yield "Leaf" if index == 0 else "Root" if last_is_root else "Intermediate", certificate
    for certificate in roots:
        yield "Root", certificate


def certificate_status(state: CertificateState) -> str:
    """The state's word; what an unavailable one says beyond it is left out, as istioctl does."""
    value = state.state
    text = " ".join(map(str, value)) if isinstance(value, list | dict) else str(value or "")
    return "Unavailable" if "Unavailable" in text else text


def _certificate_row(identity: str, kind: str, status: str, certificate: Certificate, now: float) -> Cells:
    start, end = unix(certificate.valid_from), unix(certificate.expiration_time)
    valid = start is not None and end is not None and start < now < end
    number = certificate.serial_number
    serial = f"{int(number):x}" if number.isdecimal() else "<nil>"
    return (
        identity,
        kind,
        status,
        "true" if valid else "false",
        serial,
        certificate.expiration_time or "NA",
        certificate.valid_from or "NA",
    )


def workload_states(dump: ZtunnelDump, chosen: ConnectionFilter) -> list[WorkloadState]:
    kept = [state for state in dump.workload_state if chosen.keeps(state)]
    return sort_by(kept, lambda state: (state.info.namespace, state.info.name))


def connection_table(dump: ZtunnelDump, chosen: ConnectionFilter) -> TextTable:
    names = {} if chosen.raw else _names(dump)
    rows = []
    for state in workload_states(dump, chosen):
        name = f"{state.info.name}.{state.info.namespace}"
        connections = state.connections
        if connections is None:
            continue
        if chosen.direction != "outbound":
            for one in connections.inbound or ():
                target = one.original_dst or ""
                ends = (_named(one.actual_dst, names), _named(one.src, names))
                rows.append((name, "Inbound", *ends, target, one.protocol))
        if chosen.direction != "inbound":
            for one in connections.outbound or ():
                ends = (_named(one.src, names), _named(one.actual_dst, names))
                rows.append((name, "Outbound", *ends, _named(one.original_dst or "", names), one.protocol))
    return TextTable(("WORKLOAD", "DIRECTION", "LOCAL", "REMOTE", "REMOTE TARGET", "PROTOCOL"), rows, padding=1)


def _names(dump: ZtunnelDump) -> dict[str, str]:
    """Names by address: a service's wins over a workload's, and only the first address of each counts."""
    found = {}
    for workload in dump.workloads:
        found[workload.workload_ips[0] if workload.workload_ips else ""] = f"{workload.name}.{workload.namespace}"
    for service in dump.services:
        found[service.vips[0].partition("/")[2] if service.vips else ""] = service.hostname
    found.pop("", None)
    return found


def _named(address: str, names: dict[str, str]) -> str:
    ip, port = _split(address)
    name = names.get(ip)
    return address if name is None else f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _split(address: str) -> tuple[str, str]:
    """Host and port as Go's net.SplitHostPort; two empty texts for what is not both."""
    host, colon, port = address.rpartition(":")
    if not colon:
        return "", ""
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], port
    return ("", "") if ":" in host else (host, port)


def all_tables(dump: ZtunnelDump, now: float) -> Sequence[tuple[str, TextTable]]:
    """Every table with its banner's word, in the order of `ztunnel-config all`."""
    return (
        ("WORKLOAD", workload_table(dump, WorkloadFilter())),
        ("SERVICE", service_table(dump, "")),
        ("POLICY", policy_table(dump, "")),
        ("SECRET", certificate_table(dump, now)),
        ("CONNECTIONS", connection_table(dump, ConnectionFilter())),
    )
