"""What Envoy refuses before it looks for a route: bad bytes, old versions, missing or odd hosts and paths.

Source: Envoy 1.40, ConnectionManagerImpl::ActiveStream::decodeHeaders and the HTTP/1 and HTTP/2 codecs.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from meshdoctor.mesh.trace.firstline import METHODS, PREFACE, absolute, parse, target_valid
from meshdoctor.mesh.trace.headers import Headers
from meshdoctor.mesh.trace.outcome import Outcome
from meshdoctor.mesh.trace.path import PathOptions, RefusedPathError, normalize
from meshdoctor.mesh.trace.request import Request
from meshdoctor.model.envoy.listener import HttpConnectionManager

# header_utility.cc, check_authority_h1_h2; HTTP/2 (quiche's header_validator.cc) allows no "@".
_AUTHORITY1 = re.compile(r"[A-Za-z0-9!$%&'()*+,\-.:;=@\[\]_~]*\Z")
_AUTHORITY2 = re.compile(r"[A-Za-z0-9!$%&'()*+,\-.:;=\[\]_~]+\Z")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_VALUE = re.compile(r"[\t -~\x80-\xff]*\Z")
_HOP_BY_HOP = frozenset({"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"})


class Settings:
    """A connection manager's settings that matter before routing, read once."""

    __slots__ = (
        "accept_http10",
        "codec",
        "edge",
        "http10_host",
        "joined",
        "path",
        "strip_any",
        "strip_matching",
        "trusted_hops",
    )

    def __init__(self, manager: HttpConnectionManager, joined: bool = False) -> None:
        self.joined = joined
        options = manager.http_protocol_options
        self.codec = manager.codec_type
        self.accept_http10 = bool(options.get("accept_http_10"))
        self.http10_host = str(options.get("default_host_for_http_10", ""))
        self.edge = bool(manager.use_remote_address)
        self.trusted_hops = manager.xff_num_trusted_hops
        self.path = PathOptions(manager)
        self.strip_any = manager.strip_any_host_port
        self.strip_matching = manager.strip_matching_host_port


class Decoded(NamedTuple):
    """A request that reached routing, or the *refusal* that Envoy answered instead."""

    method: str = ""
    authority: str = ""
    path: str = ""
    headers: Headers = Headers()
    refusal: Outcome | None = None


def decode(request: Request, settings: Settings, terminated: bool, alpn: str) -> Decoded:
    """The request as the router sees it; *terminated* and *alpn* are the outcome of the TLS handshake."""
    if request.tls is not None and not terminated:
        return _refused(_BAD_BYTES)
    if request.payload is not None:
        if request.payload.startswith(PREFACE):
            return _refused(_outcome(None, "DPE", "http2.inbound_empty_frames_flood", "bytes that are not HTTP/2"))
        parsed = parse(request.payload)
        if parsed is None:
            return _refused(_BAD_BYTES)
        request = parsed
    http2 = settings.codec == "HTTP2" or (settings.codec == "AUTO" and (alpn == "h2" or request.version == "2"))
    if not request.version:
        return _refused(_BAD_BYTES)
    if http2 != (request.version == "2") and not (http2 and alpn == "h2"):
        return _refused(_BAD_BYTES)
    return _http2(request, settings, terminated) if http2 else _http1(request, settings, terminated)


def _http1(request: Request, settings: Settings, tls: bool) -> Decoded:
    connect = request.method == "CONNECT"
    if request.method not in METHODS or not target_valid(request.path, connect):
        return _refused(_BAD_BYTES)
    authority, path, scheme = request.authority, request.path, ""
    if connect:
        authority, path = request.path, ""
    elif not path.startswith("/") and not (path.startswith("*") and request.method == "OPTIONS"):
        whole = absolute(path)
        if whole is None:
            return _refused(_outcome(400, "DPE", "http1.invalid_url", f"the request target {path!r} is no URL"))
        scheme, authority, path = whole
        if scheme.lower() not in ("http", "https"):
            return _refused(_outcome(400, "DPE", "http1.invalid_scheme", f"the scheme {scheme!r} is not HTTP"))
    headers = Headers(request.headers, joined=settings.joined)
    if request.version != "1.1":
        if not settings.accept_http10:
            why = f"HTTP/{request.version} is not accepted"
            return _refused(_outcome(426, "DPE", "low_version", why, "speak HTTP/1.1 (or set PILOT_HTTP10)"))
        authority = authority or settings.http10_host or None
    if authority is not None and not _AUTHORITY1.match(authority):
        why = f"Host {authority!r} has a character that no host may have"
        return _refused(_outcome(400, "DPE", "http.invalid_authority", why, "send a valid Host header"))
    return _checked(request, settings, tls, headers, authority, path, scheme)


