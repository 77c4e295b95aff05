"""Which DestinationRule a client obeys for a service: istiod's index, its merge, and its lookup.

Rules of istiod 1.32: `pilot/pkg/model/push_context.go` (setDestinationRules, destinationRule),
`pilot/pkg/model/destination_rule.go` (mergeDestinationRule, ENABLE_ENHANCED_DESTINATIONRULE_MERGE as by default) and
`pilot/pkg/model/sidecar.go` (SidecarScope.DestinationRule).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from meshdoctor.mesh.hosts import DOMAIN, is_wildcard, most_specific, qualified
from meshdoctor.mesh.services import MeshService
from meshdoctor.model.istio import DestinationRule, Subset, TrafficPolicy
from meshdoctor.model.istiod import MeshConfig
from meshdoctor.model.labels import selects


class EffectiveRule:
    """What istiod keeps for one host of one namespace: a rule, with what it took over from younger ones."""

    __slots__ = ("export_to", "host", "merged", "rule", "subsets", "traffic_policy")

    def __init__(self, rule: DestinationRule, host: str, export_to: frozenset[str]) -> None:
        self.rule = rule
        self.host = host
        self.export_to = export_to
        self.traffic_policy: TrafficPolicy | None = rule.spec.traffic_policy
        self.subsets: list[Subset] = list(rule.spec.subsets)
        self.merged: list[DestinationRule] = [rule]
        """The rule itself and those that were merged into it, in order."""

    @property
    def selector(self) -> Mapping[str, str] | None:
        found = self.rule.spec.workload_selector
        return None if found is None else found.all_labels

    @property
    def name(self) -> str:
        return self.rule.key

    def subset(self, name: str) -> Subset | None:
        return next((subset for subset in self.subsets if subset.name == name), None)

    def absorb(self, rule: DestinationRule) -> None:
        """Take over what is missing here: subsets of other names, and the traffic policy if there is none at all."""
        names = {subset.name for subset in self.subsets}
        self.subsets += [subset for subset in rule.spec.subsets if subset.name not in names]
        if self.traffic_policy is None:
            self.traffic_policy = rule.spec.traffic_policy
        self.merged.append(rule)


class Lookup(NamedTuple):
    """The rules of one namespace that were found for a host, and where: `client`, `service` or `root` namespace."""

    where: str
    pattern: str
    rules: tuple[EffectiveRule, ...]


class _Bucket:
    """The rules of one namespace, by host."""

    def __init__(self) -> None:
        self.exact: dict[str, list[EffectiveRule]] = {}
        self.wildcard: dict[str, list[EffectiveRule]] = {}

    def add(self, rule: DestinationRule, host: str, export_to: frozenset[str]) -> None:
        """mergeDestinationRule, in its order: what the *last* older rule says about keeping this one counts."""
        table = self.wildcard if is_wildcard(host) else self.exact
        older = table.get(host)
        if older is None:
            table[host] = [EffectiveRule(rule, host, export_to)]
            return
        selector = rule.spec.workload_selector
        separate = True
        for entry in older:
            own = entry.rule.spec.workload_selector
            plain = own is None and selector is None
            both = own is not None and selector is not None
            same = both and own is not None and selector is not None and own.all_labels == selector.all_labels
            equal = export_to == entry.export_to
            if not equal and not (entry.export_to and export_to >= entry.export_to):
                separate = True
                continue
            if both and not same:
                separate = True
                continue
            # Two rules for the same namespaces are merged and the younger is gone, even a plain one that was merged
            # into one with a workloadSelector; so is a plain one that names more namespaces than an older plain one.
            separate = not (equal or plain or same)
            entry.absorb(rule)
        if separate:
            older.append(EffectiveRule(rule, host, export_to))

    def find(self, host: str) -> tuple[str, tuple[EffectiveRule, ...]] | None:
        found = most_specific(host, self.exact, self.wildcard)
        return (found[0], tuple(found[1])) if found else None


class DestinationRules:
    """istiod's index of all DestinationRules."""

    def __init__(self, rules: Iterable[DestinationRule], mesh: MeshConfig | None = None, domain: str = DOMAIN) -> None:
        mesh = mesh or MeshConfig()
        self.root = mesh.root_namespace
        private_by_default = "." in mesh.default_destination_rule_export_to
        self._local: dict[str, _Bucket] = {}
        self._exported: dict[str, _Bucket] = {}
        self._root_private = _Bucket()
        self.all = tuple(sorted(rules, key=_priority))
        for rule in self.all:
            host = qualified(rule.spec.host, rule.namespace, domain)
            selector = rule.spec.workload_selector
            export_to = frozenset(rule.spec.export_to) if selector is None else frozenset({"."})
            if not export_to or export_to & {"*", ".", rule.namespace}:
                self._local.setdefault(rule.namespace, _Bucket()).add(rule, host, export_to)
            private = (not export_to and private_by_default) or export_to in ({"."}, {rule.namespace})
            if not private:
                self._exported.setdefault(rule.namespace, _Bucket()).add(rule, host, export_to)
            elif rule.namespace == self.root:
                self._root_private.add(rule, host, export_to)
        self._cache: dict[tuple[str, str, str], Lookup | None] = {}

    def lookup(self, client_namespace: str, service: MeshService) -> Lookup | None:
        """The rules for a service as clients of a namespace see them: the first namespace with a match decides."""
        key = (client_namespace, service.host, service.namespace)
        if key not in self._cache:
            self._cache[key] = self._lookup(client_namespace, service)
        return self._cache[key]

    def _lookup(self, client: str, service: MeshService) -> Lookup | None:
        own = self._local.get(client) if client != self.root else self._root_private
        found = own.find(service.host) if own else None
        if found:
            return Lookup("client", *found)
        for where, namespace in (("service", service.namespace), ("root", self.root)):
            bucket = self._exported.get(namespace)
            found = bucket.find(service.host) if bucket else None
            if not found:
                continue
            # The most specific host is chosen before visibility is looked at, so a rule that this client may not
            # see still hides one for a wider host.
            visible = tuple(rule for rule in found[1] if not rule.export_to or rule.export_to & {"*", client})
            if visible:
                return Lookup(where, found[0], visible)
        return None

    def choose(self, client_namespace: str, labels: Mapping[str, str], service: MeshService) -> EffectiveRule | None:
        """The rule that a client obeys: the first whose workloadSelector fits, else the *last* without one."""
        found = self.lookup(client_namespace, service)
        if found is None:
            return None
        plain = None
        for rule in found.rules:
            selector = rule.selector
            if selector is None:
                plain = rule
            elif rule.rule.namespace == client_namespace and selects(selector, labels):
                return rule
        return plain

    def selectors(self, namespace: str) -> tuple[tuple[tuple[str, str], ...], ...]:
        """Every workloadSelector used in a namespace: clients that agree on all of them obey the same rules."""
        found = {
            tuple(sorted(rule.spec.workload_selector.all_labels.items()))
            for rule in self.all
            if rule.namespace == namespace and rule.spec.workload_selector is not None
        }
        return tuple(sorted(found))


def _priority(rule: DestinationRule) -> tuple[bool, str, str, str]:
    """Rules with a workloadSelector first, then the oldest, then by name (sortConfigBySelectorAndCreationTime)."""
    meta = rule.metadata
    return rule.spec.workload_selector is None, meta.creation_timestamp or "", meta.name, meta.namespace
