"""Small Envoy configurations, written as Envoy prints them."""

from __future__ import annotations

import json
from typing import Any

from meshdoctor.mesh.trace.proxy import Proxy
from meshdoctor.mesh.trace.request import Request
from meshdoctor.model.envoy.config_dump import ConfigDump, decode_config_dump

Json = dict[str, Any]
_ADMIN = "type.googleapis.com/envoy.admin.v3."
_NETWORK = "type.googleapis.com/envoy.extensions.filters.network."
_HTTP = "type.googleapis.com/envoy.extensions.filters.http."


def dump(
    listeners: list[Json] = [],  # noqa: B006 - never changed
    routes: list[Json] = [],  # noqa: B006
    clusters: list[Json] = [],  # noqa: B006
    endpoints: list[Json] = [],  # noqa: B006
    secrets: Json | None = None,
) -> ConfigDump:
    """A config dump with these resources, all active."""
    sections = [
        _section("Clusters", dynamic_active_clusters=[{"cluster": each} for each in clusters]),
        _section(
            "Listeners",
            dynamic_listeners=[{"name": each["name"], "active_state": {"listener": each}} for each in listeners],
        ),
        _section("Routes", dynamic_route_configs=[{"route_config": each} for each in routes]),
        _section("Endpoints", dynamic_endpoint_configs=[{"endpoint_config": each} for each in endpoints]),
    ]
    if secrets is not None:
        sections.append(_section("Secrets", **secrets))
    return decode_config_dump(json.dumps({"configs": sections}).encode())


def _section(name: str, **content: Any) -> Json:
    return {"@type": f"{_ADMIN}{name}ConfigDump", **content}


def listener(name: str, ip: str, port: int, *chains: Json, **more: Any) -> Json:
    address = {"socket_address": {"address": ip, "port_value": port}}
    return {"name": name, "address": address, "filter_chains": list(chains), **more}


def tcp_chain(cluster: str, match: Json | None = None, name: str = "", before: list[Json] | None = None) -> Json:
    config = {"@type": f"{_NETWORK}tcp_proxy.v3.TcpProxy", "stat_prefix": "x", "cluster": cluster}
    filters = [*(before or []), {"name": "envoy.filters.network.tcp_proxy", "typed_config": config}]
    return {"name": name, "filter_chain_match": match or {}, "filters": filters}


def http_chain(
    routes: str | Json, match: Json | None = None, name: str = "", http_filters: list[Json] | None = None, **more: Any
) -> Json:
    """A chain with a connection manager; *routes* is the name of an RDS configuration or an inline one."""
    config: Json = {"@type": f"{_NETWORK}http_connection_manager.v3.HttpConnectionManager", **more}
    config["http_filters"] = [*(http_filters or []), {"name": "envoy.filters.http.router"}]
    config |= {"rds": {"route_config_name": routes}} if isinstance(routes, str) else {"route_config": routes}
    entry = {"name": "envoy.filters.network.http_connection_manager", "typed_config": config}
    return {"name": name, "filter_chain_match": match or {}, "filters": [entry]}


def with_tls(chain: Json, alpn: list[str] | None = None, client: bool = False, secret: str = "default") -> Json:
    context = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": alpn or [],
            "tls_certificate_sds_secret_configs": [{"name": secret}],
        },
        "require_client_certificate": client,
    }
    return {**chain, "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}


def upstream_tls(sni: str, *, certificate: bool = True, sans: tuple[str, ...] = (), alpn: tuple[str, ...] = ()) -> Json:
    common: Json = {"alpn_protocols": list(alpn)}
    if certificate:
        common["tls_certificate_sds_secret_configs"] = [{"name": "default"}]
    if sans:
        names = [{"exact": name} for name in sans]
        common["combined_validation_context"] = {"default_validation_context": {"match_subject_alt_names": names}}
    context = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": sni,
        "common_tls_context": common,
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def routes(name: str, *hosts: Json, **more: Any) -> Json:
    return {"name": name, "virtual_hosts": list(hosts), "ignore_port_in_host_matching": True, **more}


def host(name: str, domains: list[str], *entries: Json, **more: Any) -> Json:
    return {"name": name, "domains": domains, "routes": list(entries), **more}


def to(cluster: str, match: Json | None = None, name: str = "", **more: Any) -> Json:
    return {"name": name, "match": match or {"prefix": "/"}, "route": {"cluster": cluster, **more}}


def cluster(name: str, **more: Any) -> Json:
    return {"name": name, "type": "EDS", "eds_cluster_config": {"service_name": name}, **more}


def passthrough(name: str = "PassthroughCluster") -> Json:
    return {"name": name, "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED"}


def endpoints(name: str, *addresses: str, health: str = "HEALTHY", labels: Json | None = None) -> Json:
    found = []
    for address in addresses:
        ip, _, port = address.rpartition(":")
        entry: Json = {
            "endpoint": {"address": {"socket_address": {"address": ip, "port_value": int(port)}}},
            "health_status": health,
        }
        if labels:
            entry["metadata"] = {"filter_metadata": {"envoy.transport_socket_match": labels}}
        found.append(entry)
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": found}]}


def rbac(action: str, network: bool = False, **policies: Json) -> Json:
    kind = f"{_NETWORK}rbac.v3.RBAC" if network else f"{_HTTP}rbac.v3.RBAC"
    name = "envoy.filters.network.rbac" if network else "envoy.filters.http.rbac"
    named = {f"ns[shop]-policy[{policy}]-rule[0]": rules for policy, rules in policies.items()}
    return {"name": name, "typed_config": {"@type": kind, "rules": {"action": action, "policies": named}}}


def istio(kind: str, namespace: str, name: str) -> Json:
    config = f"/apis/networking.istio.io/v1/namespaces/{namespace}/{kind}/{name}"
    return {"filter_metadata": {"istio": {"config": config}}}


HTTP_INSPECTOR = {"name": "envoy.filters.listener.http_inspector"}
TLS_INSPECTOR = {"name": "envoy.filters.listener.tls_inspector"}


def one_route_table(*hosts: Json, **manager: Any) -> Proxy:
    """A gateway-like Envoy: port 80, one plain chain, these virtual hosts; clusters `a`, `b` and an empty `void`."""
    chain = http_chain(routes("80", *hosts), normalize_path=True, **manager)
    return Proxy(
        dump(
            [listener("0.0.0.0_80", "0.0.0.0", 80, chain)],
            [],
            [cluster("a"), cluster("b"), cluster("void"), passthrough()],
            [endpoints("a", "10.0.0.1:8080", "10.0.0.2:8080"), endpoints("b", "10.0.0.3:8080"), endpoints("void")],
        )
    )


def get(authority: str | None = "shop.test", path: str = "/", **more: Any) -> Request:
    """A plain request to port 80 of a gateway."""
    return Request(
        **{"direction": "gateway", "ip": "10.9.9.9", "port": 80, "authority": authority, "path": path, **more}
    )
