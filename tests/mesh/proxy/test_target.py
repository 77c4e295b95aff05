from __future__ import annotations

from typing import Any

import pytest

from meshdoctor.errors import NothingMatches, UsageError
from meshdoctor.mesh.proxy.target import Places, find_pod, find_pods, labelled_pods
from meshdoctor.model.kubernetes import (
    Condition,
    ContainerStatus,
    Pod,
    PodSpec,
    PodStatus,
    Service,
    ServiceSpec,
)
from meshdoctor.model.meta import Meta
from meshdoctor.model.snapshot import PodRef

WEB = {"app": "web"}


def pod(
    name: str, *, node: str = "n1", phase: str = "Running", ready: str = "", restarts: int = 0, created: str = ""
) -> Pod:
    conditions = [Condition(type="Ready", status="True" if ready else "False", last_transition_time=ready or None)]
    return Pod(
        metadata=Meta(name=name, namespace="shop", labels=WEB, creation_timestamp=created or None),
        spec=PodSpec(node_name=node),
        status=PodStatus(
            phase=phase, conditions=conditions, container_statuses=[ContainerStatus(restart_count=restarts)]
        ),
    )


def places(*pods: Pod) -> Places:
    service = Service(metadata=Meta(name="web", namespace="shop"), spec=ServiceSpec(selector=WEB))
    return Places(pods=pods, services=(service,))


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ({"node": "", "phase": "Running"}, {"phase": "Pending"}),
        ({"phase": "Pending", "ready": "2026-01-01T00:00:00Z"}, {"phase": "Running"}),
        ({"phase": "Unknown"}, {"phase": "Running"}),
        ({"phase": "Succeeded"}, {"phase": "Unknown"}),
        ({}, {"ready": "2026-01-01T00:00:00Z"}),
        ({"ready": "2026-01-02T00:00:00Z", "restarts": 9}, {"ready": "2026-01-01T00:00:00Z"}),
        ({"restarts": 1, "created": "2026-01-01T00:00:00Z"}, {"restarts": 2, "created": "2026-01-02T00:00:00Z"}),
        ({"created": "2026-01-02T00:00:00Z"}, {"created": "2026-01-01T00:00:00Z"}),
        ({}, {"created": "2026-01-01T00:00:00Z"}),
    ],
)
def test_of_a_service_the_pod_that_kubectl_logs_takes(worse: dict[str, Any], better: dict[str, Any]) -> None:
    assert find_pod("svc/web.shop", places(pod("a", **worse), pod("b", **better))).name == "b"
    assert find_pod("svc/web", places(pod("a", **better), pod("b", **worse)), "shop").name == "a"


def test_every_pod_for_the_log_levels() -> None:
    found = places(pod("b"), pod("a", ready="2026-01-01T00:00:00Z"))
    assert [ref.name for ref in find_pods("service/web.shop", found)] == ["a", "b"]
    assert find_pods("b.shop", found) == (PodRef("shop", "b"),)
    assert [ref.name for ref in labelled_pods("app==web", found, "shop")] == ["b", "a"]
    with pytest.raises(NothingMatches, match="no pods found"):
        labelled_pods("app=web", found)
    with pytest.raises(UsageError):
        labelled_pods("app!=web", found)
