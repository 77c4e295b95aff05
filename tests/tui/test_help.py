"""The keys and commands as `?` shows them."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from meshdoctor.present.table import plain
from meshdoctor.present.words import Language, Words
from meshdoctor.screens.help import help_lines
from meshdoctor.tui.router import ROUTES


def lines(language: Language = "en", width: int = 80) -> list[str]:
    return [plain(line).rstrip() for line in help_lines(Words(language), ("table", "proxy", "app"), ROUTES, width)]


def test_what_the_view_has_for_itself_comes_first() -> None:
    text = lines()
    titles = [line for line in text if line and not line.startswith("  ")]
    assert titles[:4] == [" In a proxy", " Commands", " Tables", " Everywhere"]
    assert len(titles) == len(set(titles))


def test_the_digits_are_one_line() -> None:
    assert [line for line in lines() if "Listeners, routes" in line] == [
        "  1 2 3 4 5               Listeners, routes, clusters, endpoints, certificates."
    ]


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("width", [60, 80])
def test_nothing_is_cut(language: Language, width: int) -> None:
    text = lines(language, width)
    assert max(map(cell_len, text)) < width
    said = " ".join(" ".join(text).split())
    for route in ROUTES:
        assert f":{route.name}" in said
        assert route.argument in said
        assert all(f":{alias}" in said for alias in route.aliases)
