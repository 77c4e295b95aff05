from __future__ import annotations

import pytest

from meshdoctor.mesh.proxy.cluster import ClusterFilter, cluster_resources, cluster_table
from meshdoctor.mesh.proxy.cluster_wide import HEADER, NO_HOSTS, wide_clusters
from meshdoctor.mesh.proxy.naming import integer, subset_key
from meshdoctor.mesh.proxy.protojson import set_fields, to_protojson
from meshdoctor.model.decode import UnreadableError
from tests.mesh.proxy.dumps import clusters, read

RULE = {"filter_metadata": {"istio": {"config": "/apis/networking.istio.io/v1/namespaces/shop/destination-rule/cart"}}}
SUBSET = {"name": "outbound|80|v1|cart.shop.svc.cluster.local", "type": "EDS", "metadata": RULE}
WHOLE = {"name": "outbound|80||cart.shop.svc.cluster.local", "type": "EDS"}
OTHER = {"name": "outbound|443||cart.shop.svc.cluster.local", "type": "STRICT_DNS"}
INBOUND = {"name": "inbound|8080||", "type": "ORIGINAL_DST"}
PLAIN = {"name": "xds-grpc"}


def test_rows_are_sorted_by_host_subset_port_and_direction() -> None:
    table = cluster_table(read(ClustersConfigDump=clusters(SUBSET, PLAIN, OTHER, INBOUND, WHOLE)), ClusterFilter())
    host = "cart.shop.svc.cluster.local"
    assert list(table.rows) == [
        ("", "8080", "-", "inbound", "ORIGINAL_DST", ""),
        (host, "80", "-", "outbound", "EDS", ""),
        (host, "443", "-", "outbound", "STRICT_DNS", ""),
        (host, "80", "v1", "outbound", "EDS", "cart.shop"),
        ("xds-grpc", "-", "-", "-", "STATIC", ""),
    ]


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (ClusterFilter(fqdn="cart"), 3),
        (ClusterFilter(direction="in"), 1),
        (ClusterFilter(subset="v1"), 1),
        (ClusterFilter(port=80), 2),
        (ClusterFilter(port=8), 0),
        (ClusterFilter(fqdn="cart", port=443), 1),
    ],
)
def test_filters_look_for_text_in_the_whole_name(chosen: ClusterFilter, names: int) -> None:
    sections = read(ClustersConfigDump=clusters(SUBSET, PLAIN, OTHER, INBOUND, WHOLE))
    assert len(cluster_table(sections, chosen).rows) == names
    assert len(cluster_resources(sections, chosen)) == names


def test_warming_clusters_are_only_in_the_wide_table() -> None:
    section = clusters(WHOLE, dynamic_warming_clusters=[{"cluster": OTHER, "error_state": {"details": "no"}}])
    sections = read(ClustersConfigDump=section)
    assert len(cluster_table(sections, ClusterFilter()).rows) == 1
    states = [row[HEADER.index("STATE")] for row in wide_clusters(sections, ClusterFilter()).rows]
    assert states == ["active", "WARMING, UPDATE REFUSED"]


def test_wide_says_how_a_cluster_is_secured_and_that_it_has_no_hosts() -> None:
    context = {"common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "default"}]}}
    tls = {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": "x/UpstreamTlsContext", **context}}
    matches = [
        {"name": "tlsMode-istio", "match": {"tlsMode": "istio"}, "transport_socket": tls},
        {"name": "tlsMode-disabled", "match": {}, "transport_socket": {"name": "raw"}},
    ]
    simple = {"name": "t", "typed_config": {"@type": "x/UpstreamTlsContext", "common_tls_context": {}}}
    sections = read(
        ClustersConfigDump=clusters(
            {**WHOLE, "transport_socket_matches": matches},
            {**OTHER, "transport_socket": simple},
            {**SUBSET, "transport_socket": tls},
        ),
        EndpointsConfigDump={
            "dynamic_endpoint_configs": [
                {
                    "endpoint_config": {
                        "cluster_name": WHOLE["name"],
                        "endpoints": [{"lb_endpoints": [{}, {"health_status": "UNHEALTHY"}]}],
                    }
                }
            ]
        },
    )
    rows = wide_clusters(sections, ClusterFilter()).rows
    columns = [dict(zip(HEADER, row, strict=True)) for row in rows]
    assert [(row["TLS"], row["HOSTS"]) for row in columns] == [
        ("auto mTLS", "1/2"),
        ("TLS", "?"),
        ("mTLS", NO_HOSTS),
    ]


def test_a_dump_without_the_section_or_without_clusters_says_so() -> None:
    with pytest.raises(UnreadableError, match=r"no configuration type .*ClustersConfigDump"):
        cluster_table(read(RoutesConfigDump={}), ClusterFilter())
    with pytest.raises(UnreadableError, match="no clusters found"):
        cluster_table(read(ClustersConfigDump={}), ClusterFilter())


def test_one_wrong_entry_is_left_out_and_named() -> None:
    sections = read(ClustersConfigDump=clusters(WHOLE, {"name": 7}, OTHER))
    assert len(cluster_table(sections, ClusterFilter()).rows) == 2
    assert len(sections.problems) == 1
    assert "dynamic_active_clusters[1]" in sections.problems[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("outbound|80|v1|a.b", ("a.b", "v1", 80, "outbound")),
        ("outbound|x|v1|a.b", ("a.b", "v1", 0, "outbound")),
        ("outbound|80|v1|a|b", ("", "v1", 80, "outbound")),
        ("a|b", ("a|b", "", 0, "")),
    ],
)
def test_subset_keys(name: str, expected: tuple[str, str, int, str]) -> None:
    assert subset_key(name) == expected


@pytest.mark.parametrize(("text", "number"), [("80", 80), ("+8", 8), ("8_0", None), ("", None), ("9" * 20, None)])
def test_integers_are_read_as_go_reads_them(text: str, number: int | None) -> None:
    assert integer(text) == number


def test_protojson_keeps_the_keys_of_data() -> None:
    value = {
        "@type": "x",
        "transport_socket_matches": [{"match": {"tls_mode": "x_y"}}],
        "metadata": {"filter_metadata": {"istio": {"default_port": 1}}},
        "typed_per_filter_config": {"a_b": {"@type": "t", "delay_ms": 1}},
        "node": {"metadata": {"APP_x": {"some_key": 1}}},
        "route": {"match": {"case_sensitive": True}},
        "tag": {"metadata": {"metadata_key": "k"}},
    }
    assert to_protojson(value) == {
        "transportSocketMatches": [{"match": {"tls_mode": "x_y"}}],
        "metadata": {"filterMetadata": {"istio": {"default_port": 1}}},
        "typedPerFilterConfig": {"a_b": {"@type": "t", "delayMs": 1}},
        "node": {"metadata": {"APP_x": {"some_key": 1}}},
        "route": {"match": {"caseSensitive": True}},
        "tag": {"metadata": {"metadataKey": "k"}},
    }


def test_a_null_is_an_unset_field_or_a_value_of_data() -> None:
    nulls = {"x": {"k": None, "l": [None, 1]}}
    value = {"metadata": {"filter_metadata": nulls}, "lb_subset_config": None, "endpoints": [None, {"locality": None}]}
    left = {"metadata": {"filter_metadata": nulls}, "endpoints": [{}]}
    assert set_fields(value) == left
    assert to_protojson(value) == {"metadata": {"filterMetadata": nulls}, "endpoints": [{}]}
    typed = {"@type": "x/google.protobuf.Value", "value": None}
    assert set_fields({"config": typed}) == {"config": typed}
