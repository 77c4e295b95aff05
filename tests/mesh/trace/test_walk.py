"""The rest of the way through a proxy: clusters, endpoints, and connections before there is a request."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.mesh.trace.explain import trace
from meshdoctor.mesh.trace.outcome import Outcome
from meshdoctor.mesh.trace.proxy import Proxy
from meshdoctor.mesh.trace.request import ClientHello, Request
from meshdoctor.mesh.trace.walk import walk
from meshdoctor.model.decode import decode_json
from meshdoctor.model.envoy.endpoint import ClusterStatuses
from tests.mesh.trace.dumps import (
    HTTP_INSPECTOR,
    cluster,
    dump,
    endpoints,
    get,
    host,
    http_chain,
    listener,
    passthrough,
    routes,
    tcp_chain,
    to,
    with_tls,
)
from tests.mesh.trace.walks import ANY, action, outcome

# -- clusters and endpoints


def test_clusters_and_endpoints() -> None:
    assert outcome(action(route={"cluster": "gone"}), get()) == (503, "NC", "cluster_not_found")
    named = {"cluster": "gone", "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR"}
    assert outcome(action(route=named), get()) == (500, "NC", "cluster_not_found")
    assert outcome(action(route={"cluster": "void"}), get()) == (503, "UH", "no_healthy_upstream")
    header = action(route={"cluster_header": "X-To"})
    assert outcome(header, get()) == (503, "NC", "cluster_not_found")
    assert walk(header, get(headers=(("x-to", "b"),))).main.cluster == "b"


def test_weights_are_shares_and_zero_is_never() -> None:
    weights = [{"name": "a", "weight": 1}, {"name": "b", "weight": 3}, {"name": "gone", "weight": 0}]
    found = walk(action(route={"weighted_clusters": {"clusters": weights}}), get())
    assert [(end.cluster, end.share) for end in found.ends] == [("a", 0.25), ("b", 0.75)]
    weights[2]["weight"] = 4
    proxy = action(route={"weighted_clusters": {"clusters": weights}})
    told = trace(proxy, get())
    assert told.failing and told.outcome.flags == "NC"
    assert any("for 50% of the requests" in hop.why for hop in told.hops if hop.step == "cluster")


def proxy_with(assignment: dict[str, Any], statuses: dict[str, Any] | None = None, **more: Any) -> Proxy:
    chain = http_chain(routes("80", host("all", ["*"], to("a"))))
    body = dump([listener("x", "0.0.0.0", 80, chain)], [], [cluster("a", **more)], [assignment])
    return Proxy(body, decode_json(json.dumps(statuses).encode(), ClusterStatuses) if statuses else None)


NO_PANIC: dict[str, Any] = {"common_lb_config": {"healthy_panic_threshold": {}}}


def test_unhealthy_endpoints_are_passed_over_unless_envoy_panics() -> None:
    sick = endpoints("a", "10.0.0.1:80", health="UNHEALTHY")
    assert outcome(proxy_with(sick, **NO_PANIC), get())[1] == "UH"
    assert outcome(proxy_with(sick), get())[1] == ""
    draining = endpoints("a", "10.0.0.1:80", health="DRAINING")
    hop = trace(proxy_with(draining, **NO_PANIC), get()).hops[-1]
    assert hop.others == (("10.0.0.1:80", "istiod says DRAINING"),)


def test_ejected_endpoints() -> None:
    address = {"socket_address": {"address": "10.0.0.1", "port_value": 80}}
    ejected = {"address": address, "health_status": {"failed_outlier_check": True, "eds_health_status": "HEALTHY"}}
    statuses = {"cluster_statuses": [{"name": "a", "host_statuses": [ejected]}]}
    found = walk(proxy_with(endpoints("a", "10.0.0.1:80"), statuses, **NO_PANIC), get()).main.outcome
    assert found.flags == "UH" and "outlier" in found.why


def test_the_endpoint_of_an_original_destination_is_the_dialled_address() -> None:
    chain = tcp_chain("PassthroughCluster")
    proxy = Proxy(dump([listener("virtualOutbound", "0.0.0.0", 15001, chain)], [], [passthrough()]))
    found = trace(proxy, Request("outbound", "192.0.2.1", 443, version=""))
    assert not found.failing and found.hops[-1].chosen == "192.0.2.1:443"
    # Without redirection there is no such address.
    proxy = Proxy(dump([listener("x", "0.0.0.0", 443, chain)], [], [passthrough()]))
    assert walk(proxy, Request("gateway", "192.0.2.1", 443, version="")).main.outcome.flags == "UH"


# -- connections


def test_http_is_sniffed_and_what_is_not_http_goes_the_default_way() -> None:
    http = http_chain(routes("80", host("all", ["*"], to("a"))), {"application_protocols": ["http/1.1", "h2c"]})
    body = listener(
        "0.0.0.0_80",
        "0.0.0.0",
        80,
        http,
        listener_filters=[HTTP_INSPECTOR],
        default_filter_chain=tcp_chain("PassthroughCluster", name="PassthroughFilterChain"),
    )
    proxy = Proxy(dump([body], [], [cluster("a"), passthrough()], [endpoints("a", "10.0.0.1:1")]))

    def layer(**request: Any) -> str:
        return walk(proxy, Request("outbound", "10.0.0.9", 80, authority="x", **request)).main.outcome.layer

    assert layer() == "http"
    assert layer(version="2") == "http"
    assert layer(version="1.0") == layer(tls=ClientHello()) == layer(path="x") == layer(version="") == "tcp"


def test_tls_chains() -> None:
    chain = with_tls(http_chain(routes("443", host("all", ["*"], to("a")))), ["h2"], client=True)
    proxy = Proxy(dump([listener("x", "0.0.0.0", 443, chain)], [], [cluster("a")], [endpoints("a", "10.0.0.1:1")]))

    def asked(hello: ClientHello | None) -> Outcome:
        return walk(proxy, Request("gateway", "10.0.0.9", 443, tls=hello, authority="x")).main.outcome

    assert asked(ClientHello(certificate=True)).details == "via_upstream"
    assert asked(ClientHello(certificate=True, alpn=("h2",))).details == "via_upstream"
    assert (asked(None).layer, asked(ClientHello()).layer) == ("none", "none")
    told = trace(proxy, Request("gateway", "10.0.0.9", 443, authority="x"))
    assert told.failing and told.hops[-1].step == "filter chain" and told.hops[-1].verdict == "fails"


def test_nothing_listens_and_no_chain() -> None:
    assert trace(ANY, get(port=81)).hops[0].verdict == "fails"
    proxy = Proxy(dump([listener("x", "0.0.0.0", 80, tcp_chain("a", {"transport_protocol": "tls"}))], [], []))
    assert outcome(proxy, get()) == (None, "NR", "filter_chain_not_found")


def test_sni_names_the_cluster_of_an_east_west_gateway() -> None:
    by_sni = [{"name": "envoy.filters.network.sni_cluster"}]
    chain = tcp_chain("BlackHoleCluster", before=by_sni)
    inspected = listener(
        "x", "0.0.0.0", 15443, chain, listener_filters=[{"name": "envoy.filters.listener.tls_inspector"}]
    )
    name = "outbound_.80_._.web.shop.svc.cluster.local"
    proxy = Proxy(dump([inspected], [], [cluster(name)], [endpoints(name, "10.0.0.1:1")]))
    assert walk(proxy, Request("gateway", "10.0.0.9", 15443, tls=ClientHello(name))).main.cluster == name


def test_routes_that_were_never_delivered() -> None:
    proxy = Proxy(dump([listener("x", "0.0.0.0", 80, http_chain("missing"))]))
    assert outcome(proxy, get()) == (404, "NR", "route_not_found")
    assert trace(proxy, get()).hops[-1].step == "route configuration"


@given(
    st.builds(
        Request,
        direction=st.sampled_from(["outbound", "inbound", "gateway"]),
        ip=st.sampled_from(["", "10.0.0.1", "::1", "no address"]),
        port=st.sampled_from([0, 80, 15001]),
        version=st.sampled_from(["", "1.0", "1.1", "2", "9"]),
        method=st.text(max_size=5),
        authority=st.none() | st.text(max_size=10),
        path=st.text(max_size=10) | st.text("/.%2eEfF?#*\\", max_size=10).map(lambda tail: "/" + tail),
        headers=st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3).map(tuple),
        payload=st.none() | st.binary(max_size=20),
        tls=st.none() | st.builds(ClientHello, sni=st.text(max_size=5)),
    )
)
def test_no_request_breaks_it(request_: Request) -> None:
    found = trace(ANY, request_)
    assert found.hops
    assert found.failing == found.outcome.failing
