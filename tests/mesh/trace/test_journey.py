from __future__ import annotations

import pytest

from meshdoctor.mesh.trace.journey import UnknownClientError
from tests.mesh.trace.dumps import (
    TLS_INSPECTOR,
    Json,
    cluster,
    dump,
    endpoints,
    listener,
    passthrough,
    rbac,
    tcp_chain,
    to,
    upstream_tls,
    with_tls,
)
from tests.mesh.trace.journeys import ending, follow
from tests.mesh.trace.meshes import (
    CART,
    CART_IP,
    MTLS,
    SIMPLE,
    WEB_IP,
    World,
    certificate,
    client,
    pod,
    server,
    slice_of,
)


@pytest.mark.parametrize("mode", ["STRICT", "PERMISSIVE"])
def test_mtls_arrives(mode: str) -> None:
    found = follow(World(web=client(MTLS), cart=server(mode)))
    assert ending(found) == ("", "application", False)
    assert [hop.chosen for hop in found.hops if hop.step == "filter chain"] == ["#0", "mtls"]


@pytest.mark.parametrize(
    ("tls", "mode", "expected"),
    [
        (None, "PERMISSIVE", ("", "application", False)),
        (None, "DISABLE", ("", "application", False)),
        (None, "STRICT", ("UC", "filter chain", True)),
        (MTLS, "DISABLE", ("UF", "filter chain", True)),
        (SIMPLE, "PERMISSIVE", ("UF", "filter chain", True)),
        (SIMPLE, "STRICT", ("UF", "filter chain", True)),
        (SIMPLE, "DISABLE", ("UF", "filter chain", True)),
    ],
)
def test_the_client_and_the_servers_chains_must_agree(
    tls: Json | None, mode: str, expected: tuple[str, str, bool]
) -> None:
    found = follow(World(web=client(tls), cart=server(mode)))
    assert ending(found) == expected
    if expected[2]:
        assert "DestinationRule shop/cart" in map(str, found.hops[-1].sources)
        assert found.outcome.code == 503


def test_what_the_client_checks_of_the_certificate() -> None:
    world = World(web=client(MTLS), cart=server("STRICT"))
    world.certificates = {"web": certificate("web"), "cart": certificate("cart")}
    assert not follow(world).failing
    world.certificates["cart"] = certificate("cart", root="r2")
    assert "no root certificate in common" in follow(world).outcome.why
    world.certificates["cart"] = certificate("cart", expires="2026-01-01T00:00:00Z")
    assert "expired" in follow(world).outcome.why
    sans = upstream_tls("x", sans=("spiffe://cluster.local/ns/shop/sa/other",), alpn=("istio",))
    world.dumps["web"] = client(sans)
    world.certificates["cart"] = certificate("cart")
    assert "the client expects spiffe://cluster.local/ns/shop/sa/other" in follow(world).outcome.why


@pytest.mark.parametrize(
    ("tls", "mode", "fix"),
    [
        (None, "STRICT", "set tls.mode ISTIO_MUTUAL in DestinationRule shop/cart, or let the server take plain text"),
        (MTLS, "DISABLE", "set tls.mode DISABLE in DestinationRule shop/cart, or let the server take mTLS"),
        (SIMPLE, "PERMISSIVE", "set tls.mode ISTIO_MUTUAL in DestinationRule shop/cart, or remove its tls block"),
        (SIMPLE, "DISABLE", "set tls.mode DISABLE in DestinationRule shop/cart, or remove its tls block"),
    ],
)
def test_the_fix_names_the_rule_and_only_a_policy_that_exists(tls: Json | None, mode: str, fix: str) -> None:
    world = World(web=client(tls), cart=server(mode))
    if mode != "PERMISSIVE":
        spec = {"mtls": {"mode": mode}}
        world.objects["PeerAuthentication"] = [{"metadata": {"name": "all", "namespace": "shop"}, "spec": spec}]
    outcome = follow(world).outcome
    assert outcome.fix.startswith(fix)
    assert ("PeerAuthentication shop/all" in outcome.fix) is (tls is not SIMPLE)
    # Without the policy nobody can be asked to change it.
    world.objects.pop("PeerAuthentication", None)
    assert "PeerAuthentication shop" not in follow(world).outcome.fix


