"""What Envoy does to a path before it looks for a route (Envoy's path_utility.cc, googleurl's url_canon_path.cc)."""

from __future__ import annotations

import re

from meshdoctor.model.envoy.listener import HttpConnectionManager

UNRESERVED = frozenset("-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
# What the canonical form writes percent-encoded; everything else passes.
_ESCAPE = frozenset([*(chr(code) for code in range(0x01, 0x21)), *'"#<>?^`{|}', *map(chr, range(0x7F, 0x100))])
_PLAIN = re.compile(r"(?:/[A-Za-z0-9_~!$&'()*+,;=:@\[\]-]*)+\Z")
_ESCAPED_SLASH = re.compile(r"%2[fF]|%5[cC]")


class PathOptions:
    """The connection manager's path settings, read once."""

    __slots__ = ("merge", "normalize", "slashes")

    def __init__(self, manager: HttpConnectionManager) -> None:
        self.normalize = bool(manager.normalize_path)
        self.merge = manager.merge_slashes
        self.slashes = manager.path_with_escaped_slashes_action


class RefusedPathError(ValueError):
    """Envoy answers by itself: 400, or with *redirect* a 307 to the unescaped path."""

    def __init__(self, redirect: str = "") -> None:
        super().__init__("path_normalization_failed")
        self.redirect = redirect


def normalize(path: str, options: PathOptions) -> str:
    """*path* (with its query) as routes and RBAC see it; raises `RefusedPathError`."""
    if "#" in path:
        # envoy.reloadable_features.http_reject_path_with_fragment, on since 1.20.
        raise RefusedPathError
    body, mark, query = path.partition("?")
    unescaped = False
    if options.slashes in _UNESCAPING:
        replaced = _ESCAPED_SLASH.sub(lambda found: "/" if found[0][1] == "2" else "\\", body)
        unescaped = replaced != body
        if unescaped and options.slashes == "REJECT_REQUEST":
            raise RefusedPathError
        body = replaced
    if options.normalize and not _PLAIN.match(body):
        body = canonical(body)
    if options.merge and "//" in body:
        body = merge_slashes(body)
    if unescaped and options.slashes == "UNESCAPE_AND_REDIRECT":
        raise RefusedPathError(body + mark + query)
    return body + mark + query


_UNESCAPING = ("REJECT_REQUEST", "UNESCAPE_AND_REDIRECT", "UNESCAPE_AND_FORWARD")


def merge_slashes(body: str) -> str:
    """`//a///b` as `/a/b`; a path of slashes only becomes `//`, as absl::StrJoin of nothing leaves both ends."""
    head = "/" if body.startswith("/") else ""
    tail = "/" if body.endswith("/") else ""
    return head + "/".join(part for part in body.split("/") if part) + tail


def canonical(body: str) -> str:
    """Dots resolved, `\\` as `/`, unreserved escapes decoded; raises `RefusedPathError` for `%00` and NUL."""
    out: list[str] = []
    position, size = 0, len(body)
    if not body.startswith(("/", "\\")):
        out.append("/")
    while position < size:
        char = body[position]
        dot = _dot_length(body, position) if out and out[-1] == "/" else 0
        if dot:
            position = _resolve_dots(body, position, dot, out)
        elif char in "/\\":
            out.append("/")
            position += 1
        elif char == "%":
            position = _escape(body, position, out)
        elif char == "\0":
            raise RefusedPathError
        else:
            out.append(f"%{ord(char):02X}" if char in _ESCAPE else char)
            position += 1
    return "".join(out)


def _dot_length(body: str, position: int) -> int:
    if body[position] == ".":
        return 1
    return 3 if body[position : position + 3].lower() == "%2e" else 0


def _resolve_dots(body: str, position: int, dot: int, out: list[str]) -> int:
    """Copy or resolve a segment that begins with a dot; the position after what was consumed."""
    after = position + dot
    if after >= len(body):
        return after
    if body[after] in "/\\":
        return after + 1
    second = _dot_length(body, after)
    if second:
        end = after + second
        if end >= len(body) or body[end] in "/\\":
            out.pop()
            while out and out[-1] != "/":
                out.pop()
            if not out:
                out.append("/")
            return min(end + 1, len(body))
    # The segment only begins with a dot (".well-known", "..."): one dot is copied and the rest read again.
    out.append(".")
    return after


def _escape(body: str, position: int, out: list[str]) -> int:
    digits = body[position + 1 : position + 3]
    if len(digits) < 2 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        out.append("%")
        return position + 1
    value = chr(int(digits, 16))
    if value == "\0":
        raise RefusedPathError
    out.append(value if value in UNRESERVED else "%" + digits)
    return position + 3


def without_query(path: str) -> str:
    """The part of *path* that exact, regex and separated-prefix matches see (PathUtil::removeQueryAndFragment)."""
    return path.split("?", 1)[0].split("#", 1)[0]


def query_parameters(path: str) -> dict[str, str]:
    """Parameters as Envoy reads them: the first of a name counts, nothing is decoded, `?x` has the value ""."""
    found: dict[str, str] = {}
    _, _, query = path.partition("?")
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if part:
            found.setdefault(name, value)
    return found
