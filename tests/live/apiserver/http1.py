"""HTTP/1.1 on asyncio streams: read a request, write an answer, switch to a websocket."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

_REASONS = {
    101: "Switching Protocols",
    200: "OK",
    201: "Created",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
}


@dataclass
class Request:
    """One request; *query* keeps order and repeats, header names are lower case."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes = b""

    def one(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), default)


@dataclass
class Answer:
    """A whole answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


def status_answer(code: int, reason: str, message: str, **headers: str) -> Answer:
    """A Kubernetes `Status`."""
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return Answer(code, json.dumps(status).encode(), {name.replace("_", "-"): value for name, value in headers.items()})


def json_answer(value: Any, status: int = 200) -> Answer:
    """Any JSON."""
    return Answer(status, json.dumps(value).encode())


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection, None when the client has left."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    path, _, query = target.partition("?")
    return Request(method, path, parse_qsl(query, keep_blank_values=True), headers, body)


async def write_answer(writer: asyncio.StreamWriter, answer: Answer) -> None:
    """Write *answer* with its length."""
    headers = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body)), **answer.headers}
    writer.write(_head(answer.status, headers) + answer.body)
    await writer.drain()


async def begin_stream(writer: asyncio.StreamWriter, content_type: str = "application/json") -> None:
    """Begin a chunked answer."""
    writer.write(_head(200, {"Content-Type": content_type, "Transfer-Encoding": "chunked"}))
    await writer.drain()


async def write_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    """One chunk; b"" ends the answer."""
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    await writer.drain()


async def accept_websocket(request: Request, writer: asyncio.StreamWriter, protocol: str) -> None:
    """Answer 101 with *protocol*."""
    key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": base64.b64encode(hashlib.sha1(key.encode()).digest()).decode(),
        "Sec-WebSocket-Protocol": protocol,
    }
    writer.write(_head(101, headers))
    await writer.drain()


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
