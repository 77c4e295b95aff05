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

from meshdoctor.model.accesslog_format import LogFormat, compile_format
from meshdoctor.recording.redaction.headers import HARMLESS

SENSITIVE = (
    r"pass(?:word|wd|phrase|code)|pwd|secret|tokens?(?![a-z])|credential|api[_-]?key|private[_-]?key|access[_-]?key"
    r"|session[_-]?key|encryption[_-]?key|hmac|authorization|authentication[_-]?key|cookie|bearer|jwt$"
)
"""In the name of a header, key or variable: its value is a secret."""
SENSITIVE_NAME = re.compile(rf"{SENSITIVE}|^x-auth|^x-amz-security|csrf|xsrf|^sid$|^session$", re.IGNORECASE)

_HEADER = r"(?<![\w-])(?:proxy-|x-[\w-]{0,40})?authorization|(?:set-)?cookie2?"
"""Headers whose value has spaces, semicolons and quotes in it: everything behind them is theirs."""
_NAMED = (
    r"(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credential|api[_-]?key|private[_-]?key|access[_-]?key"
    r"|account[_-]?key|shared[_-]?key|auth[_-]?key|session[_-]?(?:key|id)|signature|authorization|set-cookie|cookie)[\w-]{0,40}"
    r"|(?<![\w-])(?:(?-i:[A-Z0-9_]{0,40}PASS)|[a-z0-9_]{1,40}_pass|pass|sig|sid|licen[cs]e|x-auth[\w-]{0,40}|x-[\w-]{0,40}-key)"
)
_QUOTED = r"\\\"(?:[^\"\\]|\\[^\"])*(?:\\\")?|\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?"
_BARE = r"[^\s\"',;&<)\]}\\]+"

# One alternative a kind of secret; the group in front of it is what stays.
SECRET_LOOKS = re.compile(
    r"(?P<jwt>\beyJ[A-Za-z0-9_-]{3,}(?:\.[A-Za-z0-9_-]*){0,4})"
    r"|(?P<pem>-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:.*?-----END [A-Z0-9 ]*PRIVATE KEY-----|.*))"
    # Envoy prints the headers of a request as 'name', 'value' at level debug (HeaderMap's operator<<).
    r"|(?P<pair>'(?P<header>:?[\w-]{1,100})', ')(?P<shown>(?:[^'\\\n]|\\.)*)"
    rf"|(?P<quote>[\"']?)(?P<whole>\b(?i:{_HEADER})\\?[\"']?\s*[=:]\s*)(?P<all>{_QUOTED}|[^\n\r]+)"
    r"|(?P<scheme>\b(?i:Bearer|Basic|Digest|Negotiate|ApiKey)\s+)(?P<credential>[A-Za-z0-9._~+/=:-]{6,})"
    r"|(?P<bare>\b(?i:token)\s+[\"']?)(?P<token>(?=[\w.~+/=-]{0,200}\d)[\w.~+/=-]{8,}|(?<=['\"])[^\s'\"]+)"
    r"|(?P<url>\b[a-z][a-z0-9+.-]{0,30}://)(?P<userinfo>[^\s/\"']{1,2000})(?=@)"
    # An unencoded slash in a password is an error in a URL, but no less a password.
    r"|(?P<dsn>\b(?!https?:|wss?:|grpcs?:|spiffe:)[a-z][a-z0-9+.-]{0,30}://)(?P<login>[^\s\"'@:]{0,200}:[^\s\"']{0,2000})(?=@)"
    r"|(?P<driver>(?<![\w/.-]))(?P<account>[\w.-]{1,100}:[^\s\"'/]{1,200})(?=@(?:tcp|unix)\()"
    r"|(?P<flag>(?<!\S)(?:-u|--user)[ =])(?P<user>[^\s:]{1,200}:\S+)"
    r"|(?P<cloud>\b(?:(?:AKIA|ASIA)[A-Z0-9]{12,}(?:[/:,]\s?[^\s\"']+)?|gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|sk_(?:live|test)_[A-Za-z0-9]{10,}|sk-[A-Za-z0-9_-]{20,}|AIza[A-Za-z0-9_-]{30,}"
    r"|glpat-[A-Za-z0-9_-]{15,}|hv[sb]\.[\w-]{20,}|npm_[A-Za-z0-9]{30,}|SG\.[\w-]{16,}\.[\w-]{16,}|ya29\.[\w-]{20,}))"
    rf"|(?P<option>(?<![\w-])--?[\w-]{{0,40}}(?i:{_NAMED})[\"']?(?:\s*[=,:]\s*|\s+))(?P<chosen>{_QUOTED}|{_BARE})"
    r"|(?P<says>(?i:pass(?:word|phrase|code)|api[_ -]?key)\s+is\s+[\"']?)(?P<said>[^\s\"']+)"
    rf"|(?P<name>(?i:{_NAMED})\\?[\"']?\s*[=:]\s*)(?P<value>{_QUOTED}|{_BARE})",
    re.DOTALL,
)
_KEPT_AND_HIDDEN = (
    ("scheme", "credential", "authorization"),
    ("bare", "token", "authorization"),
    ("url", "userinfo", "user in a URL"),
    ("dsn", "login", "user in a URL"),
    ("driver", "account", "user in a URL"),
    ("flag", "user", "named secret"),
    ("option", "chosen", "named secret"),
    ("says", "said", "named secret"),
    ("name", "value", "named secret"),
)
# What every alternative of SECRET_LOOKS needs, in a form that is searched in one pass.
_NEEDED = (
    rb"eyJ|PRIVATE KEY|', '|(?i:Bearer|Basic|Digest|Negotiate|ApiKey|token)\s|://[^\s\"']*@|@(?:tcp|unix)\("
    rb"|(?:-u|--user)[ =]"
    rb"|AKIA|ASIA|gh[opsur]_|github_pat_|xox[abprs]-|sk_(?:live|test)_|sk-|AIza|glpat-|hv[sb]\.|npm_|SG\.|ya29\."
    rb"|(?i:(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credential|authorization|cookie|signature"
    rb"|(?:api|private|access|account|shared|auth|session)[_-]?key|session[_-]?id)[\w-]*(?:\\?[\"']?\s*[=:,]|[\"']?\s)"
    rb"|api key is|(?:pass|sig|sid|licen[cs]e|x-auth[\w-]*|x-[\w-]*-key)\\?[\"']?(?:\s*[=:,]|\s))"
)


