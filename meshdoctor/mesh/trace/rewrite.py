"""Path and authority after the route's rewrites: what the next hop will see."""

from __future__ import annotations

from meshdoctor.mesh.trace.loose import message
from meshdoctor.mesh.trace.path import without_query
from meshdoctor.mesh.trace.regex import compile_regex
from meshdoctor.mesh.trace.request import wire
from meshdoctor.model.envoy.route import RouteAction, RouteMatch


def rewritten_path(path: str, match: RouteMatch, action: RouteAction) -> str:
    """The path that goes upstream; the query stays."""
    if action.prefix_rewrite:
        return replaced_prefix(path, match, wire(action.prefix_rewrite))
    if action.regex_rewrite:
        body = without_query(path)
        pattern = str(message(action.regex_rewrite.get("pattern")).get("regex", ""))
        substitution = str(action.regex_rewrite.get("substitution", ""))
        return compile_regex(pattern).replace_all(body, substitution) + path[len(body) :]
    return path


def replaced_prefix(path: str, match: RouteMatch, rewrite: str) -> str:
    """The matched part replaced: a prefix's own length, else the whole path without its query."""
    matched = match.prefix if match.prefix is not None else match.path_separated_prefix
    size = len(wire(matched)) if matched is not None else len(without_query(path))
    return rewrite + path[size:]


def rewritten_authority(authority: str, action: RouteAction, upstream: str) -> str:
    """The authority that goes upstream; *upstream* is the endpoint's host name, for `auto_host_rewrite`."""
    if action.host_rewrite_literal:
        return wire(action.host_rewrite_literal)
    return upstream if action.auto_host_rewrite and upstream else authority
