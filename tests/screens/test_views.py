"""Mesh, proxy, traffic, logs and objects of incidents that ship."""

from __future__ import annotations

import pytest

from meshdoctor.tui.linetable import LineTable
from tests.screens.shipped import application, column, move_to, settled, text_of

WEB = "shop/web-58c64c75d8-4wqj6"
"""The caller's pod in the incident cedar: its proxy is cut off from istiod."""


async def test_the_mesh_shows_problems_first() -> None:
    app = application("cedar", start="mesh")
    async with app.run_test(size=(80, 24)) as pilot:
        text = await settled(pilot)
        assert column(app, "state")[0] == "LOST"
        assert set(column(app, "state")[1:]) == {"OK"}
        assert text[1].endswith("LOST 1")
        assert "no istiod lists it now" in text_of(app)
        await pilot.press("ctrl+z")
        assert column(app, "state") == ["LOST"]
        await pilot.press("ctrl+z", "j")
        assert "CDS OK  LDS OK  EDS OK" in text_of(app)


async def test_wide_mesh_has_versions_and_reasons() -> None:
    app = application("cedar", start="mesh")
    async with app.run_test(size=(160, 24)) as pilot:
        text = await settled(pilot)
        assert "ENVOY" in text[2]
        assert "WHY" in text[2]
        assert "1.40.0" in text[4]


async def test_enter_joins_listener_route_cluster_endpoint_pod() -> None:
    app = application("pine", start="mesh")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: cell.startswith("web-"))
        await pilot.press("enter")
        await settled(pilot)
        move_to(app, lambda cell: cell == "route 80")
        await pilot.press("enter")
        await settled(pilot)
        assert set(column(app, "name")) == {"80"}
        move_to(app, lambda cell: cell == "cart.shop:80")
        await pilot.press("enter")
        await settled(pilot)
        assert column(app, "name") == ["cart.shop"]
        await pilot.press("enter")
        await settled(pilot)
        assert set(column(app, "name")) == {"cart.shop:80"}
        assert len(column(app, "address")) == 2
        await pilot.press("enter")
        await settled(pilot)
        assert app.view and app.view.location.name == "object"
        assert "podIP:" in text_of(app)
        await pilot.press("q", "q", "q", "q")
        assert str(app.view.location).startswith("proxy shop/web-")
        assert len(column(app, "leads")) > 5


async def test_digits_change_the_table_and_y_shows_json() -> None:
    app = application("pine", start="mesh")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: cell.startswith("web-"))
        await pilot.press("enter")
        await settled(pilot)
        for digit, name in zip("12345", ("listeners", "routes", "clusters", "endpoints", "certs"), strict=True):
            await pilot.press(digit)
            table = app.focused
            assert isinstance(table, LineTable)
            assert table.id == name
            assert table.rows.shown
            await pilot.press("y")
            await settled(pilot)
            assert "{" in text_of(app)
            await pilot.press("q")
        await pilot.press("2")
        move_to(app, lambda cell: cell.startswith("cart.shop"))
        await pilot.press("y")
        await settled(pilot)
        assert '"name": "cart.shop.svc.cluster.local:80"' in text_of(app)
        assert '"catalog.shop' not in text_of(app)


async def test_a_kind_is_a_command_and_leads_to_its_objects() -> None:
    app = application("pine", start="mesh")
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        assert await app.go("dr")
        assert "DestinationRule[1]" in (await settled(pilot))[1]
        assert column(app, "name") == ["cart"]
        await pilot.press("enter")
        await settled(pilot)
        text = text_of(app)
        assert "kind: DestinationRule" in text or "host: cart" in text
        assert await app.go("Pods /web")
        await settled(pilot)
        assert all(name.startswith("web-") for name in column(app, "name"))
        assert not await app.go("nosuchthing")


async def test_each_table_has_a_filter_of_its_own() -> None:
    app = application("pine", start="mesh")
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: cell.startswith("web-"))
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("3", "slash", *"host:cart", "enter")
        assert "/host:cart" in (await settled(pilot))[1]
        await pilot.press("4")
        assert "/host:cart" not in (await settled(pilot))[1]
        await pilot.press("slash", *"state:ok", "enter", "3")
        assert "/host:cart" in (await settled(pilot))[1]
        assert all("cart" in cell for cell in column(app, "name"))
        await pilot.press("4")
        assert "/state:ok" in (await settled(pilot))[1]


async def test_a_cluster_without_usable_hosts_is_a_problem() -> None:
    app = application("maple", start="mesh")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: cell.startswith("web-"))
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("3", "ctrl+z")
        assert "cart.shop" in column(app, "name")
        assert all(ready.startswith("0/") for ready in column(app, "ready"))


async def test_certificates_are_shown_once() -> None:
    app = application("pine", start="mesh")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: cell.startswith("web-"))
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("5")
        assert sorted(column(app, "kind")) == ["chain", "root"]
        assert set(column(app, "state")) == {"OK"}


async def test_traffic_explains_and_leads_to_the_guide() -> None:
    app = application("pine", start="traffic")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert set(column(app, "code")) == {"503", "-"}
        assert "UC: " in text_of(app)
        await pilot.press("enter")
        text = await settled(pilot)
        assert "shop/web -> cart.shop.svc.cluster.local:80" in text[1]
        assert "mtls-plaintext-to-strict" in text[3]


async def test_a_log_shows_failures_alone() -> None:
    app = application("pine", start="mesh")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: cell.startswith("web-"))
        await pilot.press("l")
        await settled(pilot)
        await pilot.press("ctrl+z")
        shown = column(app, "text")
        assert shown
        assert all(" 503 UC " in line for line in shown)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("proxy shop/nobody", "nothing was recorded of a proxy shop/nobody"),
        ("log shop/nobody app", "no log of shop/nobody app was recorded"),
        ("object Pod shop/nobody", "no Pod shop/nobody"),
        ("object Pot shop/nobody", "no kind Pot is read: did you mean Pod?"),
        ("file envoy/shop/nobody/certs.json", "not recorded"),
    ],
)
async def test_what_is_not_there_is_said(command: str, says: str) -> None:
    app = application("pine")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press(*f":{command}", "enter")
        assert says in (await settled(pilot))[22]


async def test_names_complete_once_the_source_was_read() -> None:
    app = application("cedar")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press(*":proxy shop/web", "tab")
        assert app.prompt and app.prompt.text == f"proxy {WEB}"


@pytest.mark.parametrize("size", [(20, 6), (60, 15), (200, 60)])
async def test_any_size(size: tuple[int, int]) -> None:
    app = application("cedar")
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for command in ("mesh", "traffic", f"proxy {WEB}", f"log {WEB} istio-proxy 3", "report", "object Pod " + WEB):
            await pilot.press(*f":{command}", "enter")
            await settled(pilot)
        await pilot.resize_terminal(50, 12)
        assert len(await settled(pilot)) == 12


async def test_the_header_says_that_requests_fail_whatever_view_is_first() -> None:
    app = application("pine", start="mesh")
    async with app.run_test(size=(80, 24)) as pilot:
        text = await settled(pilot)
        await settled(pilot)
        text = await settled(pilot)
        assert "FAILING NOW" in text[1]
        await pilot.press("q", *":errors", "enter")
        assert "nothing went wrong so far" in "\n".join(await settled(pilot))


async def test_an_answer_that_is_not_there_yet_is_told() -> None:
    app = application("pine", start="mesh", language="ko")
    app.judge = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        assert "진단 중 ..." in (await settled(pilot))[1]
