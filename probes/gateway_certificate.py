"""TLS at a gateway ends without a log line: does the gateway have the certificate for the host?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from meshdoctor.mesh.applying import serves
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, cleared, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import config_says, lines_say, logged, remedy
from meshdoctor.mesh.traffic import Seen
from meshdoctor.model import istio
from meshdoctor.model.snapshot import Missing, PodRef, Want
from meshdoctor.model.wants import ProxyConfig, ProxyInitDump

SDS_PREFIX = "kubernetes://"
"""How istiod names a Gateway's credential in SDS (pilot/pkg/model/credentials)."""


class _Credential(NamedTuple):
    gateway: istio.Gateway
    name: str
    pods: tuple[PodRef, ...]


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
        for pod in credential.pods:
            missing = _missing(mesh, pod, credential.name)
            if isinstance(missing, Evidence):
                return _verdict(case, credential, pod, missing, said, lines)
            if missing is None:
                unread.append(str(pod))
    if unread:
        return inconclusive(f"the secrets of gateway {unread[0]} were not read", said)
    return cleared(f"the gateway has its certificate {found[0].name}", said)


def _credentials(case: Case, mesh: MeshIndex) -> Iterator[_Credential]:
    for gateway in mesh.objects("Gateway", istio.Gateway):
        for server in gateway.spec.servers:
            name = str((server.tls or {}).get("credentialName", ""))
            if name and server.port.number == case.destination.port and serves(server.hosts, case.destination.host):
                pods = tuple(
                    ref
                    for ref, pod in mesh.pods.items()
                    if gateway.spec.selector.items() <= pod.metadata.labels.items()
                )
                yield _Credential(gateway, name, pods)


def _missing(mesh: MeshIndex, pod: PodRef, name: str) -> Evidence | bool | None:
    """Evidence that the secret never came; False when it did; None when that could not be read."""
    config = mesh.config(pod)
    if config is None:
        return None
    wanted = SDS_PREFIX + name
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


def _verdict(
    case: Case, credential: _Credential, pod: PodRef, missing: Evidence, said: Evidence, lines: tuple[Seen, ...]
) -> Finding:
    gateway = Resource(
        "Gateway", credential.gateway.namespace, credential.gateway.name, "spec.servers[].tls.credentialName"
    )
    secret = Resource("Secret", pod.namespace, credential.name)
    return culprit(
        Verdict(
            "gateway-tls-credential",
            0.96,
            f"{gateway} names credential {credential.name}, and the gateway never got it",
            (gateway, secret),
            (said, missing),
            remedy(
                f"Create {secret} (a TLS secret in the namespace of the gateway's pods), or correct credentialName."
            ),
            lines,
        )
    )


def needs(case: Case, mesh: MeshIndex) -> Iterable[Want[Any]]:
    pods = {pod for credential in _credentials(case, mesh) for pod in credential.pods} if _failed(case) else set()
    return [want for pod in sorted(pods) for want in (ProxyConfig(pod), ProxyInitDump(pod))]


PROBE = Probe(
    "gateway-certificate", "Does the gateway have its certificate?", ("gateway-tls-credential",), examine, needs
)
