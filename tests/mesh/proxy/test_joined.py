"""The tables of a proxy that lead to each other."""

from __future__ import annotations

import msgspec

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.proxy import joined_routing as routing
from meshdoctor.mesh.proxy import joined_upstreams as upstreams
from meshdoctor.mesh.proxy.joined_certificates import certificate_rows
from meshdoctor.mesh.proxy.object_json import resource_json
from meshdoctor.model import wants as ask
from meshdoctor.model.envoy.config_dump import ConfigDump, decode_config_dump
from meshdoctor.model.snapshot import PodRef, Snapshot
from tests.screens.shipped import session


def web(name: str) -> tuple[MeshIndex, PodRef, ConfigDump]:
    """The caller's proxy in an incident that ships."""
    opened = session(name)
    inventory = opened.examination().mesh.inventory
    pod = next(each for each in inventory.proxies if each.name.startswith("web-"))
    with opened.mesh([ask.ProxyConfig(pod), ask.ProxyClusters(pod), ask.ProxyCertificates(pod)]) as mesh:
        config = mesh.config(pod)
        assert config is not None
        return mesh, pod, config


def test_every_row_leads_to_rows_that_exist() -> None:
    mesh, pod, config = web("pine")
    listeners = list(routing.listener_rows(config))
    routes = list(routing.route_rows(config))
    clusters = {row.name for row in upstreams.cluster_rows(mesh, pod, config)}
    endpoints = {row.cluster for row in upstreams.endpoint_rows(mesh, pod, config)}
    configs = {row.config for row in routes}
    assert {name for row in listeners if row.leads == routing.ROUTE for name in row.to} <= configs
    assert {name for row in listeners if row.leads == routing.CLUSTER for name in row.to} <= clusters
    assert {name for row in routes for name in row.clusters} <= clusters
    assert endpoints <= clusters
    assert "outbound|80||cart.shop.svc.cluster.local" in endpoints


def test_endpoints_name_their_pod_and_health() -> None:
    mesh, pod, config = web("pine")
    rows = [row for row in upstreams.endpoint_rows(mesh, pod, config) if "|80||cart.shop" in row.cluster]
    assert len(rows) == 2
    assert all(row.usable and row.pod and row.pod.name.startswith("cart-") for row in rows)


def test_an_unready_cluster_has_no_usable_host() -> None:
    mesh, pod, config = web("maple")
    row = next(row for row in upstreams.cluster_rows(mesh, pod, config) if "|80||cart.shop" in row.name)
    assert row.usable == 0


def test_a_cluster_names_the_rule_that_shaped_it() -> None:
    mesh, pod, config = web("pine")
    row = next(row for row in upstreams.cluster_rows(mesh, pod, config) if "|80||cart.shop" in row.name)
    assert row.origin == "DestinationRule shop/cart"
    assert row.tls == "plain"


def test_resources_as_they_stood_in_the_dump() -> None:
    _, _, config = web("pine")
    (raw,) = resource_json(config, "cluster", "outbound|80||cart.shop.svc.cluster.local")
    assert msgspec.json.decode(raw)["name"] == "outbound|80||cart.shop.svc.cluster.local"
    assert resource_json(config, "cluster", "nothing") == []
    assert resource_json(config, "no kind", "nothing") == []