@cache
def _looks() -> Any:
    # A DFA: Python's engine takes 20 times as long for such an expression, and dumps and logs are large.
    import re2  # type: ignore[import-untyped]

    return re2.compile(_NEEDED)


@cache
def _canary() -> Any:
    import re2

    return re2.compile(
        rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----|\beyJ[\w-]{8,}\.[\w-]{4,}|\b(?i:Bearer)\s+[\w.~+/-]{16,}"
    )


def leaks(body: bytes) -> bool:
    """Whether a redacted *body* still holds a private key or a token: a last look before it is written."""
    return _canary().search(body) is not None


_QUERY = re.compile(r"(?<=[?&])([\w.~%\[\]-]+)=[^&\s\"'#]*")
_ANY_QUERY = re.compile(r"\?[^\s\"']*")
_MARK = re.compile(r"<redacted(?::[0-9a-f]{12})?>")


_SHORT, _MOST_KNOWN, _MOST_BYTES = 256, 50_000, 48 * 2**20
"""Texts of up to so many characters are remembered, up to so many: a mesh repeats its names in every proxy."""


_MOST_FORMATS = 32


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
        self.formats: list[LogFormat] = []
        """The formats of access logs that the mesh was said to have, so far."""

    def learn_format(self, source: str | dict[str, Any]) -> None:
        """Proxies' logs that come later are read by this format, too; not by one that fits any line."""
        known = compile_format(source)
        if known.tells_outcome and known not in self.formats and len(self.formats) < _MOST_FORMATS:
            self.formats.append(known)

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
        if match["pair"] is not None:
            harmless = HARMLESS.match(match["header"])
            return match["pair"] + (self.url(match["shown"]) if harmless else self.mark(match["shown"], "header"))
        if match["whole"] is not None:
            kept, rest = _up_to(match["all"], match["quote"])
            return match["quote"] + match["whole"] + self._value(kept, "authorization") + self.text(rest)
        for before, secret, rule in _KEPT_AND_HIDDEN:
            if match[secret] is not None:
                return match[before] + self._value(match[secret], rule)
        return self.mark(match[0], "looks like a secret")

    def _value(self, value: str, rule: str) -> str:
        """A mark in the quotes that *value* stood in."""
        for quote in ('\\"', '"', "'"):
            if value.startswith(quote):
                ended = len(value) > len(quote) and value.endswith(quote)
                inner = value[len(quote) : -len(quote)] if ended else value[len(quote) :]
                return quote + self.mark(inner, rule) + (quote if ended else "")
        return self.mark(value, rule)


def _up_to(value: str, quote: str) -> tuple[str, str]:
    """*value* up to where the quote ends that its name stands in; the whole of it when it stands in none."""
    end = value.find(quote) if quote and not value.startswith(("'", '"', "\\")) else -1
    return (value, "") if end < 0 else (value[:end], value[end:])
