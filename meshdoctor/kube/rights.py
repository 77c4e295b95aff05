"""The rights that are used (`clusterrole.yaml`), asked about one by one, and what is lost without each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Any

import anyio
import msgspec
import yaml

from meshdoctor.kube.access import AccessReviewer, Permission
from meshdoctor.kube.errors import ClusterError
from meshdoctor.kube.rbac import Rule
from meshdoctor.model.kinds import KINDS

_AT_ONCE = 8
_CLUSTER_SCOPED = frozenset(kind.resource for kind in KINDS if not kind.namespaced)
_LOSSES = {
    "pods": "nothing can be read: proxies and istiods are found by their pods",
    "services": "hosts cannot be matched to workloads",
    "endpointslices": "ready endpoints cannot be compared with what proxies know",
    "events": "restarts and failed probes stay unexplained",
    "nodes": "faults of a node are not seen",
    "namespaces": "injection labels are unknown",
    "pods/log": "access logs and istiod's log are not read",
    "pods/portforward": "proxies' configuration and istiod's sync status are not read",
    "configmaps": "the mesh config is read from istiod alone",
}
_LOST_WATCH = "live views refresh at an interval instead of at once"
_LOST_GET = "a single object is not shown by its name"


class _RoleRule(msgspec.Struct, frozen=True, rename="camel"):
    api_groups: tuple[str, ...]
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    resource_names: tuple[str, ...] = ()


class _RoleMeta(msgspec.Struct, frozen=True):
    namespace: str = ""


class _Role(msgspec.Struct, frozen=True):
    metadata: _RoleMeta
    rules: tuple[_RoleRule, ...]


class Right(msgspec.Struct, frozen=True):
    """One rule and the answers about its verbs; *error* when it could not be asked."""

    rule: Rule
    permissions: tuple[Permission, ...] = ()
    error: str = ""
    only: str = ""
    """The namespace that all of it is allowed in, where the whole cluster is not; what is read then."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The verbs that are not allowed."""
        return tuple(permission.verb for permission in self.permissions if not permission.allowed)

    @property
    def loss(self) -> str:
        """What does not work without it."""
        missing = self.missing
        if self.only:
            return f"only {self.only} is read"
        if "/" not in self.rule.resource and "list" in self.rule.verbs and "list" not in missing:
            return _LOST_WATCH if "watch" in missing else _LOST_GET
        return _LOSSES.get(self.rule.resource, f"{self.rule.resource} are not read")


def role_yaml() -> str:
    """The minimal ClusterRole and Role, as text to apply."""
    return files("meshdoctor.kube").joinpath("clusterrole.yaml").read_text(encoding="utf-8")


def used_rights(namespace: str = "") -> tuple[Rule, ...]:
    """Every rule of the role, one for each resource; in *namespace* instead of everywhere when it is given."""
    return tuple(_rules(namespace))


def _rules(namespace: str) -> Iterator[Rule]:
    documents: Iterator[Any] = yaml.safe_load_all(role_yaml())
    for role in (msgspec.convert(document, _Role) for document in documents):
        for rule in role.rules:
            for group in rule.api_groups:
                for resource in rule.resources:
                    scope = role.metadata.namespace or namespace
                    if resource in _CLUSTER_SCOPED:
                        scope = ""
                    each = Rule(group, resource, rule.verbs, scope)
                    if not rule.resource_names:
                        yield each
                    for name in rule.resource_names:  # a review is about one name
                        yield msgspec.structs.replace(each, names=(name,))


def without_create(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """*rules* as Kubernetes before 1.35 asks for them: get alone lets a websocket to a pod's port pass."""
    return tuple(
        msgspec.structs.replace(rule, verbs=("get",)) if rule.resource == "pods/portforward" else rule for rule in rules
    )


async def check_rights(reviewer: AccessReviewer, rules: tuple[Rule, ...], fallback: str = "") -> tuple[Right, ...]:
    """Ask about every verb of every rule, a few at a time.

    What the cluster does not allow as a whole is asked about in the namespace *fallback*, where it is then read.
    Raises nothing: what cannot be asked carries its error.
    """
    found: dict[Rule, Right] = {}
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def ask(rule: Rule) -> tuple[Permission, ...]:
        return tuple([await reviewer.may(rule, verb) for verb in rule.verbs])

    async def check(rule: Rule) -> None:
        async with limiter:
            try:
                right = Right(rule, await ask(rule))
                if right.missing and fallback and not rule.namespace and rule.resource not in _CLUSTER_SCOPED:
                    inside = await ask(msgspec.structs.replace(rule, namespace=fallback))
                    if all(permission.allowed for permission in inside):
                        right = msgspec.structs.replace(right, only=fallback)
                found[rule] = right
            except ClusterError as error:
                found[rule] = Right(rule, error=str(error))

    async with anyio.create_task_group() as group:
        for rule in rules:
            group.start_soon(check, rule)
    return tuple(found[rule] for rule in rules)
