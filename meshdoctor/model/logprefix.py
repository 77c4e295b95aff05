"""What stands before a line that a container wrote: a runtime's (CRI, Docker), kubectl's or a log viewer's prefix."""

from __future__ import annotations

import re

TIMESTAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.]*(?:Z|[+-]\d\d:\d\d)"
_PREFIX = re.compile(rf"(?:\[pod/[^\]]*\] )?(?:{TIMESTAMP} )?(?:(?:stdout|stderr) (?P<tag>[FP])[^ ]* )?")
# `stern` and `docker compose` put names before the line.
_NAMES_PREFIX = re.compile(r"[\w.-]+ (?:\| |[\w.-]+ )(?=\[\d{4}-|\{|\d{4}-\d\d-\d\dT[^ \t]*\t)")


def without_prefix(line: str) -> tuple[str, str]:
    """The line as it was written, and CRI's tag (`F` full, `P` partial, or "")."""
    match = _PREFIX.match(line)
    if match is not None and match.end():
        return line[match.end() :], match["tag"] or ""
    match = _NAMES_PREFIX.match(line)
    return (line[match.end() :], "") if match else (line, "")
