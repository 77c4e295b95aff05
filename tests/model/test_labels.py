from __future__ import annotations

import pytest

from meshdoctor.model.labels import selects, selects_some

LABELS = {"app": "web", "version": "v1"}


@pytest.mark.parametrize(
    ("selector", "taken"),
    [({"app": "web"}, True), (LABELS, True), ({"app": "cart"}, False), ({"tier": "front"}, False)],
)
def test_a_selector_takes_what_carries_all_that_it_asks_for(selector: dict[str, str], taken: bool) -> None:
    assert selects(selector, LABELS) == selects_some(selector, LABELS) == taken


def test_an_empty_selector_takes_all_and_that_of_a_service_nothing() -> None:
    assert selects({}, LABELS) and selects({}, {})
    assert not selects_some({}, LABELS) and not selects_some(None, LABELS)
