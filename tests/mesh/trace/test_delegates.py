"""What istiod does with the delegates of a VirtualService."""

from __future__ import annotations

import pytest

from tests.mesh.trace.dumps import Json
from tests.mesh.trace.journeys import follow
from tests.mesh.trace.meshes import MTLS, World, client, server


def virtual_service(name: str, hosts: list[str], *delegates: str) -> Json:
    routes_ = [{"delegate": {"name": each}} for each in delegates]
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"hosts": hosts, "http": routes_}}


@pytest.mark.parametrize(
    ("services", "said"),
    [
        ([virtual_service("root", ["cart"], "gone")], "shop/gone does not exist"),
        ([virtual_service("root", ["cart"], "own"), virtual_service("own", ["x"])], "has hosts of its own"),
        (
            [virtual_service("root", ["cart"], "a"), virtual_service("a", [], "b"), virtual_service("b", [], "a")],
            "go in a circle (shop/a -> shop/b -> shop/a)",
        ),
        ([virtual_service("root", ["cart"], "root")], "has hosts of its own"),
        (
            [virtual_service("root", ["cart"], "a"), virtual_service("a", [], "b"), virtual_service("b", [])],
            "shop/a delegates further",
        ),
        ([virtual_service("root", ["cart"], "a"), virtual_service("a", [])], ""),
        ([virtual_service("root", ["other"], "gone")], ""),
    ],
)
def test_delegates(services: list[Json], said: str) -> None:
    world = World(web=client(MTLS), cart=server("STRICT"))
    world.objects["VirtualService"] = services
    found = follow(world)
    told = [hop.why for hop in found.hops if hop.step == "delegates"]
    assert (said in told[0]) if said else not told
    assert not found.failing
