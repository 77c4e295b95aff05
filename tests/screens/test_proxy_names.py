"""`:proxy` by the name of a workload, as the commands read names."""

from __future__ import annotations

import pytest

from tests.screens.shipped import application, settled, table_of


@pytest.mark.parametrize("name", ["shop/web", "web", "deploy/web.shop"])
async def test_a_workload_opens_its_first_pod(name: str) -> None:
    app = application("cedar", start=f"proxy {name}")
    async with app.run_test(size=(100, 24)) as pilot:
        await settled(pilot)
        text = await settled(pilot)
        assert table_of(app).cursor_row is not None
        assert any("proxy shop/web-" in line for line in text)
        await pilot.press("y")
        await settled(pilot)
        assert app.view and str(app.view.location).startswith("dump shop/web-")


async def test_others_of_the_workload_are_offered() -> None:
    app = application("cedar", start="proxy shop/cart")
    async with app.run_test(size=(120, 24)) as pilot:
        await settled(pilot)
        text = "\n".join(await settled(pilot))
        assert "one of 1 more: shop/cart-" in text


async def test_a_name_that_is_none_says_so_with_near_names() -> None:
    app = application("cedar", start="mesh")
    async with app.run_test(size=(120, 24)) as pilot:
        await settled(pilot)
        await pilot.press("colon", *"proxy shop/wbe", "enter")
        await settled(pilot)
        text = "\n".join(await settled(pilot))
        assert "nothing was recorded of a proxy shop/wbe: did you mean shop/web?" in text
