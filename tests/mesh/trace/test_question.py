"""A question and a target, as they are typed."""

from __future__ import annotations

import pytest

from meshdoctor.mesh.trace.question import Target, parse_target, parse_words


def test_all_of_it() -> None:
    found = parse_words("blue/apple https://pear.green:8443/eat?x=1 post X-User:jason a:b:c")
    assert (found.namespace, found.client) == ("blue", "apple")
    assert (found.host, found.port, found.path, found.tls) == ("pear.green", 8443, "/eat?x=1", True)
    assert (found.method, found.headers) == ("POST", (("x-user", "jason"), ("a", "b:c")))


@pytest.mark.parametrize(
    "text", ["", "blue", "blue/apple", "/apple pear", "blue/ pear", "b/a :1", "b/a p 1", "b/a p :x"]
)
def test_what_is_no_question(text: str) -> None:
    with pytest.raises(ValueError, match=r"names no client|is no target|is no method"):
        parse_words(text)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("cart", Target("cart", 0, "/")),
        ("cart.shop:80/items?x=1", Target("cart.shop", 80, "/items?x=1")),
        ("https://cart/x", Target("cart", 0, "/x", "https")),
        ("cart?x", Target("cart", 0, "/?x")),
        ("[::1]:80/x", Target("::1", 80, "/x")),
        ("fd00::1", Target("fd00::1", 0, "/")),
        ("cart/login?next=https://web", Target("cart", 0, "/login?next=https://web")),
    ],
)
def test_targets(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["", ":80", "cart:x", "cart:70000", "/x", "cart:0"])
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(ValueError, match="is no target"):
        parse_target(text)
