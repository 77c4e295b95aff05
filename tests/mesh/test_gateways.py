"""Which hosts a Gateway takes, and which pods and VirtualServices are its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meshdoctor.mesh import gateways
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model.decode import convert
from meshdoctor.model.istio import Gateway
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.wants import Contents, Objects
from tests.kube_objects import istio, pod
from tests.recordings import Recording

EDGE, OTHER, SIDECAR = PodRef("edge", "edge-1"), PodRef("shop", "own-1"), PodRef("shop", "web-1")


def made(*hosts: str, **selector: str) -> dict[str, Any]:
    return istio("front", "edge", {"selector": selector, "servers": [{"port": {"number": 80}, "hosts": list(hosts)}]})


def gateway(*hosts: str, **selector: str) -> Gateway:
    return convert(made(*hosts, **selector), Gateway)


def mesh(root: Path, *found: dict[str, Any], bound: tuple[dict[str, Any], ...] = ()) -> MeshIndex:
    recording = Recording(root)
    recording.objects("Pod", pod("edge-1", "edge", "10.0.0.1", {"app": "edge"}, gateway=True))
    recording.objects("Pod", pod("own-1", "shop", "10.0.0.2", {"app": "own"}, gateway=True))
    recording.objects("Pod", pod("web-1", "shop", "10.0.0.3", {"app": "edge"}))
    recording.objects("Gateway", *found).objects("VirtualService", *bound)
    source = recording.source()
    wants = (Contents(), Objects("Pod"), Objects("Gateway"), Objects("VirtualService"))
    return MeshIndex(source.read(wants))


@pytest.mark.parametrize(
    ("hosts", "host", "taken"),
    [
        (["shop.example.org"], "shop.example.org", True),
        (["shop.example.org"], "Shop.Example.Org", True),
        (["shop.example.org"], "pay.example.org", False),
        (["*.example.org"], "shop.example.org", True),
        (["*.example.org"], "example.org", False),
        (["*"], "shop.example.org", True),
        (["shop/*.example.org"], "shop.example.org", True),
        (["./shop.example.org"], "shop.example.org", True),
        (["*/*"], "shop.example.org", True),
        (["pay.example.org", "shop.example.org"], "shop.example.org", True),
        ([], "shop.example.org", False),
    ],
)
def test_the_hosts_that_a_gateway_takes(hosts: list[str], host: str, taken: bool) -> None:
    assert gateways.takes(gateway(*hosts), host) is taken


def test_a_gateway_is_of_the_gateways_pods_that_it_selects_in_any_namespace(tmp_path: Path) -> None:
    found = mesh(tmp_path)
    assert gateways.pods_of(found, gateway("*", app="edge")) == (EDGE,)
    assert gateways.pods_of(found, gateway("*", app="own")) == (OTHER,)
    assert gateways.pods_of(found, gateway("*", app="none")) == ()


def test_a_gateway_without_a_selector_is_of_every_gateway_and_of_no_sidecar(tmp_path: Path) -> None:
    found = mesh(tmp_path, made("*"))
    assert gateways.pods_of(found, gateway("*")) == (EDGE, OTHER)
    assert [[one.key for one in gateways.gateways_of(found, ref)] for ref in (EDGE, OTHER, SIDECAR)] == [
        ["edge/front"],
        ["edge/front"],
        [],
    ]
    assert gateways.gateways_of(found, PodRef("edge", "gone")) == ()


@pytest.mark.parametrize(
    ("name", "where", "bound"),
    [
        ("front", "edge", True),
        ("front", "shop", False),
        ("./front", "edge", True),
        ("edge/front", "shop", True),
        ("front.edge", "shop", True),
        ("front.edge.svc.cluster.local", "shop", True),
        ("mesh", "edge", False),
    ],
)
def test_how_a_virtual_service_names_its_gateway(tmp_path: Path, name: str, where: str, bound: bool) -> None:
    found = mesh(tmp_path, bound=(istio("pages", where, {"hosts": ["a.example.org"], "gateways": [name]}),))
    assert [one.name for one in gateways.bound(found, gateway("*"))] == (["pages"] if bound else [])


@pytest.mark.parametrize(
    ("hosts", "written", "named"),
    [
        (["shop.example.org"], [], True),
        (["*.example.org"], [], True),
        (["*"], [], False),
        (["*"], ["shop.example.org"], True),
        (["*"], ["*.example.org"], True),
        (["*"], ["*"], False),
        (["*"], ["pay.example.org"], False),
        (["pay.example.org"], ["shop.example.org"], False),
    ],
)
def test_whom_somebody_named(tmp_path: Path, hosts: list[str], written: list[str], named: bool) -> None:
    bound = istio("pages", "shop", {"hosts": written, "gateways": ["edge/front"]})
    found = mesh(tmp_path, bound=(bound,))
    assert gateways.is_for(found, gateway(*hosts), "shop.example.org") is named
