"""A TLS server that notes what arrives, and an HTTP and a SOCKS5 proxy that note what they were asked for."""

from __future__ import annotations

import contextlib
import os
import socket
import socketserver
import ssl
import struct
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.live.certificates import authority


@dataclass
class Seen:
    """Everything that arrived since `clear`."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    proxied: list[dict[str, str]] = field(default_factory=list)

    def take(self) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
        """What arrived, and forget it."""
        taken = (self.requests, self.proxied)
        self.requests, self.proxied = [], []
        return taken


@dataclass
class Wire:
    """The ports of the three servers and what they saw."""

    seen: Seen
    server: int
    plain: int
    http_proxy: int
    https_proxy: int
    socks_proxy: int
    refuse: set[str]
    """Authorization values that are answered with 401."""


class _Threads(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    wire: Wire
    context: ssl.SSLContext | None = None

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.settimeout(20)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A refused handshake is part of some cases; it must not print."""


class _Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        server = self.server
        assert isinstance(server, _Threads)
        self.wire = server.wire
        if server.context is not None:
            self.request = server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def do_GET(self) -> None:
        certificate = self.request.getpeercert() if isinstance(self.request, ssl.SSLSocket) else None
        subject: dict[str, str] = dict(pair[0] for pair in (certificate or {}).get("subject", ()))  # type: ignore[misc]
        authorization = self.headers.get("Authorization", "")
        self.wire.seen.requests.append(
            {
                "path": self.path,
                "authorization": authorization,
                "impersonation": sorted(
                    (name.lower(), value)
                    for name, value in self.headers.items()
                    if name.lower().startswith("impersonate")
                ),
                "certificate": subject.get("commonName", ""),
                "sni": getattr(self.request, "sni", ""),
            }
        )
        body = b'{"major":"1"}'
        self.send_response(401 if authorization in self.wire.refuse else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


class _HttpProxy(socketserver.StreamRequestHandler):
    def setup(self) -> None:
        assert isinstance(self.server, _Threads)
        self.kind = "http"
        if self.server.context is not None:
            self.kind = "https"
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def handle(self) -> None:
        assert isinstance(self.server, _Threads)
        wire = self.server.wire
        line = self.rfile.readline().decode()
        login = ""
        while (header := self.rfile.readline().decode().strip()) != "":
            name, _, value = header.partition(":")
            if name.lower() == "proxy-authorization":
                login = value.strip()
        method, target, _ = line.split(" ", 2)
        seen = {"kind": self.kind, "method": method, "target": target, "login": login}
        if self.kind == "https":
            certificate: Any = self.request.getpeercert() or {}
            seen["sni"] = getattr(self.request, "sni", "")
            seen["certificate"] = dict(pair[0] for pair in certificate.get("subject", ())).get("commonName", "")
        wire.seen.proxied.append(seen)
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        _relay(self.request, wire.server)


class _SocksProxy(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Threads)
        wire = self.server.wire
        _, count = self.rfile.read(2)
        methods = self.rfile.read(count)
        login = ""
        if 2 in methods:
            self.wfile.write(b"\x05\x02")
            self.rfile.read(1)
            login = ":".join(self.rfile.read(self.rfile.read(1)[0]).decode() for _ in range(2))
            self.wfile.write(b"\x01\x00")
        else:
            self.wfile.write(b"\x05\x00")
        kind = self.rfile.read(4)[3]
        host = socket.inet_ntoa(self.rfile.read(4)) if kind == 1 else self.rfile.read(self.rfile.read(1)[0]).decode()
        port = struct.unpack(">H", self.rfile.read(2))[0]
        wire.seen.proxied.append({"kind": "socks5", "target": f"{host}:{port}", "login": login})
        self.wfile.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        _relay(self.request, wire.server)


def _relay(client: socket.socket, port: int) -> None:
    """Every proxied connection ends at the one TLS server, whatever name was asked for."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as upstream:
        back = threading.Thread(target=_pump, args=(upstream, client), daemon=True)
        back.start()
        _pump(client, upstream)
        back.join(timeout=20)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def server_context() -> ssl.SSLContext:
    """TLS with an optional client certificate; the name that was asked for is kept on the socket as `sni`."""
    pair = authority().issue("api", "localhost", "127.0.0.1", "0.0.0.0", "api.mesh.test", "other.mesh.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.certificate + pair.key)
        file.flush()
        context.load_cert_chain(file.name)
    context.load_verify_locations(cadata=authority().pem.decode())
    context.verify_mode = ssl.CERT_OPTIONAL

    def keep_name(connection: Any, name: str | None, _: ssl.SSLContext) -> None:
        connection.sni = name or ""

    context.sni_callback = keep_name
    return context


@contextlib.contextmanager
def running_wire() -> Iterator[Wire]:
    """Start the servers on loopback; stop them at the end."""
    seen = Seen()
    servers = [_Threads(("127.0.0.1", 0), handler) for handler in (_Api, _Api, _HttpProxy, _HttpProxy, _SocksProxy)]
    server, plain, http_proxy, https_proxy, socks_proxy = (int(server.server_address[1]) for server in servers)
    wire = Wire(seen, server, plain, http_proxy, https_proxy, socks_proxy, refuse=set())
    servers[0].context = servers[3].context = server_context()
    threads = []
    for each in servers:
        each.wire = wire
        threads.append(threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True))
        threads[-1].start()
    try:
        yield wire
    finally:
        for each, thread in zip(servers, threads, strict=True):
            each.shutdown()
            each.server_close()
            thread.join()


def clean_environment(home: str) -> dict[str, str]:
    """An environment without a kubeconfig, a proxy or a cluster of its own."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "KUBECTL_COMMAND_HEADERS": "false"}
