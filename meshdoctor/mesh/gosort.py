"""The order in which Go's `sort.Slice` and `slices.SortFunc` leave equal elements (Go 1.19 and later: pdqsort).

istioctl sorts its tables with them. Up to 12 elements they are stable; beyond that, rows that compare equal come out in
an order that only the same algorithm reproduces, and the route table's comparison is not even an order (names that are
no numbers compare equal to everything), so that its result depends on the algorithm alone. Source of the steps: Go's
src/sort/zsortfunc.go (pattern-defeating quicksort with an xorshift seeded by the length), which is deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
Less = Callable[[T, T], bool]

_INSERTION = 12
_NINTHER = 50
_MOST_SWAPS = 12
_STEPS = 5
_WORD = 0xFFFFFFFFFFFFFFFF


def sort_by(items: Sequence[T], key: Callable[[T], Any], *, reverse: bool = False) -> list[T]:
    """*items* in the order that Go gives them by *key* (descending with *reverse*), equal ones included."""
    keyed = [(key(item), item) for item in items]
    ordered = sorted(keyed, key=_first, reverse=reverse)
    if len(items) <= _INSERTION or all(ordered[i][0] != ordered[i + 1][0] for i in range(len(ordered) - 1)):
        return [item for _, item in ordered]
    less: Less[tuple[Any, T]] = (lambda a, b: a[0] > b[0]) if reverse else (lambda a, b: a[0] < b[0])
    return [item for _, item in sort_slice(keyed, less)]


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def sort_slice(items: Sequence[T], less: Less[T]) -> list[T]:
    """*items* as `sort.Slice` with that *less* leaves them; *less* need not be an order."""
    data = list(items)
    _pdqsort(data, 0, len(data), len(data).bit_length(), less)
    return data


def _pdqsort(data: list[T], a: int, b: int, limit: int, less: Less[T]) -> None:
    balanced = partitioned = True
    while True:
        length = b - a
        if length <= _INSERTION:
            _insertion_sort(data, a, b, less)
            return
        if limit == 0:
            _heap_sort(data, a, b, less)
            return
        if not balanced:
            _break_patterns(data, a, b)
            limit -= 1
        pivot, swaps = _choose_pivot(data, a, b, less)
        rising = swaps == 0
        if swaps == _MOST_SWAPS:
            data[a:b] = data[a:b][::-1]
            pivot = (b - 1) - (pivot - a)
            rising = True
        if balanced and partitioned and rising and _partial_insertion_sort(data, a, b, less):
            return
        if a > 0 and not less(data[a - 1], data[pivot]):
            a = _partition_equal(data, a, b, pivot, less)
            continue
        middle, partitioned = _partition(data, a, b, pivot, less)
        left, right = middle - a, b - middle
        if left < right:
            balanced = left >= length // 8
            _pdqsort(data, a, middle, limit, less)
            a = middle + 1
        else:
            balanced = right >= length // 8
            _pdqsort(data, middle + 1, b, limit, less)
            b = middle


def _insertion_sort(data: list[T], a: int, b: int, less: Less[T]) -> None:
    for i in range(a + 1, b):
        j = i
        while j > a and less(data[j], data[j - 1]):
            data[j], data[j - 1] = data[j - 1], data[j]
            j -= 1


def _heap_sort(data: list[T], a: int, b: int, less: Less[T]) -> None:
    size = b - a
    for i in range((size - 1) // 2, -1, -1):
        _sift_down(data, i, size, a, less)
    for i in range(size - 1, -1, -1):
        data[a], data[a + i] = data[a + i], data[a]
        _sift_down(data, 0, i, a, less)


def _sift_down(data: list[T], root: int, size: int, first: int, less: Less[T]) -> None:
    while (child := 2 * root + 1) < size:
        if child + 1 < size and less(data[first + child], data[first + child + 1]):
            child += 1
        if not less(data[first + root], data[first + child]):
            return
        data[first + root], data[first + child] = data[first + child], data[first + root]
        root = child


def _break_patterns(data: list[T], a: int, b: int) -> None:
    length = b - a
    if length < 8:
        return
    number = length
    mask = (1 << length.bit_length()) - 1
    middle = a + (length // 4) * 2
    for index in range(middle - 1, middle + 2):
        number ^= (number << 13) & _WORD
        number ^= number >> 7
        number ^= (number << 17) & _WORD
        other = number & mask
        if other >= length:
            other -= length
        data[index], data[a + other] = data[a + other], data[index]


def _choose_pivot(data: list[T], a: int, b: int, less: Less[T]) -> tuple[int, int]:
    """The pivot's index, and how many of the comparisons on the way to it swapped."""
    length = b - a
    swaps = 0

    def ordered(x: int, y: int) -> tuple[int, int]:
        nonlocal swaps
        if less(data[y], data[x]):
            swaps += 1
            return y, x
        return x, y

    def median(x: int, y: int, z: int) -> int:
        x, y = ordered(x, y)
        y, z = ordered(y, z)
        x, y = ordered(x, y)
        return y

    i, j, k = (a + length // 4 * quarter for quarter in (1, 2, 3))
    if length >= 8:
        if length >= _NINTHER:
            i, j, k = (median(at - 1, at, at + 1) for at in (i, j, k))
        j = median(i, j, k)
    return j, swaps


def _partial_insertion_sort(data: list[T], a: int, b: int, less: Less[T]) -> bool:
    i = a + 1
    for _ in range(_STEPS):
        while i < b and not less(data[i], data[i - 1]):
            i += 1
        if i == b:
            return True
        if b - a < _NINTHER:
            return False
        data[i], data[i - 1] = data[i - 1], data[i]
        if i - a >= 2:
            for j in range(i - 1, 0, -1):
                if not less(data[j], data[j - 1]):
                    break
                data[j], data[j - 1] = data[j - 1], data[j]
        if b - i >= 2:
            for j in range(i + 1, b):
                if not less(data[j], data[j - 1]):
                    break
                data[j], data[j - 1] = data[j - 1], data[j]
    return False


def _partition_equal(data: list[T], a: int, b: int, pivot: int, less: Less[T]) -> int:
    data[a], data[pivot] = data[pivot], data[a]
    i, j = a + 1, b - 1
    while True:
        while i <= j and not less(data[a], data[i]):
            i += 1
        while i <= j and less(data[a], data[j]):
            j -= 1
        if i > j:
            return i
        data[i], data[j] = data[j], data[i]
        i += 1
        j -= 1


def _partition(data: list[T], a: int, b: int, pivot: int, less: Less[T]) -> tuple[int, bool]:
    data[a], data[pivot] = data[pivot], data[a]
    i, j = a + 1, b - 1
    already = True
    while True:
        while i <= j and less(data[i], data[a]):
            i += 1
        while i <= j and not less(data[j], data[a]):
            j -= 1
        if i > j:
            data[j], data[a] = data[a], data[j]
            return j, already
        data[i], data[j] = data[j], data[i]
        already = False
        i += 1
        j -= 1
