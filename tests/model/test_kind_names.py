"""What people call a kind."""

from __future__ import annotations

import pytest

from meshdoctor.model.kind_names import kind_called
from meshdoctor.model.kinds import KINDS


@pytest.mark.parametrize(
    ("text", "kind"),
    [("vs", "VirtualService"), ("VirtualServices", "VirtualService"), ("virtualservice", "VirtualService"),
     ("svc", "Service"), ("po", "Pod"), ("gw", "Gateway"), ("netpol", "NetworkPolicy")],
)  # fmt: skip
def test_as_kubectl_takes_it(text: str, kind: str) -> None:
    found = kind_called(text)
    assert found is not None
    assert found.name == kind


def test_every_kind_is_called_by_its_own_name() -> None:
    assert [kind_called(kind.name) for kind in KINDS] == list(KINDS)
    assert kind_called("secret") is None
