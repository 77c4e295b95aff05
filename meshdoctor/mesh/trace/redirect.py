"""Where a redirect sends the client (Envoy 1.40, Http::Utility::newUri and RouteEntryImplBase)."""

from __future__ import annotations

from typing import Any

from meshdoctor.mesh.trace.headers import Headers
from meshdoctor.mesh.trace.loose import message
from meshdoctor.mesh.trace.regex import compile_regex
from meshdoctor.mesh.trace.request import wire
from meshdoctor.mesh.trace.rewrite import replaced_prefix
from meshdoctor.model.envoy.route import RouteMatch

CODES = {
    "MOVED_PERMANENTLY": 301,
    "FOUND": 302,
    "SEE_OTHER": 303,
    "TEMPORARY_REDIRECT": 307,
    "PERMANENT_REDIRECT": 308,
}


def code(redirect: dict[str, Any]) -> int:
    return CODES.get(str(redirect.get("response_code", "MOVED_PERMANENTLY")), 301)


def location(redirect: dict[str, Any], match: RouteMatch, headers: Headers) -> str:
    """The `location` header of a redirect route."""
    scheme = wire(str(redirect.get("scheme_redirect", "")))
    if not scheme:
        scheme = "https" if redirect.get("https_redirect") else headers.first(":scheme")
    port = f":{redirect['port_redirect']}" if redirect.get("port_redirect") else ""
    host = wire(str(redirect.get("host_redirect", ""))) or _host(headers, scheme, port)
    path = _path(redirect, match, headers.first(":path"))
    return f"{scheme}://{host}{port}{path}"


def tls_location(headers: Headers) -> str:
    """Where `require_tls` sends a plain request: the same host and path (createSslRedirectPath)."""
    return f"https://{headers.first(':authority')}{headers.first(':path')}"


def _path(redirect: dict[str, Any], match: RouteMatch, current: str) -> str:
    fixed = wire(str(redirect.get("path_redirect", "")))
    own_query = "?" in fixed
    if fixed:
        _, mark, query = current.partition("?")
        path = fixed if own_query else fixed + mark + query
    elif redirect.get("prefix_rewrite"):
        path = replaced_prefix(current, match, wire(str(redirect["prefix_rewrite"])))
    elif redirect.get("regex_rewrite"):
        path = _by_regex(message(redirect["regex_rewrite"]), current)
    else:
        path = current
    if not path.startswith("/"):
        path = "/" + path
    return path.partition("?")[0] if redirect.get("strip_query") and not own_query else path


def _by_regex(rewrite: dict[str, Any], current: str) -> str:
    body, mark, query = current.partition("?")
    pattern = str(message(rewrite.get("pattern")).get("regex", ""))
    return compile_regex(pattern).replace_all(body, str(rewrite.get("substitution", ""))) + mark + query


def _host(headers: Headers, scheme: str, port: str) -> str:
    """The request's host; its port goes when the redirect sets one, or when it was the old scheme's default."""
    host = headers.first(":authority")
    start = host.rfind("]:") + 1 if host.startswith("[") else host.rfind(":")
    if start <= 0 or host[start : start + 1] != ":":
        return host
    told = headers.first("x-forwarded-proto")
    default = {"https": ":443", "http": ":80"}.get(told)
    remove = bool(port) or (scheme != told and host[start:] == default)
    return host[:start] if remove else host
