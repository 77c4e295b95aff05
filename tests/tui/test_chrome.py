"""The lines around a view."""

from __future__ import annotations

import pytest

from meshdoctor.tui.chrome import key_line, tab_line

PAIRS = [("enter", "open"), ("u", "used by"), ("?", "help"), ("esc", "back"), ("c", "copy")]


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (80, " <enter>open <u>used by <?>help <esc>back <c>copy "),
        (42, " <enter>open <u>used by <?>help <esc>back "),
        (41, " <enter>open <u>used by <?>help "),
        (31, " <enter>open <?>help "),
        (10, " <?>help "),
    ],
)
def test_the_way_to_all_keys_is_never_dropped(width: int, line: str) -> None:
    assert key_line(PAIRS, width).plain == line


def test_tabs_lose_the_counts_of_the_others_where_it_is_narrow() -> None:
    tabs = [("routes", "9,355"), ("clusters", "3"), ("certs", "..")]
    assert tab_line(tabs, 1, 60).plain == " 1 routes[9,355]  2 clusters[3]  3 certs[..]  "
    assert tab_line(tabs, 1, 40).plain == " 1 routes  2 clusters[3]  3 certs  "
