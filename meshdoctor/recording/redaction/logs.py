"""Logs: of access logs the known columns, of applications their calls only, of everything else what carries no secret.

The number of a line stays what it was, so that evidence still points at the right one: a dropped line is an empty one.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from meshdoctor.model.logprefix import without_prefix
from meshdoctor.recording.redaction.access_lines import clean_access_line, column, known_columns
from meshdoctor.recording.redaction.text import Redactor
from meshdoctor.recording.redaction.tree import clean, clean_proxy_config

PROXIES = ("istio-proxy", "discovery", "ztunnel", "istio-init", "istio-validation", "install-cni")
# Istio's JSON access log (pilot/pkg/model/telemetry_logging.go) without the columns that a client fills with anything.
_COLUMNS = frozenset(
    [
        "start_time", "method", "path", "protocol", "response_code", "response_flags", "response_code_details",
        "connection_termination_details", "upstream_transport_failure_reason", "bytes_received", "bytes_sent",
        "duration", "upstream_service_time", "request_id", "authority", "upstream_host", "upstream_cluster",
        "upstream_local_address", "downstream_local_address", "downstream_remote_address", "requested_server_name",
        "route_name",
        "level", "time", "scope", "msg", "message", "type", "target", "fields", "span", "spans",
    ]
)  # fmt: skip
_CALL = frozenset(
    [
        "t", "ts", "time", "timestamp", "@timestamp", "start_time", "url", "uri", "request_url", "target", "http.url",
        "url.full", "status", "status_code", "statusCode", "code", "http_status", "http.status_code", "ms",
        "duration_ms", "elapsed_ms", "latency_ms", "duration", "error", "err", "exception",
        "body", "message", "msg", "method", "host",
    ]
)  # fmt: skip
_URLS = ("url", "uri", "request_url", "target", "http.url", "url.full")
_ERRORS = ("error", "err", "exception", "body", "message", "msg")
_MAX_ERROR = 300
"""Characters of an error message: what a client library says of a failure, not a whole answer's body."""

_OWN_LINE = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)\t(?:trace|debug|info|warn(?:ing)?|error|fatal|critical)\t"
    # pilot-agent, istiod, Envoy under pilot-agent, ztunnel
    r"|\[\d{4}-\d\d-\d\d [\d:.]+\]\[\d+\]\["  # Envoy by itself
    r"|\d{4}/\d\d/\d\d [\d:.]+ |[IWEF]\d{4} \d\d:\d\d:\d\d"  # Go's log, klog
)
# What Lua and Wasm code logs through Envoy is that of an application (Envoy 1.40: lua_filter.cc, wasm/context.cc).
_SCRIPT = re.compile(r"(?P<head>\b(?:script log|wasm log[^:\n]*): )(?P<said>.+)", re.DOTALL)
_CONFIG = re.compile(r"Apply (?:proxy|mesh) config from [^{:]*?(?P<config>\{.*|\w+:.*)", re.DOTALL)
"""pilot-agent prints the ProxyConfig of its environment and annotation (pilot/cmd/pilot-agent/config/config.go)."""
_REPLY = re.compile(
    r"(?:upstream connect error or disconnect/reset before headers\.|no healthy upstream|upstream request timeout"
    r"|stream timeout|request timeout|downstream duration timeout|upstream max stream duration reached|no route"
    r"|RBAC: access denied|fault filter abort|local_rate_limited|maintenance mode|envoy overloaded|overload(?:ed)?"
    r"|Upgrade Required|Payload Too Large|Bad Request|Unauthorized|Forbidden|Not Found|Service Unavailable"
    r"|Bad Gateway|Gateway Timeout|Internal Server Error|Too Many Requests|dns_resolution_failure"
    r"|Jwt (?:is|verification|header|issuer|not|payload|signature|HMAC|ES|RSA|Ed25519|kid|alg)\b[\w .,()]{0,80}"
    r"|Jwks [\w .,()]{0,80}|Audiences in Jwt are not allowed)"
    r"(?: (?:retried and the latest )?reset reason: [\w ]{1,60}(?:, transport failure reason: .{0,200})?)?"
    r"|(?:[\w.]*\.)?(?:Connection\w*Error|gaierror|TimeoutError|IncompleteReadError|OSError|EOFError"
    r"|BrokenPipeError|SSL\w*Error|ServerDisconnectedError|RemoteDisconnected|RemoteProtocolError|ClientConnector\w*"
    r"|ConnectError|ReadError|ReadTimeout|ConnectTimeout|ConnectException|SocketException|SocketTimeoutException)"
    r"\(.{0,200}\)",
    re.DOTALL,
)
"""Bodies that Envoy 1.40 itself answers with (local replies of router, RBAC, JWT, fault, rate limit), and what a client
library writes in a body's place. Any other is a server's answer, and nobody else's business."""


