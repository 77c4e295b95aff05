"""Where a piece of evidence stands in a JSON answer."""

from __future__ import annotations

from typing import Any

import pytest

from meshdoctor.mesh.places import MOST, find_places


def obj(namespace: str, name: str, **rest: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": name}, **rest}


PODS = {
    "items": [
        obj("shop", "cart-7d9-x2x9q", status={"podIP": "10.0.0.7"}),
        obj("shop", "cart-7d9-a1b2c", status={"podIP": "10.0.0.8"}),
        obj("shop", "cartoon-1", status={"podIP": "10.0.0.77"}),
        obj("pay", "cart-7d9-x2x9q"),
    ]
}
DUMP = {
    "configs": [
        {
            "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump",
            "dynamic_active_clusters": [
                {"cluster": {"name": "outbound|80||cart"}},
                {"cluster": {"name": "outbound|80||web"}},
            ],
        },
        {
            "@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump",
            "dynamic_listeners": [{"name": "l1", "active_state": {"listener": {"name": "l1"}}}],
        },
    ]
}


@pytest.mark.parametrize(
    ("document", "at", "names"),
    [
        (PODS, "shop/cart-7d9-x2x9q", ["shop/cart-7d9-x2x9q"]),
        (PODS, "Pod shop/cart-7d9-x2x9q", ["shop/cart-7d9-x2x9q"]),
        (PODS, "shop/cart", ["shop/cart-7d9-x2x9q", "shop/cart-7d9-a1b2c"]),
        (PODS, "shop/cart-7d9-x2x9q, pay/cart-7d9-x2x9q", ["shop/cart-7d9-x2x9q", "pay/cart-7d9-x2x9q"]),
        (PODS, "10.0.0.8", ["shop/cart-7d9-a1b2c"]),
        (PODS, "shop/ledger", []),
        (PODS, "", []),
        (DUMP, "outbound|80||cart", ["outbound|80||cart"]),
        (DUMP, "l1", ["l1"]),
        (DUMP, "ListenersConfigDump", ["ListenersConfigDump"]),
        ([{"proxy": "web-1.shop"}, {"proxy": "web-2.shop"}], "web-2", ["web-2.shop"]),
        ([{"proxy": "web-1.shop"}, {"proxy": "web-2.shop"}], "shop/web-1 Cluster", ["web-1.shop"]),
        ({"items": [obj("shop", "e1", involvedObject={"namespace": "shop", "name": "web"})]}, "shop/web", ["shop/e1"]),
        ("no object", "shop/web", []),
        ({"items": None}, "shop/web", []),
    ],
)
def test_a_place_names_objects(document: Any, at: str, names: list[str]) -> None:
    assert [place.name for place in find_places(document, at)] == names


def test_what_too_many_objects_hold_names_none() -> None:
    many = {"items": [obj("shop", f"p{i}", spec={"node": "n1"}) for i in range(MOST + 1)]}
    assert find_places(many, "n1") == ()
    assert len(find_places({"items": many["items"][:3]}, "n1")) == 3
