"""A small OpenID provider on loopback: discovery and a token endpoint, which notes what it was asked."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.live.certificates import authority

CLIENT, SECRET = "kube client", "s3cret/+&="


def jwt(expires: float | None) -> str:
    """An unsigned id-token that ends at *expires*."""
    claims = {"sub": "ivan"} | ({} if expires is None else {"exp": expires})
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, b"signature"))


@dataclass
class Provider:
    """What it answers, and what it was asked: (method, path, Authorization, sorted form)."""

    port: int = 0
    asked: list[tuple[str, str, str, list[tuple[str, str]]]] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    basic: bool = True
    """Whether the client's secret is accepted in a header."""
    as_form: bool = False
    redirect: str = ""
    endpoint: str = ""

    @property
    def issuer(self) -> str:
        """Its address."""
        return f"https://127.0.0.1:{self.port}/realm"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        provider = self._note([])
        endpoint = provider.endpoint or f"{provider.issuer}/token"
        found = self.path == "/realm/.well-known/openid-configuration"
        self._send(200 if found else 404, json.dumps({"token_endpoint": endpoint}).encode(), "application/json")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        provider = self._note(sorted(parse_qsl(body)))
        if provider.redirect:
            self._send(307, b"", "text/plain", Location=provider.redirect)
        elif "Authorization" in self.headers and not provider.basic:
            self._send(401, b'{"error":"invalid_client"}', "application/json")
        elif provider.as_form:
            self._send(provider.status, urlencode(provider.answer).encode(), "application/x-www-form-urlencoded")
        else:
            self._send(provider.status, json.dumps(provider.answer).encode(), "application/json;charset=UTF-8")

    def _note(self, form: list[tuple[str, str]]) -> Provider:
        assert isinstance(self.server, _Server)
        provider = self.server.provider
        provider.asked.append((self.command, self.path, self.headers.get("Authorization", ""), form))
        return provider

    def _send(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


class _Server(ThreadingHTTPServer):
    provider: Provider

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A refused handshake is part of some cases."""


@contextlib.contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider with a certificate of the test CA; stopped at the end."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.provider = Provider(port=int(server.server_address[1]))
    pair = authority().issue("idp", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.certificate + pair.key)
        file.flush()
        context.load_cert_chain(file.name)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
