"""`istioctl proxy-status` in its three forms, as istiod's `/debug/syncz`.

istioctl/pkg/writer/pilot/status.go and istioctl/pkg/proxystatus, 1.20 to 1.32.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.discovery import TYPE_URLS, control_plane, read_responses, resource_sync, sync_records
from meshdoctor.model.istiod import ResourceSync, SyncRecord
from meshdoctor.recording.importing.yaml_guard import load_documents

_ZTUNNEL = {"WADS", "WDS"}
_SUBSCRIBED = "SUBSCRIBED TYPES"
_COLUMN = re.compile(r"\S+(?: \([^)]*\)| \S+)*")
_STATES = ("SYNCED", "STALE", "NOT SENT", "NOT_SENT", "ERROR")
_NAME = re.compile(r"[a-z0-9][-a-z0-9.]{0,252}")


def sync_json(body: bytes) -> dict[str, bytes]:
    """By istiod its records, from `-o json`; raises `UnreadableError`."""
    return _responses(read_responses(body.decode(errors="replace")))


def sync_yaml(body: bytes) -> dict[str, bytes]:
    """The same from `-o yaml`."""
    return _responses(load_documents(body))


def _responses(documents: Iterable[Any]) -> dict[str, bytes]:
    found: dict[str, list[SyncRecord]] = {}
    for document in documents:
        for response in document if isinstance(document, list) else [document]:
            found.setdefault(_istiod(response), []).extend(sync_records(response))
    if not any(found.values()):
        raise UnreadableError("no proxy in it")
    return {istiod: msgspec.json.encode(records) for istiod, records in found.items()}


def _istiod(response: Any) -> str:
    """Its name, as it can be part of a file's."""
    name = control_plane(response).get("ID")
    return name if isinstance(name, str) and _NAME.fullmatch(name) else "istiod"


def sync_table(body: bytes) -> dict[str, bytes]:
    """The same from the table: one column per type to 1.26; from 1.27 on only what each proxy subscribed to."""
    lines = body.decode(errors="replace").splitlines()
    header = re.split(r"\s{2,}", lines[0].strip())
    found: dict[str, list[SyncRecord]] = {}
    for line in lines[1:]:
        cells = re.split(r"\s{2,}", line.strip())
        if len(cells) < 3:
            continue
        # An empty cell leaves no trace but its width, so that a short row is read by position.
        row = dict(zip(header, cells, strict=False)) if len(cells) == len(header) else _by_position(lines[0], line)
        resources: dict[str, ResourceSync] = {}
        for short, url in TYPE_URLS.items():
            said = next((known for known in _STATES if row.get(short, "").upper().startswith(known)), "")
            state = resource_sync(said.replace(" ", "_"))
            if state is not None:
                resources[url] = state
        subscribed = set(re.findall(r"\w+", row.get(_SUBSCRIBED, "").partition("(")[2]))
        resources |= {url: ResourceSync(told=False) for short, url in TYPE_URLS.items() if short in subscribed}
        record = SyncRecord(
            proxy=row.get("NAME", ""),
            proxy_type="ztunnel" if subscribed and subscribed <= _ZTUNNEL else "",
            cluster_id=row.get("CLUSTER", ""),
            istio_version=row.get("VERSION", ""),
            resources=resources,
        )
        found.setdefault(row.get("ISTIOD") or row.get("PILOT") or "istiod", []).append(record)
    if not found:
        raise UnreadableError("no proxy in the table")
    return {istiod: msgspec.json.encode(records) for istiod, records in found.items()}


def _by_position(header: str, line: str) -> dict[str, str]:
    starts = [(match.start(), match[0]) for match in _COLUMN.finditer(header)]
    ends = [start for start, _ in starts[1:]] + [max(len(line), starts[-1][0])]
    return {name: line[start:end].strip() for (start, name), end in zip(starts, ends, strict=True)}
