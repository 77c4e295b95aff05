"""Up the joins of a proxy's configuration, and against another pod, on incidents that ship."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from meshdoctor.present.words import Words
from meshdoctor.sources.recording import RecordingSource
from meshdoctor.tui.app import MeshDoctorApp
from meshdoctor.tui.examined import ExaminedSession
from tests.screens.shipped import FIXTURES, application, column, move_to, settled, table_of, text_of


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
        assert "compared with istiod; 2 to choose from" in (await settled(pilot))[22]
        assert column(app, "what") == ["unknown"]
        assert "what istiod would send was not recorded" in text_of(app)
        await pilot.press("q")
        await settled(pilot)
        assert app.view and app.view.location.name == "proxy", "one key leaves the view, however often D was pressed"


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


async def test_against_what_istiod_would_send_now(tmp_path: Path) -> None:
    with tarfile.open(FIXTURES / "pine.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    root = next(tmp_path.rglob("manifest.json")).parent
    dump = next((root / "envoy" / "shop").glob("web-*/config_dump.json"))
    sent = json.loads(dump.read_bytes())
    clusters = next(each for each in sent["configs"] if each["@type"].endswith("ClustersConfigDump"))
    changed = clusters["dynamic_active_clusters"][0]["cluster"]
    changed["connect_timeout"] = "77s"
    istiod = next((root / "istiod").iterdir()).name
    place = root / "istiod" / istiod / "config_dump" / "shop" / f"{dump.parent.name}.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(sent))
    session = ExaminedSession("istiod", lambda: RecordingSource.open(root))
    app = MeshDoctorApp(session, start=f"proxy shop/{dump.parent.name} clusters", theme="md-dark", words=Words("en"))
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("D")
        text = await settled(pilot)
        assert "compared with istiod" in text[28]
        assert column(app, "what") == ["differs"]
        assert [row.copies for row in table_of(app).rows.shown] == [changed["name"]]
        assert any(line.startswith("-") and "77s" in line for line in text_of(app).splitlines())


async def test_a_route_that_uses_a_cluster_opens_as_just_that_route() -> None:
    app = application("pine", start="mesh")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: cell.startswith("web-"))
        await pilot.press("enter", "3")
        await settled(pilot)
        move_to(app, lambda cell: cell == "cart.shop")
        await pilot.press("u")
        await settled(pilot)
        move_to(app, lambda cell: cell == "route")
        await pilot.press("enter")
        await settled(pilot)
        assert set(column(app, "leads")) == {"cart.shop:80"}
        assert app.view and app.view.location.name == "proxy"
