"""Files that this process has read already, for its next commands; what they will need is prepared between them.

A command line is one process and gains nothing here. A process that runs many commands (a shell around `main`, a
notebook) finds the second one prepared: the tables of a large dump are decoded and ordered on a thread of their own as
soon as the first command is done.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from meshdoctor.commands.proxy_dump import MAPPED, FileDump
from meshdoctor.errors import SourceError
from meshdoctor.model.decode import UnreadableError

if TYPE_CHECKING:
    from meshdoctor.mesh.texttable import TextTable

_MOST = 2
"""A proxy's config dump and its clusters."""
_PAUSE = 0.05
"""So long a process has nothing to do before it prepares what may be asked next, seconds: one that ends does not."""


class _Identity(NamedTuple):
    """A file as it is now: another one, or a changed one, is read anew."""

    device: int
    inode: int
    size: int
    changed: int


class KeptDumps:
    """The dumps that were read last; one of which something could not be read is not kept, so that it is told again."""

    def __init__(self) -> None:
        self._dumps: OrderedDict[_Identity, FileDump] = OrderedDict()
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    @contextmanager
    def opened(self, path: str) -> Iterator[FileDump]:
        """The file's dump for one command; nothing is prepared meanwhile."""
        self._stop.set()
        with self._turn:
            identity = _identity(path)
            known = self._dumps.pop(identity, None) if identity else None
            # What was found broken while it was prepared is for the command to say that shows it.
            dump = known if known and not known.problems else FileDump(path)
            yield dump
            if identity and not dump.problems:
                self._dumps[identity] = dump
                while len(self._dumps) > _MOST:
                    self._dumps.popitem(last=False)
        if identity and identity in self._dumps:
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._prepare, args=(dump, self._stop), daemon=True, name="prepare")
            self._thread.start()

    def settle(self, timeout: float | None = None) -> None:
        """Wait until what is under way is prepared; *timeout* in seconds."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _prepare(self, dump: FileDump, stop: threading.Event) -> None:
        if stop.wait(_PAUSE):
            return
        for step in _steps(dump):
            with self._turn:
                if stop.is_set():
                    return
                try:
                    step()
                except (UnreadableError, SourceError):
                    continue  # the command that asks for it says so


def _identity(path: str) -> _Identity | None:
    """None for what is not worth keeping: a small file, standard input, no file."""
    if path == "-":
        return None
    try:
        found = os.stat(path)
    except OSError:
        return None
    if found.st_size < MAPPED:
        return None
    return _Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _steps(dump: FileDump) -> Iterator[Callable[[], object]]:
    """What fills the tables of the dump, a step for each of the large ones."""
    from meshdoctor.commands.proxy_tables import whole_text
    from meshdoctor.mesh.proxy.cluster import ClusterFilter, cluster_table
    from meshdoctor.mesh.proxy.eds import eds_table
    from meshdoctor.mesh.proxy.endpoint import EndpointFilter, endpoint_table
    from meshdoctor.mesh.proxy.route import route_table

    if "hosts" in dump.__dict__:
        yield lambda: whole_text(dump, "endpoint", lambda: endpoint_table(dump.hosts, EndpointFilter()))
        return
    sections = dump.sections
    for prefix, typed in (("", False), ("all ", True)):
        tables: dict[str, Callable[[], TextTable]] = {
            "cluster": lambda typed=typed: cluster_table(sections, ClusterFilter(), typed=typed),  # type: ignore[misc]
            "route": lambda typed=typed: route_table(sections, "", typed=typed),  # type: ignore[misc]
            "eds": lambda typed=typed: eds_table(sections, EndpointFilter(), typed=typed),  # type: ignore[misc]
        }
        for name, table in tables.items():
            key = f"{prefix}{_BANNERS[name]}" if typed else name
            yield lambda key=key, table=table: whole_text(dump, key, table)  # type: ignore[misc]


_BANNERS = {"cluster": "CLUSTER", "route": "ROUTE", "eds": "ENDPOINTS"}


KEPT = KeptDumps()
