"""One proxy under inspection: what differs from what it should run, and plainly what cannot be told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.proxy.inspection import Inspection, Unknown, inspect, inspection_wants
from meshdoctor.mesh.sync import CONNECTED, DISCONNECTED, STALE, ProxySync, TypeSync
from meshdoctor.model import wants as ask
from meshdoctor.model.envoy.config_dump import decode_config_dump
from meshdoctor.model.istiod import SyncRecord
from meshdoctor.model.snapshot import Fact, Missing, Origin, PodRef, Snapshot, SourceInfo
from meshdoctor.present.inspection_rows import inspection_rows
from meshdoctor.present.table import plain
from meshdoctor.present.undelivered import inspection_lines
from meshdoctor.present.words import LANGUAGES, Words
from tests.mesh.proxy.dumps import clusters, dump, listeners, routes

WEB = PodRef("shop", "web")
SENT = ask.SentConfig("istiod-a", WEB)
LATE = TypeSync("CDS", "", STALE, 90.0)
IN_SYNC = ProxySync(WEB, "sidecar", CONNECTED, (TypeSync("CDS", "", "SYNCED", 5.0),), "istiod-a")
BEHIND = IN_SYNC._replace(types=(LATE,))
ROUTE = {"name": "80", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{"route": {"cluster": "gone"}}]}]}
ERROR = {"details": "bad\n thing \u001b", "last_update_attempt": "2026-11-23T10:00:00Z"}
RUNS = {
    "ClustersConfigDump": clusters({"name": "a", "connect_timeout": "1s"}, {"name": "b"}),
    "RoutesConfigDump": routes(ROUTE),
    "ListenersConfigDump": {"dynamic_listeners": [{"name": "refused", "error_state": ERROR}]},
    "SecretsConfigDump": {"dynamic_warming_secrets": [{"name": "cert", "secret": {"name": "cert"}}]},
}


def mesh(runs: dict[str, Any] | None = None, *others: str, **facts: Any) -> MeshIndex:
    values: dict[Any, Any] = {
        ask.Contents(): ask.Inventory(istiods=("istiod-a",)),
        ask.SyncStatus("istiod-a"): tuple(SyncRecord(name, proxy_type="sidecar") for name in ("web.shop", *others)),
        ask.ProxyConfig(WEB): decode_config_dump(dump(**(RUNS if runs is None else runs))),
        ask.Objects("EndpointSlice"): (),
    }
    known: dict[Any, Any] = {want: Fact(value, Origin("x", None)) for want, value in values.items()}
    known[SENT] = Fact(facts["sent"], Origin("x", None)) if "sent" in facts else Missing("not recorded", "", "x")
    return MeshIndex(Snapshot(SourceInfo("recording", "x"), known | facts.get("missing", {})))


def sent(*bodies: dict[str, Any], endpoints: bool = False) -> bytes:
    section = {"versionInfo": "1", "dynamicActiveClusters": [{"cluster": body} for body in bodies]}
    more: dict[str, Any] = {"EndpointsConfigDump": {}} if endpoints else {}
    return dump(ClustersConfigDump=section, RoutesConfigDump=routes(ROUTE), **more)


def test_an_istiod_that_gives_no_endpoints_clears_none() -> None:
    runs = {"ClustersConfigDump": clusters({"name": "a"}), "RoutesConfigDump": routes(ROUTE)}
    found = inspect(mesh(runs, sent=sent({"name": "a"})), IN_SYNC, recorded=True)
    assert [one.what for one in found.unknown] == ["sent_no_endpoints", "no_endpoints"]
    text = "\n".join(inspection_lines(found))
    assert "clusters, listeners and routes are the same" in text
    assert "endpoints are not compared with istiod's" in text
    found = inspect(mesh(runs, sent=b"{}"), IN_SYNC, recorded=True)
    assert found.unknown[0] == Unknown("not_comparable", "it has no ClustersConfigDump")


def test_everything_that_is_known_of_a_proxy_that_is_behind() -> None:
    found = inspect(mesh(sent=sent({"name": "a", "connectTimeout": "2.000s"}, {"name": "b"})), BEHIND, recorded=True)
    assert [(one.kind, one.name, one.why) for one in found.rejected] == [("listener", "refused", "bad\n thing ␛")]
    assert found.warming == (("secret", "cert"),)
    assert found.sent is not None
    assert [(one.name, one.what, one.fields[0].path) for one in found.sent if one.fields] == [
        ("a", "differs", "connectTimeout")
    ]
    assert found.missing == {"gone": ("80",)}
    assert [one.what for one in found.unknown] == ["sent_no_endpoints", "no_endpoints"]
    assert found.finds


def test_the_command_and_the_application_say_the_same() -> None:
    found = inspect(mesh(sent=sent({"name": "a", "connectTimeout": "2s"}, {"name": "c"})), BEHIND, recorded=True)
    text = "\n".join(inspection_lines(found))
    assert "Envoy refused listener refused (2026-11-23T10:00:00Z): bad thing ␛" in text
    assert "secret cert is warming: Envoy asks for this secret and it has not come" in text
    assert 'connectTimeout: istiod "2s", Envoy "1s"' in text
    assert "cluster b: not of istiod any more" in text
    assert "its routes name cluster gone, which it has not got (in 80)" in text
    for language in LANGUAGES:
        shown = inspection_rows(found, Words(language))
        cells = [(plain(one.row.cells[0]), one.row.cells[1], one.row.cells[2]) for one in shown]
        assert cells[:7] == [
            ("rejected", "listener", "refused"),
            ("warming", "secret", "cert"),
            ("differs", "cluster", "a"),
            ("only Envoy", "cluster", "b"),
            ("only istiod", "cluster", "c"),
            ("missing", "cluster", "gone"),
            ("not acked", "CDS", cells[6][2]),
        ]
        assert cells[-1][0] == "unknown"
    lines = {one.row.copies: [plain(line) for line in one.lines] for one in inspection_rows(found, Words("en"))}
    assert lines["a"][1:] == ["connectTimeout", '- "2s"', '+ "1s"']
    assert lines["refused"] == ["Envoy refused it (2026-11-23T10:00:00Z):", "", "bad", " thing ␛"]
    assert all("\x1b" not in line for own in lines.values() for line in own)
    targets = {one.row.copies: one.row.target for one in inspection_rows(found, Words("en"))}
    assert targets["gone"] == "users shop/web cluster gone"
    assert (targets["b"], targets["c"]) == ("dump shop/web cluster b", "")


def test_a_proxy_in_sync_that_runs_what_it_should() -> None:
    runs = {"ClustersConfigDump": clusters({"name": "a"}), "RoutesConfigDump": routes(ROUTE), "EndpointsConfigDump": {}}
    found = inspect(mesh(runs, sent=sent({"name": "a"}, endpoints=True)), IN_SYNC, recorded=True)
    assert found == Inspection(IN_SYNC, sent=())
    assert "clusters, listeners, routes and endpoints are the same" in "\n".join(inspection_lines(found))
    assert not found.finds
    assert inspection_rows(found, Words("en")) == ()


@pytest.mark.parametrize(
    ("sync", "recorded", "says"),
    [
        (IN_SYNC, True, Unknown("not_recorded")),
        (IN_SYNC, False, Unknown("not_recorded")),
        (IN_SYNC._replace(kind="gateway"), False, Unknown("not_asked", "gateway")),
        (IN_SYNC._replace(kind="waypoint"), False, Unknown("not_asked", "waypoint")),
        (ProxySync(WEB, "sidecar", DISCONNECTED), False, Unknown("nobody_to_ask")),
    ],
)
def test_why_istiods_word_is_not_known(sync: ProxySync, recorded: bool, says: Unknown) -> None:
    found = inspect(mesh(), sync, recorded=recorded)
    assert found.sent is None
    assert found.unknown[0] == says
    assert Words("en")(f"inspection.{says.what}", why=says.why) in "\n".join(inspection_lines(found))


def test_gateways_are_never_asked_about() -> None:
    for kind in ("gateway", "waypoint", "ztunnel"):
        wants = inspection_wants(IN_SYNC._replace(kind=kind), recorded=False)
        assert not [want for want in wants if isinstance(want, ask.SentConfig)]
    assert SENT in inspection_wants(IN_SYNC, recorded=False)
    assert inspection_wants(ProxySync(WEB, "ztunnel", CONNECTED), recorded=True) == ()


def test_an_answer_that_may_be_another_proxys_is_not_compared() -> None:
    found = inspect(mesh(None, "my-web.shop", sent=sent({"name": "x"})), IN_SYNC, recorded=True)
    assert (found.sent, found.unknown[0]) == (None, Unknown("taken_for", "my-web.shop"))
    found = inspect(mesh(None, "my-web.shopping", sent=sent({"name": "x"})), IN_SYNC, recorded=True)
    assert found.unknown[0] == Unknown("taken_for", "my-web.shopping")
    found = inspect(mesh(None, "web2.shop", sent=sent({"name": "x"})), IN_SYNC, recorded=True)
    assert found.sent


def test_broken_answers_are_said() -> None:
    found = inspect(mesh(sent=b"Proxy not connected to this Pilot instance"), IN_SYNC, recorded=True)
    assert found.unknown[0].what == "not_comparable"
    refused = {SENT: Missing("timeout", "after 5 s", "x")}
    assert inspect(mesh(missing=refused), IN_SYNC, recorded=True).unknown[0] == Unknown(
        "no_answer", "timeout: after 5 s"
    )
    gone = {ask.ProxyConfig(WEB): Missing("no such pod", "", "x")}
    assert inspect(mesh(missing=gone), IN_SYNC, recorded=True).unknown == (Unknown("no_dump", "no such pod"),)


def test_what_every_kind_of_resource_says_of_its_rejection() -> None:
    entry = {"error_state": ERROR}
    runs = {
        "ClustersConfigDump": {"dynamic_active_clusters": [{"cluster": {"name": "c"}, **entry}]},
        "ListenersConfigDump": listeners({"name": "l"}),
        "RoutesConfigDump": {"dynamic_route_configs": [{"route_config": {"name": "r"}, **entry}]},
        "SecretsConfigDump": {"dynamic_active_secrets": [{"name": "s", **entry}]},
        "EcdsConfigDump": {"ecds_filters": [{"ecds_filter": {"name": "e"}, **entry}]},
        "EndpointsConfigDump": {"dynamic_endpoint_configs": [{"endpoint_config": {"cluster_name": "n"}, **entry}]},
    }
    found = inspect(mesh(runs), IN_SYNC, recorded=True)
    assert [(one.kind, one.name) for one in found.rejected] == [
        ("cluster", "c"),
        ("route", "r"),
        ("secret", "s"),
        ("extension", "e"),
        ("endpoints", "n"),
    ]
    assert json.dumps([one.when for one in found.rejected]).count("10:00:00Z") == 5


def test_why_it_has_no_istiod_comes_first() -> None:
    lost = ProxySync(WEB, "sidecar", DISCONNECTED, notes=("no istiod lists it",))
    runs = {"ClustersConfigDump": clusters({"name": "a"})}
    first = inspection_rows(inspect(mesh(runs), lost, recorded=True), Words("en"))[0]
    assert [plain(cell) for cell in first.row.cells] == ["connection", "-", "DISCONNECTED: no istiod lists it"]
    skew = IN_SYNC._replace(notes=("version skew: proxy 1.27.3, istiod 1.29.1",))
    first = inspection_rows(inspect(mesh(runs), skew, recorded=True), Words("en"))[0]
    assert first.lines == ("version skew: proxy 1.27.3, istiod 1.29.1",)
