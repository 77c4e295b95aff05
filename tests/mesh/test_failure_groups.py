from __future__ import annotations

from typing import Any

from meshdoctor.mesh.failure_groups import count_successes, group_failures, group_ztunnel_failures
from meshdoctor.model.accesslog import AccessLine
from meshdoctor.model.ztunnellog import ZtunnelLine


def lines(*rows: dict[str, Any]) -> list[AccessLine]:
    return [AccessLine(line=number, **row) for number, row in enumerate(rows, start=1)]


def test_equal_failures_are_one_group_whatever_the_order_of_flags() -> None:
    log = lines(
        {"code": 503, "flags": ("URX", "UF"), "start": 20.0},
        {"code": 503, "flags": ("UF", "URX"), "start": 10.0},
        {"code": 503, "flags": ("UF",), "start": None},
        {"code": 200},
    )
    both, single = group_failures(log)
    assert (both.count, both.first, both.last, both.example.line) == (2, 10.0, 20.0, 1)
    assert (single.count, single.first, single.last) == (1, None, None)
    assert count_successes(log) == {200: 1}


def test_worst_first() -> None:
    denied = {"code": 403, "details": "rbac_access_denied_matched_policy[none]"}
    gone = {"code": 0, "flags": ("DC",), "details": "downstream_remote_disconnect"}
    failed = {"code": 503, "flags": ("UH",), "details": "no_healthy_upstream"}
    often = {"code": 200, "flags": ("UF",)}
    found = group_failures(lines(gone, gone, gone, denied, denied, failed, often, often))
    assert [(group.example.code, group.count) for group in found] == [(200, 2), (503, 1), (403, 2), (0, 3)]


def test_ztunnel_failures_by_destination_and_error() -> None:
    log = [
        ZtunnelLine(line=1, time=1.0, direction="inbound", dst_service="a.b", error="io error"),
        ZtunnelLine(line=2, time=2.0, direction="inbound", dst_service="c.d", error="io error"),
        ZtunnelLine(line=3, time=3.0, direction="inbound", dst_service="c.d", error="io error"),
        ZtunnelLine(line=4, time=4.0, direction="inbound", dst_service="c.d"),
    ]
    first, second = group_ztunnel_failures(log)
    assert (first.count, first.first, first.last, first.example.line) == (2, 2.0, 3.0, 2)
    assert second.count == 1
