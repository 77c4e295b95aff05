"""The server's side of RFC 6455: unmasked frames out, masked frames in."""

from __future__ import annotations

import asyncio
import struct


class ServerSocket:
    """One accepted websocket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> bytes | None:
        """The next message; None after a close frame or a cut."""
        message = b""
        while True:
            try:
                first, second = await self._reader.readexactly(2)
                size = second & 0x7F
                if size >= 126:
                    size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8), "big")
                mask = await self._reader.readexactly(4) if second & 0x80 else b"\0\0\0\0"
                data = await self._reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
            key = (mask * (size // 4 + 1))[:size]
            data = (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
            opcode = first & 0x0F
            if opcode == 8:
                return None
            if opcode == 9:
                await self._frame(10, data)
            elif opcode != 10:
                message += data
                if first & 0x80:
                    return message

    async def send(self, data: bytes) -> None:
        """One binary message."""
        await self._frame(2, data)

    async def ping(self) -> None:
        """A ping, which a client must answer."""
        await self._frame(9, b"?")

    async def close(self) -> None:
        """The close frame 1000."""
        await self._frame(8, struct.pack(">H", 1000))

    async def send_frames(self, frames: bytes) -> None:
        """Frames made by `frame`."""
        self._writer.write(frames)
        await self._writer.drain()

    async def _frame(self, opcode: int, data: bytes) -> None:
        await self.send_frames(frame(data, opcode))


def frame(data: bytes, opcode: int = 2) -> bytes:
    """One unmasked frame."""
    size = len(data)
    if size < 126:
        head = bytes((0x80 | opcode, size))
    elif size < 1 << 16:
        head = struct.pack(">BBH", 0x80 | opcode, 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, 127, size)
    return head + data
