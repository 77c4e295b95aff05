"""What a bundle holds, as text: its moments, and what of each could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from meshdoctor.model.text import visible_line

_SHOWN = 10


def bundle_lines(manifest: Mapping[str, Any], indexes: Sequence[Mapping[str, Any]], limits: str) -> Iterator[str]:
    """The lines for a bundle's *manifest* and the *indexes* of its moments, as plain values; *limits*: the reader's."""
    blobs = manifest.get("blobs", {})
    yield f"format    {manifest['format']} {manifest['version'][0]}.{manifest['version'][1]}"
    for name in ("tool", "created", "source", "note"):
        if manifest.get(name):
            yield f"{name:9} {visible_line(str(manifest[name]))}"
    if blobs:
        packed, raw = _bytes(blobs.get("packed", 0)), _bytes(blobs.get("raw", 0))
        yield f"size      {packed} of {raw}, {blobs.get('count', 0)} parts"
    if manifest.get("limit"):
        yield f"limit     {_bytes(manifest['limit'])}"
    yield f"reader    {limits}"
    yield f"root      {manifest.get('root') or 'unknown'}"
    yield f"redacted  {sum(manifest.get('redaction', {}).values())} values"
    yield ""
    for index in indexes:
        entries = index["entries"]
        states = Counter(entry.get("status", "ok") for entry in entries)
        proxies = {entry["file"].rpartition("/")[0] for entry in entries if _is_proxy(entry)}
        read = {entry["file"].rpartition("/")[0] for entry in entries if _is_proxy(entry) and _ok(entry)}
        told = ", ".join(f"{count} {state}" for state, count in states.most_common())
        yield f"{visible_line(index['name'])}  {told}; {len(read)} of {len(proxies)} proxies"
        yield from _parts(entries)
        unread = [entry for entry in entries if entry.get("status", "ok") not in ("ok", "partial", "skipped")]
        for entry in unread[:_SHOWN]:
            yield visible_line(f"    {entry['file']}: {entry['status']}: {entry.get('error', '')}")
        if len(unread) > _SHOWN:
            yield f"    and {len(unread) - _SHOWN} more"


def _parts(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The lists that are of some namespaces only, a line for each set of these; and the logs without older lines."""
    found = Counter(
        (str(entry["file"]).startswith("logs/"), tuple(entry.get("namespaces", ())), str(entry.get("error", "")))
        for entry in entries
        if entry.get("status") == "partial"
    )
    for (log, namespaces, why), count in found.most_common(_SHOWN):
        names = ", ".join(namespaces) or "no whole namespace"
        logs = "1 log has its newest lines only" if count == 1 else f"{count} logs have their newest lines only"
        what = logs if log else f"{count} lists are of {names} only"
        yield visible_line(f"    {what}{f' ({why})' if why else ''}")


def _is_proxy(entry: Mapping[str, Any]) -> bool:
    return str(entry["file"]).startswith(("envoy/", "ztunnel/"))


def _ok(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("status", "ok") == "ok" and str(entry["file"]).endswith("config_dump.json"))


def _bytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"
