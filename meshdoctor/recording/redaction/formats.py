"""Formats of access logs and of values, and expressions: what is an operator or a name in them stays."""

from __future__ import annotations

import re
from typing import Any

from meshdoctor.recording.redaction.text import Redactor

_OPERATOR = r"%[A-Z_]+(?:\([^)]*\))?(?::\d+)?%"
FORMAT_ONLY = re.compile(rf"(?:{_OPERATOR}|[\s,;:/-])*")
_BETWEEN = re.compile(rf"({_OPERATOR})")
# A text in an expression, or a subscript, which is a name: `request.headers['x'] == 'text'`.
_CEL_TEXT = re.compile(r"(?P<subscript>[\w\])]\[\s*)?(?P<quote>['\"])(?P<text>(?:[^'\"\\]|\\.)+)(?P=quote)")


def clean_format(value: Any, redactor: Redactor, *, learn: bool = False) -> Any:
    """A format, whose operators stay whatever they are called; *learn*: the proxies' logs are read by it."""
    kept: Any
    if isinstance(value, str):
        kept = "".join(part if number % 2 else redactor.text(part) for number, part in enumerate(_BETWEEN.split(value)))
    elif isinstance(value, dict):
        constant = {name: isinstance(entry, str) and not _BETWEEN.search(entry) for name, entry in value.items()}
        kept = {
            name: redactor.mark(entry, "format") if constant[name] else clean_format(entry, redactor)
            for name, entry in value.items()
        }
    else:
        return value
    if learn:
        redactor.learn_format(kept)
    return kept


def operators_only(value: Any, redactor: Redactor) -> Any:
    """A format of a value: kept when it is made of operators alone."""
    if isinstance(value, str):
        return value if FORMAT_ONLY.fullmatch(value) else redactor.mark(value, "format")
    if isinstance(value, dict):
        return {name: operators_only(entry, redactor) for name, entry in value.items()}
    return value


def clean_expression(value: str, redactor: Redactor) -> str:
    """An expression in CEL, without its texts; a subscript (`request.headers['x']`) is a name."""

    def found(match: re.Match[str]) -> str:
        if match["subscript"]:
            return match[0]
        return match["quote"] + redactor.mark(match["text"], "expression") + match["quote"]

    return _CEL_TEXT.sub(found, value)
