"""Bounds on what is unpacked: an archive is someone else's file, and may be made to fill the memory."""

from __future__ import annotations

from typing import IO

from meshdoctor.errors import RecordingError

MAX_RATIO = 200
"""Decompressed over compressed size. Envoy dumps of a large mesh pack to about 1:70; a bomb of zeros to 1:1000."""
RATIO_FREE = 64 * 2**20
"""Bytes that are unpacked before the ratio counts: a tiny archive may be repetitive and still harmless."""
MAX_TOTAL = 4 * 2**30
MAX_MEMBERS = 100_000
MAX_FILE = 128 * 2**20
"""Bytes of one file; an Envoy with 3,000 clusters and 27,000 endpoints dumps 36 MB."""
MAX_WINDOW = 2**27
"""zstd's window in bytes: what a frame may make the decompressor allocate at once."""
CHUNK = 2**20
"""Bytes that are read at once: a single large read inflates as much before any limit can be looked at."""
MAX_DEPTH = 200
"""Levels of nesting in JSON or YAML of other tools; Kubernetes and Envoy stay below 60."""
MAX_NAME = 1024
"""Characters of a file's path inside an archive; a namespace, a pod and a container take 63, 253 and 63."""


class BoundedReader:
    """A decompressed stream that refuses to grow beyond the limits; raises `RecordingError` naming *what*."""

    def __init__(self, stream: IO[bytes], compressed_size: int, what: str) -> None:
        self._stream = stream
        self._limit = min(MAX_TOTAL, max(RATIO_FREE, MAX_RATIO * compressed_size))
        self._what = what
        self.total = 0
        """Bytes unpacked so far."""

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(min(size, CHUNK) if size and size > 0 else CHUNK)
        self.total += len(chunk)
        if self.total > self._limit:
            raise RecordingError(
                f"{self._what} unpacks to more than {self._limit // 2**20} MiB, far beyond its size",
                "it looks like an archive bomb; unpack it by hand if you trust it, and open the folder",
            )
        return chunk
