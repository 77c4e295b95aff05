"""What a proxy answers on its admin port, in the shapes of Envoy's admin API (snake_case), from terse calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.moments import Json, when

TYPES = "type.googleapis.com/"
_TLS = f"{TYPES}envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


def object_path(kind: str, namespace: str, name: str) -> Json:
    """The metadata by which istiod names the object behind a cluster or route; *kind* in kebab case."""
    path = f"/apis/networking.istio.io/v1/namespaces/{namespace}/{kind}/{name}"
    return {"filter_metadata": {"istio": {"config": path}}}


def tls_socket(certificate: str = "default", san: Iterable[str] = (), sni: str = "") -> Json:
    """A TLS socket: with the workload's certificate (`default`), or plain TLS when *certificate* is ""."""
    own = [{"name": certificate}] if certificate else []
    matchers = [{"san_type": "URI", "matcher": {"exact": one}} for one in san]
    context = {"default_validation_context": {"match_typed_subject_alt_names": matchers}}
    common = {"tls_certificate_sds_secret_configs": own, "combined_validation_context": context}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": _TLS, "common_tls_context": common, "sni": sni},
    }


def cluster(name: str, type: str = "EDS", **fields: Any) -> Json:
    """A cluster as istiod makes it; *fields* as Envoy spells them (`transport_socket=tls_socket()`)."""
    return {"name": name, "type": type, "connect_timeout": "10s", **fields}


def limits(**thresholds: int) -> Json:
    """circuit_breakers with these limits, everything else unlimited."""
    unlimited = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), 4294967295)
    return {"thresholds": [{**unlimited, **thresholds}]}


def route(
    cluster: str = "",
    *,
    prefix: str = "/",
    owner: Json | None = None,
    timeout: str = "0s",
    retries: int = 0,
    **own: Any,
) -> Json:
    """A route to *cluster*; *own* instead of it is `direct_response=…` or `redirect=…`."""
    found: Json = {"match": {"prefix": prefix}, **own}
    if owner:
        found["metadata"] = owner
    if cluster:
        found["route"] = {"cluster": cluster, "timeout": timeout}
        if retries:
            found["route"]["retry_policy"] = {"num_retries": retries, "retry_on": "5xx"}
    return found


def routes(name: str, domains: Iterable[str], *found: Json) -> Json:
    """A route configuration with one virtual host."""
    names = list(domains)
    return {"name": name, "virtual_hosts": [{"name": f"{names[0]}:{name}", "domains": names, "routes": list(found)}]}


def config_dump(
    clusters: Iterable[Json] = (),
    route_configs: Iterable[Json] = (),
    listeners: Iterable[Json] = (),
    endpoints: dict[str, Iterable[str]] | None = None,
    secrets: Iterable[tuple[str, str]] = (),
    rejected: dict[str, str] | None = None,
) -> Json:
    """`/config_dump?include_eds`: *endpoints* by cluster name, *secrets* as (name, `active` or `warming`), *rejected*
    listeners by name with Envoy's message."""
    now = {"last_updated": when(-60)}
    dynamic_listeners: list[Json] = [
        {"name": one.get("name", ""), "active_state": {"listener": one, **now}} for one in listeners
    ]
    for name, details in (rejected or {}).items():
        dynamic_listeners.append({"name": name, "error_state": {"details": details, "last_update_attempt": when(0)}})
    held: Json = {"dynamic_active_secrets": [], "dynamic_warming_secrets": []}
    for name, state in secrets:
        body: Json = {"name": name}
        if state == "active":
            body["tls_certificate"] = {"certificate_chain": {"inline_bytes": "x"}}
        held[f"dynamic_{state}_secrets"].append({"name": name, "secret": body, **now})
    assignments = [
        {
            "endpoint_config": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(one)}} for one in addresses]}],
            }
        }
        for name, addresses in (endpoints or {}).items()
    ]
    return {
        "configs": [
            {
                "@type": f"{TYPES}envoy.admin.v3.ClustersConfigDump",
                "dynamic_active_clusters": [{"cluster": one, **now} for one in clusters],
            },
            {"@type": f"{TYPES}envoy.admin.v3.EndpointsConfigDump", "dynamic_endpoint_configs": assignments},
            {"@type": f"{TYPES}envoy.admin.v3.ListenersConfigDump", "dynamic_listeners": dynamic_listeners},
            {
                "@type": f"{TYPES}envoy.admin.v3.RoutesConfigDump",
                "dynamic_route_configs": [{"route_config": one, **now} for one in route_configs],
            },
            {"@type": f"{TYPES}envoy.admin.v3.SecretsConfigDump", **held},
        ]
    }


def _address(text: str) -> Json:
    host, _, port = text.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def clusters(name: str, hosts: dict[str, Json]) -> Json:
    """`/clusters?format=json` of one cluster; *hosts* by address with what is set of their health."""
    statuses = [
        {"address": _address(address), "health_status": {"eds_health_status": "HEALTHY", **health}, "stats": []}
        for address, health in hosts.items()
    ]
    return {"cluster_statuses": [{"name": name, "host_statuses": statuses}]}


def certificates(uri: str, root: str, until: float = 86_400, since: float = -3600) -> Json:
    """`/certs` of a workload: its identity, the serial number of the root it trusts, its validity in seconds."""
    leaf = {
        "serial_number": "5a",
        "subject_alt_names": [{"uri": uri}],
        "valid_from": when(since),
        "expiration_time": when(until),
    }
    return {"certificates": [{"ca_cert": [{"serial_number": root}], "cert_chain": [leaf]}]}


def server_info(kind: str = "sidecar", pod: str = "", version: str = "1.31.0") -> Json:
    """`/server_info`; *kind* `router` is a gateway."""
    return {
        "version": "9e55/1.36.2/Clean/RELEASE/BoringSSL",
        "state": "LIVE",
        "node": {"id": f"{kind}~10.9.9.9~{pod}~x.svc.cluster.local", "metadata": {"ISTIO_VERSION": version}},
    }
