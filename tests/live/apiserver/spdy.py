"""As much of SPDY/3.1 as kubectl's port-forward speaks inside a websocket (draft-mbelshe-httpbis-spdy-00)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1

# Section 2.6.10.1 of the draft: common header names and values, each after its length, then a tail without lengths.
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow"
    " authorization cache-control connection content-base content-encoding content-language content-length"
    " content-location content-md5 content-range content-type date etag expect expires from host if-match"
    " if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma"
    " proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade"
    " user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie"
    " keep-alive origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    words = [word.replace("_", " ").encode() for word in _WORDS.split(" ")]
    return b"".join(struct.pack(">I", len(word)) + word for word in words) + _TAIL.encode()


class Frame(NamedTuple):
    """A control frame (*kind*) or data (*kind* 0) of a stream."""

    kind: int
    stream: int
    flags: int
    data: bytes


class Framer:
    """Splits bytes into frames and (de)compresses header blocks; one for each connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=_dictionary())
        self._deflate = zlib.compressobj(zdict=_dictionary())

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that *data* completes."""
        self._buffer += data
        while len(self._buffer) >= 8:
            head, rest = struct.unpack(">II", self._buffer[:8])
            flags, size = rest >> 24, rest & 0xFFFFFF
            if len(self._buffer) < 8 + size:
                return
            payload = bytes(self._buffer[8 : 8 + size])
            del self._buffer[: 8 + size]
            if head & 0x80000000:
                stream = struct.unpack(">I", payload[:4])[0] & 0x7FFFFFFF if size >= 4 else 0
                yield Frame(head & 0xFFFF, stream, flags, payload)
            else:
                yield Frame(0, head, flags, payload)

    def headers(self, frame: Frame) -> dict[str, str]:
        """The headers of a SYN_STREAM, names in lower case."""
        block = self._inflate.decompress(frame.data[10:])
        count, at = struct.unpack_from(">I", block)[0], 4
        words = []
        for _ in range(2 * count):
            size = struct.unpack_from(">I", block, at)[0]
            words.append(block[at + 4 : at + 4 + size].decode())
            at += 4 + size
        return {words[i].lower(): words[i + 1] for i in range(0, len(words), 2)}

    def reply(self, stream: int) -> bytes:
        """SYN_REPLY without headers."""
        block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control(SYN_REPLY, 0, struct.pack(">I", stream) + block)

    @staticmethod
    def data(stream: int, payload: bytes, *, final: bool = False) -> bytes:
        """A data frame."""
        return struct.pack(">II", stream, (FIN if final else 0) << 24 | len(payload)) + payload

    @staticmethod
    def pong(frame: Frame) -> bytes:
        """The answer to a PING."""
        return _control(PING, 0, frame.data)


def _control(kind: int, flags: int, payload: bytes) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, flags << 24 | len(payload)) + payload