def _http2(request: Request, settings: Settings, tls: bool) -> Decoded:
    authority, path = request.authority, request.path
    pairs = ((name.lower(), value) for name, value in request.headers)
    if (
        (authority is not None and not _AUTHORITY2.match(authority))
        or not path
        or not _TOKEN.match(request.method)
        or any(not _VALUE.match(value) or name in _HOP_BY_HOP for name, value in pairs)
    ):
        return _refused(_outcome(0, "DPE", "http2.invalid.header.field", "a header that HTTP/2 does not allow"))
    if request.method != "CONNECT" and not path.startswith("/") and not (path == "*" and request.method == "OPTIONS"):
        why = f"HTTP/2 does not allow the path {path!r}"
        return _refused(_outcome(0, "DPE", "http2.violation.of.messaging.rule", why))
    if authority is None:
        why = "HTTP/2 needs an :authority"
        return _refused(_outcome(0, "DPE", "http2.violation.of.messaging.rule", why))
    headers = Headers(request.headers, http2=True, joined=settings.joined)
    return _checked(request, settings, tls, headers, authority, path, "https" if tls else "http")


def _checked(
    request: Request, settings: Settings, tls: bool, headers: Headers, authority: str | None, path: str, scheme: str
) -> Decoded:
    """The checks that both versions share, in Envoy's order."""
    if authority is None:
        return _refused(_reply(headers, 400, "", "missing_host_header", "no Host header", "send a Host header"))
    headers.set(":method", request.method)
    headers.set(":authority", authority)
    if request.method != "CONNECT":
        if not path.startswith("/"):
            why = f"the path {path!r} does not begin with /"
            return Decoded(
                request.method, authority, path, headers, _reply(headers, 404, "", "absolute_path_rejected", why)
            )
        try:
            path = normalize(path, settings.path)
        except RefusedPathError as refused:
            code = 307 if refused.redirect and not headers.grpc else 400
            why = f"the path {path!r} cannot be normalized"
            outcome = _reply(headers, code, "", "path_normalization_failed", why)
            return Decoded(request.method, authority, path, headers, outcome)
    authority = _stripped(authority, settings, request.port)
    headers.set(":authority", authority)
    headers.set(":path", path)
    _forwarded(headers, settings, tls, scheme)
    return Decoded(request.method, authority, path, headers)


def _forwarded(headers: Headers, settings: Settings, tls: bool, scheme: str) -> None:
    """Set x-forwarded-proto and :scheme; an edge proxy does not believe what the client says about them.

    Source: ConnectionManagerUtility::mutateRequestHeaders.
    """
    own = "https" if tls else "http"
    if (settings.edge and settings.trusted_hops == 0) or not headers.all("x-forwarded-proto"):
        headers.set("x-forwarded-proto", own)
    if not scheme:
        told = headers.first("x-forwarded-proto")
        scheme = told if told.lower() in ("http", "https") else own
    headers.set(":scheme", scheme.lower())


def _stripped(authority: str, settings: Settings, port: int) -> str:
    if not (settings.strip_any or settings.strip_matching):
        return authority
    start = port_start(authority)
    number = authority[start + 1 :] if start >= 0 else ""
    if not (number.isascii() and number.isdigit()):
        return authority
    return authority[:start] if settings.strip_any or int(number) == port else authority


def port_start(host: str) -> int:
    """Where `:port` begins in a Host, -1 when there is none (HeaderUtility::getPortStart); a bare `:` counts."""
    start = host.rfind(":")
    return -1 if start < host.rfind("]") else start


def _refused(outcome: Outcome) -> Decoded:
    return Decoded(refusal=outcome)


def _outcome(code: int | None, flags: str, details: str, why: str, fix: str = "") -> Outcome:
    return Outcome("http", code, flags, details, why=why, fix=fix)


def _reply(headers: Headers, code: int, flags: str, details: str, why: str, fix: str = "") -> Outcome:
    """An answer of the connection manager: gRPC requests get code 200 and the truth in grpc-status."""
    return _outcome(200 if headers.grpc else code, flags, details, why, fix)


_BAD_BYTES = _outcome(400, "DPE", "http1.codec_error", "the bytes are not HTTP/1 that Envoy can read")
