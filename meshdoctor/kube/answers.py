"""From an HTTP answer of the API server, or from no answer, to an error that says what to do."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import msgspec

from meshdoctor.kube.errors import (
    ApiError,
    Busy,
    ClusterError,
    CredentialError,
    Expired,
    Forbidden,
    NotFound,
    Unauthorized,
    Unreachable,
)
from meshdoctor.kube.rbac import Rule, rule_for
from meshdoctor.model.text import visible_line

RETRIED = frozenset((429, 500, 502, 503, 504))
# OpenSSL's names of the alerts of RFC 8446 6.2 that a server sends about a client's certificate.
_REFUSED_CERTIFICATE = re.compile(r"ALERT_(\w*CERTIFICATE\w*|UNKNOWN_CA)")


class Status(msgspec.Struct, frozen=True):
    """The `Status` object of a failed request (meta/v1)."""

    status: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0


def decode_status(body: bytes) -> Status:
    """The Status in *body*; a proxy's HTML or an empty body gives the text as the message."""
    try:
        return msgspec.json.decode(body, type=Status)
    except msgspec.DecodeError:
        text = re.sub(r"<[^>]{0,200}>", " ", body[:2000].decode("utf-8", "replace"))
        return Status(message=" ".join(text.split())[:200])


def retry_after(headers: httpx.Headers) -> float | None:
    """`Retry-After` in seconds, capped at a minute; None when absent or senseless."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isdigit():
        return min(float(value), 60.0)
    moment = email.utils.parsedate_tz(value)
    return None if moment is None else min(max(0.0, email.utils.mktime_tz(moment) - time.time()), 60.0)


def error_of(
    status: int, headers: httpx.Headers, body: bytes, path: str, *, watch: bool = False, method: str = "GET"
) -> ApiError:
    """The error that an answer with an error *status* means for a GET of *path*, or a POST of a review."""
    told = decode_status(body)
    message = visible_line(told.message)[:300]
    said = f" ({message})" if message else ""
    what = f"{method} {path}"
    match status:
        case 401:
            return Unauthorized(401, told.reason, f"{what}: the cluster does not accept the credential{said}",
                                "log in again")  # fmt: skip
        case 403:
            return _forbidden(told, what, said, rule_for(path, watch=watch, create=method == "POST"))
        case 404:
            return NotFound(
                404, told.reason, f"{what}: not found{said}", "the object or its kind is not in this cluster"
            )
        case 410:
            return Expired(410, told.reason, f"{what}: the position in the list is too old{said}", "list again")
    if status in (301, 302, 303, 307, 308):
        where = visible_line(headers.get("location", ""))[:200]
        return ApiError(
            status, told.reason, f"{what}: redirected to {where!r}, which is not followed",
            "a login page or another server stands before the cluster: check the server's address and log in",
        )  # fmt: skip
    after = retry_after(headers)
    if status in RETRIED:
        return Busy(status, told.reason, f"{what}: HTTP {status}{said}", "the server is busy or down; try later", after)
    return ApiError(status, told.reason, f"{what}: HTTP {status}{said}", "see the API server's log", after)


def no_api_server(path: str, wanted: str) -> ClusterError:
    """What it means that a GET of *path* was answered with 200, and with something else than *wanted*."""
    return ClusterError(
        f"GET {path}: the answer is not {wanted}",
        "a login page or another server stands before the cluster: check the server's address and log in",
    )


def _forbidden(told: Status, what: str, said: str, rule: Rule | None) -> Forbidden:
    if rule is None:
        return Forbidden(
            403, told.reason, f"{what}: forbidden{said}", "`meshdoctor check-access` shows what is allowed"
        )
    where = f" in namespace {rule.namespace}" if rule.namespace else ""
    error = Forbidden(403, told.reason, f"{what}: forbidden{said}", f"the role{where} lacks {rule.yaml}")
    error.missing_rule = rule.yaml
    return error


@contextmanager
def reachable(what: str) -> Iterator[None]:
    """Raise httpx's transport errors as Unreachable, or CredentialError, in words."""
    try:
        with _certificate_accepted(what):
            yield
    except httpx.ProxyError as error:
        raise Unreachable(f"{what}: the proxy failed ({_words(error)})", "check proxy-url or HTTPS_PROXY") from error
    except httpx.ConnectTimeout as error:
        raise Unreachable(f"{what}: no connection in time", "check the network, VPN and proxy") from error
    except httpx.TimeoutException as error:
        raise Unreachable(f"{what}: no answer in time", "the server or the network is slow; try again") from error
    except httpx.ConnectError as error:
        next_step = "check the server's address, the network and VPN"
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            next_step = "check certificate-authority and tls-server-name in the kubeconfig"
        raise Unreachable(f"{what}: no connection ({_words(error)})", next_step) from error
    except httpx.DecodingError as error:
        raise Unreachable(f"{what}: the answer cannot be unpacked ({_words(error)})", "try again") from error
    except httpx.TransportError as error:
        raise Unreachable(f"{what}: the connection was cut ({_words(error)})", "try again") from error


@contextmanager
def _certificate_accepted(what: str) -> Iterator[None]:
    """Raise CredentialError when the server ends the TLS handshake because of the client's certificate."""
    try:
        yield
    except httpx.TransportError as error:
        refused = _REFUSED_CERTIFICATE.search(str(error))
        if refused is None:
            raise
        why = refused[1].lower().replace("_", " ")
        raise CredentialError(f"{what}: the cluster refuses the client certificate ({why})", "log in again") from error


def _words(error: BaseException) -> str:
    return visible_line(str(error))[:200] or type(error).__name__
