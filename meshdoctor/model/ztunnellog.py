"""ztunnel's access log (ambient mesh): one frozen `ZtunnelLine` for each connection that ended or failed.

The line is ztunnel's own (`src/proxy/metrics.rs`, `src/telemetry.rs`, 1.24 to 1.32), not Envoy's:
`<time>\\t<level>\\taccess\\t<message>\\tsrc.addr=… dst.service="…" direction="outbound" … error="…"`, or with
`LOG_FORMAT=json` one object with the same keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from meshdoctor.model.logprefix import without_prefix
from meshdoctor.model.moment import duration, unix
from meshdoctor.model.text import visible, visible_line


class ZtunnelLine(msgspec.Struct, frozen=True, gc=False):
    """A connection that ztunnel carried, closed or refused. None: not logged (an unknown peer has no workload)."""

    line: int  # 1-based line in its file
    time: float | None = None  # unix seconds, when the connection ended
    level: str = ""  # info, warn or error
    message: str = ""  # "connection complete", "connection failed", "connection opened", …
    direction: str | None = None  # inbound or outbound, seen from the workload
    src_addr: str | None = None
    src_workload: str | None = None
    src_namespace: str | None = None
    src_identity: str | None = None
    src_cluster: str | None = None
    dst_addr: str | None = None  # port 15008 when it went through the HBONE tunnel
    dst_hbone_addr: str | None = None  # the address inside the tunnel
    dst_service: str | None = None
    dst_workload: str | None = None
    dst_namespace: str | None = None
    dst_identity: str | None = None
    dst_cluster: str | None = None
    bytes_sent: int | None = None
    bytes_recv: int | None = None
    duration: float | None = None  # milliseconds
    error: str | None = None

    @property
    def failed(self) -> bool:
        """True when ztunnel logged an error for the connection."""
        return self.error is not None


class ParsedZtunnelLog(msgspec.Struct, frozen=True):
    """The access lines of a ztunnel's log, and how many others it held: `blank`, `ztunnel` (its own log), `other`."""

    lines: tuple[ZtunnelLine, ...]
    skipped: dict[str, int]


_LINE = re.compile(r"(\d{4}-\d\d-\d\dT[^\t ]*)\t(\w+)\t([^\t]*)\t([^\t]*)(?:\t(.*))?", re.DOTALL)
_PAIR = re.compile(r'([\w.]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')
_PEER = ("addr", "workload", "namespace", "identity", "cluster")
_TEXTS = (
    "direction",
    "error",
    "dst.service",
    "dst.hbone_addr",
    *(f"src.{name}" for name in _PEER),
    *(f"dst.{name}" for name in _PEER),
)


def parse_ztunnel_log(text: str | bytes) -> ParsedZtunnelLog:
    """Read a ztunnel's log. Never raises; what is no access line is counted in `skipped`."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    lines: list[ZtunnelLine] = []
    skipped: dict[str, int] = {}
    pieces = visible(text.removeprefix("\ufeff").replace("\r\n", "\n")).split("\n")
    if not pieces[-1]:
        pieces.pop()
    for number, piece in enumerate(pieces, start=1):
        line, _ = without_prefix(piece)
        found = _text_line(number, line) or _json_line(number, line)
        if found is not None:
            lines.append(found)
        else:
            kind = "blank" if not line.strip() else "ztunnel" if _LINE.fullmatch(line) else "other"
            skipped[kind] = skipped.get(kind, 0) + 1
    return ParsedZtunnelLog(tuple(lines), skipped)


def _text_line(number: int, line: str) -> ZtunnelLine | None:
    match = _LINE.fullmatch(line)
    if match is None or match[3] != "access":
        return None
    values: dict[str, Any] = {}
    for key, quoted, bare in _PAIR.findall(match[5] or ""):
        values.setdefault(key, quoted.replace('\\"', '"').replace("\\\\", "\\") if quoted else bare)
    return _build(number, match[1], match[2], match[4], values)


def _json_line(number: int, line: str) -> ZtunnelLine | None:
    start = line.find("{")
    if start < 0 or '"access"' not in line:
        return None
    try:
        document = msgspec.json.decode(line[start:])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("scope") != "access":
        return None
    values = {key: visible_line(value) if isinstance(value, str) else value for key, value in document.items()}
    return _build(number, values.get("time"), values.get("level"), values.get("message"), values)


def _build(number: int, time: Any, level: Any, message: Any, values: Mapping[str, Any]) -> ZtunnelLine:
    texts: dict[str, str] = {}
    for key in _TEXTS:
        value = values.get(key)
        if isinstance(value, str) and value:
            texts[key.replace(".", "_")] = value
    return ZtunnelLine(
        line=number,
        time=unix(time) if isinstance(time, str) else None,
        level=level.lower() if isinstance(level, str) else "",
        message=message if isinstance(message, str) else "",
        bytes_sent=_integer(values.get("bytes_sent")),
        bytes_recv=_integer(values.get("bytes_recv")),
        duration=_milliseconds(values.get("duration")),
        **texts,
    )


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _milliseconds(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return None
    # A bare number is of milliseconds.
    seconds = duration(value if value[-1:].isalpha() else f"{value}ms")
    return None if seconds is None else seconds * 1000
