from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.mesh.hosts import candidates, is_wildcard, most_specific, qualified, subset_of

LABEL = st.text(string.ascii_lowercase, min_size=1, max_size=4)
NAME = st.lists(LABEL, min_size=1, max_size=5).map(".".join)
PATTERN = st.one_of(NAME, NAME.map("*.{}".format), st.just("*"))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("web", "web.shop.svc.cluster.local"),
        ("web.pay", "web.pay"),
        ("*", "*"),
        ("10.0.0.7", "10.0.0.7"),
        ("fd00::7", "fd00::7"),
        ("", ""),
    ],
)
def test_only_a_name_without_a_dot_is_completed(host: str, expected: str) -> None:
    assert qualified(host, "shop") == expected


@given(PATTERN, PATTERN, PATTERN)
def test_covering_is_an_order(one: str, two: str, three: str) -> None:
    assert subset_of(one, one)
    if subset_of(one, two) and subset_of(two, three):
        assert subset_of(one, three)


@given(NAME, st.lists(PATTERN, max_size=8))
def test_the_most_specific_entry_covers_the_name_and_none_covers_it_closer(name: str, patterns: list[str]) -> None:
    exact = {pattern: pattern for pattern in patterns if not is_wildcard(pattern)}
    wildcard = {pattern: pattern for pattern in patterns if is_wildcard(pattern)}
    found = most_specific(name, exact, wildcard)
    covering = [pattern for pattern in patterns if subset_of(name, pattern)]
    if found is None:
        assert not covering
    else:
        assert found[0] in covering
        assert found[0] == name or all(len(found[0]) >= len(pattern) for pattern in covering)


def test_a_pods_search_path_comes_before_the_name_as_it_is() -> None:
    assert candidates("web.shop.", "pay") == (
        "web.shop.pay.svc.cluster.local",
        "web.shop.svc.cluster.local",
        "web.shop.cluster.local",
        "web.shop",
    )
    assert candidates("10.0.0.7", "pay") == ("10.0.0.7",)