def test_odd_shapes() -> None:
    dump = {
        "configs": [
            {
                "@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump",
                "dynamic_listeners": [
                    {"name": "refused", "error_state": {"details": "duplicate\n listener"}},
                    {
                        "name": "tcp",
                        "warming_state": {
                            "listener": {
                                "name": "tcp",
                                "address": {"socket_address": {"address": "10.0.0.1", "port_value": 9}},
                                "filter_chains": [
                                    {
                                        "filter_chain_match": {"server_names": ["a.b"], "destination_port": 9},
                                        "filters": [
                                            {
                                                "name": "envoy.filters.network.tcp_proxy",
                                                "typed_config": {
                                                    "@type": "type.googleapis.com/"
                                                    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                                                    "weighted_clusters": {
                                                        "clusters": [{"name": "x", "weight": 1}, {"name": "y"}]
                                                    },
                                                },
                                            }
                                        ],
                                    }
                                ],
                            }
                        },
                    },
                ],
            },
            {
                "@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump",
                "dynamic_route_configs": [
                    {
                        "route_config": {
                            "name": "80",
                            "virtual_hosts": [
                                {
                                    "name": "v",
                                    "domains": ["a", "b"],
                                    "routes": [
                                        {"match": {"path": "/x"}, "direct_response": {"status": 418}},
                                        {"match": {"prefix": "/"}, "redirect": {}},
                                        {
                                            "match": {"prefix": "", "headers": [{"name": "h"}]},
                                            "route": {"cluster_header": "to"},
                                        },
                                    ],
                                },
                                {"name": "empty", "domains": ["*"]},
                            ],
                        }
                    }
                ],
            },
        ]
    }
    config = decode_config_dump(msgspec.json.encode(dump))
    refused, tcp = routing.listener_rows(config)
    assert (refused.listener, refused.state, refused.error) == ("refused", "rejected", "duplicate listener")
    assert (tcp.state, tcp.match, tcp.leads, tcp.to) == ("warming", "sni a.b port 9", routing.CLUSTER, ("x", "y"))
    rows = list(routing.route_rows(config))
    assert [row.answer for row in rows] == ["418", "redirect", "cluster of header to", "404"]
    assert [row.match for row in rows] == ["= /x", "/*", "* headers h", "any"]
    assert rows[0].domains == ("a", "b")


def with_secret(config: ConfigDump, name: str) -> ConfigDump:
    """A dump whose Envoy also waits for a secret."""
    waiting = msgspec.json.encode({"dynamic_warming_secrets": [{"name": name, "version_info": "uninitialized"}]})
    sections = dict(config.sections)
    sections["SecretsConfigDump"] = (*sections["SecretsConfigDump"], msgspec.Raw(waiting))
    return ConfigDump(sections)


def test_certificates_are_those_in_use_and_the_secrets_that_are_waited_for() -> None:
    mesh, pod, config = web("pine")
    first, *held = certificate_rows(mesh, pod, with_secret(config, "kubernetes://edge-cert"))
    assert (first.secret, first.kind, first.waits) == ("kubernetes://edge-cert", "", "warming")
    assert {(row.secret, row.kind) for row in held} >= {("default", "chain")}
    assert all(row.serial and row.expires and not row.waits for row in held)


def test_without_certs_the_dumps_own_secrets_are_shown() -> None:
    mesh, pod, config = web("pine")
    leaves = {int(row.serial, 16) for row in certificate_rows(mesh, pod, config) if row.kind == "chain"}
    alone = MeshIndex(Snapshot(mesh.snapshot.info, {}))
    rows = certificate_rows(alone, pod, config)
    assert {int(row.serial, 16) for row in rows if row.kind == "chain"} == leaves
    assert {row.secret for row in rows} == {"default", "ROOTCA"}


def test_hosts_of_a_dump_are_counted_where_clusters_was_not_read() -> None:
    mesh, pod, config = web("maple")
    live = {row.name: row.hosts for row in upstreams.cluster_rows(mesh, pod, config)}
    alone = MeshIndex(Snapshot(mesh.snapshot.info, {}))
    rows = [row for row in upstreams.cluster_rows(alone, pod, config) if row.kind == "EDS"]
    assert config.has("EndpointsConfigDump")
    assert {row.name: row.hosts for row in rows} == {row.name: live[row.name] for row in rows}
    sections = {name: parts for name, parts in config.sections.items() if name != "EndpointsConfigDump"}
    assert {row.usable for row in upstreams.cluster_rows(alone, pod, ConfigDump(sections))} == {None}
