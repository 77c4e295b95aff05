"""What was read of a cluster earlier, as it is kept to be compared."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from meshdoctor.errors import UsageError
from meshdoctor.guide.comparison import compare_readings
from meshdoctor.model import wants as ask
from meshdoctor.model.envoy.config_dump import decode_config_dump
from meshdoctor.model.kubernetes import Service
from meshdoctor.model.snapshot import Fact, Origin, PodRef, Snapshot, SourceInfo, Want
from meshdoctor.tui.livefacts import LiveFacts
from meshdoctor.tui.livereadings import KEPT, LiveReadings
from tests.envoy_dumps import cluster, config_dump
from tests.kube_objects import service

START = 1_772_532_300.0
PICKER = PodRef("depot", "picker-1")


def snapshot(at: float, *services: str, dump_at: float | None = None) -> Snapshot:
    """These services in namespace books; *dump_at*: when picker-1's configuration was read."""
    objects = [msgspec.convert(service(name, "books", "10.96.0.1", [(80, "http", 80)]), Service) for name in services]
    facts: dict[Want[Any], Any] = {
        ask.Contents(): Fact(ask.Inventory(proxies=(PICKER,)), Origin("", at)),
        ask.Objects("Service"): Fact(tuple(objects), Origin("", at)),
        ask.LogText(ask.LogRef(PICKER, "istio-proxy")): Fact("long", Origin("", at)),
    }
    if dump_at is not None:
        body = msgspec.json.encode(config_dump(clusters=[cluster("outbound|80||ledger.books.svc.cluster.local")]))
        facts[ask.ProxyConfig(PICKER)] = Fact(decode_config_dump(body), Origin("", dump_at))
    return Snapshot(SourceInfo("cluster", "test"), facts)


def readings() -> LiveReadings:
    return LiveReadings(cast(LiveFacts, None), lambda: START, lambda: "")


def test_what_changed_between_two_readings() -> None:
    kept = readings()
    kept.keep(START, snapshot(START, "ledger", "cart"))
    with pytest.raises(UsageError, match="the first reading"):
        kept.comparable(now=False, renew=False)
    kept.keep(START + 60, snapshot(START + 60, "ledger", "till"))
    first, second = kept.comparable(now=False, renew=False)
    before, after = kept.of(first), kept.of(second)
    changes = compare_readings(before, after)
    assert [(one.change, one.subject, one.name) for one in changes] == [
        ("removed", "Service", "books/cart"),
        ("added", "Service", "books/till"),
    ]
    ledgers = [next(iter(one.mesh.snapshot.value(ask.Objects("Service")) or ())) for one in (before, after)]
    assert ledgers[0] is ledgers[1]  # held once
    assert not after.mesh.snapshot.has(ask.LogText(ask.LogRef(PICKER, "istio-proxy")))
    with pytest.raises(UsageError, match="nothing was read at"):
        kept.of("2020-01-01T00:00:00Z")


def test_an_old_configuration_is_no_proof_that_nothing_changed() -> None:
    kept = readings()
    kept.keep(START, snapshot(START, "ledger", dump_at=START + 2))
    kept.keep(START + 600, snapshot(START + 600, "ledger", dump_at=START + 2))
    first, second = kept.names
    (change,) = compare_readings(kept.of(first), kept.of(second))
    assert (change.change, change.details) == ("unknown", ("depot/picker-1",))


def test_the_first_and_the_latest_are_kept() -> None:
    kept = readings()
    for number in range(KEPT + 3):
        kept.keep(START + 60 * number, snapshot(START + 60 * number, "ledger"))
    assert len(kept.names) == KEPT
    assert kept.names[0] == "2026-03-03T10:05:00Z"
    assert kept.names[-1] == "2026-03-03T10:13:00Z"
    kept.keep(START + 60 * (KEPT + 2), snapshot(START, "till"))
    assert len(kept.names) == KEPT  # the same time again
    kept.forget()
    assert kept.names == ()
