"""A request hop by hop, on incidents that ship."""

from __future__ import annotations

import pytest

from tests.screens.shipped import application, column, move_to, settled, table_of, text_of

ITEMS = "trace shop/web cart/items"


async def test_the_failing_hop_is_a_word_and_under_the_cursor() -> None:
    app = application("pine", start=ITEMS)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        text = await settled(pilot)
        row = table_of(app).cursor_row
        assert row is not None and [str(cell) for cell in row.cells[:3]] == ["FAILS", "filter chain", "none"]
        assert any(line.startswith(">FAILS") for line in text)
        assert column(app, "state")[:2] == ["", "ok"]
        assert column(app, "chosen")[0].startswith("shop/web-")
        assert "PeerAuthentication shop/strict wins" in text_of(app)
        assert "not: " in text_of(app)
        assert "DestinationRule shop/cart +1" in column(app, "origin")
        await pilot.press("G")
        assert column(app, "state")[-1] == "FAILS"
        assert column(app, "chosen")[-1].startswith("503 UC")
        assert "fix: " in text_of(app)


async def test_enter_opens_the_object_and_y_what_the_proxy_holds() -> None:
    app = application("pine", start=ITEMS)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: cell == "cluster")
        await pilot.press("enter")
        await settled(pilot)
        assert app.view and str(app.view.location) == "object DestinationRule shop/cart"
        await pilot.press("q")
        for hop, opened in (
            ("listener", " listener 0.0.0.0_80"),
            ("route", " route 80 cart.shop.svc.cluster.local:80"),
            ("cluster", " cluster outbound|80||cart.shop.svc.cluster.local"),
        ):
            move_to(app, lambda cell, hop=hop: cell == hop)  # type: ignore[misc]
            await pilot.press("y")
            await settled(pilot)
            assert app.view.location.name == "dump"
            assert str(app.view.location).endswith(opened)
            assert '"name"' in text_of(app)
            await pilot.press("q")


async def test_t_traces_the_flow_of_a_row() -> None:
    app = application("maple", start="traffic")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("t")
        await settled(pilot)
        assert app.view and str(app.view.location).startswith("trace shop/web cart.shop.svc.cluster.local:80")
        assert column(app, "chosen")[-1].startswith("503 UH")
        await pilot.press("i")
        await settled(pilot)
        assert app.view.location.name == "guide"
        await pilot.press("t")
        await settled(pilot)
        assert app.view.location.name == "trace"


async def test_a_gateway_and_a_header() -> None:
    app = application("alder", start="trace legacy/batch shop.example.com/items POST x-user:jason")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert column(app, "chosen")[-1].startswith("404 NR")
        move_to(app, lambda cell: cell.startswith("istio-system/istio-ingressgateway"))
        await pilot.press("enter")
        await settled(pilot)
        assert app.view and app.view.location.name == "proxy"


async def test_clients_and_hosts_complete() -> None:
    app = application("pine", start="mesh")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press(*":trace shop/we", "tab", *" cata", "tab")
        assert app.prompt and app.prompt.text == "trace shop/web catalog.shop:80"
        await pilot.press("enter")
        await settled(pilot)
        assert column(app, "state")[-1] == "ok"
        assert "FAILS" not in column(app, "state")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("trace shop/nobody cart", "no workload or pod is called shop/nobody"),
        ("trace shop/wbe cart", "no workload or pod is called shop/wbe: did you mean shop/web?"),
        ("trace shop/ cart", "'shop/' names no client"),
        ("trace shop/web :80", "':80' is no target"),
        ("trace shop/web", "is no target"),
        ("trace shop/web cart 17", "'17' is no method"),
        ("trace", ":trace needs"),
    ],
)
async def test_what_cannot_be_traced_is_said(command: str, says: str) -> None:
    app = application("pine", start="mesh")
    async with app.run_test(size=(100, 24)) as pilot:
        await settled(pilot)
        await pilot.press("colon", *command, "enter")
        assert says in (await settled(pilot))[22]


@pytest.mark.parametrize("client", ["web", "web.shop", "deploy/web.shop"])
async def test_who_calls_is_read_as_in_the_commands(client: str) -> None:
    app = application("pine", start=f"trace {client} cart/items")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await settled(pilot)
        assert column(app, "chosen")[0].startswith("shop/web-")
        assert column(app, "state")[-1] == "FAILS"


async def test_korean() -> None:
    app = application("pine", start=ITEMS, language="ko")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert "결과" in column(app, "hop")
        assert "이유:" in text_of(app)
