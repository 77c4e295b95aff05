"""RBAC rules in words: which rule a refused read needs."""

from __future__ import annotations

import re

import msgspec

_PATH = re.compile(
    r".*?/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<resource>[a-z]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>[a-z]+))?)?"
)


class Rule(msgspec.Struct, frozen=True):
    """One permission: verbs on a resource (with its subresource, `pods/log`), everywhere or in *namespace*."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    namespace: str = ""
    names: tuple[str, ...] = ()

    @property
    def yaml(self) -> str:
        """The rule as one line of a Role's or ClusterRole's `rules`."""
        names = f", resourceNames: [{', '.join(self.names)}]" if self.names else ""
        verbs = ", ".join(self.verbs)
        return f'{{apiGroups: ["{self.group}"], resources: [{self.resource}]{names}, verbs: [{verbs}]}}'


def rule_for(path: str, *, watch: bool = False, create: bool = False) -> Rule | None:
    """The rule that a GET of *path* needs, or a POST to *create*; None for a path that is no resource (`/version`).

    A websocket to pods/portforward or pods/exec needs `get`, and from Kubernetes 1.35 on `create` as well
    (kubernetes#134577), so both are named.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    resource, sub, name = found["resource"], found["sub"], found["name"]
    if sub in ("portforward", "exec"):
        verbs: tuple[str, ...] = ("get", "create")
    elif create:
        verbs = ("create",)
    elif name:
        verbs = ("get",)
    else:
        verbs = ("watch",) if watch else ("list",)
    return Rule(
        found["group"] or "", f"{resource}/{sub}" if sub else resource, verbs, found["namespace"] or "",
        (name,) if name and resource == "configmaps" else (),
    )  # fmt: skip
