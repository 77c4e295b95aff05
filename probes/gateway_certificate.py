"""TLS at a gateway ends without a log line: does the gateway have the certificate for the host?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, cleared, culprit, inconclusive, not_applicable
from meshdoctor.mesh.gateways import pods_of, serves, takes
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import config_says, lines_say, logged, object_says, remedy
from meshdoctor.mesh.traffic import Seen
from meshdoctor.model import istio
from meshdoctor.model.labels import GATEWAY_NAME
from meshdoctor.model.snapshot import Missing, PodRef, Want
from meshdoctor.model.wants import ProxyConfig, ProxyInitDump

ISTIO_SDS, API_SDS = "kubernetes://", "kubernetes-gateway://"
"""How istiod names the credential of a Gateway of Istio's in SDS (`…://NAME`, in the namespace of the gateway's pods),
and of the Gateway API's (`…://NAMESPACE/NAME`; pilot/pkg/model/credentials)."""
_TLS_LISTENERS = ("HTTPS", "TLS")


class _Credential(NamedTuple):
    """A credential that *gateway* names: *sds* is its name in the configuration of *pods*, *secret* where it should be;
    *refused* what the Gateway's own status says of it."""

    gateway: Resource
    sds: str
    secret: Resource
    pods: tuple[PodRef, ...]
    refused: Evidence | None = None


def _failed(case: Case) -> tuple[Seen, ...]:
    return tuple(
        seen for seen in case.calls if seen.call and seen.call.status == 0 and seen.call.url.startswith("https://")
    )


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = _failed(case)
    if not lines:
        return not_applicable("no TLS call failed without an answer")
    said = lines_say(lines, logged(lines[-1])[:120])
    found = list(_credentials(case, mesh))
    if not found:
        return not_applicable(f"no Gateway terminates TLS for {case.destination.host}")
    unread = []
    for credential in found:
        if credential.refused:
            return _verdict(credential, credential.refused, said, lines)
        for pod in credential.pods:
            missing = _missing(mesh, pod, credential.sds)
            if isinstance(missing, Evidence):
                return _verdict(credential, missing, said, lines)
            if missing is None:
                unread.append(str(pod))
    if unread:
        return inconclusive(f"the secrets of gateway {unread[0]} were not read", said)
    return cleared(f"the gateway has its certificate {found[0].secret.name}", said)


def _credentials(case: Case, mesh: MeshIndex) -> Iterator[_Credential]:
    yield from _of_istio(case, mesh)
    yield from _of_the_api(case, mesh)


def _of_istio(case: Case, mesh: MeshIndex) -> Iterator[_Credential]:
    for gateway in mesh.objects("Gateway", istio.Gateway):
        pods = pods_of(mesh, gateway) if takes(gateway, case.destination.host) else ()
        for server in gateway.spec.servers:
            if not serves(server.hosts, case.destination.host) or not _leads_to(mesh, pods, case, server.port.number):
                continue
            tls = server.tls or {}
            field = "spec.servers[].tls.credentialName"
            for name in [tls.get("credentialName"), *(tls.get("credentialNames") or [])]:
                if name:
                    where = pods[0].namespace if pods else gateway.namespace
                    owner = Resource("Gateway", gateway.namespace, gateway.name, field)
                    yield _Credential(owner, f"{ISTIO_SDS}{name}", Resource("Secret", where, str(name)), pods)