def clean_log(body: bytes, container: str, redactor: Redactor) -> bytes:
    """The log of *container* with as many lines as before."""
    line_rule = _proxy_line if container in PROXIES else _application_line
    lines = body.decode(errors="replace").split("\n")
    return "\n".join(line_rule(line, redactor) if line else "" for line in lines).encode()


def _proxy_line(line: str, redactor: Redactor) -> str:
    body, _ = without_prefix(line)
    prefix = line[: len(line) - len(body)]
    if body.startswith("{"):
        fields = _fields(body)
        return prefix + _json_line(fields, redactor) if fields is not None else _dropped(redactor)
    # A runtime's prefix and that of the writer are both a time: the writer's may have been taken for the other.
    if _OWN_LINE.match(body) or _OWN_LINE.match(line):
        return _said(line, redactor)
    access = clean_access_line(body, redactor)
    return prefix + access if access is not None else _dropped(redactor)


def _json_line(fields: dict[str, Any], redactor: Redactor) -> str:
    columns = known_columns(fields, redactor)
    if columns:
        found = {name: fields[name] for name in columns}
        return _encoded(
            {
                name: column(columns[name], value, redactor) if isinstance(value, str) else _column(value, redactor)
                for name, value in found.items()
            }
        )
    return _encoded({name: _column(value, redactor) for name, value in fields.items() if name in _COLUMNS})


def _said(text: str, redactor: Redactor) -> str:
    """What a proxy or istiod itself writes; what code that runs in it logs is not its own."""
    config = _CONFIG.search(text)
    if config is not None:
        return text[: config.start("config")] + clean_proxy_config(config["config"], redactor)
    script = _SCRIPT.search(text)
    if script is None:
        return redactor.line(text)
    return redactor.line(text[: script.start("said")]) + redactor.mark(script["said"], "log of a script")


def _column(value: Any, redactor: Redactor) -> Any:
    return _said(value, redactor) if isinstance(value, str) else clean(value, redactor)


def _answer(value: str, redactor: Redactor) -> str:
    """A body, when Envoy wrote it."""
    reply = _REPLY.fullmatch(value.strip())
    return redactor.line(value) if reply or not value else redactor.mark(value, "body of an answer")


def _application_line(line: str, redactor: Redactor) -> str:
    """A call, as `parse_app_log` reads it; what else an application writes is its own business."""
    fields = _fields(line) if line.startswith("{") else None
    if fields is None or not any(name in fields for name in _URLS):
        return _dropped(redactor)
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in _CALL or not isinstance(value, str | int | float):
            continue
        if isinstance(value, str):
            if name == "body":
                value = _answer(value[:_MAX_ERROR], redactor)
            else:
                value = redactor.line(value[:_MAX_ERROR] if name in _ERRORS else value)
        found[name] = value
    return _encoded(found)


def _fields(line: str) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _encoded(fields: dict[str, Any]) -> str:
    return msgspec.json.encode(fields).decode()


def _dropped(redactor: Redactor) -> str:
    redactor.counts["log line"] += 1
    return ""
