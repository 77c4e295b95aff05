"""UPE: does the application speak the protocol that the port declares? (`protocol_error`, 502)"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.protocols import is_http2, of_service_port
from meshdoctor.mesh.quoting import lines_say, logged, remedy
from meshdoctor.mesh.traffic import SERVER, Seen, cluster_of
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.snapshot import Want
from meshdoctor.model.wants import ProxyConfig


def _lines(case: Case) -> tuple[Seen, ...]:
    """The failing lines of the hop that talks to the bad peer: the server's where there are any."""
    found = tuple(seen for seen in case.failures if seen.access and seen.access.primary_flag == "UPE")
    served = tuple(seen for seen in found if seen.side == SERVER)
    return served or found


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = _lines(case)
    if not lines:
        return not_applicable("no answer broke the protocol")
    newest = lines[-1]
    raw = newest.cluster.name if newest.cluster else ""
    owner = blame.of_workload(mesh.workload(newest.pod)) if newest.side == SERVER else None
    service = blame.of_service(case.destination, "spec.ports[].name")
    declared = _declared_http2(case, mesh) or _sends_http2(cluster_of(mesh, newest))
    evidence = lines_say(lines, f"{logged(newest)} on {raw}")
    if declared and service and not _spoke_meanwhile(case, lines):
        return culprit(
            Verdict(
                "http2-http1-mismatch",
                0.93,
                f"{service} declares HTTP/2, and the application does not speak it",
                (service, *((owner,) if owner else ())),
                (
                    evidence,
                    Evidence(
                        "the sidecar sends HTTP/2 because of the port's name or appProtocol",
                        mesh.file("Service"),
                        f"{service.namespace}/{service.name}",
                    ),
                ),
                remedy(
                    f"Name the port http (or set appProtocol: http) in {service}, or make the application speak HTTP/2."
                ),
                case.together(lines),
            )
        )
    if not mesh.known("Service", case.server_namespace):
        return inconclusive("an answer broke the protocol; which one the port declares could not be read", evidence)
    blamed = tuple(one for one in (owner, service) if one)
    if not blamed:
        return not_applicable("the peer that broke the protocol is not of this mesh")
    return culprit(
        Verdict(
            "upstream-protocol-error",
            0.9,
            f"{blamed[0]} sends an answer that is not valid HTTP",
            blamed,
            (evidence,),
            remedy(
                f"Look at the raw answer of {blamed[0]} (curl -v to the pod from istio-proxy): a doubled "
                "Transfer-Encoding, "
                "a space in a header name, too many headers, or another protocol."
            ),
            case.together(lines),
        )
    )


def _spoke_meanwhile(case: Case, lines: tuple[Seen, ...]) -> bool:
    """Whether other requests were answered well between these: then the two sides do speak the same protocol."""
    times = [seen.start for seen in lines if seen.start is not None]
    good = (seen.start or 0.0 for seen in case.seen if seen.side == lines[-1].side and not seen.failed)
    return bool(times) and any(min(times) < moment < max(times) for moment in good)


def _declared_http2(case: Case, mesh: MeshIndex) -> bool:
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    ports = [port for port in service.spec.ports if port.port == case.destination.port] if service else []
    return any(is_http2(of_service_port(port)) for port in ports)


def _sends_http2(cluster: Cluster | None) -> bool:
    if cluster is None:
        return False
    return any(
        b'"http2_protocol_options"' in bytes(raw) and b'"explicit_http_config"' in bytes(raw)
        for raw in cluster.typed_extension_protocol_options.values()
    )


def needs(case: Case, mesh: MeshIndex) -> Iterable[Want[Any]]:
    return [ProxyConfig(seen.pod) for seen in _lines(case)[-1:]]


PROBE = Probe(
    "application-protocol",
    "Does the application speak the declared protocol?",
    ("http2-http1-mismatch", "upstream-protocol-error"),
    examine,
    needs,
)
