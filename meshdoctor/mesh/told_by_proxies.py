"""A cluster without healthy endpoints whose Service or pods were not read: what the proxies themselves tell of it."""

from __future__ import annotations

from meshdoctor.mesh import delivered
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.quoting import config_says, listed, remedy
from meshdoctor.mesh.traffic import Seen
from meshdoctor.model.names import ClusterName


def told_by_proxies(
    case: Case, mesh: MeshIndex, name: ClusterName, lines: tuple[Seen, ...], evidence: Evidence
) -> Finding:
    """What istiod told the caller's proxy of cluster *name*, and the proxies of the pods that should be behind it."""
    pod = lines[-1].pod
    config = mesh.config(pod)
    cluster = config.cluster(name.name) if config else None
    named = delivered.services(cluster) if cluster else ()
    in_it = [named[0].namespace] if named else []
    unread = [f"{kind}s" for kind in ("Service", "Pod", "EndpointSlice") if not mesh.known(kind, *in_it)]
    without = f"without the {listed(unread)} nothing more can be said"
    if config is None or cluster is None or not named:
        return inconclusive(f"{name.host} has no healthy endpoint; {without}", evidence)
    statuses = {cluster.name: status} if (status := mesh.cluster_status(pod, cluster.name)) else {}
    if case.is_over(lines) or cluster not in list(delivered.without_endpoints(config, statuses)):
        return inconclusive(f"{name.host} had no healthy endpoint for a while; {without}", evidence)
    empty = config_says(pod, f"istiod gave {pod} no endpoint for {name.host}", cluster.name)
    service = named[0]
    told = delivered.selected(mesh, delivered.candidates(mesh, service), service)
    if not told or any(told.values()):
        return inconclusive(f"cluster {cluster.name} has no endpoint; {without}", evidence, empty)
    resource = Resource("Service", service.namespace, service.name, "spec.selector")
    servers = listed(str(found) for found in told)
    return culprit(
        Verdict(
            "no-endpoints",
            0.85,
            f"{resource} has no endpoint: it does not select the pods that bear its name ({servers})",
            (resource,),
            (
                evidence,
                empty,
                *(
                    config_says(
                        found,
                        f"the proxy of {found} runs, and istiod gave it no inbound cluster of {service}",
                        "ClustersConfigDump",
                    )
                    for found in told
                ),
            ),
            remedy(f"Compare spec.selector of {resource} with the labels of its pods."),
            lines,
        )
    )
