"""Two moments that were read of different namespaces: what was left out at one of them did not go away."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from meshdoctor.mesh.comparison import Change, compare, wanted
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model import wants as ask
from meshdoctor.model.kinds import KINDS
from meshdoctor.recording.limited import limited
from meshdoctor.recording.raw import Manifest, RawRecording
from meshdoctor.sources.recording import RecordingSource


def named(kind: str, *names: str) -> bytes:
    items = []
    for name in names:
        namespace, _, own = name.partition("/")
        metadata = {"name": own, "namespace": namespace, "labels": {"kubernetes.io/service-name": own}}
        items.append({"metadata": metadata, "endpoints": [{"addresses": ["10.0.0.1"]}]})
    return json.dumps({"kind": f"{kind}List", "items": items}).encode()


def moment(services: Sequence[str], proxies: Sequence[str], pods: Sequence[str] | None = None) -> RawRecording:
    bodies: dict[str, bytes] = {
        "kube/core/v1/services.json": named("Service", *services),
        "kube/core/v1/pods.json": named("Pod", *(proxies if pods is None else pods)),
        "kube/discovery.k8s.io/v1/endpointslices.json": named("EndpointSlice", *services),
    }
    bodies |= {f"envoy/{proxy}/config_dump.json": b'{"configs":[]}' for proxy in proxies}
    files: Any = {name: partial(bytes, body) for name, body in bodies.items()}
    return RawRecording(Path("a"), files, Manifest())


def changes(before: RawRecording, after: RawRecording) -> list[Change]:
    meshes = []
    for recording in (before, after):
        source = RecordingSource(recording)
        mesh = MeshIndex(source.read([ask.Contents(), *(ask.Objects(kind.name) for kind in KINDS)]))
        mesh.extend(source.read(wanted(mesh), mesh.snapshot))
        meshes.append(mesh)
    return list(compare(*meshes))


def test_what_one_of_the_moments_left_out_was_neither_removed_nor_added() -> None:
    whole = moment(["shop/cart", "pay/card"], ["shop/web-1", "pay/till-1"])
    shop = limited(moment(["shop/cart", "shop/stock", "pay/card"], ["shop/web-1", "pay/till-1"]), ["shop"], "asked")
    assert changes(whole, shop) == [
        Change("object", "unknown", "objects of other namespaces", "", ("read were every namespace, then shop",)),
        Change("object", "added", "Service", "shop/stock"),
        Change("endpoint", "changed", "Service", "shop/stock", ("10.0.0.1 ready is new",)),
    ]
    back = changes(shop, whole)
    assert [(one.change, one.name) for one in back if one.area == "object"][1:] == [("removed", "shop/stock")]


def test_two_moments_of_the_same_namespaces_are_compared_in_full() -> None:
    first = limited(moment(["shop/cart", "pay/card"], ["shop/web-1"]), ["shop"], "asked")
    second = limited(moment(["shop/cart"], ["shop/web-1"]), ["shop"], "asked")
    assert changes(first, second) == []
    gone = limited(moment([], ["shop/web-1"]), ["shop"], "asked")
    assert ("removed", "shop/cart") in [(one.change, one.name) for one in changes(first, gone)]


def test_a_proxy_that_did_not_answer_is_not_gone() -> None:
    there = moment([], ["shop/web-1"])
    silent = moment([], [], ["shop/web-1"])
    gone = moment([], [], [])
    told = Change("proxy", "unknown", "configuration", "read at one of the two moments only", ("shop/web-1",))
    assert told in changes(there, silent)
    assert told in changes(silent, there)
    assert Change("proxy", "removed", "proxy", "shop/web-1") in changes(there, gone)
