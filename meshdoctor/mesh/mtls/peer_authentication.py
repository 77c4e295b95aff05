"""What PeerAuthentication objects declare for a workload: istiod's index, its choice and its merge, with the reasons.

Rules of istiod 1.32: `pilot/pkg/model/authentication.go` (initAuthenticationPolicies, getConfigsForWorkload) and
`pilot/pkg/security/authn/policy_applier.go` (ComposePeerAuthentication).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from meshdoctor.model.istio import PeerAuthentication
from meshdoctor.model.labels import selects

NO_POLICY = "no PeerAuthentication applies: PERMISSIVE is the default"
STRICT, PERMISSIVE, DISABLE, UNSET = "STRICT", "PERMISSIVE", "DISABLE", "UNSET"
UNKNOWN = "unknown"
"""What a side does of which the objects could not be read."""


class Ignored(NamedTuple):
    """A policy (or a part of it) that has no effect on a workload although it looks as if it had, and *why*."""

    policy: PeerAuthentication
    why: str

    def __str__(self) -> str:
        return f"PeerAuthentication {self.policy.key} has no effect: {self.why}"


class MergedPolicy(NamedTuple):
    """What holds for one workload: *mode* for all ports but those of *ports*; *winners* say which object decided."""

    mode: str
    ports: Mapping[int, str]
    reason: str
    winner: PeerAuthentication | None
    port_policy: PeerAuthentication | None
    ignored: tuple[Ignored, ...]

    def for_port(self, port: int) -> str:
        """The mode of a *container* port (portLevelMtls is keyed by it, never by a service's port)."""
        return self.ports.get(port, self.mode)

    def objects_for(self, port: int) -> tuple[str, ...]:
        """The policy that decides about a container port, as `Kind namespace/name`; empty for Istio's default."""
        policy = self.port_policy if port in self.ports else self.winner
        return (f"PeerAuthentication {policy.key}",) if policy else ()

    def reason_for(self, port: int) -> str:
        if port in self.ports and self.port_policy is not None:
            return f"portLevelMtls of PeerAuthentication {self.port_policy.key} sets port {port}"
        return self.reason


class PeerAuthentications:
    """istiod's index of all PeerAuthentications."""

    def __init__(self, policies: Iterable[PeerAuthentication], root_namespace: str) -> None:
        self.root = root_namespace
        self._by_namespace: dict[str, list[PeerAuthentication]] = {}
        self._wide: dict[str, PeerAuthentication] = {}
        self._dropped: dict[str, list[PeerAuthentication]] = {}
        for policy in sorted(policies, key=_age):
            namespace = policy.namespace
            if not _selector(policy):
                if namespace in self._wide:
                    self._dropped.setdefault(namespace, []).append(policy)
                    continue
                self._wide[namespace] = policy
            self._by_namespace.setdefault(namespace, []).append(policy)
        self._merged: dict[tuple[str, tuple[int, ...]], MergedPolicy] = {}

    def namespace_mode(self, namespace: str) -> tuple[str, PeerAuthentication | None]:
        """The mode of a namespace, workload policies left out, and the policy that sets it (None: Istio's default).

        This is all that a client's auto mTLS looks at for a whole service (BestEffortInferServiceMTLSMode).
        """
        for where in (namespace, self.root):
            policy = self._wide.get(where)
            if policy is not None and _mode(policy) != UNSET:
                return _mode(policy), policy
        return PERMISSIVE, None

    def for_workload(self, namespace: str, labels: Mapping[str, str]) -> MergedPolicy:
        """The merged policy of a workload in *namespace* with *labels*."""
        matched = tuple(
            policy
            for where in dict.fromkeys((namespace, self.root))
            for policy in self._by_namespace.get(where, ())
            if selects(_selector(policy), labels)
        )
        # Structs with dicts in them have no hash: the identities of the objects tell the groups apart.
        key = (namespace, tuple(id(policy) for policy in matched))
        if key not in self._merged:
            self._merged[key] = self._merge(namespace, matched)
        return self._merged[key]

    def _merge(self, namespace: str, matched: tuple[PeerAuthentication, ...]) -> MergedPolicy:
        mesh = own = workload = None
        ignored = [
            Ignored(policy, f"{self._wide[where].key} without a selector is older, and only the oldest counts")
            for where in dict.fromkeys((namespace, self.root))
            for policy in self._dropped.get(where, ())
        ]
        for policy in matched:
            if not _selector(policy):
                if policy.namespace == self.root:
                    mesh = mesh or policy
                else:
                    own = own or policy
            elif policy.namespace == self.root:
                ignored.append(Ignored(policy, "a selector in the root namespace selects nothing"))
            elif workload is None:
                workload = policy
            else:
                ignored.append(Ignored(policy, f"{workload.key} selects the same pod and is older"))
        mode = PERMISSIVE
        winner: PeerAuthentication | None = None
        for level in (mesh, own, workload):
            if level is not None and _mode(level) != UNSET:
                mode, winner = _mode(level), level
            if level is not None and level is not workload and level.spec.port_level_mtls:
                ignored.append(Ignored(level, "its portLevelMtls needs a selector"))
        ports = {}
        for text, entry in (workload.spec.port_level_mtls if workload else {}).items():
            if text.isdigit():
                ports[int(text)] = entry.mode if entry.mode in (STRICT, PERMISSIVE, DISABLE) else mode
        reason = _reason(winner, workload, own, mesh)
        return MergedPolicy(mode, ports, reason, winner, workload if ports else None, tuple(ignored))


def _reason(
    winner: PeerAuthentication | None,
    workload: PeerAuthentication | None,
    own: PeerAuthentication | None,
    mesh: PeerAuthentication | None,
) -> str:
    if winner is None:
        unset = ", ".join(policy.key for policy in (workload, own, mesh) if policy is not None)
        return f"{unset} sets no mode: PERMISSIVE is the default" if unset else NO_POLICY
    if winner is workload:
        return f"PeerAuthentication {winner.key} wins: the oldest with a matching selector"
    if winner is own:
        return f"PeerAuthentication {winner.key} wins: the oldest of its namespace without a selector"
    return f"PeerAuthentication {winner.key} wins: the mesh-wide one, and nothing narrower sets a mode"


def _age(policy: PeerAuthentication) -> tuple[str, str, str]:
    """Creation times have a resolution of one second; names break ties (sortConfigByCreationTime)."""
    meta = policy.metadata
    return meta.creation_timestamp or "", meta.name, meta.namespace


def _selector(policy: PeerAuthentication) -> Mapping[str, str]:
    return policy.spec.selector.all_labels if policy.spec.selector else {}


def _mode(policy: PeerAuthentication) -> str:
    """A mode that Istio does not know is one that was never set: the API server refuses it."""
    mode = policy.spec.mtls.mode if policy.spec.mtls else UNSET
    return mode if mode in (STRICT, PERMISSIVE, DISABLE) else UNSET
