"""Envoy's access log: one frozen `AccessLine` for each request, connection or refused connection.

Reads Istio's text and JSON formats of all versions, Envoy's own default and any given custom format, bare or behind the
prefixes of a container runtime (CRI, Docker) or of `kubectl logs --timestamps --prefix`. Everything else that a proxy's
log holds is skipped and counted by kind, so that a caller can say what was not read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from meshdoctor.model.accesslog_details import (
    MODIFIER_FLAGS,
    Detail,
    TransportFailure,
    parse_details,
    parse_flags,
    parse_transport_failure,
    primary_flag,
)
from meshdoctor.model.accesslog_format import DEFAULT_TEXT_FORMATS, LogFormat, compile_format, json_fields
from meshdoctor.model.text import visible, visible_line

__all__ = [
    "AccessLine",
    "Detail",
    "LogFormat",
    "ParsedLog",
    "TransportFailure",
    "compile_format",
    "parse_access_log",
    "parse_details",
    "parse_transport_failure",
]


class AccessLine(msgspec.Struct, frozen=True, gc=False):
    """One line of an access log. Times in unix seconds, durations in milliseconds, sizes in bytes; None: not logged."""

    line: int  # 1-based line in its file
    start: float | None = None
    method: str | None = None
    path: str | None = None
    protocol: str | None = None
    code: int = 0  # 0 for TCP and listener lines, and when the client left before the response
    flags: tuple[str, ...] = ()  # short names in the order logged
    details: str | None = None  # "" when Envoy logged an empty string (NFCF)
    termination: str | None = None
    transport_failure: str | None = None
    bytes_received: int | None = None
    bytes_sent: int | None = None
    duration: int | None = None
    upstream_service_time: int | None = None
    x_forwarded_for: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    authority: str | None = None
    upstream_host: str | None = None
    upstream_cluster: str | None = None
    upstream_local_address: str | None = None
    downstream_local_address: str | None = None
    downstream_remote_address: str | None = None
    requested_server_name: str | None = None
    route_name: str | None = None
    grpc_status: str | None = None
    attempt_count: int | None = None  # tries, the first included
    downstream_transport_failure: str | None = None

    @property
    def primary_flag(self) -> str | None:
        """The flag that names the cause; None when there is none or only modifiers (URX, DI, RFCF)."""
        return primary_flag(self.flags)

    @property
    def failed(self) -> bool:
        """Whether the request or connection went wrong in a way that a mesh could be asked about.

        - a code of 500 and above, from whomever;
        - a response flag, whatever the code (`200 UF` of gRPC, `200 UPE` with a body cut short, `0 DC`, `404 NR`), but
          not a delay that a fault rule injected or an answer from a cache;
        - a gRPC status other than OK, where it is logged;
        - a refusal by the proxy itself: 400 and above with details other than `via_upstream` (`403 -
          rbac_access_denied…`). A 4xx of the application is an answer, not a failure;
        - a connection that a proxy ended (`0 -` with a termination detail) or could not make (a transport failure
          reason). A plain `0 -` is a TCP connection that ended well.
        """
        if self.code >= 500 or any(flag not in _HARMLESS_FLAGS for flag in self.flags):
            return True
        if self.grpc_status is not None and self.grpc_status not in ("0", "OK", "Ok"):
            return True
        if self.code >= 400:
            return self.details is not None and self.details != "via_upstream"
        return self.code == 0 and bool(self.termination or self.transport_failure)


_HARMLESS_FLAGS = MODIFIER_FLAGS - {"URX"}


class ParsedLog(msgspec.Struct, frozen=True):
    """The access lines of a log, and how many lines of each other kind it held.

    Kinds: `blank`, `envoy` (Envoy's application log), `pilot-agent`, `ztunnel`, `unreadable` (begins like an access
    line and is none: cut short, or a custom format nobody gave), `other`.
    """

    lines: tuple[AccessLine, ...]
    skipped: dict[str, int]


_INTEGERS = frozenset({"bytes_received", "bytes_sent", "duration", "upstream_service_time", "attempt_count"})
_TEXT_FORMATS = tuple(compile_format(source) for source in DEFAULT_TEXT_FORMATS)
_TIMESTAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.]*(?:Z|[+-]\d\d:\d\d)"
_PREFIX = re.compile(rf"(?:\[pod/[^\]]*\] )?(?:{_TIMESTAMP} )?(?:(?:stdout|stderr) (?P<tag>[FP])[^ ]* )?")
# `stern` and `docker compose` put names before the line.
_NAMES_PREFIX = re.compile(r"[\w.-]+ (?:\| |[\w.-]+ )(?=\[\d{4}-|\{)")
_APPLICATION_LOG = re.compile(
    rf"(?:{_TIMESTAMP}\t(?P<level>\w+)\t(?P<scope>[^\t]*)|\[?\d{{4}}-\d\d-\d\d[ T][\d:.]+Z?\]?\[\d+\]\[\w+\])"
)
_UNREADABLE = re.compile(r"\[\d{4}-\d\d-\d\dT|\{")


def parse_access_log(text: str | bytes, formats: Sequence[LogFormat] = ()) -> ParsedLog:
    """Read a proxy's log. Never raises: what is no access line is counted in `skipped`.

    *formats* are the custom formats in force (`compile_format`); they are tried before Istio's and Envoy's defaults.
    Control characters of the log are visible symbols in the result.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    text = visible(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    reader = _Reader(formats)
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()  # what follows the last newline is no line
    for number, line in enumerate(lines, start=1):
        reader.read(number, line)
    reader.finish()
    return ParsedLog(tuple(reader.lines), reader.skipped)


class _Reader:
    """Reads line by line; remembers which format matched last and what a key set means."""

    def __init__(self, formats: Sequence[LogFormat]) -> None:
        self.lines: list[AccessLine] = []
        self.skipped: dict[str, int] = {}
        self._formats = tuple(formats)
        self._text = [known for known in (*formats, *_TEXT_FORMATS) if known.pattern is not None]
        self._plans: dict[tuple[str, ...], tuple[tuple[str, str], ...] | None] = {}
        self._decode = msgspec.json.Decoder().decode
        self._partial: tuple[int, str] | None = None  # the beginning of a line that the runtime split (CRI tag P)

    def read(self, number: int, line: str) -> None:
        found = self._access_line(number, line)
        if found is None:
            body, tag = _without_prefix(line)
            if tag or self._partial is not None:
                body = self._partial[1] + body if self._partial else body
                number = self._partial[0] if self._partial else number
                self._partial = (number, body) if tag == "P" else None
                if tag == "P":
                    return
            if body is not line:
                found = self._access_line(number, body)
            if found is None:
                self._skip(_kind(body))
                return
        self.lines.append(found)

    def finish(self) -> None:
        """A line whose end never came is counted as unreadable."""
        if self._partial is not None:
            self._skip("unreadable")

    def _skip(self, kind: str) -> None:
        self.skipped[kind] = self.skipped.get(kind, 0) + 1

    def _access_line(self, number: int, line: str) -> AccessLine | None:
        if line.startswith("{"):
            found = self._json_line(number, line)
            if found is not None or not self._formats:
                return found
        elif not (line.startswith("[") or self._formats):
            return None
        for index, known in enumerate(self._text):
            match = known.pattern.fullmatch(line) if known.pattern else None
            if match is not None:
                if index >= len(self._formats):  # the next line is of the same format; given ones keep their order
                    self._text.insert(min(len(self._formats), index), self._text.pop(index))
                return _build(number, known.fields, match.groups())
        return None

    def _json_line(self, number: int, line: str) -> AccessLine | None:
        try:
            document = self._decode(line)
        except (msgspec.DecodeError, RecursionError):
            return None
        if not isinstance(document, dict):
            return None
        if isinstance(document.get("log"), str) and "stream" in document:  # Docker's json-file driver
            return self._access_line(number, visible_line(document["log"].rstrip("\r\n")))
        if any(type(value) is dict for value in document.values()):
            document = _flat(document)
        keys = tuple(document)
        try:
            plan = self._plans[keys]
        except KeyError:
            plan = self._plans[keys] = json_fields(keys, self._formats)
        if plan is None:
            return None
        escaped = "\\" in line
        values = [document[key] for key, _ in plan]
        if escaped:
            values = [visible_line(value) if isinstance(value, str) else value for value in values]
        return _build(number, tuple(field for _, field in plan), values)


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """Nested objects of a JSON format, their keys joined by "." ."""
    flat: dict[str, Any] = {}
    waiting = list(document.items())
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{key}.{name}", inner) for name, inner in value.items()]
        else:
            flat[key] = value
    return flat


def _without_prefix(line: str) -> tuple[str, str]:
    """The line without what a runtime or kubectl put before it, and CRI's tag (`F` full, `P` partial, or "")."""
    match = _PREFIX.match(line)
    if match is not None and match.end():
        return line[match.end() :], match["tag"] or ""
    match = _NAMES_PREFIX.match(line)
    return (line[match.end() :], "") if match else (line, "")


def _kind(line: str) -> str:
    if not line.strip():
        return "blank"
    match = _APPLICATION_LOG.match(line)
    if match is not None:
        scope = match["scope"]
        if scope == "access":
            return "ztunnel"
        return "envoy" if scope is None or scope.startswith("envoy") else "pilot-agent"
    if line.startswith("{"):
        found = re.search(r'"scope":\s*"(envoy|access(?="))?', line)
        if found is not None or ('"level"' in line and '"msg"' in line):
            return {"envoy": "envoy", "access": "ztunnel"}.get(found[1] if found else "", "pilot-agent")
    return "unreadable" if _UNREADABLE.match(line) else "other"


def _build(number: int, fields: tuple[str, ...], values: Sequence[Any]) -> AccessLine:
    found: dict[str, Any] = {}
    for field, value in zip(fields, values, strict=True):
        if value is None or value == "-" or (value == "" and field != "details") or field in found:
            continue
        if field in _INTEGERS:
            value = _integer(value)
        elif field == "start":
            value = _seconds(value)
        elif field == "code":
            value = _integer(value) or 0
        elif field == "flags":
            value = parse_flags(value) if isinstance(value, str) else ()
        elif type(value) is not str:
            value = _as_text(value)
        elif field == "upstream_cluster":
            value = value.removesuffix(";")  # %UPSTREAM_CLUSTER% prints alt_stat_name, which Istio ends so
        found[field] = value
    return AccessLine(line=number, **found)


def _as_text(value: Any) -> str:
    return visible_line(msgspec.json.encode(value).decode())


def _integer(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        pass
    try:
        return int(float(value))
    except (ValueError, OverflowError):
        return None


def _seconds(value: Any) -> float | None:
    """Unix seconds of an ISO 8601 time or of a number of seconds or milliseconds (`%START_TIME(%s%3f)%`)."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            pass
    try:
        number = float(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    return number / 1000 if abs(number) > 1e11 else number
