"""What ztunnel makes of an AuthorizationPolicy: it sees connections, so HTTP attributes are dropped from its rules.

Rules of istiod 1.32, `pilot/pkg/serviceregistry/ambient/authorization.go` (convertAuthorizationPolicy, handleRule): in
an ALLOW policy a rule with an HTTP attribute is left out, in a DENY policy only the attribute is; both are stricter
than what was written. A STRICT PeerAuthentication comes to a ztunnel as a DENY policy, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.labels import selects

DRY_RUN = "istio.io/dry-run"
STRICT_MESH = "istio_converted_static_strict"
"""The policy that istiod sends for every workload whose mode is STRICT."""
STRICT_PORTS = "converted_peer_authentication_"
"""What istiod puts before the name of a PeerAuthentication whose ports differ, to send it as a policy of its own."""
_HTTP_SOURCE = ("requestPrincipals", "notRequestPrincipals", "remoteIpBlocks", "notRemoteIpBlocks")
_HTTP_OPERATION = ("hosts", "notHosts", "methods", "notMethods", "paths", "notPaths")
_CONNECTION_KEYS = frozenset(
    {
        "source.ip",
        "source.namespace",
        "source.principal",
        "source.serviceAccount",
        "destination.ip",
        "destination.port",
    }
)


class Caller(NamedTuple):
    """What ztunnel knows of a caller: *principal* is its identity without `spiffe://`, "" for plain text."""

    principal: str
    namespace: str
    address: str


def is_converted_peer_authentication(name: str) -> bool:
    """Whether istiod made policy *name* (without its namespace) of a PeerAuthentication, to refuse plain text with it.

    Both names are those of istiod 1.19 to 1.32 (`staticStrictPolicyName`, `convertedPeerAuthenticationPrefix`). No
    object of Kubernetes can be called so, because of the `_`: no AuthorizationPolicy is ever mistaken for one.
    """
    return name == STRICT_MESH or name.startswith(STRICT_PORTS)


def enforced(mesh: MeshIndex, pod: k8s.Pod, action: str) -> tuple[istio.AuthorizationPolicy, ...]:
    """The policies with *action* that ztunnel enforces for a pod: of its namespace and the root, without targetRefs."""
    return tuple(
        policy
        for policy in mesh.objects("AuthorizationPolicy", istio.AuthorizationPolicy)
        if policy.namespace in (pod.namespace, mesh.mesh_config.root_namespace)
        and policy.spec.action == action
        and not (policy.spec.target_ref or policy.spec.target_refs)
        and policy.metadata.annotations.get(DRY_RUN) != "true"
        and selects(policy.spec.selector.all_labels if policy.spec.selector else {}, pod.metadata.labels)
    )


def http_attributes(rule: Mapping[str, Any]) -> list[str]:
    """The attributes of a rule that only HTTP has."""
    found = [name for part in _parts(rule, "from", "source") for name in _HTTP_SOURCE if part.get(name)]
    found += [name for part in _parts(rule, "to", "operation") for name in _HTTP_OPERATION if part.get(name)]
    keys = (str(entry.get("key", "")) for entry in rule.get("when") or [])
    found += [key for key in keys if key not in _CONNECTION_KEYS]
    return list(dict.fromkeys(found))


def policy_attributes(policy: istio.AuthorizationPolicy) -> list[str]:
    return list(dict.fromkeys(name for rule in policy.spec.rules or [] for name in http_attributes(rule)))


def matches_connection(rule: Mapping[str, Any], caller: Caller, port: int) -> bool:
    """Whether what ztunnel can see of a connection to *port* fits a rule, its HTTP attributes left out."""
    sources = _parts(rule, "from", "source")
    operations = _parts(rule, "to", "operation")
    if sources and not any(_source_fits(source, caller) for source in sources):
        return False
    if operations and not any(_operation_fits(operation, port) for operation in operations):
        return False
    return all(_condition_fits(entry, caller, port) for entry in rule.get("when") or [])


def _parts(rule: Mapping[str, Any], outer: str, inner: str) -> list[Mapping[str, Any]]:
    return [entry.get(inner) or {} for entry in rule.get(outer) or []]


def _source_fits(source: Mapping[str, Any], caller: Caller) -> bool:
    account = _account(caller)
    return all(
        (
            _fits(source, "principals", "notPrincipals", lambda pattern: _matches(pattern, caller.principal)),
            _fits(source, "namespaces", "notNamespaces", lambda pattern: _matches(pattern, caller.namespace)),
            _fits(source, "ipBlocks", "notIpBlocks", lambda block: _in_block(block, caller.address)),
            _fits(source, "serviceAccounts", "notServiceAccounts", lambda name: name in account),
        )
    )


def _account(caller: Caller) -> tuple[str, ...]:
    """A service account as a policy may write it: `name` of the policy's own namespace, or `namespace/name`."""
    name = caller.principal.rpartition("/sa/")[2]
    return (name, f"{caller.namespace}/{name}") if name else ()


def _operation_fits(operation: Mapping[str, Any], port: int) -> bool:
    return _fits(operation, "ports", "notPorts", lambda wanted: wanted == str(port))


def _condition_fits(entry: Mapping[str, Any], caller: Caller, port: int) -> bool:
    match entry.get("key"):
        case "source.principal":
            return _fits(entry, "values", "notValues", lambda pattern: _matches(pattern, caller.principal))
        case "source.namespace":
            return _fits(entry, "values", "notValues", lambda pattern: _matches(pattern, caller.namespace))
        case "source.ip":
            return _fits(entry, "values", "notValues", lambda block: _in_block(block, caller.address))
        case "source.serviceAccount":
            return _fits(entry, "values", "notValues", lambda name: name in _account(caller))
        case "destination.port":
            return _fits(entry, "values", "notValues", lambda wanted: wanted == str(port))
        case _:
            return True


def _fits(part: Mapping[str, Any], wanted: str, unwanted: str, fits: Callable[[str], bool]) -> bool:
    asked: Iterable[Any] = part.get(wanted) or ()
    barred: Iterable[Any] = part.get(unwanted) or ()
    return (not asked or any(fits(str(one)) for one in asked)) and not any(fits(str(one)) for one in barred)


def _matches(pattern: str, value: str) -> bool:
    """Istio's string match: exact, `prefix*`, `*suffix`, or `*` for anything that is there."""
    if pattern == "*":
        return bool(value)
    if pattern.endswith("*"):
        return value.startswith(pattern[:-1])
    return value.endswith(pattern[1:]) if pattern.startswith("*") else value == pattern


def _in_block(block: str, address: str) -> bool:
    try:
        return ip_address(address) in ip_network(block, strict=False)
    except ValueError:
        return False
