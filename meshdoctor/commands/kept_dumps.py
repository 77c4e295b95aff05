"""Recordings and dumps that this process has read already, for its next commands.

A command line is one process: it keeps nothing. A process that runs many commands (a program around `main`, a notebook)
pays for a large dump with its first command, which lays out the dump's tables before it returns; the others print them.
"""

from __future__ import annotations

import argparse
import gc
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from meshdoctor.commands.proxy_dump import MAPPED, ProxyDump
from meshdoctor.errors import SourceError
from meshdoctor.model.decode import UnreadableError

if TYPE_CHECKING:
    from meshdoctor.mesh.texttable import TextTable
    from meshdoctor.sources.source import Source

_MOST = 2
"""A proxy's config dump and its clusters."""
_MOST_FILES = 10_000
"""A folder with more files is read anew by every command: to see that it is unchanged would take as long."""

Identity = tuple[object, ...]
"""Files as they are now: others, or changed ones, are read anew."""


class KeptDumps:
    """What was read last; an answer of which something could not be read is not kept, so that it is told again."""

    def __init__(self) -> None:
        self._dumps: OrderedDict[Identity, ProxyDump] = OrderedDict()
        self._source: tuple[Identity, Source] | None = None

    @property
    def kept(self) -> tuple[ProxyDump, ...]:
        """The dumps that the next command may find, oldest first."""
        return tuple(self._dumps.values())

    def source(self, identity: Identity | None, opened: Callable[[], Source]) -> Source:
        """The recording with this *identity*, opened once; None is what is not to be kept."""
        if self._source is None or self._source[0] != identity:
            source = opened()
            if identity is None:
                return source
            self._source = (identity, source)
        return self._source[1]

    @contextmanager
    def dump(self, identity: Identity | None, opened: Callable[[], ProxyDump]) -> Iterator[ProxyDump]:
        """The dump with this *identity* for one command; its tables are laid out after the first one."""
        known = self._dumps.pop(identity, None) if identity else None
        dump = known or opened()
        try:
            yield dump
        finally:  # a table that the dump does not have is an error of one command only
            if identity and dump.forget_unsound():
                self._keep(identity, dump, new=not known)

    def _keep(self, identity: Identity, dump: ProxyDump, *, new: bool) -> None:
        if new:
            _lay_out(dump)
            # What is kept is no garbage: looking through it takes a fifth of a second, which a later command would pay.
            gc.freeze()
        # What was found broken meanwhile is for the command to say that shows it.
        if dump.forget_unsound():
            self._dumps[identity] = dump
            while len(self._dumps) > _MOST:
                self._dumps.popitem(last=False)


def identity_of(arguments: argparse.Namespace) -> Identity | None:
    """What the arguments' files are now; None where nothing is to be kept: in a process that ends with this command,
    of a cluster, and of standard input.
    """
    paths = [arguments.file] if arguments.file else [os.fspath(path) for path in arguments.recording or ()]
    if not arguments.goes_on or not paths or paths == ["-"]:
        return None
    found: list[object] = [getattr(arguments, "at", None), bool(arguments.file)]
    try:
        for path in _files(paths):
            status = os.stat(path)
            found.append((path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
            if len(found) > _MOST_FILES:
                return None
    except OSError:
        return None
    return tuple(found)


def _files(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        yield path
        for folder, _, names in os.walk(path):
            yield from (os.path.join(folder, name) for name in names)


def _lay_out(dump: ProxyDump) -> None:
    """Every table of a large dump."""
    if max(map(len, dump.bodies.values()), default=0) < MAPPED:
        return
    for table in _tables(dump):
        try:
            table()
        except (UnreadableError, SourceError):
            continue  # the command that asks for it says so


def _tables(dump: ProxyDump) -> Iterator[Callable[[], object]]:
    from meshdoctor.commands.proxy_output import whole_text
    from meshdoctor.mesh.proxy import cluster, eds, endpoint, route
    from meshdoctor.mesh.proxy.cluster_wide import wide_clusters
    from meshdoctor.mesh.proxy.endpoint_wide import wide_eds, wide_endpoints
    from meshdoctor.mesh.proxy.part import is_sound
    from meshdoctor.mesh.proxy.route_wide import wide_routes
    from meshdoctor.mesh.proxy.secret import secret_table

    every, anywhere = cluster.ClusterFilter(), endpoint.EndpointFilter()

    def text(name: str, table: Callable[[], TextTable]) -> Callable[[], object]:
        return lambda: whole_text(dump, name, table)

    answers = dump.answers
    if "hosts" in answers:
        yield text("endpoint short", lambda: endpoint.endpoint_table(dump.hosts, anywhere))
        yield text("endpoint wide", lambda: wide_endpoints(dump.hosts, anywhere, dump.own_sections))
        yield lambda: dump.hosts.resources
    if "sections" in answers:
        yield text("cluster short", lambda: cluster.cluster_table(dump.sections, every))
        yield text("cluster wide", lambda: wide_clusters(dump.sections, every))
        yield text("all CLUSTER", lambda: cluster.cluster_table(dump.sections, every, typed=True))
        yield lambda: cluster.cluster_resources(dump.sections, every)
        yield text("route short", lambda: route.route_table(dump.sections, ""))
        yield text("route wide", lambda: wide_routes(dump.sections, ""))
        yield text("all ROUTE", lambda: route.route_table(dump.sections, "", typed=True))
        yield lambda: route.route_resources(dump.sections, "")
        yield text("eds short", lambda: eds.eds_table(dump.sections, anywhere))
        yield text("eds wide", lambda: wide_eds(dump.sections, anywhere))
        yield text("all ENDPOINTS", lambda: eds.eds_table(dump.sections, anywhere, typed=True))
        yield lambda: eds.eds_resources(dump.sections, endpoint.EndpointFilter(cluster="-"))
        yield lambda: secret_table(dump.sections, dump.now)
        yield lambda: is_sound(dump.sections)


KEPT = KeptDumps()
