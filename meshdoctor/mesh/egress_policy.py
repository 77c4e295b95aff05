"""Which NetworkPolicies keep a pod from sending to a port (networking.k8s.io/v1, egress).

ztunnel sends from inside the pod's own network namespace, so the policies of the caller hold for port 15008 too.
"""

from __future__ import annotations

from typing import Any

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.network_policy import matches, peer_fits
from meshdoctor.model import kubernetes as k8s


def egress_blocking(mesh: MeshIndex, client: k8s.Pod, server: k8s.Pod, port: int) -> list[k8s.NetworkPolicy]:
    """The policies that select *client* for egress when none admits *port* of *server*; [] when one does."""
    selecting = [
        policy
        for policy in mesh.objects("NetworkPolicy", k8s.NetworkPolicy)
        if policy.namespace == client.namespace
        and matches(policy.spec.pod_selector, client.metadata.labels)
        # policyTypes defaults to Ingress, and to Egress too when there are egress rules.
        and ("Egress" in policy.spec.policy_types or (not policy.spec.policy_types and bool(policy.spec.egress)))
    ]
    if any(_admits(mesh, policy, rule, server, port) for policy in selecting for rule in policy.spec.egress or []):
        return []
    return selecting


def _admits(mesh: MeshIndex, policy: k8s.NetworkPolicy, rule: dict[str, Any], server: k8s.Pod, port: int) -> bool:
    ports, peers = rule.get("ports"), rule.get("to")
    if ports and not any(_port_fits(entry, port) for entry in ports):
        return False
    return not peers or any(peer_fits(mesh, policy, peer, server) for peer in peers)


def _port_fits(entry: dict[str, Any], port: int) -> bool:
    wanted = entry.get("port")
    if entry.get("protocol", "TCP") != "TCP" or (isinstance(wanted, str) and not wanted.isdigit()):
        return False  # a named port is one of the application's: no container declares ztunnel's
    return wanted is None or int(wanted) <= port <= int(entry.get("endPort", wanted))
