from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.model.ztunnellog import parse_ztunnel_log

REFUSED = (
    "2026-11-23T11:32:54.100000Z\terror\taccess\tconnection complete\tsrc.addr=10.244.5.1:51360"
    ' src.workload="front-7d" src.namespace="a" src.identity="spiffe://mesh.example/ns/a/sa/front"'
    ' dst.addr=10.244.4.240:15008 dst.hbone_addr=10.244.4.240:8080 dst.service="back.b.svc.cluster.local"'
    ' direction="outbound" bytes_sent=7 bytes_recv=0 duration="12ms" error="connection failed: \\"no\\" (os error 111)"'
)
EARLY = (
    "2026-11-23T11:32:47.424990Z\twarn\taccess\tconnection failed\tsrc.addr=10.244.5.1:44028 dst.addr=10.96.0.1:80"
    ' direction="outbound" error="no healthy upstream: 10.96.0.1:80"'
)


def test_a_failed_connection() -> None:
    (line,) = parse_ztunnel_log(REFUSED).lines
    assert line.time == 1795433574.1
    assert (line.level, line.message, line.direction) == ("error", "connection complete", "outbound")
    assert (line.src_workload, line.src_namespace) == ("front-7d", "a")
    assert line.src_identity == "spiffe://mesh.example/ns/a/sa/front"
    assert (line.dst_addr, line.dst_hbone_addr) == ("10.244.4.240:15008", "10.244.4.240:8080")
    assert (line.dst_service, line.dst_workload) == ("back.b.svc.cluster.local", None)
    assert (line.bytes_sent, line.bytes_recv, line.duration) == (7, 0, 12.0)
    assert line.error == 'connection failed: "no" (os error 111)'
    assert line.failed


def test_early_denials_prefixes_and_json() -> None:
    (early,) = parse_ztunnel_log(EARLY).lines
    assert (early.level, early.duration, early.error) == ("warn", None, "no healthy upstream: 10.96.0.1:80")
    time = "2026-11-23T11:32:47.5Z "
    for prefix in (f"{time}stdout F ", time, "[pod/ztunnel-x/istio-proxy] ", "ztunnel-x istio-proxy ", "ztunnel-x | "):
        assert parse_ztunnel_log(prefix + EARLY).lines == (early,), prefix
    document = {
        "level": "warn",
        "time": "2026-11-23T11:32:47.424990Z",
        "scope": "access",
        "message": "connection failed",
        "src.addr": "10.244.5.1:44028",
        "dst.addr": "10.96.0.1:80",
        "direction": "outbound",
        "error": "no healthy upstream: 10.96.0.1:80",
    }
    assert parse_ztunnel_log(json.dumps(document)).lines == (early,)


def test_the_rest_is_counted() -> None:
    own = "2026-11-23T11:31:40.356880Z\tinfo\txds:xds{id=1}\thandling RBAC update by-path\t"
    log = parse_ztunnel_log(f"{own}\n\nsomething\n{EARLY}\n")
    assert log.skipped == {"ztunnel": 1, "blank": 1, "other": 1}
    assert log.lines[0].line == 4


def test_control_characters_are_shown() -> None:
    assert parse_ztunnel_log(EARLY.replace("no healthy", "\x1b[0m")).lines[0].error == "␛[0m upstream: 10.96.0.1:80"


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ('"12ms"', 12.0),
        ('"1.5s"', 1500.0),
        ('"250µs"', 0.25),
        ('"1m2s"', 62000.0),
        ("7", 7.0),
        ('"7"', 7.0),
        ('"?"', None),
    ],
)
def test_durations(written: str, milliseconds: float | None) -> None:
    found = parse_ztunnel_log(f'{{"scope":"access","message":"connection complete","duration":{written}}}').lines[0]
    assert found.duration == (None if milliseconds is None else pytest.approx(milliseconds))


def every_line_counts(text: str | bytes) -> bool:
    """Whether every line of *text* was read, or counted as something else."""
    log = parse_ztunnel_log(text)
    newlines = text.count("\n") if isinstance(text, str) else text.count(b"\n")
    return len(log.lines) + sum(log.skipped.values()) in (newlines, newlines + 1)


@given(st.text(st.characters()) | st.binary())
def test_no_text_is_too_strange(text: str | bytes) -> None:
    assert every_line_counts(text)


@given(st.integers(0, len(REFUSED)), st.text(max_size=5), st.integers(0, len(REFUSED)))
def test_a_damaged_line_never_raises(start: int, middle: str, end: int) -> None:
    assert every_line_counts(REFUSED[:start] + middle + REFUSED[end:])
