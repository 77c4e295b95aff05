"""A proxy's endpoints against the EndpointSlices, and what proves nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from meshdoctor.mesh.control_plane import stale_endpoints
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.proxy.slices import EndpointDifference, endpoint_differences
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model import wants as ask
from meshdoctor.model.envoy.config_dump import decode_config_dump
from meshdoctor.model.istiod import SyncRecord
from meshdoctor.model.meta import Meta
from meshdoctor.model.moment import unix
from meshdoctor.model.snapshot import Fact, Missing, Origin, PodRef, Snapshot, SourceInfo
from tests.mesh.proxy.dumps import clusters, dump, socket

WEB = PodRef("shop", "web")
CART = "outbound|80||cart.shop.svc.cluster.local"
READ = "2026-11-23T10:00:00Z"


def part(name: str, *addresses: str, ready: bool = True, port: str = "http", changed: str = "") -> k8s.EndpointSlice:
    labels = {"kubernetes.io/service-name": "cart"}
    noted = {"endpoints.kubernetes.io/last-change-trigger-time": changed} if changed else {}
    entry = {
        "metadata": {"name": name, "namespace": "shop", "labels": labels, "annotations": noted},
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}} for address in addresses],
        "ports": [{"name": port, "port": 8080}],
    }
    return msgspec.convert(entry, k8s.EndpointSlice)


def endpoint(address: str, cluster: str | None = None, name: str = "cart-1") -> dict[str, Any]:
    """One of a load assignment; *cluster*: as istiod names the workload and where it is."""
    metadata = {"filter_metadata": {"istio": {"workload": f"{name};shop;cart;v1;{cluster}"}}}
    return {"endpoint": {"address": socket(address, 8080)}, **({"metadata": metadata} if cluster is not None else {})}


def mesh(
    held: tuple[str | dict[str, Any], ...],
    *slices: k8s.EndpointSlice,
    ids: tuple[str, ...] = (),
    machine: str = "",
    service: dict[str, Any] | None = None,
    labels: dict[str, str] | None = None,
    entry: dict[str, Any] | None = None,
    own_cluster: str = "",
) -> MeshIndex:
    hosts = [endpoint(one) if isinstance(one, str) else one for one in held]
    assignment = {"cluster_name": CART, "endpoints": [{"lb_endpoints": hosts}]}
    body = dump(
        BootstrapConfigDump={"bootstrap": {"node": {"metadata": {"CLUSTER_ID": own_cluster}}}},
        ClustersConfigDump=clusters({"name": CART, "type": "EDS"}),
        EndpointsConfigDump={"dynamic_endpoint_configs": [{"endpoint_config": assignment}]},
    )
    spec = {"ports": [{"name": "http", "port": 80}], **(service or {})}
    machines = (istio.WorkloadEntry(spec=istio.WorkloadEntrySpec(address=machine)),) if machine else ()
    entries = (msgspec.convert({"spec": entry}, istio.ServiceEntry),) if entry else ()
    values: dict[Any, Any] = {
        ask.Contents(): ask.Inventory(istiods=("i",)),
        ask.Objects("Namespace"): (k8s.Namespace(metadata=Meta(name="shop", labels=labels or {})),),
        ask.Objects("Service"): (
            msgspec.convert({"metadata": {"name": "cart", "namespace": "shop"}, "spec": spec}, k8s.Service),
        ),
        ask.Objects("EndpointSlice"): slices,
        ask.Objects("WorkloadEntry"): machines,
        ask.Objects("ServiceEntry"): entries,
        ask.SyncStatus("i"): tuple(SyncRecord(f"p{number}.shop", one, "sidecar") for number, one in enumerate(ids)),
        ask.ProxyConfig(WEB): decode_config_dump(body),
    }
    facts = {want: Fact(value, Origin("x", unix(READ))) for want, value in values.items()}
    return MeshIndex(Snapshot(SourceInfo("recording", "x"), facts))


def test_endpoints_against_the_slices() -> None:
    found = mesh(("10.0.0.1", "10.0.0.9"), part("a", "10.0.0.1", "10.0.0.2"))
    assert endpoint_differences(found, WEB) == [
        EndpointDifference(CART, "shop/cart", ("10.0.0.9",), ("10.0.0.2",), ("10.0.0.1", "10.0.0.2"))
    ]
    [evidence] = stale_endpoints(found, WEB)
    assert evidence.says == "it still holds 10.0.0.9 for shop/cart; the EndpointSlices have 10.0.0.1, 10.0.0.2"
    same = mesh(("10.0.0.1",), part("a", "10.0.0.1"))
    assert endpoint_differences(same, WEB) == []
    assert stale_endpoints(same, WEB) == []


def test_an_address_that_is_not_ready_is_neither_old_nor_new() -> None:
    stopping = part("b", "10.0.0.3", ready=False)
    assert endpoint_differences(mesh(("10.0.0.1",), part("a", "10.0.0.1"), stopping), WEB) == []
    assert endpoint_differences(mesh(("10.0.0.1", "10.0.0.3"), part("a", "10.0.0.1"), stopping), WEB) == []


def test_an_endpoint_behind_a_tunnel_counts_by_where_the_traffic_ends() -> None:
    inner = {"envoy_internal_address": {"server_listener_name": "connect_originate", "endpoint_id": "10.0.0.9:8080"}}
    [found] = endpoint_differences(mesh(({"endpoint": {"address": inner}},), part("a", "10.0.0.1")), WEB)
    assert (found.old, found.new) == (("10.0.0.9",), ("10.0.0.1",))


RIGHT = part("a", "10.0.0.1")


@pytest.mark.parametrize(
    "one",
    [
        mesh(("10.0.0.1",), RIGHT, part("b", "10.0.0.7", port="admin")),
        mesh(("10.0.0.1",), RIGHT, part("b", "fd00::7")),
        mesh(("10.0.0.1", "10.9.0.1"), RIGHT, ids=("east", "west")),
        mesh(("10.0.0.1", "10.9.0.1"), RIGHT, ids=("west",), own_cluster="east"),
        mesh(("10.0.0.1", "10.9.0.1"), RIGHT, machine="10.9.0.1"),
        mesh(("10.0.0.1", endpoint("10.9.0.1", "west")), RIGHT, own_cluster="east"),
        mesh(("10.0.0.1", endpoint("192.0.2.1", "east", name="")), RIGHT, own_cluster="east"),
        mesh(("10.0.0.1", "10.9.0.1"), RIGHT, entry={"hosts": ["cart.shop.svc.cluster.local"]}),
        mesh(("10.0.0.1", "10.9.0.1"), RIGHT, entry={"hosts": ["x"], "endpoints": [{"address": "10.9.0.1"}]}),
        mesh(("10.0.0.9",), RIGHT, labels={"istio.io/use-waypoint": "waypoint"}),
        mesh(("10.0.0.1",), part("a", "10.0.0.1", "10.0.0.2"), service={"internalTrafficPolicy": "Local"}),
        mesh(("10.0.0.9",), part("a", "10.0.0.1", changed="2026-11-23T09:59:55Z")),
        mesh(("10.0.0.9",), part("a", "10.0.0.1", changed="2026-11-23T10:00:05Z")),
    ],
)
def test_what_proves_nothing(one: MeshIndex) -> None:
    assert endpoint_differences(one, WEB) == []
    assert stale_endpoints(one, WEB) == []


def test_machines_that_could_not_be_read_may_be_the_addresses_that_no_slice_has() -> None:
    unread = mesh(("10.0.0.9",), RIGHT)
    unread.extend(unread.snapshot.without([ask.Objects("WorkloadEntry")]))
    assert endpoint_differences(unread, WEB)[0].old == ("10.0.0.9",)  # a cluster without the kind has none
    forbidden: dict[Any, Any] = {ask.Objects("WorkloadEntry"): Missing("forbidden", "no rule", "x")}
    unread.extend(unread.snapshot.updated(forbidden))
    assert [(found.old, found.new) for found in endpoint_differences(unread, WEB)] == [((), ("10.0.0.1",))]


def test_an_endpoint_that_istiod_marked_as_of_this_cluster_is_judged_in_a_mesh_of_several() -> None:
    held = ("10.0.0.1", endpoint("10.0.0.9", "east"), endpoint("10.9.0.1", "west"))
    [found] = endpoint_differences(mesh(held, RIGHT, ids=("east", "west"), own_cluster="east"), WEB)
    assert (found.old, found.new) == (("10.0.0.9",), ())


def test_an_older_change_of_the_slices_must_have_come() -> None:
    [found] = endpoint_differences(mesh(("10.0.0.9",), part("a", "10.0.0.1", changed="2026-11-23T09:59:30Z")), WEB)
    assert (found.old, found.new) == (("10.0.0.9",), ("10.0.0.1",))
    opted_out = mesh(("10.0.0.9",), RIGHT, labels={"istio.io/use-waypoint": "none"})
    assert endpoint_differences(opted_out, WEB)
