"""Envoy's access log: one frozen `AccessLine` for each request, connection or refused connection.

Reads Istio's text and JSON formats of all versions, Envoy's own default and any given custom format, bare or behind the
prefixes of a container runtime (CRI, Docker) or of `kubectl logs --timestamps --prefix`. Everything else that a proxy's
log holds is skipped and counted by kind, so that a caller can say what was not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from meshdoctor.model.accesslog_details import Detail, TransportFailure, parse_details, parse_transport_failure
from meshdoctor.model.accesslog_format import DEFAULT_TEXT_FORMATS, LogFormat, compile_format, json_fields
from meshdoctor.model.accesslog_line import AccessLine, access_line
from meshdoctor.model.logprefix import TIMESTAMP, without_prefix
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


class ParsedLog(msgspec.Struct, frozen=True):
    """The access lines of a log, and how many lines of each other kind it held.

    Kinds: `blank`, `envoy` (Envoy's application log), `pilot-agent`, `ztunnel`, `unreadable` (begins like an access
    line and is none: cut short, or a custom format nobody gave), `other`.
    """

    lines: tuple[AccessLine, ...]
    skipped: dict[str, int]


_TEXT_FORMATS = tuple(compile_format(source) for source in DEFAULT_TEXT_FORMATS)
_APPLICATION_LOG = re.compile(
    rf"(?:{TIMESTAMP}\t(?P<level>\w+)\t(?P<scope>[^\t]*)|\[?\d{{4}}-\d\d-\d\d[ T][\d:.]+Z?\]?\[\d+\]\[\w+\])"
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
            body, tag = without_prefix(line)
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
                return access_line(number, known.fields, match.groups())
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
        return access_line(number, tuple(field for _, field in plan), values)


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
