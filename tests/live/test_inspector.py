"""The inspector on a cluster: istiod is asked about the one sidecar that is looked at, and never about a gateway."""

from __future__ import annotations

import json
from pathlib import Path

from tests.live.clusters import Cluster, running, serving, shows
from tests.screens.shipped import column, move_to, settled, text_of


async def test_d_asks_istiod_what_it_would_send(tmp_path: Path) -> None:
    with serving("pine", tmp_path) as (api, folder):
        cluster = Cluster(api, tmp_path)
        istiod = next(path.parent for path in sorted(folder.glob("istiod/*/syncz.json")))
        known = {one["proxy"]: one["proxy_type"] for one in json.loads((istiod / "syncz.json").read_bytes())}
        web = next(name.partition(".")[0] for name in known if name.startswith("web-"))
        gateway = next((name.partition(".")[0] for name, kind in known.items() if kind == "router"), "")
        body = (folder / "envoy" / "shop" / web / "config_dump.json").read_bytes()
        (istiod / "config_dump.json").write_bytes(
            body.replace(b'"connect_timeout": "10s"', b'"connect_timeout": "11.000s"')
        )
        async with running(cluster.session()) as pilot:
            await shows(pilot, "CLERX", "web-")
            app = pilot.app
            move_to(app, lambda cell: cell == web)
            await pilot.press("D")
            await shows(pilot, "compared with istiod")
            await settled(pilot)
            assert set(column(app, "what")) == {"differs"}
            assert set(column(app, "kind")) == {"cluster"}
            assert '- "11.000s"' in text_of(app)
            assert '+ "10s"' in text_of(app)
            if gateway:
                await pilot.press("q")
                await shows(pilot, "CLERX")
                move_to(app, lambda cell: cell == gateway)
                await pilot.press("D")
                await shows(pilot, "istiod is asked this about sidecars only")
