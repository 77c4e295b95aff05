"""Two moments that were read of different namespaces: what was left out at one of them did not go away."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

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


ONE = ("read at one of the two moments only",)


def with_files(recording: RawRecording, **bodies: bytes | None) -> RawRecording:
    """*recording* with files of other contents, or without them (None)."""
    short = {name: f"kube/core/v1/{name}.json" for name in ("pods", "services")}
    changed = {short.get(name, name): body for name, body in bodies.items()}
    kept = {name: read for name, read in recording.files.items() if name not in changed}
    added = {name: partial(bytes, body) for name, body in changed.items() if body is not None}
    return msgspec.structs.replace(recording, files={**kept, **added})


def test_a_proxy_is_not_gone_where_no_pod_was_read() -> None:
    there = moment([], ["shop/web-1"])
    unread = with_files(moment([], [], ["shop/web-1"]), pods=None)
    told = changes(there, unread)
    assert Change("proxy", "unknown", "configuration", ONE[0], ("shop/web-1",)) in told
    assert not [one for one in told if one.change == "removed"]


def test_an_object_that_did_not_decode_was_not_removed() -> None:
    whole = moment(["shop/cart", "shop/stock"], [])
    items = json.loads(named("Service", "shop/cart"))
    items["items"].append({"metadata": {"name": "stock", "namespace": "shop"}, "spec": {"ports": 7}})
    broken = with_files(whole, services=json.dumps(items).encode())
    assert changes(whole, broken) == [Change("object", "unknown", "Service", "shop/stock", ONE)]
    assert changes(broken, whole) == [Change("object", "unknown", "Service", "shop/stock", ONE)]


def test_slices_that_were_read_once_are_told() -> None:
    whole = moment(["shop/cart"], [])
    without = with_files(whole, **{"kube/discovery.k8s.io/v1/endpointslices.json": None})
    assert changes(whole, without) == [Change("endpoint", "unknown", "EndpointSlice", "", ONE)]


def synced(*pods: str, acked: str = "a") -> bytes:
    cluster = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    state = {"sent": "a", "acked": acked}
    return json.dumps([{"proxy": pod, "resources": {cluster: state}} for pod in pods]).encode()


def test_proxies_of_an_istiod_that_did_not_answer_are_still_connected() -> None:
    files = {"istiod/one/syncz.json": synced("web-1.shop"), "istiod/two/syncz.json": synced("till-1.pay")}
    both = with_files(moment([], []), **files)
    left = with_files(moment([], []), **{**files, "istiod/two/syncz.json": b"no answer"})
    assert changes(both, left) == [Change("sync", "unknown", "istiod", "two", ONE)]
    gone = with_files(moment([], []), **{**files, "istiod/two/syncz.json": synced()})
    assert changes(both, gone) == [Change("sync", "removed", "connection to istiod", "pay/till-1")]
    stale = with_files(moment([], []), **{**files, "istiod/one/syncz.json": synced("web-1.shop", acked="")})
    assert changes(both, stale) == [Change("sync", "changed", "proxy", "shop/web-1", ("Cluster: synced -> stale",))]
    none = moment([], [])
    assert changes(both, none) == [Change("sync", "unknown", "istiod", "", ONE)]


def test_flat_states_of_an_old_istiod_are_compared() -> None:
    moments = []
    for acked in ("a", ""):
        body = json.dumps([{"proxy": "web-1.shop", "cluster_sent": "a", "cluster_acked": acked}]).encode()
        moments.append(with_files(moment([], []), **{"istiod/one/syncz.json": body}))
    assert changes(*moments) == [Change("sync", "changed", "proxy", "shop/web-1", ("Cluster: synced -> stale",))]
