"""One line of Envoy's access log: what it says, and whether what it tells of went wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from meshdoctor.model.accesslog_details import MODIFIER_FLAGS, parse_flags, primary_flag
from meshdoctor.model.moment import unix
from meshdoctor.model.text import visible_line

_INTEGERS = frozenset({"bytes_received", "bytes_sent", "duration", "upstream_service_time", "attempt_count"})
_HARMLESS_FLAGS = MODIFIER_FLAGS - {"URX"}


class AccessLine(msgspec.Struct, frozen=True, gc=False):
    """One line of an access log. Times in unix seconds, durations in milliseconds, sizes in bytes; None: not logged."""

    line: int  # 1-based line in its file
    start: float | None = None
    method: str | None = None
    path: str | None = None
    protocol: str | None = None
    code: int = 0  # 0 for TCP and listener lines, and when the client left before the response
    flags: tuple[str, ...] = ()  # short names in the order logged
    details: str | None = None  # "" when Envoy logged an empty string (NFCF)
    termination: str | None = None
    transport_failure: str | None = None
    bytes_received: int | None = None
    bytes_sent: int | None = None
    duration: int | None = None
    upstream_service_time: int | None = None
    x_forwarded_for: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    authority: str | None = None
    upstream_host: str | None = None
    upstream_cluster: str | None = None
    upstream_local_address: str | None = None
    downstream_local_address: str | None = None
    downstream_remote_address: str | None = None
    requested_server_name: str | None = None
    route_name: str | None = None
    grpc_status: str | None = None
    attempt_count: int | None = None  # tries, the first included
    downstream_transport_failure: str | None = None

    @property
    def primary_flag(self) -> str | None:
        """The flag that names the cause; None when there is none or only modifiers (URX, DI, RFCF)."""
        return primary_flag(self.flags)

    @property
    def _answered_here(self) -> bool:
        """Whether the proxy answered by itself, as far as a log without details tells: it knew a cluster and chose no
        host of it, and no service time came back.
        """
        return self.upstream_cluster is not None and self.upstream_host is None and self.upstream_service_time is None

    @property
    def failed(self) -> bool:
        """Whether the request or connection went wrong in a way that a mesh could be asked about.

        - a code of 500 and above, from whomever;
        - a response flag, whatever the code (`200 UF` of gRPC, `200 UPE` with a body cut short, `0 DC`, `404 NR`), but
          not a delay that a fault rule injected or an answer from a cache;
        - a gRPC status other than OK, where it is logged;
        - a refusal by the proxy itself: 400 and above with details other than `via_upstream` (`403 -
          rbac_access_denied…`). A 4xx of the application is an answer, not a failure;
        - a connection that a proxy ended (`0 -` with a termination detail) or could not make (a transport failure
          reason). A plain `0 -` is a TCP connection that ended well.
        """
        if self.code >= 500 or any(flag not in _HARMLESS_FLAGS for flag in self.flags):
            return True
        if self.grpc_status is not None and self.grpc_status not in ("0", "OK", "Ok"):
            return True
        if self.code >= 400:
            return self._answered_here if self.details is None else self.details != "via_upstream"
        return self.code == 0 and bool(self.termination or self.transport_failure)


def access_line(number: int, fields: tuple[str, ...], values: Sequence[Any]) -> AccessLine:
    """Line *number* of a log, from the *values* of its *fields* as text or as JSON had them."""
    found: dict[str, Any] = {}
    for field, value in zip(fields, values, strict=True):
        if value is None or value == "-" or (value == "" and field != "details") or field in found:
            continue
        if field in _INTEGERS:
            value = _integer(value)
        elif field == "start":
            value = _seconds(value)
        elif field == "code":
            value = _integer(value) or 0
        elif field == "flags":
            value = parse_flags(value) if isinstance(value, str) else ()
        elif type(value) is not str:
            value = _as_text(value)
        elif field == "upstream_cluster":
            value = value.removesuffix(";")  # %UPSTREAM_CLUSTER% prints alt_stat_name, which Istio ends so
        found[field] = value
    return AccessLine(line=number, **found)


def _as_text(value: Any) -> str:
    return visible_line(msgspec.json.encode(value).decode())


def _integer(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        pass
    try:
        return int(float(value))
    except (ValueError, OverflowError):
        return None


def _seconds(value: Any) -> float | None:
    """Unix seconds of an ISO 8601 time or of a number of seconds or milliseconds (`%START_TIME(%s%3f)%`)."""
    # Digits alone are a number, also those that can be read as a day of the year 1795.
    if isinstance(value, str) and not value.isdigit():
        moment = unix(value)
        if moment is not None:
            return moment
    try:
        number = float(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    return number / 1000 if abs(number) > 1e11 else number
