"""`ztunnel-config ... -o wide`: also identities, health, why there is no certificate, and how long one still lasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from meshdoctor.mesh.ages import human_duration
from meshdoctor.mesh.gosort import sort_by
from meshdoctor.mesh.identity import spiffe
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.mesh.ztunnel.tables import (
    ConnectionFilter,
    WorkloadFilter,
    connection_table,
    policies,
    services,
    waypoint_name,
    with_kinds,
    workloads,
)
from meshdoctor.model.moment import unix
from meshdoctor.model.x509 import CertificateError, certificates
from meshdoctor.model.ztunnel import Certificate, CertificateState, Service, Workload, ZtunnelDump

WORKLOADS = (
    "NAMESPACE", "POD NAME", "ADDRESS", "NODE", "WAYPOINT", "PROTOCOL", "STATUS", "IDENTITY", "POLICIES",
)  # fmt: skip
SERVICES = ("NAMESPACE", "SERVICE NAME", "HOSTNAME", "SERVICE VIP", "PORTS", "WAYPOINT", "ENDPOINTS", "NOT HEALTHY")
POLICIES = ("NAMESPACE", "POLICY NAME", "ACTION", "SCOPE", "RULES", "DRY RUN")
CERTIFICATES = ("CERTIFICATE NAME", "TYPE", "STATUS", "SERIAL NUMBER", "NOT AFTER", "LEFT", "SHA-256")
NO_ENDPOINTS = "0/0 (NONE)"


def all_tables(dump: ZtunnelDump, now: float) -> Sequence[tuple[str, TextTable]]:
    """Every table with its banner's word; the connections are istioctl's."""
    return (
        ("WORKLOAD", wide_workloads(dump, WorkloadFilter())),
        ("SERVICE", wide_services(dump, "")),
        ("POLICY", wide_policies(dump, "")),
        ("SECRET", wide_certificates(dump, now)),
        ("CONNECTIONS", connection_table(dump, ConnectionFilter())),
    )


def wide_workloads(dump: ZtunnelDump, chosen: WorkloadFilter) -> TextTable:
    rows = []
    for workload in sort_by(workloads(dump, chosen), lambda w: (f"{w.namespace}.{w.name}", w.node)):
        named = workload.authorization_policies
        rows.append(
            (
                workload.namespace,
                workload.name,
                ",".join(workload.workload_ips or ()) or workload.hostname or "-",
                workload.node or "-",
                waypoint_name(workload.waypoint, dump.services),
                workload.protocol,
                workload.status or "-",
                _identity(workload),
                ",".join(named) if isinstance(named, list) and named else "-",
            )
        )
    return TextTable(WORKLOADS, rows, padding=2)


def _identity(workload: Workload) -> str:
    """The SPIFFE id that its certificate has, "-" for one without an account (a ServiceEntry's); the trust domain is
    left out of a dump when it is the usual one.
    """
    if not workload.service_account:
        return "-"
    domain = workload.trust_domain if isinstance(workload.trust_domain, str) else ""
    return spiffe(domain, workload.namespace, workload.service_account)


def wide_services(dump: ZtunnelDump, namespace: str) -> TextTable:
    """NOT HEALTHY names the workloads that count among the endpoints and get no traffic."""
    known = {workload.uid: workload for workload in dump.workloads}
    rows = []
    for service in services(dump, namespace):
        ill = [entry.workload_uid for entry in service.all_endpoints if not _healthy(known.get(entry.workload_uid))]
        total = len(service.all_endpoints)
        rows.append(
            (
                service.namespace,
                service.name,
                service.hostname or "-",
                ",".join(vip.partition("/")[2] for vip in service.vips or ()) or "-",
                _ports(service),
                waypoint_name(service.waypoint, dump.services),
                f"{total - len(ill)}/{total}" if total else NO_ENDPOINTS,
                ",".join(known[uid].name if uid in known else f"{uid} (unknown)" for uid in ill) or "-",
            )
        )
    return TextTable(SERVICES, rows, padding=2)


def _healthy(workload: Workload | None) -> bool:
    return workload is not None and workload.status == "Healthy"


def _ports(service: Service) -> str:
    """`80>8080`: the service's port and the one that its workloads listen on; 0 where a name is resolved by pod."""
    ports: dict[Any, Any] = service.ports or {}
    return ",".join(f"{port}>{target}" if target else str(port) for port, target in ports.items()) or "-"


def wide_policies(dump: ZtunnelDump, namespace: str) -> TextTable:
    """A policy without rules matches nothing: an Allow then refuses everything that it selects."""
    rows = [
        (p.namespace, p.name, p.action, p.scope, str(len(p.rules or ())), "yes" if p.dry_run is True else "-")
        for p in policies(dump, namespace)
    ]
    return TextTable(POLICIES, rows, padding=2)


def wide_certificates(dump: ZtunnelDump, now: float) -> TextTable:
    """A row per certificate, or one with the reason for an identity without any; *now* in Unix seconds."""
    return TextTable(CERTIFICATES, [row for state in dump.certificates for row in _rows(state, now)], padding=2)


def _rows(state: CertificateState, now: float) -> Iterator[Cells]:
    status = _status(state)
    if not state.cert_chain:
        yield (state.identity, "NO CERTIFICATE", status, "-", "-", "-", "-")
    for kind, certificate in with_kinds(state):
        yield _row(state.identity, kind, status, certificate, now)


def _status(state: CertificateState) -> str:
    """The state with what ztunnel says of it: `Unavailable: ...` has the error of the last request to istiod."""
    if isinstance(state.state, dict):
        return ", ".join(f"{word}: {why}" for word, why in state.state.items())
    return str(state.state or "-")


def _row(identity: str, kind: str, status: str, certificate: Certificate, now: float) -> Cells:
    number = certificate.serial_number
    serial = f"{int(number):x}" if number.isdecimal() else "-"
    left = _left(certificate, now)
    return (identity, kind, status, serial, certificate.expiration_time or "-", left, _hash(certificate))


def _left(certificate: Certificate, now: float) -> str:
    """`23h`, `EXPIRED 2m ago`, or `VALID IN 5m`."""
    start, end = unix(certificate.valid_from), unix(certificate.expiration_time)
    if start is None or end is None:
        return "-"
    if now < start:
        return f"VALID IN {human_duration(start - now)}"
    return f"EXPIRED {human_duration(now - end)} ago" if now >= end else human_duration(end - now)


def _hash(certificate: Certificate) -> str:
    """The fingerprint, where the PEM was dumped (ztunnel base64-encodes it)."""
    import base64
    import binascii

    try:
        found = certificates(base64.b64decode(certificate.pem, validate=True))
    except (binascii.Error, ValueError, CertificateError):
        return "-"
    return found[0].fingerprint if found else "-"
