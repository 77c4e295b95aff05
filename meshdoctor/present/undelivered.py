"""What a proxy does not run of what it should, in lines of text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from meshdoctor.mesh.proxy.difference import ResourceDifference
from meshdoctor.mesh.proxy.fields import ABSENT
from meshdoctor.mesh.proxy.inspection import Inspection
from meshdoctor.mesh.proxy.rejected import RejectedResource
from meshdoctor.mesh.proxy.slices import EndpointDifference
from meshdoctor.present.sync_tables import detail_lines
from meshdoctor.present.words import Words

_RESOURCES, _FIELDS, _WIDTH = 50, 12, 60
_SINGULAR = {
    "Clusters": "cluster",
    "Listeners": "listener",
    "Routes": "route",
    "Endpoints": "endpoints of",
    "Extensions": "extension",
    "Secrets": "secret",
}
_ALL = "clusters, listeners, routes and endpoints"
WHAT = {"only istiod": "not in Envoy", "only Envoy": "not of istiod any more", "warming": "in Envoy, but still warming"}
"""What a difference is, in the words of the command."""


def inspection_lines(found: Inspection) -> Iterator[str]:
    """One proxy in full: what istiod says of it, what Envoy refused, what differs, and what is not known."""
    yield from detail_lines(found.sync)
    yield from rejected_lines(found.rejected)
    yield from (f"  {kind} {name} is warming: {warming_text(kind, Words('en'))}" for kind, name in found.warming)
    if found.sent is not None:
        told = any(one.what == "sent_no_endpoints" for one in found.unknown)
        yield from sent_lines(found.sent, "clusters, listeners and routes" if told else _ALL)
    yield from received_lines(found.received)
    yield from missing_lines(found.missing)
    yield from endpoint_lines(found.endpoints)
    yield from (f"  {line}" for line in unknown_lines(found, Words("en")))


def warming_text(kind: str, words: Words) -> str:
    """What it means that an object of this kind is warming."""
    return words("inspection.warming_secret" if kind == "secret" else "inspection.warming")


def unknown_lines(found: Inspection, words: Words) -> Iterator[str]:
    """What cannot be told, and why."""
    return (words(f"inspection.{one.what}", why=words.said(one.why)) for one in found.unknown)


def sent_lines(differences: Sequence[ResourceDifference], compared: str = _ALL) -> Iterator[str]:
    """Each resource that differs and its fields: what istiod would send, then what Envoy runs."""
    if not differences:
        yield f"  Envoy runs what istiod would send now: {compared} are the same"
        return
    counts = Counter((entry.kind, entry.what) for entry in differences)
    total = ", ".join(f"{count} {kind.lower()} {WHAT.get(what, what)}" for (kind, what), count in counts.items())
    yield f"  Envoy does not run what istiod would send now: {total}"
    for entry in differences[:_RESOURCES]:
        yield f"    {_SINGULAR[entry.kind]} {entry.name}: {WHAT.get(entry.what, entry.what)}"
        for field in entry.fields[:_FIELDS]:
            yield f"      {field.path}: istiod {value_text(field.sent)}, Envoy {value_text(field.runs)}"
        if len(entry.fields) > _FIELDS:
            yield f"      and {len(entry.fields) - _FIELDS} more fields"
    if len(differences) > _RESOURCES:
        yield f"    and {len(differences) - _RESOURCES} more"


def value_text(value: Any) -> str:
    if value is ABSENT:
        return "has none"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def rejected_lines(rejected: Sequence[RejectedResource]) -> Iterator[str]:
    """What Envoy refused, and when."""
    for item in rejected:
        when = f" ({item.when})" if item.when else ""
        yield f"  Envoy refused {item.kind} {item.name}{when}: {' '.join(item.why.split())}"


def received_lines(received: Mapping[str, str]) -> Iterator[str]:
    """How old is what the proxy runs instead."""
    if received:
        yield "  what it runs last changed: " + ", ".join(f"{kind} {when}" for kind, when in received.items())


def missing_lines(clusters: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Clusters that its routes name and that never arrived."""
    for name, tables in list(clusters.items())[:_RESOURCES]:
        yield f"  its routes name cluster {name}, which it has not got (in {_addresses(tables)})"


def endpoint_lines(differences: Sequence[EndpointDifference]) -> Iterator[str]:
    """Each cluster whose addresses are not those of the EndpointSlices."""
    if differences:
        yield "  its endpoints are not those of the EndpointSlices:"
    for entry in differences[:_RESOURCES]:
        parts = [f"still has {_addresses(entry.old)}"] if entry.old else []
        parts += [f"has not got {_addresses(entry.new)}"] if entry.new else []
        yield f"    {entry.cluster}: {'; '.join(parts)}"
    if len(differences) > _RESOURCES:
        yield f"    and {len(differences) - _RESOURCES} more clusters"


def _addresses(addresses: Sequence[str]) -> str:
    rest = len(addresses) - _FIELDS
    return ", ".join(addresses[:_FIELDS]) + (f" and {rest} more" if rest > 0 else "")
