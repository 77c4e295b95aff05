from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.model.names import ClusterName, mistaken_for, parse_cluster_name


@pytest.mark.parametrize(
    ("text", "direction", "port", "subset", "host"),
    [
        ("outbound|9080||reviews.default.svc.cluster.local", "outbound", 9080, "", "reviews.default.svc.cluster.local"),
        ("outbound|80|v2|web.shop.svc.cluster.local;", "outbound", 80, "v2", "web.shop.svc.cluster.local"),
        ("inbound|8080||", "inbound", 8080, "", ""),
        ("inbound-vip|80|http|web.shop.svc.cluster.local", "inbound-vip", 80, "http", "web.shop.svc.cluster.local"),
        ("outbound_.80_.v1_.host.example", "outbound", 80, "v1", "host.example"),
        ("outbound_.443_._.host.example", "outbound", 443, "", "host.example"),
    ],
)
def test_the_parts_of_a_name(text: str, direction: str, port: int, subset: str, host: str) -> None:
    assert parse_cluster_name(text) == ClusterName(text.rstrip(";"), direction, port, subset, host)


def test_special_and_foreign_clusters_have_only_a_name() -> None:
    assert parse_cluster_name("PassthroughCluster").special
    assert parse_cluster_name("InboundPassthroughCluster").inbound
    assert parse_cluster_name("my-envoyfilter-cluster") == ClusterName("my-envoyfilter-cluster")
    assert not parse_cluster_name("my-envoyfilter-cluster").special
    assert parse_cluster_name("inbound|8080||").inbound
    assert not parse_cluster_name("outbound|8080||a.b").inbound


@given(st.text())
def test_any_text_has_a_name(text: str) -> None:
    assert parse_cluster_name(text).name == text.strip().removesuffix(";")


def test_istiod_takes_a_proxy_whose_name_has_the_asked_one_in_it() -> None:
    others = ["web-1.shop", "a-web-1.shop", "web-1.shop2"]
    assert mistaken_for("web-1.shop", others) == "a-web-1.shop"
    assert mistaken_for("web-1.shop", ["web-1.shop", "web-1.shop2"]) == "web-1.shop2"
    assert mistaken_for("web-1.shop2", others) == ""
