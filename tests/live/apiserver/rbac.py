"""Kubernetes' RBAC for one user: what the rules of some Roles and ClusterRoles allow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import yaml


class Asked(NamedTuple):
    """What an authorizer is asked: a request, or a review of one."""

    verb: str
    group: str
    resource: str
    """With its subresource: `pods/log`."""
    namespace: str
    name: str


class Rbac:
    """The union of all rules; a ClusterRole is bound in every namespace, a Role in its own."""

    def __init__(self, roles: Iterable[dict[str, Any]]) -> None:
        self._rules = [
            (rule, role["metadata"].get("namespace", "") if role["kind"] == "Role" else "")
            for role in roles
            for rule in role["rules"]
        ]

    @classmethod
    def of_yaml(cls, text: str) -> Rbac:
        """From YAML documents."""
        return cls(yaml.safe_load_all(text))

    def allows(self, asked: Asked) -> bool:
        """Whether any rule allows it (k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac `RuleAllows`)."""
        return any(
            (not namespace or namespace == asked.namespace)
            and asked.verb in rule["verbs"]
            and asked.group in rule["apiGroups"]
            and (asked.resource in rule["resources"] or "*" in rule["resources"])
            and (not rule.get("resourceNames") or asked.name in rule["resourceNames"])
            for rule, namespace in self._rules
        )
