"""What the rules of VirtualServices and HTTPRoutes would do with a request, where no proxy reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s


class Rule(NamedTuple):
    """*paths* as (kind, value), none: every path; *backends* as (namespace, name); *rewrites*: it changes or answers
    the request by itself."""

    paths: tuple[tuple[str, str], ...]
    backends: tuple[tuple[str, str], ...]
    rewrites: bool


def acts_on(rule: Rule, service: k8s.Service, path: str) -> bool:
    """Whether a rule would have kept a request for *path* from the Service, or changed it."""
    fits = not rule.paths or any(_fits(kind, value, path) for kind, value in rule.paths)
    elsewhere = bool(rule.backends) and (service.namespace, service.name) not in rule.backends
    return fits and (rule.rewrites or elsewhere)


def of_virtual_service(namespace: str, matches: list[dict[str, Any]], http: istio.HttpRoute) -> Rule:
    paths = [(kind, str(value)) for one in matches for kind, value in (one.get("uri") or {}).items()]
    hosts = [entry.destination.host for entry in http.route]
    return Rule(
        () if any("uri" not in one for one in matches) else tuple(paths),
        tuple(_named(host, namespace) for host in hosts),
        bool(http.redirect or http.direct_response or http.rewrite),
    )


def of_http_route(route: istio.GenericObject) -> Iterator[Rule]:
    for rule in route.spec.get("rules") or []:
        matches = [one for one in rule.get("matches") or [] if isinstance(one, dict)]
        found = [one.get("path") or {"type": "PathPrefix", "value": "/"} for one in matches]
        kinds = {"Exact": "exact", "RegularExpression": "regex"}
        backends = [one for one in rule.get("backendRefs") or [] if isinstance(one, dict)]
        filters = [one for one in rule.get("filters") or [] if isinstance(one, dict)]
        yield Rule(
            tuple((kinds.get(str(one.get("type")), "prefix"), str(one.get("value", "/"))) for one in found),
            tuple((str(one.get("namespace", route.namespace)), str(one.get("name", ""))) for one in backends),
            any(one.get("type") in ("URLRewrite", "RequestRedirect") for one in filters),
        )


def _named(host: str, namespace: str) -> tuple[str, str]:
    name, _, rest = host.partition(".")
    return (rest.partition(".")[0] or namespace, name)


def _fits(kind: str, value: str, path: str) -> bool:
    if kind == "exact":
        return path == value
    # A regular expression is of another dialect (RE2), and proves nothing here.
    return kind == "prefix" and path.startswith(value)
