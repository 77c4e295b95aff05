"""The table of what is read of pods (`admin_reads.toml`)."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

import msgspec


class AdminRead(msgspec.Struct, frozen=True):
    """One admin answer: its *file* in a recording, who asks (*for*) and what it *cost*s the proxy."""

    file: str
    role: str
    target: str
    cost: str
    reader: str = msgspec.field(name="for")
    small: bool = True
    parts: bool = False
    statuses: tuple[int, ...] = (200,)


class ViewReads(msgspec.Struct, frozen=True):
    """What a view reads of pods, as "role path": of *every* pod of the role, or of *some*."""

    name: str
    every: tuple[str, ...]
    some: tuple[str, ...]


class _Table(msgspec.Struct, frozen=True):
    read: tuple[AdminRead, ...]
    view: tuple[ViewReads, ...]


@cache
def _table() -> _Table:
    text = files("meshdoctor.kube").joinpath("admin_reads.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _Table)


def admin_reads() -> tuple[AdminRead, ...]:
    """Every whole answer that is read."""
    return _table().read


def view_reads() -> tuple[ViewReads, ...]:
    """What each view of the application reads."""
    return _table().view


def admin_read(role: str, file: str) -> AdminRead | None:
    """The read that gives *file* of a pod of *role*."""
    return next((read for read in admin_reads() if (read.role, read.file) == (role, file)), None)
