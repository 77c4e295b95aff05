"""Secrets in free text by their look, and the mark that stands for one.

Patterns alone never make a text safe; they are the second net, behind the allowlists of objects, answers and columns.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import Counter
from functools import cache
from typing import Any

SENSITIVE = (
    r"pass(?:word|wd|phrase|code)|secret|tokens?(?![a-z])|credential|api[_-]?key|private[_-]?key|access[_-]?key"
    r"|session[_-]?key|encryption[_-]?key|hmac|authorization|authentication[_-]?key|cookie|bearer|jwt$"
)
"""In the name of a header, key or variable: its value is a secret."""
SENSITIVE_NAME = re.compile(rf"{SENSITIVE}|^x-auth|^x-amz-security|csrf|xsrf|^sid$|^session$", re.IGNORECASE)

# One alternative a kind of secret; `kept` is what stays in front of it.
SECRET_LOOKS = re.compile(
    r"(?P<jwt>\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,4})"
    r"|(?P<pem>-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:.*?-----END [A-Z0-9 ]*PRIVATE KEY-----|.*))"
    r"|(?P<scheme>\b(?:Bearer|Basic|Digest|Negotiate|ApiKey)\s+)(?P<credential>[A-Za-z0-9._~+/=:-]{6,})"
    r"|(?P<url>\b[a-z][a-z0-9+.-]*://)(?P<userinfo>[^\s/@\"']+)(?=@)"
    r"|(?P<cloud>\b(?:(?:AKIA|ASIA)[A-Z0-9]{12,}|gh[opsur]_[A-Za-z0-9]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|sk_(?:live|test)_[A-Za-z0-9]{10,}|AIza[A-Za-z0-9_-]{30,}|glpat-[A-Za-z0-9_-]{15,}))"
    r"|(?P<name>(?i:(?:pass(?:word|wd|phrase)|secret|token|credential|api[_-]?key|private[_-]?key|access[_-]?key"
    r"|session[_-]?(?:key|id)|authorization|set-cookie|cookie)[\w-]*)[\"']?\s*[=:]\s*[\"']?)(?P<value>[^\s\"',;&<)\]}]+)",
    re.DOTALL,
)
# What every alternative of SECRET_LOOKS needs, in a form that is searched in one pass.
_NEEDED = (
    rb"eyJ|PRIVATE KEY|(?:Bearer|Basic|Digest|Negotiate|ApiKey)\s|://[^\s/]*@|AKIA|ASIA|gh[opsur]_|xox[abprs]-"
    rb"|sk_(?:live|test)_|AIza|glpat-|(?i:pass(?:word|wd|phrase)|secret|token|credential|authorization|cookie"
    rb"|(?:api|private|access|session)[_-]?key|session[_-]?id)"
)


@cache
def _looks() -> Any:
    # A DFA: Python's engine takes 20 times as long for such an expression, and dumps and logs are large.
    import re2  # type: ignore[import-untyped]

    return re2.compile(_NEEDED)


@cache
def _canary() -> Any:
    import re2

    return re2.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}")


def leaks(body: bytes) -> bool:
    """Whether a redacted *body* still holds a private key or a whole token: a last look before it is written."""
    return _canary().search(body) is not None


_QUERY = re.compile(r"(?<=[?&])([\w.~%\[\]-]+)=[^&\s\"'#]*")
_ANY_QUERY = re.compile(r"\?[^\s\"']*")
_MARK = re.compile(r"<redacted(?::[0-9a-f]{12})?>")


_SHORT, _MOST_KNOWN, _MOST_BYTES = 256, 50_000, 48 * 2**20
"""Texts of up to so many characters are remembered, up to so many: a mesh repeats its names in every proxy."""


class Redactor:
    """Replaces secrets by marks: equal ones get equal marks within one bundle, by a salt that is stored nowhere.

    *counts* says how often each rule was applied (a text that comes again is not counted again).
    """

    def __init__(self, salt: bytes | None = None) -> None:
        self._salt = salt if salt is not None else secrets.token_bytes(32)
        self._known: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.elements: dict[bytes, bytes] = {}
        """What JSON elements became that come again and again; see `remember`."""
        self._remembered = 0

    def remember(self, element: bytes, becomes: bytes) -> None:
        """Keeps what *element* became, as long as all of them together stay small."""
        self._remembered += len(element) + len(becomes)
        if self._remembered > _MOST_BYTES:
            self.elements.clear()
            self._remembered = len(element) + len(becomes)
        self.elements[element] = becomes

    def mark(self, value: str, rule: str) -> str:
        """What stands for *value*."""
        if not value or _MARK.fullmatch(value):
            return value
        self.counts[rule] += 1
        digest = hmac.new(self._salt, value.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
        return f"<redacted:{digest[:12]}>"

    def text(self, value: str) -> str:
        """*value* without anything that looks like a secret."""
        if len(value) > _SHORT:
            return SECRET_LOOKS.sub(self._found, value) if _looks().search(value.encode(errors="replace")) else value
        known = self._known.get(value)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            safe = not _looks().search(value.encode(errors="replace")) or _MARK.fullmatch(value)
            known = self._known[value] = value if safe else SECRET_LOOKS.sub(self._found, value)
        return known

    def line(self, value: str) -> str:
        """A log line: as `text`, and without the query of any path or URL."""
        return self.text(_ANY_QUERY.sub(self._dropped, value) if "?" in value else value)

    def url(self, value: str) -> str:
        """A URL or path: its query keeps the names of its parameters only."""
        return self.text(_QUERY.sub(self._unvalued, value) if "?" in value else value)

    def _dropped(self, match: re.Match[str]) -> str:
        self.counts["query"] += 1
        return "?<redacted>"

    def _unvalued(self, match: re.Match[str]) -> str:
        self.counts["query"] += 1
        return f"{match[1]}=<redacted>"

    def _found(self, match: re.Match[str]) -> str:
        if match["credential"] is not None:
            return match["scheme"] + self.mark(match["credential"], "authorization")
        if match["userinfo"] is not None:
            return match["url"] + self.mark(match["userinfo"], "user in a URL")
        if match["value"] is not None:
            return match["name"] + self.mark(match["value"], "named secret")
        return self.mark(match[0], "looks like a secret")
