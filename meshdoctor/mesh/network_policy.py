"""Which NetworkPolicies keep a client from a port of a pod (networking.k8s.io/v1, ingress)."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.labels import selects
from meshdoctor.model.pods import container_port

_NAME_LABEL = "kubernetes.io/metadata.name"
"""The API server sets it on every namespace (Kubernetes 1.21)."""


def blocking(mesh: MeshIndex, server: k8s.Pod, port: int, client: k8s.Pod | None) -> list[k8s.NetworkPolicy]:
    """The policies that select *server* for ingress when none of them admits *client* to *port*; [] when one does.

    Policies only ever add permissions: one that admits is enough. Whether the CNI enforces them is not known here, so
    this alone is no proof; together with connections that are never answered it is.
    """
    selecting = [
        policy
        for policy in mesh.objects("NetworkPolicy", k8s.NetworkPolicy)
        if policy.namespace == server.namespace
        and matches(policy.spec.pod_selector, server.metadata.labels)
        and "Ingress" in (policy.spec.policy_types or ["Ingress"])
    ]
    if any(
        _admits(mesh, policy, rule, port, client, server) for policy in selecting for rule in policy.spec.ingress or []
    ):
        return []
    return selecting


def matches(selector: dict[str, Any] | None, labels: dict[str, str]) -> bool:
    """Whether a metav1.LabelSelector takes *labels*; an empty one takes everything."""
    if not selector:
        return True
    return selects(selector.get("matchLabels") or {}, labels) and all(
        _expression(entry, labels) for entry in selector.get("matchExpressions") or []
    )


def _expression(entry: dict[str, Any], labels: dict[str, str]) -> bool:
    value, wanted = labels.get(str(entry.get("key"))), entry.get("values") or []
    match entry.get("operator"):
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False


def _admits(
    mesh: MeshIndex,
    policy: k8s.NetworkPolicy,
    rule: dict[str, Any],
    port: int,
    client: k8s.Pod | None,
    server: k8s.Pod,
) -> bool:
    ports, peers = rule.get("ports"), rule.get("from")
    if ports and not any(port_fits(entry, port, server) for entry in ports):
        return False
    return not peers or client is None or any(peer_fits(mesh, policy, peer, client) for peer in peers)


def port_fits(entry: dict[str, Any], port: int, server: k8s.Pod | None) -> bool:
    """Whether a NetworkPolicyPort takes a TCP port; a name is one that a container of *server* declares for TCP."""
    if entry.get("protocol", "TCP") != "TCP":
        return False
    wanted = entry.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return wanted == str(port) or (server is not None and container_port(server.spec, wanted) == port)
    end = entry.get("endPort", wanted)
    return isinstance(wanted, int) and isinstance(end, int) and wanted <= port <= end


def peer_fits(mesh: MeshIndex, policy: k8s.NetworkPolicy, peer: dict[str, Any], pod: k8s.Pod) -> bool:
    """Whether a NetworkPolicyPeer, of `from` or of `to`, takes *pod*."""
    if "ipBlock" in peer:
        return in_block(peer["ipBlock"], pod.status.pod_ip)
    if "namespaceSelector" in peer:
        if not _takes_namespace(mesh, peer["namespaceSelector"] or {}, pod.namespace):
            return False
    elif pod.namespace != policy.namespace:
        return False
    return "podSelector" not in peer or matches(peer["podSelector"], pod.metadata.labels)


def _takes_namespace(mesh: MeshIndex, selector: dict[str, Any], namespace: str) -> bool:
    """Whether a namespaceSelector takes a namespace; True where its labels were not read: that clears, not accuses."""
    spaces = mesh.objects("Namespace", k8s.Namespace)
    labels = next((one.metadata.labels for one in spaces if one.name == namespace), None)
    if labels is None:
        expressions = selector.get("matchExpressions") or []
        if {*(selector.get("matchLabels") or {}), *(entry.get("key") for entry in expressions)} - {_NAME_LABEL}:
            return True
        labels = {_NAME_LABEL: namespace}
    return matches(selector, labels)


def in_block(block: dict[str, Any], address: str) -> bool:
    """Whether an IPBlock takes *address*; True where one of them cannot be read, which clears rather than accuses."""
    try:
        ip = ip_address(address)
        inside = ip in ip_network(str(block.get("cidr", "")), strict=False)
        left_out = any(ip in ip_network(str(one), strict=False) for one in block.get("except") or [])
    except ValueError:
        return True
    return inside and not left_out
