"""A workload's own log: outgoing calls where it writes them as JSON, and the lines that complain.

Some failures never reach an Envoy log (the sidecar was not up, a connection was reset before a request, ambient mode):
then what the caller wrote itself is the only traffic evidence. Field names are those that loggers commonly use.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from meshdoctor.model.logprefix import without_prefix
from meshdoctor.model.moment import unix
from meshdoctor.model.text import visible

_TIME = ("t", "ts", "time", "timestamp", "@timestamp", "start_time")
_URL = ("url", "uri", "request_url", "target", "http.url", "url.full")
_STATUS = ("status", "status_code", "statusCode", "code", "http_status", "http.status_code")
_DURATION = ("ms", "duration_ms", "elapsed_ms", "latency_ms", "duration")
_ERROR = ("error", "err", "exception", "body", "message", "msg")


class Call(msgspec.Struct, frozen=True):
    """One outgoing call as the caller saw it: *status* 0 when no HTTP answer came; *duration* in ms."""

    line: int
    start: float | None
    url: str
    host: str
    port: int
    path: str
    status: int
    duration: float | None
    error: str

    @property
    def failed(self) -> bool:
        return self.status == 0 or self.status >= 500


class AppLog(msgspec.Struct, frozen=True):
    """*calls* in the order written; *lines* counts every line of the log."""

    calls: tuple[Call, ...]
    lines: int


def parse_app_log(body: bytes) -> AppLog:
    """Every line that is a JSON object with a URL and a status is a call; all others are only counted."""
    calls = []
    lines = body.splitlines()
    for number, line in enumerate(lines, start=1):
        if b"{" not in line:
            continue
        text, _ = without_prefix(line.decode(errors="replace"))
        if not text.startswith("{"):
            continue
        try:
            fields = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            continue
        call = _call(number, fields) if isinstance(fields, dict) else None
        if call:
            calls.append(call)
    return AppLog(tuple(calls), len(lines))


def _call(number: int, fields: dict[str, Any]) -> Call | None:
    url, status = _first(fields, _URL), _first(fields, _STATUS)
    if not isinstance(url, str) or "://" not in url or not isinstance(status, int | str) or not str(status).isdigit():
        return None
    try:
        parts = urlsplit(visible(url))
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    duration = _first(fields, _DURATION)
    error = _first(fields, _ERROR)
    return Call(
        line=number,
        start=_moment(_first(fields, _TIME)),
        url=visible(url),
        host=parts.hostname or "",
        port=port,
        path=parts.path or "/",
        status=int(status),
        duration=float(duration) if isinstance(duration, int | float) else None,
        error=visible(error) if isinstance(error, str) else "",
    )


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if name in fields), None)


def _moment(value: Any) -> float | None:
    if isinstance(value, int | float):
        # Loggers write Unix seconds or milliseconds; the year 33658 tells them apart.
        return float(value) / 1000 if value > 1e12 else float(value)
    return unix(value) if isinstance(value, str) else None
