"""Two certificates that are valid, and a side that does not accept the other's: another root, or another identity."""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.finding import Evidence, Finding, Verdict, culprit, inconclusive
from meshdoctor.mesh.handshake.failure import FailedHandshake
from meshdoctor.mesh.identity import certificates_file, identity
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.quoting import listed, remedy


def other_roots(mesh: MeshIndex, failed: FailedHandshake) -> Finding:
    """The two sides trust different root certificates."""
    ref = failed.server.ref if failed.server else None
    ours, theirs = identity(mesh, failed.client), identity(mesh, ref) if ref else None
    if ours is None or theirs is None or ref is None or not ours.roots or not theirs.roots:
        return inconclusive(
            "the server's certificate is not trusted; the roots of both sides could not be compared", failed.said
        )
    if ours.roots & theirs.roots:
        return inconclusive(
            "the server's certificate is not trusted, though both sides trust a common root", failed.said
        )
    owners = (blame.of_workload(mesh.workload(failed.client)), blame.of_workload(mesh.workload(ref)))
    return culprit(
        Verdict(
            "ca-mismatch",
            0.96,
            f"{owners[0]} and {owners[1]} trust different root certificates",
            owners,
            (
                failed.said,
                Evidence(
                    f"the client trusts root {listed(ours.roots)}",
                    certificates_file(mesh, failed.client),
                    str(failed.client),
                ),
                Evidence(f"the server trusts root {listed(theirs.roots)}", certificates_file(mesh, ref), str(ref)),
            ),
            remedy(
                "Restart the workloads that still hold the old root; when rotating, keep both roots in the "
                "bundle meanwhile."
            ),
            failed.lines,
        )
    )


def other_identity(mesh: MeshIndex, failed: FailedHandshake) -> Finding:
    """The server's SPIFFE id is none of the subjectAltNames that the client accepts."""
    cluster = failed.cluster
    presented = failed.detail.partition("SANs_are_[")[2].partition("]")[0] or "another identity"
    wanted = listed(cluster.tls.subject_alt_names) if cluster and cluster.tls else ""
    owner = blame.of_cluster(cluster, "spec.trafficPolicy.tls.subjectAltNames")
    workload = blame.of_workload(mesh.workload(failed.server.ref)) if failed.server else None
    resources = tuple(one for one in (owner, workload) if one)
    if not resources:
        return inconclusive(f"the server presents {presented}, which is not expected", failed.said)
    return culprit(
        Verdict(
            "san-mismatch",
            0.97,
            f"{resources[0]} expects {wanted or 'another identity'}, and the server is {presented}",
            resources,
            (failed.said, failed.cluster_says(f"the client accepts {wanted}")),
            remedy(f"Correct subjectAltNames in {resources[0]}, or the service account of the server."),
            failed.lines,
        )
    )
