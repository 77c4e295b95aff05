from __future__ import annotations

import random

import pytest

from meshdoctor.mesh.gosort import sort_by, sort_slice


@pytest.mark.parametrize("size", [0, 1, 12, 13, 49, 50, 51, 500])
@pytest.mark.parametrize("values", [3, 10_000])
def test_the_result_is_sorted_and_complete(size: int, values: int) -> None:
    source = random.Random(size)
    items = [source.randrange(values) for _ in range(size)]
    assert sort_slice(items, lambda a, b: a < b) == sorted(items)
    assert sort_by(items, lambda item: item, reverse=True) == sorted(items, reverse=True)


@pytest.mark.parametrize("items", [list(range(200)), list(range(200))[::-1], [1] * 200, [1, 2] * 100])
def test_patterns(items: list[int]) -> None:
    assert sort_slice(items, lambda a, b: a < b) == sorted(items)


def test_up_to_twelve_equal_elements_keep_their_places() -> None:
    items = [(0, index) for index in range(12)]
    assert sort_by(items, lambda item: item[0]) == items


def test_more_equal_elements_need_not_and_come_out_alike_every_time() -> None:
    items = [(index % 3, index) for index in range(60)]
    once = sort_by(items, lambda item: item[0])
    assert once == sort_slice(items, lambda a, b: a[0] < b[0])
    assert sorted(once) == sorted(items)
    assert once != sorted(items, key=lambda item: item[0]), "Go's sort is not stable here"


def test_a_comparison_that_is_no_order_ends() -> None:
    items = [str(index) if index % 2 else chr(97 + index % 26) for index in range(100)]
    result = sort_slice(items, lambda a, b: a.isdigit() and b.isdigit() and int(a) < int(b))
    assert sorted(result) == sorted(items)
