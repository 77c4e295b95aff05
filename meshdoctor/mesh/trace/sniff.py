"""What the listener filters learn before a filter chain is chosen: TLS or plain, SNI, ALPN, HTTP version."""

from __future__ import annotations

from typing import Any, NamedTuple

from meshdoctor.mesh.trace.firstline import http_version
from meshdoctor.mesh.trace.loose import message, messages, whole
from meshdoctor.mesh.trace.request import Request
from meshdoctor.model.envoy.listener import Filter, Listener

TLS_INSPECTOR, HTTP_INSPECTOR, ORIGINAL_DST, PROXY_PROTOCOL = (
    "envoy.filters.listener.tls_inspector",
    "envoy.filters.listener.http_inspector",
    "envoy.filters.listener.original_dst",
    "envoy.filters.listener.proxy_protocol",
)


class Sniffed(NamedTuple):
    """*transport* is `tls` or `raw_buffer`; *alpn* the client's list, or what the HTTP inspector found."""

    transport: str = "raw_buffer"
    sni: str = ""
    alpn: tuple[str, ...] = ()


class Inspectors:
    """The inspectors of one listener and the ports where they are switched off (`filter_disabled`)."""

    __slots__ = ("http", "tls")

    def __init__(self, listener: Listener) -> None:
        self.tls = _find(listener, TLS_INSPECTOR)
        self.http = _find(listener, HTTP_INSPECTOR)

    def sniff(self, request: Request, port: int) -> Sniffed:
        """What is known of the connection to *port*. TLS bytes that nobody inspects count as plain."""
        if request.tls is not None:
            if _runs(self.tls, port):
                hello = request.tls
                return Sniffed("tls", hello.sni.lower(), hello.alpn)
            # An HTTP inspector sees a ClientHello, which is no HTTP.
            return Sniffed()
        if _runs(self.http, port):
            version = http_version(request)
            return Sniffed(alpn=(version,) if version else ())
        return Sniffed()


def _find(listener: Listener, name: str) -> Filter | None:
    return next((entry for entry in listener.listener_filters if entry.name == name), None)


def _runs(inspector: Filter | None, port: int) -> bool:
    return inspector is not None and not (
        inspector.filter_disabled is not None and _matches(inspector.filter_disabled, port)
    )


def _matches(predicate: dict[str, Any], port: int) -> bool:
    """ListenerFilterChainMatchPredicate for a destination port; the end of a range is exclusive."""
    if "destination_port_range" in predicate:
        bounds = message(predicate["destination_port_range"])
        return whole(bounds.get("start")) <= port < whole(bounds.get("end"))
    if "or_match" in predicate:
        return any(_matches(rule, port) for rule in messages(message(predicate["or_match"]).get("rules")))
    if "and_match" in predicate:
        return all(_matches(rule, port) for rule in messages(message(predicate["and_match"]).get("rules")))
    if "not_match" in predicate:
        return not _matches(message(predicate["not_match"]), port)
    return bool(predicate.get("any_match", False))
