"""Without the cluster's objects: what the proxies' own configuration proves, and what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meshdoctor.guide.examination import Examination
from meshdoctor.model.snapshot import Snapshot
from meshdoctor.sources.recording import RecordingSource
from tests.recordings import Recording, access_line

PREFIX = "type.googleapis.com/envoy.admin.v3."
CART = "outbound|80||cart.depot.svc.cluster.local"


def named(name: str, namespace: str = "depot") -> dict[str, Any]:
    return {"filter_metadata": {"istio": {"services": [{"name": name, "namespace": namespace}]}}}


def dump(*clusters: dict[str, Any], endpoints: int = 0) -> dict[str, Any]:
    lb = [
        {"endpoint": {"address": {"socket_address": {"address": f"10.1.0.{n}", "port_value": 80}}}}
        for n in range(endpoints)
    ]
    assignment = {"cluster_name": CART, "endpoints": [{"lb_endpoints": lb}] if lb else []}
    return {"configs": [
        {"@type": f"{PREFIX}ClustersConfigDump", "dynamic_active_clusters": [{"cluster": found} for found in clusters]},
        {"@type": f"{PREFIX}EndpointsConfigDump", "dynamic_endpoint_configs": [{"endpoint_config": assignment}]},
    ]}  # fmt: skip


def server_info(pod: str, app: str) -> dict[str, Any]:
    return {"state": "LIVE", "node": {"id": f"sidecar~10.1.0.1~{pod}.depot~depot.svc.cluster.local",
                                      "metadata": {"LABELS": {"app": app}, "WORKLOAD_NAME": app}}}  # fmt: skip


def world(root: Path, *inbound: dict[str, Any], endpoints: int = 0, server: str = "cart") -> Recording:
    outbound = {"name": CART, "type": "EDS", "metadata": named("cart")}
    recording = Recording(root)
    recording.proxy(
        "depot/web-1", config_dump=dump(outbound, endpoints=endpoints), server_info=server_info("web-1", "web")
    )
    recording.proxy(
        f"depot/{server}-1", config_dump=dump(outbound, *inbound), server_info=server_info(f"{server}-1", server)
    )
    lines = [access_line(n, 503, "UH", "no_healthy_upstream", cluster=CART, authority="cart:80") for n in range(9)]
    return recording.log("depot/web-1", "istio-proxy", *lines)


def diagnosis(recording: Recording) -> Any:
    source = RecordingSource.open(recording.write())
    examination = Examination(source.read, Snapshot(source.info, {}))
    for _ in examination.steps():
        continue
    return examination.diagnosis()


def test_pods_that_istiod_made_no_servers_are_not_selected(tmp_path: Path) -> None:
    other = {"name": "inbound|8080||", "metadata": named("other")}
    for inbound in ((), (other,)):
        (verdict,) = diagnosis(world(tmp_path / str(len(inbound)), *inbound)).verdicts
        assert (verdict.cause, str(verdict.resources[0])) == ("no-endpoints", "Service depot/cart")
        assert verdict.confidence == 0.85


@pytest.mark.parametrize(
    ("inbound", "server"),
    [
        ({"name": "inbound|8080||", "metadata": named("cart")}, "cart"),  # selected, so not ready or another port
        ({"name": "inbound|8080||"}, "cart"),  # a Sidecar's own ingress tells nothing
        ({"name": "inbound|8080||", "metadata": named("other")}, "unrelated"),  # nobody that bears its name was read
    ],
)
def test_anything_less_is_no_proof(tmp_path: Path, inbound: dict[str, Any], server: str) -> None:
    found = diagnosis(world(tmp_path, inbound, server=server))
    assert found.verdicts == ()
    assert any(f"cluster {CART} has no endpoint" in entry.why for entry in found.not_checked)


def test_endpoints_that_are_there_now_prove_nothing_of_before(tmp_path: Path) -> None:
    found = diagnosis(world(tmp_path, endpoints=2))
    assert found.verdicts == ()
    assert any("had no healthy endpoint for a while" in entry.why for entry in found.not_checked)


def test_a_proxy_alone_says_which_cluster_is_empty_and_what_is_missing(tmp_path: Path) -> None:
    recording = world(tmp_path).drop("logs/")
    found = diagnosis(recording)
    told = [entry.why for entry in found.not_checked if CART in entry.why]
    assert told == [
        f"cluster {CART} has no endpoint; nothing more can be said without Service depot/cart, its pods and "
        "EndpointSlices (in depot/cart-1 and 1 more)"
    ]
    assert found.exit_status == 3
