"""Kubernetes quantities (`512Mi`, `1G`, `1500m`) as numbers (apimachinery `resource.Quantity`)."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_SUFFIXES: dict[str, int | Decimal] = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
    "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50, "Ei": 1 << 60,
    "m": Decimal("0.001"), "u": Decimal("0.000001"), "n": Decimal("0.000000001"),
}  # fmt: skip
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]{1,3})?)([A-Za-z]{0,2})")


def quantity(text: object) -> int | None:
    """*text* in whole units (bytes), None when it is no quantity."""
    found = _QUANTITY.fullmatch(str(text).strip())
    if found is None or found[2] not in _SUFFIXES:
        return None
    try:
        return int(Decimal(found[1]) * _SUFFIXES[found[2]])
    except (InvalidOperation, OverflowError):
        return None
