"""1,000 proxies behind one API server, 50 of which never answer: nobody waits for them."""

from __future__ import annotations

from pathlib import Path

from meshdoctor.kube.fanout import Job, Read, Unread, fan_out
from meshdoctor.kube.podhttp import PodHttp
from meshdoctor.kube.settings import FanOut
from meshdoctor.model.snapshot import PodRef
from tests.live.apiserver import running_api_server
from tests.live.conftest import connect
from tests.live.pod_servers import answering, hanging, running_pod_servers

PODS = 1000
EVERY = 20


async def test_a_thousand_pods_of_which_fifty_hang(tmp_path: Path) -> None:
    # A patient floor: on a busy machine a healthy answer may take seconds, and is no straggler for it.
    limits = FanOut(deadline=60, new_per_second=10_000, straggler_floor=8)
    jobs = [Job(PodRef("shop", f"web-{number}"), f"node-{number % 50}") for number in range(PODS)]
    healthy = answering({"/server_info": b'{"state":"LIVE"}'})
    # Without TLS: the handshakes of a thousand websockets in one process would be most of this test.
    with running_api_server(tls=False) as api, running_pod_servers(healthy, hanging) as (alive, dead):
        for number in range(PODS):
            api.ports["shop", f"web-{number}", 15000] = dead if number % EVERY == 0 else alive
        async with connect(api, tmp_path) as connection:
            pods = PodHttp(connection)
            results = await fan_out(
                jobs, lambda pod, _: pods.get(pod, "envoy", "/server_info", deadline=limits.deadline), limits
            )
    read = [result for result in results if isinstance(result, Read)]
    unread = [result for result in results if isinstance(result, Unread)]
    silent = {f"web-{number}" for number in range(0, PODS, EVERY)}
    assert silent <= {result.pod.name for result in unread}
    assert len(read) >= PODS - 2 * len(silent)  # on a busy machine a few that answer are late, too
    assert {result.reason for result in unread} <= {"timeout", "node"}
    assert max(result.seconds for result in unread) < limits.deadline / 2  # cut when the others had answered
    assert api.most_sockets <= limits.most + limits.parked + 8  # places, parked, and some that are being closed
