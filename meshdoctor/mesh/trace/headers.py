"""The header map that Envoy's matchers see, made from what the client sent."""

from __future__ import annotations

from collections.abc import Iterable

# Headers that Envoy keeps in one slot, where a repeated value is appended with a comma (envoy/http/header_map.h,
# INLINE_REQ_HEADERS and INLINE_REQ_RESP_HEADERS), and those that a built-in filter registers as inline.
_NAMES = """
x-client-trace-id x-envoy-downstream-service-cluster x-envoy-downstream-service-node x-envoy-external-address
x-envoy-force-trace x-envoy-hedge-on-per-try-timeout x-envoy-internal x-envoy-ip-tags x-envoy-retry-on
x-envoy-retry-grpc-on x-envoy-retriable-status-codes x-envoy-retriable-header-names x-envoy-original-path
x-envoy-original-host x-envoy-original-url x-envoy-upstream-alt-stat-name
x-envoy-upstream-rq-timeout-alt-response expect x-forwarded-client-cert x-forwarded-for x-forwarded-host
x-forwarded-port x-forwarded-proto grpc-timeout te user-agent x-envoy-expected-rq-timeout-ms x-envoy-max-retries
x-envoy-upstream-rq-timeout-ms x-envoy-upstream-rq-per-try-timeout-ms x-envoy-upstream-stream-duration-ms connection
content-type x-envoy-decorator-operation keep-alive proxy-connection proxy-status x-request-id transfer-encoding
upgrade via content-length x-envoy-attempt-count
accept accept-encoding authorization cache-control origin referer access-control-request-headers
access-control-request-method access-control-request-private-network grpc-accept-encoding
if-match if-none-match if-modified-since if-unmodified-since if-range pragma
"""
INLINE = frozenset(_NAMES.split())

GENERATED = frozenset({"x-request-id"})
"""Headers that Envoy adds before it routes, with a value that nobody can foretell."""


class Headers:
    """Header values by lower-case name; the pseudo headers are `:method`, `:authority`, `:path` and `:scheme`.

    *joined* is the older Envoys' way: the values of a repeated header are matched as one, joined with commas.
    """

    __slots__ = ("values",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = (), http2: bool = False, joined: bool = False) -> None:
        self.values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._add(name.lower(), value.strip(" \t"), http2, joined)

    def _add(self, name: str, value: str, http2: bool, joined: bool) -> None:
        held = self.values.get(name)
        if name == "cookie" and http2:
            # RFC 9113 8.2.3: crumbs are joined; an empty first one adds nothing.
            if held is None:
                if value:
                    self.values[name] = [value]
            elif value:
                held[0] = f"{held[0]}; {value}"
        elif held is None:
            self.values[name] = [value]
        elif name not in INLINE and not joined:
            held.append(value)
        elif name not in INLINE:
            held[0] = f"{held[0]},{value}"
        elif value:
            held[0] = f"{held[0]},{value}" if held[0] else value

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order; empty when it was not sent."""
        return self.values.get(name, _NONE)

    def first(self, name: str) -> str:
        """The first value, "" when the header was not sent."""
        found = self.values.get(name)
        return found[0] if found else ""

    def set(self, name: str, value: str) -> None:
        self.values[name] = [value]

    @property
    def grpc(self) -> bool:
        """Whether Envoy takes the request for gRPC: its own answers then have code 200 (Grpc::Common)."""
        kind = self.first("content-type")
        return kind.startswith("application/grpc") and (len(kind) == 16 or kind[16] == "+")


_NONE: list[str] = []