def _of_the_api(case: Case, mesh: MeshIndex) -> Iterator[_Credential]:
    for gateway in mesh.objects("K8sGateway", istio.GenericObject):
        pods = tuple(
            ref
            for ref, pod in mesh.pods.items()
            if (ref.namespace, pod.metadata.labels.get(GATEWAY_NAME)) == (gateway.namespace, gateway.name)
        )
        states = {str(one.get("name", "")): one for one in gateway.status.get("listeners") or []}
        for listener in gateway.spec.get("listeners") or []:
            host, port = str(listener.get("hostname") or "*"), int(listener.get("port") or 0)
            terminates = str(listener.get("protocol", "")) in _TLS_LISTENERS
            if not (terminates and serves([host], case.destination.host) and _leads_to(mesh, pods, case, port)):
                continue
            refused = _refused(mesh, gateway, states.get(str(listener.get("name", "")), {}))
            for ref in (listener.get("tls") or {}).get("certificateRefs") or []:
                secret = Resource("Secret", str(ref.get("namespace") or gateway.namespace), str(ref.get("name", "")))
                owner = Resource("Gateway", gateway.namespace, gateway.name, "spec.listeners[].tls.certificateRefs")
                yield _Credential(owner, f"{API_SDS}{secret.namespace}/{secret.name}", secret, pods, refused)


def _refused(mesh: MeshIndex, gateway: istio.GenericObject, state: dict[str, Any]) -> Evidence | None:
    """What istiod says of a listener whose certificate it could not use: it then opens no port for it at all."""
    for condition in state.get("conditions") or []:
        if condition.get("type") == "ResolvedRefs" and condition.get("status") == "False":
            why = f"listener {state.get('name')}: {condition.get('reason')}, {condition.get('message') or 'no message'}"
            return object_says(mesh, "K8sGateway", gateway, why)
    return None


def _leads_to(mesh: MeshIndex, pods: tuple[PodRef, ...], case: Case, number: int) -> bool:
    """Whether the port that was asked leads to port *number* of a gateway: by its Service, or its node port."""
    asked = case.destination.port
    if asked == number:
        return True
    ports = [
        port
        for service in mesh.services.values()
        if any(pod.ref in pods for pod in mesh.selected_pods(service))
        for port in service.spec.ports
    ]
    return any(asked in (port.port, port.node_port) and number in (port.port, port.target_port) for port in ports)


def _missing(mesh: MeshIndex, pod: PodRef, wanted: str) -> Evidence | bool | None:
    """Evidence that the secret never came; False when it did; None when that could not be read."""
    config = mesh.config(pod)
    if config is None:
        return None
    secrets = {entry.name: entry for entry in config.secrets}
    held = secrets.get(wanted)
    if held is not None and held.state == "active" and held.body.tls_certificate:
        return False
    waits = mesh.snapshot.get(ProxyInitDump(pod))
    targets = (
        [] if isinstance(waits, Missing) else [t for one in waits.value.unready_targets_dumps for t in one.target_names]
    )
    if any(wanted in target for target in targets):
        return Evidence(f"Envoy still waits for secret {wanted}", f"envoy/{pod}/init_dump.json", wanted)
    if held is not None:
        return config_says(pod, f"secret {wanted} is {held.state}: never delivered", wanted)
    if any(wanted.encode() in bytes(entry.raw) for entry in config.listeners):
        return config_says(pod, f"a listener names secret {wanted}, and Envoy does not hold it", wanted)
    return False


def _verdict(credential: _Credential, missing: Evidence, said: Evidence, lines: tuple[Seen, ...]) -> Finding:
    gateway, secret = credential.gateway, credential.secret
    return culprit(
        Verdict(
            "gateway-tls-credential",
            0.96,
            f"{gateway} names credential {secret.name}, and the gateway never got it",
            (gateway, secret),
            (said, missing),
            remedy(f"Create {secret} (a TLS secret in that namespace), or correct {gateway.field} of {gateway}."),
            lines,
        )
    )


def needs(case: Case, mesh: MeshIndex) -> Iterable[Want[Any]]:
    pods = {pod for credential in _credentials(case, mesh) for pod in credential.pods} if _failed(case) else set()
    return [want for pod in sorted(pods) for want in (ProxyConfig(pod), ProxyInitDump(pod))]


PROBE = Probe(
    "gateway-certificate", "Does the gateway have its certificate?", ("gateway-tls-credential",), examine, needs
)