def test_a_certificate_is_no_matter_of_modes() -> None:
    world = World(web=client(MTLS), cart=server("STRICT"))
    world.certificates = {"web": certificate("web"), "cart": certificate("cart", root="r2")}
    assert "old root" in follow(world).outcome.fix
    world.certificates["cart"] = certificate("cart", expires="2026-01-01T00:00:00Z")
    found = follow(world)
    assert "why istiod does not renew it" in found.outcome.fix and "shop/cart" in found.outcome.fix
    assert found.hops[-1].sources == ()


def test_authorization_sees_the_callers_identity() -> None:
    def policy(account: str) -> Json:
        name = f"spiffe://cluster.local/ns/shop/sa/{account}"
        principal = {"authenticated": {"principal_name": {"exact": name}}}
        return rbac("ALLOW", callers={"permissions": [{"any": True}], "principals": [principal]})

    assert not follow(World(web=client(MTLS), cart=server("PERMISSIVE", policy("web")))).failing
    refused = follow(World(web=client(MTLS), cart=server("PERMISSIVE", policy("desk"))))
    assert (refused.outcome.code, refused.hops[-1].step) == (403, "authorization")
    plain = follow(World(web=client(), cart=server("PERMISSIVE", policy("web"))))
    assert "a caller without certificate" in plain.hops[-1].others[0][1]


def test_a_request_that_fails_at_the_client_goes_no_further() -> None:
    found = follow(World(web=client(MTLS, route=to("gone")), cart=server("STRICT")))
    assert (found.outcome.flags, found.hops[-1].step) == ("NC", "cluster")
    assert {hop.where for hop in found.hops} == {"shop/web"}


def test_a_part_that_fails_is_told_last() -> None:
    weights = {"clusters": [{"name": CART, "weight": 9}, {"name": "gone", "weight": 1}]}
    split = {"match": {"prefix": "/"}, "route": {"weighted_clusters": weights}}
    found = follow(World(web=client(MTLS, route=split), cart=server("STRICT")))
    assert found.failing and found.hops[-1].chosen == "gone"
    assert "application" in [hop.step for hop in found.hops]


def test_pods_without_a_sidecar() -> None:
    world = World(web=client(MTLS))
    world.replace(pod("cart", CART_IP, sidecar=False))
    assert "has no sidecar" in follow(world).outcome.why
    world.dumps["web"] = client()
    assert ending(follow(world)) == ("", "application", False)
    # Neither has one.
    world.replace(pod("web", WEB_IP, sidecar=False))
    assert ending(follow(world)) == ("", "application", False)
    # Only the server has one, and it is strict.
    world.dumps = {"cart": server("STRICT")}
    world.replace(pod("cart", CART_IP))
    found = follow(world)
    assert (found.outcome.flags, found.hops[-1].verdict) == ("NR", "fails")
    world.replace(pod("cart", CART_IP, annotations={"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}))
    assert not follow(world).failing


def test_a_service_without_endpoints() -> None:
    world = World()
    world.replace(pod("web", WEB_IP, sidecar=False))
    world.objects["EndpointSlice"] = [slice_of("cart", 8080)]
    found = follow(world)
    assert found.failing and found.hops[-1].step == "endpoint"


def test_an_endpoint_that_no_pod_has() -> None:
    world = World(web=client(MTLS))
    world.objects["Pod"] = [pod("web", WEB_IP)]
    world.objects["EndpointSlice"] = [slice_of("cart", 8080)]
    assert "stale" in follow(world).outcome.why
    # An address of an EndpointSlice need not be a pod's.
    world.objects["EndpointSlice"] = [slice_of("cart", 8080, CART_IP)]
    assert not follow(world).failing


def test_what_envoy_counted_at_the_application() -> None:
    def counted(**counts: int) -> Json:
        address = {"socket_address": {"address": CART_IP, "port_value": 8080}}
        stats = [{"name": name, "value": str(number)} for name, number in counts.items()]
        return {
            "cluster_statuses": [{"name": "inbound|8080||", "host_statuses": [{"address": address, "stats": stats}]}]
        }

    world = World(web=client(MTLS), cart=server("STRICT"))
    world.statuses["cart"] = counted(cx_total=9, cx_connect_fail=9)
    assert "nothing accepts connections" in follow(world).outcome.why
    world.statuses["cart"] = counted(cx_total=9, cx_connect_fail=3)
    assert not follow(world).failing
    http2: Json = {"explicit_http_config": {"http2_protocol_options": {}}}
    kind = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    options = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": kind, **http2}}
    inbound = {"name": "inbound|8080||", "type": "ORIGINAL_DST", "typed_extension_protocol_options": options}
    world.dumps["cart"] = server("STRICT", upstream=inbound)
    world.statuses["cart"] = counted(cx_total=9, rq_total=9, rq_error=9)
    assert follow(world).outcome.flags == "UPE"
    world.statuses["cart"] = counted(cx_total=1, rq_total=9, rq_error=9)
    assert not follow(world).failing


@pytest.mark.parametrize(
    ("settings", "flags"),
    [
        ({"circuit_breakers": {"thresholds": [{"max_connections": 1, "max_pending_requests": 1}]}}, "UO"),
        ({"circuit_breakers": {"thresholds": [{"max_requests": 2}]}}, "UO"),
        ({"circuit_breakers": {"thresholds": [{"max_connections": 100, "max_pending_requests": 10}]}}, ""),
        ({"connect_timeout": "0.001s"}, "UF"),
        ({"connect_timeout": "10s"}, ""),
    ],
)
def test_limits_that_any_caller_meets(settings: Json, flags: str) -> None:
    found = follow(World(web=client(MTLS, **settings), cart=server("STRICT")))
    assert found.outcome.flags == flags
    assert found.failing == bool(flags)
    if flags:
        assert (found.hops[-1].step, found.hops[-1].verdict) == ("cluster", "may fail")


def test_a_network_policy_that_admits_others() -> None:
    world = World(web=client(MTLS), cart=server("STRICT"))
    policy = {
        "metadata": {"name": "only-pay", "namespace": "shop"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "cart"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "pay"}}}]}],
        },
    }
    world.objects["NetworkPolicy"] = [policy]
    found = follow(world)
    assert found.failing and str(found.hops[-1].sources[0]) == "NetworkPolicy shop/only-pay"
    policy["spec"]["ingress"] = [{}]  # type: ignore[index]
    assert not follow(world).failing


