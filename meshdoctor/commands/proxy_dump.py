"""What a proxy's admin port answered, from a file or from a source, read only when a table asks for it."""

from __future__ import annotations

import mmap
import os
import re
import stat
import sys
import time
from abc import abstractmethod
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING

from meshdoctor.commands.mesh_source import fact
from meshdoctor.errors import SourceError
from meshdoctor.mesh.proxy.endpoint import ClusterHosts
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.body import Body
from meshdoctor.model.envoy.sections import Sections, find_sections

if TYPE_CHECKING:
    from meshdoctor.model.snapshot import PodRef
    from meshdoctor.sources.source import Source

MAPPED = 1 << 20
"""Files from this size on are mapped, not read: a table then touches little more than its own section; bytes."""


class ProxyDump:
    """A proxy's config dump and its clusters; *name* says where they are from, for messages."""

    name: str

    def __init__(self) -> None:
        self.bodies: dict[str, Body] = {}
        """The answers that were read, by their names in a recording."""
        self.texts: dict[str, str] = {}
        """Whole tables as they were printed, for the next command that prints them."""

    @property
    def answers(self) -> frozenset[str]:
        """Which of `sections` and `hosts` can be asked for: of a file, what a table has taken it for."""
        return frozenset(self.__dict__) & {"sections", "hosts"}

    def body(self, file: str) -> Body:
        """An answer by its name in a recording, read once; raises `SourceError`."""
        if file not in self.bodies:
            self.bodies[file] = self._read(file)
        return self.bodies[file]

    @abstractmethod
    def _read(self, file: str) -> Body: ...

    @property
    @abstractmethod
    def now(self) -> float:
        """When the answers were read, Unix seconds."""

    @cached_property
    def sections(self) -> Sections:
        """Raises `UnreadableError`, `SourceError`."""
        return find_sections(self.body("config_dump.json"))

    @cached_property
    def hosts(self) -> ClusterHosts:
        """Raises `UnreadableError`, `SourceError`."""
        return ClusterHosts(self.body("clusters.json"))

    @property
    def own_sections(self) -> Sections | None:
        """The config dump of the proxy whose hosts are asked for, where it can be had beside them."""
        return None

    def as_istioctl(self) -> ProxyDump:
        """The dump as istioctl reads it: of a section that occurs twice the last one counts, but the filters of all
        (istioctl/pkg/util/configdump, getSection and getSections). Raises `UnreadableError`, `SourceError`.
        """
        parts = self.sections.parts
        last = {name: found if name == "EcdsConfigDump" else found[-1:] for name, found in parts.items()}
        if last == parts:
            return self
        twin = copy(self)
        twin.texts = {}
        twin.sections = Sections(last, tuple(self.sections.problems))
        return twin

    @property
    def problems(self) -> list[str]:
        """What could not be read of the answers that were asked for."""
        return [problem for part in self._read_answers.values() for problem in part.problems]

    @property
    def _read_answers(self) -> dict[str, Sections | ClusterHosts]:
        return {name: self.__dict__[name] for name in ("sections", "hosts") if name in self.__dict__}

    def forget_unsound(self) -> bool:
        """Forget an answer of which something could not be read; whether another one is left.

        Whoever asks for it again is told again.
        """
        for name, answer in self._read_answers.items():
            if answer.problems:
                del self.__dict__[name]
                of_hosts = name == "hosts"
                self.texts = {k: text for k, text in self.texts.items() if k.startswith("endpoint ") != of_hosts}
        return bool(self._read_answers)


class FileDump(ProxyDump):
    """One file that is whatever the table needs; `-` is standard input."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.name = "standard input" if path == "-" else path
        self._path = path

    def _read(self, file: str) -> Body:
        if self._path == "-":
            return sys.stdin.buffer.read()
        try:
            with open(self._path, "rb") as opened:
                status = os.fstat(opened.fileno())
                if stat.S_ISREG(status.st_mode) and status.st_size >= MAPPED:
                    body: Body = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
                else:
                    body = opened.read()
            if body[:6].startswith(_PACKED):
                body = _unpacked(self._path)
            if file == "clusters.json" and _CLUSTERS_TEXT.search(body[:8192]):
                return _clusters_of(bytes(body))
            return _json_of(bytes(body)) if _YAML.match(body) else body
        except OSError as error:
            raise SourceError(f"open {self._path}: {(error.strerror or 'cannot be read').lower()}") from None

    @property
    def now(self) -> float:
        return time.time()


_PACKED = (b"\xfd7zXZ\x00", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh")
"""How xz, gzip, zstd and bzip2 files begin."""


_YAML = re.compile(rb"\s*(?:---[^\n]*\n)?(?:configs|cluster_?[sS]tatuses|certificates|workloads) *:\s")


_CLUSTERS_TEXT = re.compile(rb"^[^\n{\"]+::(?:observability_name|default_priority|added_via_api)::", re.MULTILINE)


def _clusters_of(text: bytes) -> bytes:
    """`/clusters` without `format=json`, as a bug report has it; raises `UnreadableError`."""
    from meshdoctor.recording.importing.envoy_text import clusters_json

    return clusters_json(text)


def _json_of(body: bytes) -> bytes:
    """What istioctl printed with `-o yaml`, as JSON: the last document; raises `UnreadableError`."""
    from meshdoctor.recording.importing.yaml_guard import as_json, load_documents

    found = [document for document in load_documents(body) if document is not None]  # "---" may stand at the end
    return as_json(found[-1] if found else {})


def _unpacked(path: str) -> bytes:
    """The answer in a compressed file, within the limits of a recording; raises `RecordingError`."""
    from pathlib import Path

    from meshdoctor.recording.archive import read_files

    files = list(read_files(Path(path)).values())
    return files[0]() if len(files) == 1 else b""


class SourceDump(ProxyDump):
    """A pod's answers, from a recording or a cluster."""

    def __init__(self, source: Source, ref: PodRef) -> None:
        super().__init__()
        self.name = f"{ref.name}.{ref.namespace}"
        self._source = source
        self._ref = ref

    @property
    def answers(self) -> frozenset[str]:
        return frozenset({"sections", "hosts"})

    def _read(self, file: str) -> Body:
        from meshdoctor.model import wants as ask

        return fact(self._source, ask.ProxyBody(self._ref, file))

    @property
    def own_sections(self) -> Sections | None:
        try:
            return self.sections
        except (SourceError, UnreadableError):
            return None  # the hosts are shown without

    @property
    def now(self) -> float:
        return self._source.info.finished_at or time.time()
