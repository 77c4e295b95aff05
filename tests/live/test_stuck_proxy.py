"""A proxy that gives no answer at all, among others whose whole configuration is read."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from meshdoctor.kube.settings import FanOut, Settings
from meshdoctor.kube.target import ClusterFlags, resolve_target
from meshdoctor.model.snapshot import Missing, PodRef
from meshdoctor.model.wants import ProxyConfig
from meshdoctor.sources.live import LiveSource
from tests.live.apiserver import running_api_server
from tests.live.conftest import small_mesh
from tests.live.pod_servers import answering, hanging, running_pod_servers

PODS = 12
SETTINGS = Settings(fan_out=FanOut(deadline=60, dump_straggler_floor=0.5))
STATS = b'{"stats":[{"name":"cluster_manager.active_clusters","value":3}]}'


def test_nobody_waits_for_it(tmp_path: Path) -> None:
    answers = {"/stats": STATS, "/memory": b"{}", "/config_dump": b'{"configs":[]}'}
    with (
        running_api_server(small_mesh(PODS)) as api,
        running_pod_servers(answering(answers), hanging) as (alive, stuck),
    ):
        for number in range(1, PODS + 1):
            api.ports["shop", f"web-{number}", 15000] = stuck if number == 5 else alive
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(api.kubeconfig()))
        target = resolve_target(ClusterFlags(kubeconfig=str(path)), {"HOME": str(tmp_path)})
        wants = {n: ProxyConfig(PodRef("shop", f"web-{n}")) for n in range(1, PODS + 1)}
        with LiveSource(target, SETTINGS, environment={}) as source:
            found = source.read(wants.values())
    silent = found.get(wants[5])
    assert isinstance(silent, Missing)
    assert silent.reason == "timeout"
    waited = re.search(r"no complete answer in ([\d.]+) s", silent.detail)
    assert waited is not None
    assert float(waited[1]) < SETTINGS.fan_out.deadline / 2
    assert all(found.value(want) is not None for number, want in wants.items() if number != 5)
