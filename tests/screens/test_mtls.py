"""The mTLS matrix on incidents that ship: problems first, a word a cell, Enter says why."""

from __future__ import annotations

import pytest

from meshdoctor.present.table import plain
from meshdoctor.tui.celltable import CellTable
from meshdoctor.tui.linetable import LineTable
from tests.screens.shipped import application, column, move_to, settled, table_of, text_of

CART = "cart.shop.svc.cluster.local:80"


def cells(table: LineTable) -> list[list[str]]:
    """The words in the order shown, without the names."""
    return [[plain(cell) for cell in row.cells[1:]] for row in table.rows.shown]


async def test_who_is_refused_most_stands_first_in_words() -> None:
    app = application("pine", start="mtls")
    async with app.run_test(size=(80, 24)) as pilot:
        text = await settled(pilot)
        table = table_of(app)
        assert isinstance(table, CellTable)
        assert column(app, "name")[0] == "shop/web"
        assert table.columns[1].key == CART
        assert [line[0] for line in cells(table)] == ["REFUSED"] * 6
        assert {word for line in cells(table) for word in line[1:]} == {"mTLS"}
        assert any(line.startswith(">shop/web") and "[REFUSED]" in line for line in text)
        assert "services 1-3 of 3" in text[2]
        assert "DestinationRule shop/cart sets tls mode DISABLE" in text_of(app)
        assert "PeerAuthentication shop/strict wins" in text_of(app)


async def test_enter_on_a_cell_says_why_and_leads_to_the_object() -> None:
    app = application("pine", start="mtls")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        assert app.view and str(app.view.location) == f"pair shop/web {CART}"
        said = "\n".join(column(app, "what"))
        labels = column(app, "column")
        assert {"M1", "declared", "configured", "observed", "change", "REFUSED"} <= set(labels)
        assert "sends plaintext (DestinationRule shop/cart sets tls mode DISABLE)" in said
        assert "takes STRICT" in said
        move_to(app, lambda cell: cell == "PeerAuthentication shop/strict")
        await pilot.press("enter")
        await settled(pilot)
        assert app.view and str(app.view.location) == "object PeerAuthentication shop/strict"
        assert "mode: STRICT" in text_of(app)
        await pilot.press("q", "q", "right", "right", "right", "enter")
        await settled(pilot)
        assert str(app.view.location).startswith("pair shop/web ")
        assert column(app, "column")[0] == "mTLS"


async def test_the_other_tables_and_the_filter() -> None:
    app = application("pine", start="mtls")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("2")
        assert set(column(app, "name")) == {"M1"}
        assert column(app, "client")[0] == "shop/web"
        assert int(column(app, "seen")[0]) > 0
        await pilot.press("3")
        move_to(app, lambda cell: cell == "STRICT")
        assert "shop/cart" in column(app, "name")
        await pilot.press("1", "slash", *"to:catalog shop", "enter")
        text = await settled(pilot)
        assert "services 1-1 of 1" in text[2]
        assert all(name.startswith("shop/") for name in column(app, "name"))
        assert "payments" not in text[3]
        await pilot.press("escape")
        assert "services 1-3 of 3" in (await settled(pilot))[2]


async def test_columns_scroll_one_by_one_where_they_do_not_fit() -> None:
    app = application("pine", start="mtls")
    async with app.run_test(size=(60, 24)) as pilot:
        text = await settled(pilot)
        assert "services 1-2 of 3" in text[2]
        await pilot.press("right", "right")
        text = await settled(pilot)
        assert "services 2-3 of 3" in text[2]
        assert text[3].startswith(" CLIENT")
        assert "cart:80" not in text[3]
        assert any(line.startswith(">shop/web") and "[mTLS" in line for line in text)
        await pilot.press("left", "left", "left")
        assert "services 1-2 of 3" in (await settled(pilot))[2]


async def test_only_one_client_and_no_such_one() -> None:
    app = application("pine", start="mtls shop/web")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert column(app, "name") == ["shop/web"]
        await pilot.press(*":mtls nobody", "enter")
        text = await settled(pilot)
        assert "no workload or namespace is called nobody" in text[22]


async def test_a_healthy_pair_has_no_disagreement() -> None:
    app = application("maple", start="mtls")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert {word for line in cells(table_of(app)) for word in line} <= {"mTLS", "plain", "empty", "-", "outside"}
        await pilot.press("ctrl+z")
        assert column(app, "name") == []
        await pilot.press("2")
        assert column(app, "name") == []


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 60)])
async def test_korean_at_any_size(size: tuple[int, int]) -> None:
    app = application("pine", start="mtls", language="ko")
    async with app.run_test(size=size) as pilot:
        text = await settled(pilot)
        assert "1 행렬[6]" in text[2]
        assert "REFUSED" in "\n".join(text)
        await pilot.press("enter")
        text = await settled(pilot)
        assert "선언" in column(app, "column")
        assert any("STRICT 서버에 평문" in line for line in column(app, "what"))