def test_hosts_that_resolve_nowhere() -> None:
    world = World(web=client(MTLS), cart=server("STRICT"))
    found = follow(world, host="api.nowhere.test")
    assert "only DNS may know" in found.hops[0].why
    assert not found.failing
    entry = {"hosts": ["*.nowhere.test"], "addresses": ["240.0.0.1"]}
    world.objects["ServiceEntry"] = [{"metadata": {"name": "x", "namespace": "shop"}, "spec": entry}]
    assert follow(world, host="api.nowhere.test").hops[0].chosen == "240.0.0.1"


def test_nobody_is_the_client() -> None:
    with pytest.raises(UnknownClientError):
        follow(World(), client="nobody")


def test_an_envoy_without_its_own_certificate() -> None:
    web = client(MTLS)
    secret = {"name": "default", "secret": {"name": "default"}}
    web.sections["SecretsConfigDump"] = dump(secrets={"dynamic_warming_secrets": [secret]}).sections[
        "SecretsConfigDump"
    ]
    found = follow(World(web=web, cart=server("STRICT")))
    assert found.failing and "Secret is not supplied by SDS" in found.outcome.why


def test_a_matcher_tree_is_not_judged() -> None:
    web = dump([listener("0.0.0.0_80", "0.0.0.0", 80, filter_chain_matcher={"matcher_tree": {}})])
    found = follow(World(web=web))
    assert [hop.verdict for hop in found.hops if hop.step == "filter chain"] == ["may match"]
    assert not found.failing


def test_a_caller_that_only_carries_bytes_logs_no_code() -> None:
    target = {**cluster(CART), "transport_socket": MTLS}
    chain = tcp_chain(CART)
    out = [listener("10.96.0.2_80", "10.96.0.2", 80, chain)]
    web = dump(out, [], [target], [endpoints(CART, f"{CART_IP}:8080")])
    deny = rbac("ALLOW", network=True)
    tcp = with_tls(tcp_chain("inbound|8080||", {"transport_protocol": "tls"}, before=[deny]), client=True)
    inbound = listener("virtualInbound", "0.0.0.0", 15006, tcp, listener_filters=[TLS_INSPECTOR])
    denied = dump([inbound], [], [passthrough("inbound|8080||")])
    found = follow(World(web=web, cart=denied), version="")
    assert (found.outcome.layer, found.outcome.flags) == ("tcp", "")
    assert found.outcome.details == "rbac_access_denied_matched_policy[none]" and found.failing
    plain = dump(out, [], [cluster(CART)], [endpoints(CART, f"{CART_IP}:8080")])
    reset = follow(World(web=plain, cart=server("STRICT")))
    assert (reset.outcome.layer, reset.outcome.flags, reset.outcome.code) == ("tcp", "UR", None)
