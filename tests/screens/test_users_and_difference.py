"""Up the joins of a proxy's configuration, and against another pod, on incidents that ship."""

from __future__ import annotations

from tests.screens.shipped import application, column, move_to, settled, table_of, text_of


async def test_u_goes_up_from_an_endpoint_to_its_listener() -> None:
    app = application("pine", start="mesh")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: cell.startswith("web-"))
        await pilot.press("enter", "4")
        await settled(pilot)
        move_to(app, lambda cell: cell == "cart.shop:80")
        for kind, name in (("cluster", "cart.shop:80"), ("route", "80"), ("listener", "0.0.0.0_80")):
            await pilot.press("u")
            await settled(pilot)
            assert (column(app, "kind")[0], column(app, "name")[0]) == (kind, name)
        await pilot.press("y")
        await settled(pilot)
        assert app.view and str(app.view.location).endswith(" listener 0.0.0.0_80")
        await pilot.press("q", "u")
        text = await settled(pilot)
        assert column(app, "kind") == []
        assert "traffic arrives there" in "\n".join(text)
        await pilot.press("q", "enter")
        await settled(pilot)
        assert app.view.location.name == "proxy"


async def test_a_filter_by_column_keeps_only_its_rows() -> None:
    app = application("pine", start="mesh")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: cell.startswith("web-"))
        await pilot.press("enter", "3")
        await settled(pilot)
        await pilot.press("slash", *"dir:inbound", "enter")
        everything = len(table_of(app).rows.by_key)
        assert set(column(app, "direction")) <= {"inbound"}
        assert len(column(app, "name")) < everything


async def test_two_pods_of_a_workload_hold_the_same() -> None:
    app = application("pine", start="mesh")
    async with app.run_test(size=(100, 24)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: cell.startswith("cart-"))
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("D")
        text = await settled(pilot)
        assert app.view and app.view.location.name == "difference"
        assert column(app, "what") == []
        assert "both hold the same clusters, listeners and routes" in "\n".join(text)
        await pilot.press("D")
        assert "no other pod that was recorded" in (await settled(pilot))[22]


async def test_pods_of_two_workloads_differ() -> None:
    app = application("pine", start="mesh")
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        names = [row.key for row in table_of(app).rows.shown]
        cart, web = (next(name for name in names if name.startswith(f"shop/{own}-")) for own in ("cart", "web"))
        await pilot.press("colon", *f"difference {cart} {web}", "enter")
        await settled(pilot)
        assert {"only here", "differs"} <= set(column(app, "what"))
        move_to(app, lambda cell: cell == "differs")
        assert f"+ is {cart}'s" in text_of(app)
        assert any(line.startswith("+") for line in text_of(app).splitlines())
        move_to(app, lambda cell: cell == "only here")
        assert f"only {cart} has" in text_of(app)
        await pilot.press("enter")
        await settled(pilot)
        assert str(app.view.location).startswith(f"dump {cart} ") if app.view else False
