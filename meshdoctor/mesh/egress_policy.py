"""Which NetworkPolicies keep a pod from sending to a port (networking.k8s.io/v1, egress).

Proxies send from inside the pod's own network namespace, ztunnel too, so the policies of the caller hold for them.
"""

from __future__ import annotations

from typing import Any

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.network_policy import in_block, matches, peer_fits, port_fits
from meshdoctor.model import kubernetes as k8s


def egress_blocking(
    mesh: MeshIndex, client: k8s.Pod, server: k8s.Pod | None, port: int, address: str = ""
) -> list[k8s.NetworkPolicy]:
    """The policies that select *client* for egress when none admits *port* of *server*, or of *address* where that is
    no pod; [] when one does.
    """
    selecting = [
        policy
        for policy in mesh.objects("NetworkPolicy", k8s.NetworkPolicy)
        if policy.namespace == client.namespace
        and matches(policy.spec.pod_selector, client.metadata.labels)
        # policyTypes defaults to Ingress, and to Egress too when there are egress rules.
        and ("Egress" in policy.spec.policy_types or (not policy.spec.policy_types and bool(policy.spec.egress)))
    ]

    def admits(policy: k8s.NetworkPolicy, rule: dict[str, Any]) -> bool:
        ports, peers = rule.get("ports"), rule.get("to")
        if ports and not any(port_fits(entry, port, server) for entry in ports):
            return False
        if server is not None:
            return not peers or any(peer_fits(mesh, policy, peer, server) for peer in peers)
        return not peers or any("ipBlock" in peer and in_block(peer["ipBlock"], address) for peer in peers)

    if any(admits(policy, rule) for policy in selecting for rule in policy.spec.egress or []):
        return []
    return selecting
