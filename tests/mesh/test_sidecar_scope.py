from __future__ import annotations

import pytest

from tests.mesh.mtls_world import HOST, Json, objects, service, thing

ENTRY = {
    "hosts": ["api.example.com"],
    "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
    "resolution": "DNS",
}


def known(*found: Json, labels: dict[str, str] | None = None, proxy: str = "sidecar") -> dict[str, list[int]]:
    """The hosts in a client's scope with their ports."""
    scope = objects(service(), service("t", "other"), *found).sidecar_scopes.of("cli", labels or {}, proxy)
    return {host: [port.number for port in own.ports] for host, own in sorted(scope.services.items())}


def egress(*hosts: str, name: str = "default", namespace: str = "cli", **spec: object) -> Json:
    return thing("Sidecar", name, namespace, {"egress": [{"hosts": list(hosts)}], **spec})


T = "t.other.svc.cluster.local"


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (["*/*"], [HOST, T]),
        (["srv/*"], [HOST]),
        (["./*"], []),
        (["~/*"], []),
        (["*/t.other.svc.cluster.local"], [T]),
        (["srv/*.srv.svc.cluster.local", "other/x.other.svc.cluster.local"], [HOST]),
        (["not-a-pair"], []),
    ],
)
def test_egress_hosts_limit_what_a_proxy_knows(hosts: list[str], expected: list[str]) -> None:
    assert list(known(egress(*hosts))) == expected


def test_without_a_sidecar_object_everything_exported_is_known() -> None:
    assert list(known()) == [HOST, T]


def test_a_selector_beats_the_namespace_and_the_namespace_beats_the_root() -> None:
    root = egress("other/*", namespace="istio-system")
    own, selected = egress("srv/*"), egress("~/*", name="sel", workloadSelector={"labels": {"app": "c"}})
    assert list(known(root)) == [T]
    assert list(known(root, own)) == [HOST]
    assert list(known(root, own, selected, labels={"app": "c"})) == []
    assert list(known(root, own, proxy="gateway")) == [HOST, T]


def test_an_egress_port_keeps_only_that_port() -> None:
    two = service(ports=[{"name": "http", "port": 80}, {"name": "tcp", "port": 81}])
    listener = {"hosts": ["*/*"], "port": {"number": 81, "protocol": "TCP", "name": "tcp"}}
    scope = objects(two, thing("Sidecar", "default", "cli", {"egress": [listener]})).sidecar_scopes.of(
        "cli", {}, "sidecar"
    )
    assert [port.number for port in scope.services[HOST].ports] == [81]


def test_an_imported_virtual_service_brings_its_destinations_along() -> None:
    routes = [{"route": [{"destination": {"host": T, "port": {"number": 80}}}]}]
    virtual = thing("VirtualService", "v", "srv", {"hosts": ["s"], "http": routes})
    assert list(known(egress("srv/*"), virtual)) == [HOST, T]
    bound = thing("VirtualService", "v", "srv", {"hosts": ["s"], "http": routes, "gateways": ["edge"]})
    assert list(known(egress("srv/*"), bound)) == [HOST]


def test_of_one_host_in_two_namespaces_the_clients_own_is_taken() -> None:
    theirs, own = thing("ServiceEntry", "e", "other", ENTRY, at=1), thing("ServiceEntry", "e", "cli", ENTRY, at=9)
    scope = objects(theirs, own).sidecar_scopes.of("cli", {}, "sidecar")
    assert scope.services["api.example.com"].service.namespace == "cli"


def test_two_entries_of_one_namespace_and_host_give_one_service_with_all_ports() -> None:
    second = {**ENTRY, "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}]}
    found = known(thing("ServiceEntry", "a", "cli", ENTRY), thing("ServiceEntry", "b", "cli", second))
    assert found["api.example.com"] == [80, 443]
