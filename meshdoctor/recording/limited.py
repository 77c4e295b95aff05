"""A recording without what belongs to other namespaces; each list of objects says of which namespaces it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

import msgspec

from meshdoctor.model.decode import UnreadableError, decode_json, decode_raw
from meshdoctor.model.kinds import kind_of_file
from meshdoctor.recording.archive import Files
from meshdoctor.recording.raw import Partial, RawRecording

_STORE = "configz.json"
"""istiod's own store, which holds the Istio objects of every namespace."""


class _Metadata(msgspec.Struct, frozen=True):
    namespace: str = ""


class _Item(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()


class _List(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw] | None = None


def limited(recording: RawRecording, namespaces: Sequence[str], why: str) -> RawRecording:
    """One moment of *recording* with the objects, proxies and logs of *namespaces*, and with all that has none."""
    files: Files = {}
    parts = []
    for file, body in recording.files.items():
        room, *rest = file.split("/")
        kind = kind_of_file(file)
        if (kind is not None and kind.namespaced) or (room == "istiod" and rest[-1] == _STORE):
            before = recording.partial(file)
            kept = [name for name in namespaces if before is None or name in before.namespaces]
            files[file] = partial(_of_namespaces, body, frozenset(kept), stored=kind is None)
            parts.append(Partial(file, tuple(kept), f"{before.why}; {why}" if before and before.why else why))
        elif _belongs(room, rest, namespaces):
            files[file] = body
            if newest := recording.partial(file):
                parts.append(newest)
    manifest = msgspec.structs.replace(recording.manifest, partial=tuple(parts))
    return msgspec.structs.replace(recording, files=files, manifest=manifest, whole={}, moments=())


def _belongs(room: str, rest: Sequence[str], namespaces: Collection[str]) -> bool:
    """Whether a file is of one of *namespaces*, or of none at all."""
    if room in ("envoy", "ztunnel", "logs"):
        return rest[0] in namespaces
    if room == "istiod" and len(rest) == 4:  # ISTIOD/config_dump/NAMESPACE/POD.json
        return rest[2] in namespaces
    return True


def _of_namespaces(body: Callable[[], bytes], namespaces: frozenset[str], *, stored: bool) -> bytes:
    """The list (or istiod's *stored* objects) without those of other namespaces; raises what *body* raises."""
    whole = body()
    if stored:
        return b"[" + _joined(decode_json(whole, list[msgspec.Raw]), namespaces) + b"]"
    items = decode_json(whole, _List).items or []
    return b'{"kind":"List","apiVersion":"v1","items":[' + _joined(items, namespaces) + b"]}"


def _joined(items: list[msgspec.Raw], namespaces: frozenset[str]) -> bytes:
    return b",".join(bytes(raw) for raw in items if _is_of(raw, namespaces))


def _is_of(raw: msgspec.Raw, namespaces: frozenset[str]) -> bool:
    try:
        return decode_raw(raw, _Item).metadata.namespace in namespaces
    except UnreadableError:
        return True  # it does not say where it belongs; whoever reads the list learns that it is not whole
