"""What can be read of a message that is not as its struct says."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.proxy.joined_routing import listener_rows, route_rows
from meshdoctor.mesh.proxy.joined_upstreams import cluster_rows
from meshdoctor.mesh.proxy.object_json import resource_json
from meshdoctor.model.envoy.config_dump import PARTLY, decode_config_dump
from meshdoctor.model.mending import mended
from meshdoctor.model.snapshot import PodRef, Snapshot, SourceInfo
from tests.mesh.proxy.dumps import clusters, dump, listeners, routes, socket


class Inner(msgspec.Struct, frozen=True):
    word: str = ""
    number: int | None = None


class Outer(msgspec.Struct, frozen=True):
    name: str = ""
    inner: Inner | None = None
    many: list[Inner] = []
    count: int = 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": "a", "count": "x"}, Outer("a")),
        ({"name": "a", "count": 7, "inner": {"word": ["x"], "number": 5}}, Outer("a", Inner("", 5), [], 7)),
        ({"name": "a", "inner": 9}, Outer("a")),
        ({"name": "a", "many": [{"word": "b"}, {"word": 8}, 4]}, Outer("a", None, [Inner("b"), Inner()])),
        ({"name": ["a"]}, None),
        (7, None),
        ([1], None),
    ],
)
def test_fields_and_entries_that_cannot_be_read_are_left_out(given: Any, expected: Outer | None) -> None:
    assert mended(json.dumps(given).encode(), Outer) == expected


def test_absurd_nesting_is_left_out() -> None:
    class Deep(msgspec.Struct):
        name: str = ""
        deeper: Any = None

    assert mended(b'{"name": "a", "deeper": ' + b"[" * 100_000, Deep) is None
    assert mended(b"{", Outer) is None


def test_a_row_with_what_could_be_read_and_no_fact_to_conclude_from() -> None:
    body = dump(
        ClustersConfigDump=clusters(
            {"name": "outbound|80||cart.shop.svc.cluster.local", "type": "EDS", "circuit_breakers": "none"},
            {"name": "sound", "type": "EDS"},
        ),
        RoutesConfigDump=routes(
            {
                "name": "80",
                "virtual_hosts": [
                    {
                        "name": "a",
                        "domains": ["a"],
                        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "sound"}}],
                    },
                    {"name": "b", "domains": 7, "routes": [{"match": {"prefix": 9}, "route": {"cluster": "other"}}]},
                ],
            }
        ),
        ListenersConfigDump=listeners({"name": "l", "address": socket("0.0.0.0", 80), "filter_chains": {}}),
    )
    config = decode_config_dump(body)
    mesh = MeshIndex(Snapshot(SourceInfo("recording", "x"), {}))
    rows = list(cluster_rows(mesh, PodRef("shop", "web"), config))
    assert [(row.name, row.kind, row.state) for row in rows] == [
        ("outbound|80||cart.shop.svc.cluster.local", "EDS", PARTLY),
        ("sound", "EDS", "active"),
    ]
    assert [(row.host, row.match, row.clusters) for row in route_rows(config)] == [
        ("a", "/*", ("sound",)),
        ("b", "any", ("other",)),
    ]
    assert [(row.listener, row.port, row.state) for row in listener_rows(config)] == [("l", 80, PARTLY)]
    assert [entry.name for entry in config.clusters] == ["sound"]
    assert (config.routes, config.listeners) == ((), ())
    assert len(config.problems) == 3
    assert [b'"none"' in bytes(raw) for raw in resource_json(config, "cluster", rows[0].name)] == [True]
