"""A gateway behind the called Service: it has a proxy, but no sidecar that mutual TLS is expected of."""

from __future__ import annotations

from pathlib import Path

from tests.envoy_dumps import tls_socket
from tests.kube_objects import istio
from tests.probes.depot import OWNER, Depot, accuses, ledgers, spares
from tests.probes.test_mtls import RULE, handshake


def test_plain_tls_towards_a_gateway_is_not_doubled(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=ledgers(gateway=True))
    depot.configured(transport_socket=tls_socket(certificate=""), metadata=RULE)
    finding = handshake(depot, "WRONG_VERSION_NUMBER").ask("tls-handshake")
    accuses(finding, "tls-origination-wrong", "DestinationRule books/locks")
    spares(finding, "double-tls")


def test_mutual_tls_towards_a_gateway_is_not_decided_by_peer_authentications(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=ledgers(gateway=True)).configured(transport_socket=tls_socket(), metadata=RULE)
    depot.objects("PeerAuthentication", istio("open", "books", {"mtls": {"mode": "DISABLE"}}))
    finding = handshake(depot, "WRONG_VERSION_NUMBER").ask("tls-handshake")
    accuses(finding, "mtls-to-plaintext-server", "DestinationRule books/locks", OWNER)
