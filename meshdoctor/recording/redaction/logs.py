"""Logs: of access logs fixed columns, of applications their calls only, of everything else what carries no secret.

The number of a line stays what it was, so that evidence still points at the right one: a dropped line is an empty one.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from meshdoctor.recording.redaction.text import Redactor
from meshdoctor.recording.redaction.tree import clean

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

# The quoted column in front of the request id is the user agent, the one before it X-Forwarded-For (default format).
_AGENT = re.compile(
    r'"[^"\n]*" (?="(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|-)" "[^"\n]*" "[^"\n]*" )'
)
_TIMED = re.compile(r"^(?:\[?\d{4}[-/]\d\d[-/]\d\d[T ]|[IWEF]\d{4} \d\d:)")


def clean_log(body: bytes, container: str, redactor: Redactor) -> bytes:
    """The log of *container* with as many lines as before."""
    line_rule = _proxy_line if container in PROXIES else _application_line
    lines = body.decode(errors="replace").split("\n")
    return "\n".join(line_rule(line, redactor) if line else "" for line in lines).encode()


def _proxy_line(line: str, redactor: Redactor) -> str:
    if line.startswith("{"):
        fields = _fields(line)
        if fields is None:
            return _dropped(redactor)
        found = {name: value for name, value in fields.items() if name in _COLUMNS}
        return _encoded({name: _column(value, redactor) for name, value in found.items()})
    if not _TIMED.match(line):
        return _dropped(redactor)
    if line.startswith("["):
        line = _AGENT.sub('"-" ', line, count=1)
    return redactor.line(line)


def _column(value: Any, redactor: Redactor) -> Any:
    return redactor.line(value) if isinstance(value, str) else clean(value, redactor)


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
