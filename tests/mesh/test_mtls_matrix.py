from __future__ import annotations

from meshdoctor.mesh.mtls.matrix import Column, all_columns, matrix
from tests.mesh.mtls_world import BARE_SERVER, HOST, SERVER, pod, policy, rule, service, thing, world

COLUMN = Column(HOST, 80)


def test_every_row_has_every_column_and_the_worst_endpoint_speaks() -> None:
    bare = pod("b-1", "cli", "10.2.0.7", proxy="")
    mtls = world(policy("STRICT"), bare, servers=(SERVER, BARE_SERVER))
    peers = mtls.objects.peers
    found = matrix(mtls, {"cli/c": [peers["cli/c-1"]], "cli/b": [peers["cli/b-1"]]}, [COLUMN])
    assert {row: found.cells[row, COLUMN].outcome for row in found.rows} == {
        "cli/c": "mixed",
        "cli/b": "fail-plaintext-to-strict",
    }
    ((row, column, cell),) = found.failures()
    assert (row, column) == ("cli/b", COLUMN)
    assert [pair.endpoint.endpoint.name for pair in cell.failing] == ["srv/s-1:8080"]


def test_a_row_of_pods_that_differ_shows_the_one_that_fails() -> None:
    other = pod("c-2", "cli", "10.2.0.2", labels={"version": "v2"})
    off = rule(namespace="cli", tls="DISABLE", workloadSelector={"matchLabels": {"version": "v2"}})
    mtls = world(policy("STRICT"), other, off)
    rows = {"cli/c": [mtls.objects.peers[key] for key in ("cli/c-1", "cli/c-2")]}
    assert matrix(mtls, rows, [COLUMN]).cells["cli/c", COLUMN].outcome == "fail-plaintext-to-strict"


def test_cells_without_a_cluster_or_an_endpoint_say_so() -> None:
    mtls = world(thing("Sidecar", "default", "cli", {"egress": [{"hosts": ["./*"]}]}))
    rows = {"cli/c": [mtls.objects.peers["cli/c-1"]]}
    assert matrix(mtls, rows, [COLUMN]).cells["cli/c", COLUMN].outcome == "no-cluster"
    empty = world(servers=())
    assert (
        matrix(empty, {"cli/c": [empty.objects.peers["cli/c-1"]]}, [COLUMN]).cells["cli/c", COLUMN].outcome
        == "no-endpoint"
    )


def test_columns_are_all_tcp_ports() -> None:
    ports = [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    assert all_columns(world(own=service(ports=ports))) == (COLUMN,)


def test_clients_of_one_group_share_their_cells() -> None:
    twin = pod("c-2", "cli", "10.2.0.2")
    mtls = world(twin)
    rows = {name: [mtls.objects.peers[f"cli/{name}"]] for name in ("c-1", "c-2")}
    found = matrix(mtls, rows, [COLUMN])
    assert found.cells["c-1", COLUMN] is found.cells["c-2", COLUMN]
