"""Disagreements between the two sides by name, M1 to M13, each with the objects that cause it and what to change."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from meshdoctor.mesh.mtls import outcome as outcomes
from meshdoctor.mesh.mtls.cluster_tls import Cause
from meshdoctor.mesh.mtls.declared import Pair
from meshdoctor.model.pods import SIDECAR


class Pattern(Enum):
    """The name of a disagreement and what it means; `name` is its number."""

    M1 = "a DestinationRule keeps mTLS off (or brings other TLS) towards a server that wants Istio's"
    M2 = "mTLS is sent to a server that does not take it"
    M3 = "DISABLE for the namespace takes mTLS from all clients, and a narrower policy is STRICT"
    M4 = "a port entry without tls hides the rule's mode from the cluster, but not from the endpoints"
    M5 = "one endpoint without a sidecar makes a service without load balancing plaintext for all"
    M6 = "auto mTLS is off for the mesh and the server is STRICT"
    M7 = "a client outside the mesh (or past its sidecar) calls a STRICT server"
    M8 = "a PeerAuthentication, or a part of it, has no effect"
    M9 = "portLevelMtls names a service port where it needs the container port"
    M10 = "a DestinationRule reaches no client"
    M11 = "two proxies trust different roots"
    M12 = "the server has a sidecar, but its pod lacks the label tlsMode=istio"
    M13 = "DISABLE has no effect on an ambient workload"
    EXPIRED = "a certificate is expired or not yet valid"
    IDENTITY = "the server's identity is not one that the client accepts"
    DRIFT = "a proxy does not hold what the objects declare"
    PAST = "a client calls an address that is no service to its sidecar, which passes plain text through"
    APPTLS = "an application sends TLS of its own to a port whose sidecar does not hand it on"
    UNEXPLAINED = "a server refused connections that the objects let it take"


class Disagreement(NamedTuple):
    """One pattern found. *client* and *server* are workloads or pods ("" where it is no matter of two sides).

    *objects* cause it, as `Kind namespace/name`; *says* and *remedy* are one sentence each; *seen* counts the failures
    that were recorded (None: nothing was recorded that could show one).
    """

    pattern: Pattern
    client: str
    host: str
    port: int
    server: str
    objects: tuple[str, ...]
    says: str
    remedy: str
    seen: int | None = None


_REMEDY = {
    Pattern.M1: "set tls mode ISTIO_MUTUAL in the DestinationRule, or remove its tls block",
    Pattern.M2: "remove ISTIO_MUTUAL from the DestinationRule (auto mTLS asks each endpoint), or give it a sidecar",
    Pattern.M3: "take DISABLE from the namespace's PeerAuthentication, or force ISTIO_MUTUAL with a DestinationRule",
    Pattern.M4: "repeat tls in the DestinationRule's portLevelSettings entry",
    Pattern.M5: "give every endpoint a sidecar, or force ISTIO_MUTUAL with a DestinationRule",
    Pattern.M6: "set enableAutoMtls back to true, or force ISTIO_MUTUAL with a DestinationRule",
    Pattern.M7: "give the client a sidecar, or make the port PERMISSIVE with portLevelMtls",
    Pattern.M12: "inject the pod again so that it gets the label security.istio.io/tlsMode: istio",
}
_CAUSE_REMEDY = {
    Cause.EXTERNAL: "set location MESH_INTERNAL in the ServiceEntry: its endpoints are workloads of the mesh",
    Cause.CREDENTIAL: "give the DestinationRule a workloadSelector, or name certificate files",
    Cause.NO_CERTIFICATE: "name clientCertificate and privateKey, or use ISTIO_MUTUAL",
    Cause.AUTO: "take DISABLE from the server's PeerAuthentication: a headless service cannot choose by endpoint",
    Cause.EXCLUDED: "take the port from the client's excludeOutboundPorts",
}
_PLAIN_CAUSES = {
    Cause.RULE: Pattern.M1,
    Cause.CREDENTIAL: Pattern.M1,
    Cause.NO_CERTIFICATE: Pattern.M1,
    Cause.EXTERNAL: Pattern.M1,
    Cause.NAMESPACE_DISABLE: Pattern.M3,
    Cause.RULE_ABOVE_PORT: Pattern.M4,
    Cause.BARE_ENDPOINT: Pattern.M5,
    Cause.NO_ENDPOINT: Pattern.M5,
    Cause.AUTO_OFF: Pattern.M6,
    Cause.NO_PROXY: Pattern.M7,
    Cause.EXCLUDED: Pattern.M7,
    Cause.LABEL: Pattern.M12,
    # The endpoint's policy says DISABLE for the port, so its listener cannot be STRICT there: nothing to name.
}


def pattern_of(pair: Pair) -> Pattern | None:
    """The name of a failing pair; None for one that does not fail."""
    if not pair.fails:
        return None
    if pair.outcome == outcomes.PLAINTEXT_TO_STRICT:
        found = _PLAIN_CAUSES.get(pair.endpoint.cause, Pattern.M1)
        peer = pair.endpoint.endpoint.peer
        if found is Pattern.M12 and (peer is None or peer.proxy != SIDECAR):
            return Pattern.M7  # an ambient server, say: the client cannot speak HBONE
        return found
    if pair.outcome == outcomes.MTLS_TO_PLAINTEXT:
        return Pattern.M4 if pair.endpoint.cause is Cause.RULE_ABOVE_PORT else Pattern.M2
    if pair.endpoint.cause is Cause.NO_PROXY:
        return Pattern.M7
    return Pattern.M1


def disagreement(pair: Pair, client: str, seen: int | None = None) -> Disagreement | None:
    """A failing pair by name, with the objects of both sides; *client* is how its workload is called."""
    pattern = pattern_of(pair)
    if pattern is None:
        return None
    server = pair.server
    wants = f"{pair.endpoint.endpoint.name} is {server.mode} ({server.reason})" if server else "-"
    objects = (*pair.endpoint.objects, *(server.objects if server else ()))
    return Disagreement(
        pattern=pattern,
        client=client,
        host=pair.tls.host,
        port=pair.tls.port,
        server=pair.endpoint.endpoint.name,
        objects=tuple(dict.fromkeys(objects)),
        says=f"{pair.endpoint.reason}; {wants}",
        remedy=_CAUSE_REMEDY.get(pair.endpoint.cause) or _REMEDY.get(pattern, ""),
        seen=seen,
    )
