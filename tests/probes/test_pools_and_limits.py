"""connection-pool and connection-limit: what a proxy takes no more of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.envoy_dumps import config_dump, limits, object_path
from tests.kube_objects import istio
from tests.probes.depot import APP, HOST, LEDGER, PICKER, RESET, Depot, accuses, causes, is_open, spares

# -- connection-pool


def overflown(depot: Depot, server: bool = False) -> Depot:
    for at in range(100, 106):
        details = "upstream_reset_before_response_started{overflow}"
        if server:
            depot.request(at, 503, server={"flags": "UO", "details": details})
        else:
            depot.request(at, 503, "UO", details, upstream="-")
    return depot


POOL = {"host": HOST, "trafficPolicy": {"connectionPool": {"http": {"http1MaxPendingRequests": 1}}}}


def test_the_callers_pool_overflows(tmp_path: Path) -> None:
    owner = object_path("destination-rule", "books", "narrow")
    breakers = limits(max_pending_requests=1, max_connections=2)
    depot = overflown(Depot(tmp_path).configured(circuit_breakers=breakers, metadata=owner))
    finding = depot.ask("connection-pool")
    verdict = accuses(finding, "client-pool-overflow", "DestinationRule books/narrow")
    assert "max connections 2, max pending requests 1" in verdict.evidence[1].says
    spares(finding, "server-pool-overflow")


def test_the_callers_pool_overflows_and_its_configuration_was_not_read(tmp_path: Path) -> None:
    depot = overflown(Depot(tmp_path))
    assert accuses(depot.ask("connection-pool"), "client-pool-overflow").confidence < 0.8
    depot.objects("DestinationRule", istio("narrow", "books", POOL))
    accuses(depot.ask("connection-pool"), "client-pool-overflow", "DestinationRule books/narrow")


def test_a_rule_without_a_pool_is_not_accused_of_an_overflow(tmp_path: Path) -> None:
    depot = overflown(Depot(tmp_path))
    depot.objects("DestinationRule", istio("tls-only", "books", {"host": HOST, "trafficPolicy": {"tls": {}}}))
    is_open(depot.ask("connection-pool"))


def test_the_servers_pool_overflows(tmp_path: Path) -> None:
    depot = overflown(Depot(tmp_path), server=True)
    spec = {"workloadSelector": {"labels": APP}, "inboundConnectionPool": {"http": {"http2MaxRequests": 1}}}
    depot.objects("Sidecar", istio("small", "books", spec), istio("scope", "depot", {"egress": [{"hosts": ["*/*"]}]}))
    finding = depot.ask("connection-pool")
    accuses(finding, "server-pool-overflow", "Sidecar books/small")
    spares(finding, "client-pool-overflow")


def test_the_servers_pool_overflows_and_its_object_was_not_read(tmp_path: Path) -> None:
    depot = overflown(Depot(tmp_path), server=True)
    assert accuses(depot.ask("connection-pool"), "server-pool-overflow").confidence < 0.8
    is_open(depot.objects("Sidecar").objects("DestinationRule").ask("connection-pool"))


# -- connection-limit


def limited(depot: Depot, filters: list[Any]) -> Depot:
    for at in range(100, 106):
        depot.request(at, 503, "UC", RESET)
    listener = {"name": "virtualInbound", "filter_chains": [{"filters": filters}]}
    depot.proxy(LEDGER, config_dump=config_dump(listeners=[listener]))
    patch = {"configPatches": [{"patch": {"value": {"name": "envoy.filters.network.connection_limit"}}}]}
    return depot.objects("EnvoyFilter", istio("doorman", "books", {"workloadSelector": {"labels": APP}, **patch}))


LIMIT = [{"name": "envoy.filters.network.connection_limit"}]


@pytest.mark.parametrize("reason", ["connection_timeout", "remote_connection_failure|x:_Connection_refused"])
def test_a_connection_that_was_never_there_met_no_limit(tmp_path: Path, reason: str) -> None:
    depot = limited(Depot(tmp_path), LIMIT)
    depot.drop(f"logs/{PICKER}")
    for at in range(100, 106):
        details = f"upstream_reset_before_response_started{{{reason}}}"
        depot.request(at, 503, "UF,URX", details, duration=10000)
    spares(depot.ask("connection-limit"))


def test_a_connection_limit(tmp_path: Path) -> None:
    accuses(limited(Depot(tmp_path), LIMIT).ask("connection-limit"), "connection-limit", "EnvoyFilter books/doorman")


def test_resets_of_a_proxy_without_a_limit(tmp_path: Path) -> None:
    spares(limited(Depot(tmp_path), []).ask("connection-limit"))


def test_a_limit_whose_configuration_was_not_read(tmp_path: Path) -> None:
    depot = limited(Depot(tmp_path), LIMIT).drop("envoy/")
    spares(depot.ask("connection-limit"))
    assert "connection-limit" not in causes(depot.diagnose())
