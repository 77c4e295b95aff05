"""What a view reads of the proxies is what the table says (`admin_reads.toml`): their main threads are spared."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdoctor.kube.reads import ViewReads, view_reads
from meshdoctor.model.snapshot import PodRef
from tests.live.clusters import Cluster, running, serving, until
from tests.live.recorded_cluster import Asked

# Asked before a large answer, and cheap: how large it would be.
SIZE = {("envoy", "/stats"), ("envoy", "/memory")}
OF_A_POD = {"proxy", "difference"}


@pytest.mark.parametrize("view", view_reads(), ids=lambda view: view.name)
async def test_a_view_reads_what_the_table_says(view: ViewReads, tmp_path: Path) -> None:
    asked: list[Asked] = []
    with serving("cedar", tmp_path, asked) as (api, _):
        cluster = Cluster(api, tmp_path)
        namespace, name, _ = next(key for key in sorted(api.ports) if key[2] == 15000 and key[0] == "shop")
        session = cluster.session()
        start = f"{view.name} {PodRef(namespace, name)}" if view.name in OF_A_POD else view.name
        async with running(session, start=start) as pilot:
            quiet = [0, 0]

            def settled(text: str) -> bool:
                quiet[:] = [quiet[0] + 1, len(asked)] if quiet[1] == len(asked) else [0, len(asked)]
                return "s ago" in text and "reading" not in text and quiet[0] > 20

            await until(pilot, settled)
    pods: dict[tuple[str, str], set[str]] = {}
    for role, pod, path in asked:
        pods.setdefault((role, path), set()).add(pod)
    told = {tuple(word.split(" ")) for word in (*view.every, *view.some)}
    assert set(pods) - SIZE == told
    everybody = {role: {key[1] for key in api.ports if (key[2] == 15014) == (role == "istiod")} for role, _ in pods}
    for role, path in (word.split(" ") for word in view.every):
        assert pods[role, path] == everybody[role]
    for role, path in (word.split(" ") for word in view.some):
        assert role == "istiod" or pods[role, path] < everybody[role]
