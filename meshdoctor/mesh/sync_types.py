"""The state of each xDS type of one proxy, as an istiod's `/debug/syncz` says it (pilot/pkg/xds/statusgen.go)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from meshdoctor.model.discovery import SHORT_TYPES, TYPE_URLS
from meshdoctor.model.istiod import ResourceSync, SyncRecord
from meshdoctor.model.moment import unix

SYNCED, STALE, NOT_SENT, ERROR, IGNORED, UNTOLD = "SYNCED", "STALE", "NOT SENT", "ERROR", "IGNORED", "UNKNOWN"
IN_FLIGHT = 30.0
"""For so many seconds after a send, a missing acknowledgement is no news: the answer is still on its way."""

MAIN_TYPES = ("CDS", "LDS", "EDS", "RDS")
# The flat fields of syncz, which are all that istiod before 1.23 answers.
_FLAT = {"CDS": "cluster", "LDS": "listener", "EDS": "endpoint", "RDS": "route", "ECDS": "extensionconfig"}


class TypeSync(NamedTuple):
    """One xDS type of one proxy; *age* is seconds since the last send (None: unknown), *error* the rejected text."""

    name: str
    url: str
    status: str
    age: float | None = None
    error: str = ""

    @property
    def late(self) -> bool:
        """Whether the acknowledgement is missing for longer than an answer takes."""
        return self.status == STALE and (self.age is None or self.age >= IN_FLIGHT)


def type_states(record: SyncRecord, now: float) -> tuple[TypeSync, ...]:
    """Each type that the proxy subscribed to: the main four first, then the others by their URL."""
    resources: Mapping[str, ResourceSync] = record.resources or {
        TYPE_URLS[name]: ResourceSync(getattr(record, f"{field}_sent"), getattr(record, f"{field}_acked"))
        for name, field in _FLAT.items()
        if getattr(record, f"{field}_sent")
    }
    found = [_type_state(url, entry, now) for url, entry in resources.items()]
    return tuple(sorted(found, key=_type_order))


def _type_state(url: str, entry: ResourceSync, now: float) -> TypeSync:
    sent = unix(entry.sent_time)
    error = entry.last_error or entry.error
    if error:
        status = ERROR
    elif not entry.told:
        status = UNTOLD
    elif not entry.sent:
        status = NOT_SENT
    else:
        status = SYNCED if entry.acked == entry.sent else STALE
    return TypeSync(SHORT_TYPES.get(url, url), url, status, None if sent is None else now - sent, error)


def _type_order(entry: TypeSync) -> tuple[int, str]:
    return (MAIN_TYPES.index(entry.name) if entry.name in MAIN_TYPES else len(MAIN_TYPES), entry.url)


_RESOURCE = re.compile(r'^name: "((?:[^"\\]|\\.)*)"', re.MULTILINE)


def rejection(error: str) -> str:
    """What a rejection says, without the protobuf text of the whole resource that Envoy puts before it."""
    cause = error.rpartition("\n: ")[2].strip()
    if cause == error.strip():
        return " ".join(error.split())
    name = _RESOURCE.search(error)
    return f"{name[1]}: {cause}" if name else cause
