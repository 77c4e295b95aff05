"""A side without a certificate that is valid now: it was never delivered, or its time is over."""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.control_plane import istiod_down
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive
from meshdoctor.mesh.handshake.failure import FailedHandshake
from meshdoctor.mesh.identity import certificates_file, identity
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.quoting import remedy
from meshdoctor.model.moment import rfc3339
from meshdoctor.model.snapshot import PodRef


def not_delivered(mesh: MeshIndex, failed: FailedHandshake) -> Finding:
    """What the client's cluster needs never came by SDS: the workload's certificate, or a Secret that a rule names."""
    owner, tls = failed.rule(mesh), failed.cluster.tls if failed.cluster else None
    if not failed.originated or owner is None or tls is None:
        return workload_without_certificate(mesh, failed, failed.client)
    names = [name.rpartition("/")[2].rpartition(":")[2] for name in tls.certificate_names]
    return culprit(
        Verdict(
            "certificate-not-delivered",
            0.93,
            f"The credential that {owner} names was never delivered to {failed.client}",
            (owner, *(Resource("Secret", failed.client.namespace, name) for name in names)),
            (failed.said,),
            remedy(f"Create the Secret that credentialName of {owner} names, where the proxy's pod is, or correct it."),
            failed.lines,
        )
    )


def workload_without_certificate(mesh: MeshIndex, failed: FailedHandshake, pod: PodRef) -> Finding:
    """*pod* is the side whose proxy waits for its own certificate."""
    owner = blame.of_workload(mesh.workload(pod))
    return culprit(
        Verdict(
            "certificate-not-delivered",
            0.95,
            f"The sidecar of {owner} has no certificate: SDS never delivered it",
            (owner,),
            (failed.said,),
            remedy(f"Read the log of istio-proxy in {pod}: it says why its certificate request fails."),
            failed.lines,
        )
    )


def holds_certificate(mesh: MeshIndex, pod: PodRef) -> bool:
    """False when the configuration of *pod* was read and shows no active secret `default`."""
    config = mesh.config(pod)
    return config is None or any(one.name == "default" and one.state == "active" for one in config.secrets)


def not_valid_now(mesh: MeshIndex, failed: FailedHandshake, *, early: bool = False) -> Finding:
    """The certificate of *server* is not valid any more, or (*early*) not yet."""
    if failed.server is None:
        return inconclusive("the certificate of a server that was not recorded is not valid", failed.said)
    ref = failed.server.ref
    owner = blame.of_workload(mesh.workload(ref))
    own = identity(mesh, ref)
    shown = (
        [Evidence(f"its certificate expired at {rfc3339(own.expires)}", certificates_file(mesh, ref), str(ref))]
        if own and own.expires
        else []
    )
    down = istiod_down(mesh)
    verdicts = [
        Verdict(
            "certificate-expired",
            0.97,
            f"The certificate of {owner} is {'not yet valid' if early else 'expired'}",
            (owner, *(down.resources if down else ())),
            (failed.said, *shown, *(down.evidence if down else ())),
            remedy(
                f"{down.fix if down else 'See why istiod does not renew it (its log, citadel_server_csr_count).'} "
                f"Then restart {owner}, and compare the clocks of the nodes."
            ),
            failed.lines,
        )
    ]
    if down:
        verdicts.append(
            Verdict(
                "control-plane-down",
                0.9,
                f"{down.summary}: certificates are not renewed",
                down.resources,
                down.evidence,
                remedy(down.fix),
                failed.lines,
            )
        )
    return culprit(*verdicts)
