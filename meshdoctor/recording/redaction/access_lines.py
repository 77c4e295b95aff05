"""Access logs: of each line the columns that are known, by the format that it was written in.

A column of somebody's own, a user agent and X-Forwarded-For become `-`, which every format can be read with.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from meshdoctor.model.accesslog_format import DEFAULT_TEXT_FORMATS, LogFormat, compile_format, json_fields
from meshdoctor.recording.redaction.text import Redactor

_CLIENTS = frozenset(("user_agent", "x_forwarded_for"))
"""Columns that a client fills with anything, and that no question is asked of."""
_FREE = frozenset(("path", "authority", "requested_server_name", "details", "termination", "transport_failure"))
_OPERATOR = re.compile(r"(%(?:%|[A-Z][A-Z0-9_]*(?:\(.*?\))?(?::[0-9]+)?%))")
_DEFAULTS = tuple(compile_format(source) for source in DEFAULT_TEXT_FORMATS)
_ID = re.compile(r"-|[0-9A-Fa-f]{8}(?:-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}")


def clean_access_line(line: str, redactor: Redactor) -> str | None:
    """A line of a text format with its known columns; None when it is of no format that is known.

    A field that a format has twice is in each place what it is in the last.
    """
    for known in (*_DEFAULTS, *redactor.formats):
        match = known.pattern.fullmatch(line) if known.pattern is not None and isinstance(known.source, str) else None
        if match is not None:
            values = dict(zip(known.fields, match.groups(), strict=True))
            if not _separable(values):
                continue
            kept = {field: column(field, value, redactor) for field, value in values.items()}
            return _rendered(known, [kept[field] for field in known.fields])
    return None


def _separable(values: dict[str, str]) -> bool:
    """Whether these are the columns, cut where a format that is not known has more: a free one could hide them."""
    route = values.get("route_name")
    if route is not None:
        values["route_name"] = re.split(r"[\s\"]", route, maxsplit=1)[0] or "-"
    texts = (values.get(name) or "" for name in ("termination", "details"))
    return not any('"' in text for text in texts) and " " not in (values.get("path") or "")


def column(field: str, value: str, redactor: Redactor) -> str:
    """One column; a request id that a client chose becomes a mark, the same in the logs of all proxies."""
    if field in _CLIENTS:
        return "-"
    if field == "request_id" and not _ID.fullmatch(value):
        return redactor.mark(value, "request id")
    return redactor.line(value) if field in _FREE else value


def _rendered(known: LogFormat, values: list[str]) -> str:
    given = iter(values)
    parts = []
    for part, tells in _parts(known.source):
        parts.append(part if tells is None else next(given) if tells else "-")
    return "".join(parts)


@lru_cache(maxsize=64)
def _parts(source: str) -> tuple[tuple[str, bool | None], ...]:
    """The literal texts of a format (None), and whether each operator between them is a known column."""
    found: list[tuple[str, bool | None]] = []
    for number, part in enumerate(_OPERATOR.split(source.strip("\r\n"))):
        literal = number % 2 == 0 or part == "%%"
        found.append((part.replace("%%", "%"), None) if literal else (part, bool(compile_format(part).fields)))
    return tuple(found)


def known_columns(fields: dict[str, Any], redactor: Redactor) -> dict[str, str]:
    """Which keys of a JSON line hold which column; empty for what is no access log."""
    pairs = json_fields(tuple(fields), tuple(redactor.formats)) or ()
    return {key: field for key, field in pairs if field not in _CLIENTS}
