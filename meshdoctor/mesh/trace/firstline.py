"""The first line of an HTTP/1 request, as Envoy's Balsa parser and its HTTP inspector judge it."""

from __future__ import annotations

import re

from meshdoctor.mesh.trace.request import Request

# Envoy's balsa_parser.cc, isMethodValid; the HTTP inspector allows any method.
_METHODS = """
ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE MSEARCH NOTIFY OPTIONS
PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE
"""
METHODS = frozenset(_METHODS.split())
PREFACE = b"PRI * HTTP/2.0"

# balsa_parser.cc, isUrlValid: the characters of a path and query, and of a host in absolute form.
_PATH = re.compile(r"[/*][\t\f!-~]*\Z")
_ABSOLUTE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([A-Za-z0-9!$%&'()*+,\-.:;=@\[\]_~]*)([/?][\t\f!-~]*)?\Z")
_AUTHORITY = re.compile(r"[A-Za-z0-9!$%&'()*+,\-.:;=@\[\]_~]*([/?][\t\f!-~]*)?\Z")


def target_valid(target: str, connect: bool = False) -> bool:
    """Whether the parser takes the request target; if not, HTTP/1 is refused with `http1.codec_error`."""
    if target.startswith(("/", "*")):
        return _PATH.match(target) is not None
    if connect:
        return bool(target) and _AUTHORITY.match(target) is not None
    found = _ABSOLUTE.match(target)
    return found is not None and "@@" not in found[2]


def absolute(target: str) -> tuple[str, str, str] | None:
    """Scheme, host and path of an absolute-form target; None when it is not one with a host."""
    found = _ABSOLUTE.match(target)
    if not found or not found[2]:
        return None
    rest = found[3] or "/"
    return found[1], found[2], rest if rest.startswith("/") else "/" + rest


def http_version(request: Request) -> str:
    """What the HTTP inspector calls the bytes: `http/1.1`, `http/1.0`, `h2c`, or "" for no HTTP."""
    if request.payload is not None:
        parsed = parse(request.payload)
        if request.payload.startswith(PREFACE):
            return "h2c"
        if parsed is None or not target_valid(parsed.path, parsed.method == "CONNECT"):
            return ""
        return "http/1.1" if parsed.version == "1.1" else "http/1.0"
    if not request.version:
        return ""
    if request.version == "2":
        return "h2c"
    if not target_valid(request.path, request.method == "CONNECT"):
        return ""
    return "http/1.1" if request.version == "1.1" else "http/1.0"


_LINE = re.compile(rb"[\r\n]*([^ \t\r\n]+)[ \t]+([^ \t\r\n]+)(?:[ \t]+HTTP/([0-9.]+))?[ \t]*\r?\n")


def parse(payload: bytes) -> Request | None:
    """Raw bytes as an HTTP/1 request (addresses left out); None when they hold no request line."""
    line = _LINE.match(payload)
    if not line:
        return None
    headers: list[tuple[str, str]] = []
    for row in payload[line.end() :].split(b"\n"):
        if not row.strip():
            break
        name, colon, value = row.partition(b":")
        if not colon:
            break
        headers.append((name.decode("latin-1").strip().lower(), value.decode("latin-1").strip()))
    host = next((value for name, value in headers if name == "host"), None)
    return Request(
        direction="",
        ip="",
        port=0,
        version=line[3].decode() if line[3] else "0.9",
        method=line[1].decode("latin-1"),
        authority=host,
        path=line[2].decode("latin-1"),
        headers=tuple(pair for pair in headers if pair[0] != "host"),
    )
