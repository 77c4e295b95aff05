"""A question typed as one line."""

from __future__ import annotations

import pytest

from meshdoctor.mesh.trace.question import parse_words


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
