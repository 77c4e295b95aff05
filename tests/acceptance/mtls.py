"""Scores effective mTLS against istiod's own decisions on random meshes, from the objects alone.

A point for each server port's mode, for the mode of all other ports, for the ports that have filter chains of their
own; for each client record's TLS mode with its cluster type, its SNI, its ALPN, its SANs and its endpoints; for each
endpoint's TLS mode; and for each pair's outcome. A pair or an endpoint too many is a miss.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meshdoctor.mesh.mtls import DeclaredMtls
from meshdoctor.mesh.mtls.cluster_tls import default_sni
from meshdoctor.mesh.objects import KINDS, MeshObjects, features
from meshdoctor.model.decode import convert
from meshdoctor.model.istiod import MeshConfig
from meshdoctor.model.kinds import BY_NAME
from meshdoctor.model.meta import Object
from tests.acceptance.scoring import Score

Json = dict[str, Any]
_PROXY = "example.com/proxy"  # the corpus marks WorkloadEntries with a proxy so (its README)


def score(corpus: Path) -> Score:
    """Count as the corpus' README says."""
    tally = _Tally()
    for file in sorted(corpus.glob("*.jsonl.xz")):
        for record in _records(file):
            _world(record, tally)
    return Score("mtls", tally.right, tally.total, tally.misses)


class _Tally:
    def __init__(self) -> None:
        self.right = self.total = 0
        self.misses: list[str] = []

    def count(self, what: str, found: object, truth: object, where: object) -> None:
        self.total += 1
        if found == truth:
            self.right += 1
        else:
            self.misses.append(f"{where} {what}: {found} instead of {truth}")


def _records(file: Path) -> Iterator[Json]:
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def load(record: Json) -> MeshObjects:
    """The objects of one record of the corpus."""
    by_kind: dict[str, list[Object]] = {kind: [] for kind in KINDS}
    for item in record["objects"]:
        by_kind.setdefault(item["kind"], []).append(convert(item, BY_NAME[item["kind"]].struct))
    machines = by_kind.get("WorkloadEntry", [])
    return MeshObjects(
        by_kind,
        convert(record["mesh"], MeshConfig),
        features(record.get("env") or {}),
        machines_with_proxy=frozenset(m.key for m in machines if m.metadata.annotations.get(_PROXY) == "true"),
    )


def _world(record: Json, tally: _Tally) -> None:
    mtls = DeclaredMtls(load(record))
    for server in record["truth"]["server"]:
        _server(mtls, server, tally, record["id"])
    outcomes = {tuple(pair[:5]): pair[5] for pair in record["truth"]["pairs"]}
    for client in record["truth"]["client"]:
        _client(mtls, client, outcomes, tally, record["id"])
    for pair in outcomes:
        tally.count("pair", None, outcomes[pair], (record["id"], *pair))


def _server(mtls: DeclaredMtls, truth: Json, tally: _Tally, world: str) -> None:
    where = (world, truth["pod"])
    peer = mtls.objects.peers[truth["pod"]]
    tally.count("proxy", "none" if peer.proxy == "none" else "sidecar", truth["proxy"], where)
    if truth["proxy"] == "none":
        return
    found = mtls.servers.of(peer)
    for port, mode in truth["ports"].items():
        tally.count(f"port {port}", mtls.server_mode(peer.key, int(port)).mode, mode, where)
    tally.count("other ports", found.other.mode, truth["other"], where)
    own = sorted(port for port, mode in found.ports.items() if mode.own_chain)
    tally.count("own chains", own, sorted(truth.get("chains", [])), where)


def _client(mtls: DeclaredMtls, truth: Json, outcomes: dict[Any, str], tally: _Tally, world: str) -> None:
    key = (truth["from"], truth["host"], truth["port"], truth["subset"])
    where = (world, *key)
    found = mtls.client_tls(*key)
    tally.count("mode", (found.tls, found.cluster_type), (truth["tls"], truth.get("type", "")), where)
    sni = truth.get("sni", "")
    sni = default_sni(*key[1:]) if sni == "=" else sni
    tally.count("SNI", (found.sni, found.auto_sni), (sni, truth.get("autoSni", False)), where)
    tally.count("ALPN", list(found.alpn), truth.get("alpn", []), where)
    tally.count("SANs", list(found.sans), truth.get("sans", []), where)
    endpoints = {entry.endpoint.name: entry.tls for entry in found.endpoints}
    expected = dict(truth["eps"])
    for name in sorted({*endpoints, *expected}):
        tally.count(f"endpoint {name}", endpoints.get(name), expected.get(name), where)
    for pair in mtls.pairs(*key):
        expectation = outcomes.pop((*key, pair.endpoint.endpoint.name), None)
        tally.count("pair", pair.outcome, expectation, (*where, pair.endpoint.endpoint.name))
