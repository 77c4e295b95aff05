"""Frames as a server may send them, hostile ones among them, and port-forward's channels in them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, cast

import httpcore
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.kube.portforward import PodStream, PortForwardFailed
from meshdoctor.kube.websocket import WebSocket
from meshdoctor.model.snapshot import PodRef

PORT = struct.pack("<H", 15000)
OPEN = (b"\x00" + PORT, b"\x01" + PORT)


def frame(data: bytes, opcode: int = 2, final: bool = True, mask: bool = False) -> bytes:
    head = bytes(((0x80 if final else 0) | opcode,))
    size, bit = len(data), 0x80 if mask else 0
    if size < 126:
        return head + bytes((bit | size,)) + data
    if size < 1 << 16:
        return head + bytes((bit | 126,)) + struct.pack(">H", size) + data
    return head + bytes((bit | 127,)) + struct.pack(">Q", size) + data


class Wire(httpcore.AsyncNetworkStream):
    """Gives *data* in pieces of *step* bytes and keeps what is written."""

    def __init__(self, data: bytes, step: int = 1 << 16) -> None:
        self.data = data
        self.step = step
        self.written = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        piece, self.data = self.data[: min(self.step, max_bytes)], self.data[min(self.step, max_bytes) :]
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.written += buffer

    async def aclose(self) -> None:
        self.data = b""

    def get_extra_info(self, info: str) -> Any:
        return None


def socket(wire: Wire) -> WebSocket:
    return WebSocket(httpx.Response(101, extensions={"network_stream": wire}))


def pod(messages: Iterable[bytes], end: bytes = b"") -> PodStream:
    data = b"".join(frame(message) for message in messages) + end
    return PodStream(socket(Wire(data, step=7)), PodRef("shop", "web"), 15000)


async def everything(stream: PodStream) -> bytes:
    got = b""
    while data := await stream.read(1000):
        got += data
    return got


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 50))
async def test_messages_arrive_as_they_were_sent(messages: list[bytes], step: int) -> None:
    made = socket(Wire(b"".join(frame(message) for message in messages) + frame(b"", 8), step))
    for message in messages:
        assert await made.receive() == message
    assert await made.receive() is None
    assert made.closed


async def test_fragments_are_put_together_around_a_ping() -> None:
    wire = Wire(frame(b"ab", final=False) + frame(b"?", 9) + frame(b"cd", 0))
    made = socket(wire)
    assert await made.receive() == b"abcd"
    assert wire.written[0] == 0x8A and wire.written[1] == 0x81  # a masked pong of one byte


@pytest.mark.parametrize(
    "data",
    [
        frame(b"x", mask=True),
        b"\x82\x7f" + struct.pack(">Q", 1 << 40),
        frame(b"x" * 700_000, final=False) + frame(b"x" * 700_000, 0),
    ],
    ids=["masked", "huge", "endless fragments"],
)
async def test_hostile_frames_are_refused(data: bytes) -> None:
    made = socket(Wire(data))
    with pytest.raises(httpcore.RemoteProtocolError):
        await made.receive()


async def test_a_cut_is_no_end() -> None:
    made = socket(Wire(frame(b"whole") + frame(b"half")[:-2]))
    assert await made.receive() == b"whole"
    assert await made.receive() is None
    assert not made.closed


async def test_what_is_sent_is_masked() -> None:
    wire = Wire(b"")
    await socket(wire).send(b"GET / HTTP/1.1")
    mask, body = wire.written[2:6], wire.written[6:]
    assert wire.written[1] & 0x80
    assert bytes(byte ^ mask[i % 4] for i, byte in enumerate(body)) == b"GET / HTTP/1.1"


async def test_channels_of_a_port_forward() -> None:
    stream = pod([*OPEN, b"\x00HTTP/1.1 ", b"", b"\x00200 OK"], frame(b"", 8))
    assert await everything(stream) == b"HTTP/1.1 200 OK"


async def test_a_dropped_port_forward_is_an_error() -> None:
    with pytest.raises(httpcore.ReadError, match="was cut"):
        await everything(pod([*OPEN, b"\x00HTTP/1.1 "]))


async def test_text_on_the_error_channel_fails_with_visible_characters() -> None:
    stream = pod([*OPEN, b"\x01dial tcp: \x1b[31mno route to host"])
    with pytest.raises(PortForwardFailed) as caught:
        await everything(stream)
    assert "no route to host" in str(caught.value.reason)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("first", [b"\x00", b"\x00\x01", b"\x00" + struct.pack("<H", 80), b"\x00HTTP/1.1"])
async def test_a_channel_begins_with_its_port(first: bytes) -> None:
    with pytest.raises(httpcore.RemoteProtocolError):
        await everything(pod([first]))


async def test_large_requests_are_split() -> None:
    wire = Wire(b"")
    stream = PodStream(socket(wire), PodRef("shop", "web"), 15000)
    await stream.write(b"x" * 70_000)
    assert len(wire.written) == 70_000 + 3 + 2 * (4 + 4) + (4 + 4)  # channel bytes, and heads with masks


async def test_reading_has_a_deadline() -> None:
    class Silent(Wire):
        async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            import anyio

            await anyio.sleep(60)
            return b""

    stream = PodStream(socket(cast(Wire, Silent(b""))), PodRef("shop", "web"), 15000)
    with pytest.raises(httpcore.ReadTimeout):
        await stream.read(10, timeout=0.02)
