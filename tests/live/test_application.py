"""The application on a cluster: what a person sees while it answers, and when it does not."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from meshdoctor.present.words import Words
from meshdoctor.sources.recording import RecordingSource
from meshdoctor.tui.app import MeshDoctorApp
from meshdoctor.tui.examined import ExaminedSession
from tests.live.apiserver import ApiServer, Fault
from tests.live.clusters import Cluster, running, serving, shows, until
from tests.screens.shipped import move_to


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """An incident as a cluster."""
    with serving("cedar", tmp_path) as (api, _):
        yield Cluster(api, tmp_path)


def rows(text: str) -> list[str]:
    """The first rows of a table without its last column, the age of a pod."""
    return [line[:80] for line in text.splitlines()[3:8]]


def paths(api: ApiServer) -> list[str]:
    return [path for _, path in api.requests]


async def test_mesh_and_guide_of_a_cluster(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        text = await shows(pilot, "test  live  RO", "s ago", "CLERX")
        assert "LOST" in text or "OK" in text
        assert not any(path.endswith("/log") for path in paths(cluster.api))  # the mesh view needs none
        await pilot.press("i")
        await shows(pilot, "CULPRIT")
        assert any(path.endswith("/log") for path in paths(cluster.api))
        assert {method for method, _ in cluster.api.requests} == {"GET"}


async def test_korean(cluster: Cluster) -> None:
    async with running(cluster.session(), language="ko") as pilot:
        await shows(pilot, "초 전")
        cluster.api.faults.append(Fault("/", 503, "ServiceUnavailable"))
        await shows(pilot, "클러스터 과부하", "재시도", "STALE")


async def test_a_view_in_sight_is_read_again_by_itself(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        await shows(pilot, "s ago")
        pods = json.loads(cluster.api.objects.select("/api/v1/pods", "", "", "")[0].body)
        await until(pilot, lambda _: any(path == "/api/v1/pods" for path in paths(cluster.api)))
        before = paths(cluster.api).count("/api/v1/pods")
        new = json.loads(json.dumps(pods).replace(pods["metadata"]["name"], "brand-new-7c9d5b6f4-x2x9q"))
        new["spec"]["containers"] = [{"name": "istio-proxy", "image": "istio/proxyv2:1.29.0"}]
        new["metadata"]["namespace"] = "shop"
        cluster.api.objects.change("ADDED", "/api/v1/pods", new)
        await shows(pilot, "brand-new")
        syncz = len([path for path in paths(cluster.api) if path.endswith("/portforward")])
        await until(pilot, lambda _: len([p for p in paths(cluster.api) if p.endswith("/portforward")]) > syncz)
        assert paths(cluster.api).count("/api/v1/pods") <= before + 2  # the watch told it


async def test_connection_lost_and_found(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        await shows(pilot, "CLERX", "s ago")
        shown = rows(await shows(pilot, "istio-system"))
        cluster.api.faults.append(Fault("/", hang=True))
        text = await shows(pilot, "NO ANSWER for", "STALE")
        assert rows(text) == shown
        assert pilot.app.is_running
        cluster.api.faults.clear()
        await until(pilot, lambda text: "NO ANSWER" not in text and "STALE" not in text and "s ago" in text)


async def test_an_expired_token_and_a_new_login(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        await shows(pilot, "CLERX", "s ago")
        cluster.api.tokens = {"tomorrow"}
        await shows(pilot, "LOGIN REFUSED for", "STALE", "CLERX")
        await pilot.press("A")
        await shows(pilot, "does not accept the credential")
        cluster.write(cluster.api.kubeconfig(token="tomorrow"))
        await pilot.press("A")
        await until(pilot, lambda text: "LOGIN REFUSED" not in text and "s ago" in text)


async def test_a_token_that_is_renewed_elsewhere_is_found(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        await shows(pilot, "CLERX", "s ago")
        cluster.api.tokens = {"tomorrow"}
        await shows(pilot, "LOGIN REFUSED for")
        cluster.write(cluster.api.kubeconfig(token="tomorrow"))
        await until(pilot, lambda text: "LOGIN REFUSED" not in text and "s ago" in text)


async def test_a_login_program_is_run_again(cluster: Cluster) -> None:
    program = cluster.home / "login"
    program.write_text(
        "#!/bin/sh\necho run >> runs\n"
        'printf \'{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",'
        '"status":{"token":"%s"}}\' "$(cat token)"\n'.replace("runs", str(cluster.home / "runs")).replace(
            "cat token", f"cat {cluster.home / 'token'}"
        )
    )
    program.chmod(0o755)
    (cluster.home / "token").write_text("test-token")
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(program),
        "interactiveMode": "IfAvailable",
    }
    cluster.write(cluster.api.kubeconfig(exec=plugin))
    async with running(cluster.session()) as pilot:
        await shows(pilot, "CLERX", "s ago")
        cluster.api.tokens = {"tomorrow"}
        await shows(pilot, "LOGIN REFUSED for")
        (cluster.home / "token").write_text("tomorrow")
        await pilot.press("A")
        await until(pilot, lambda text: "LOGIN REFUSED" not in text and "s ago" in text)
    assert len((cluster.home / "runs").read_text().split()) >= 3


async def test_a_cluster_that_does_not_answer_at_the_start(cluster: Cluster) -> None:
    cluster.api.faults.append(Fault("/", hang=True))
    async with running(cluster.session(), start="guide") as pilot:
        await shows(pilot, "reading for")
        await shows(pilot, "NO ANSWER for")
        await pilot.press("m")
        await pilot.press("question_mark")
        await shows(pilot, "> help", "NO ANSWER for")
        await pilot.press("q")
        cluster.api.faults.clear()
        await shows(pilot, "CLERX", "s ago")


async def test_a_slow_api_server_is_told(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        await shows(pilot, "CLERX", "s ago")
        cluster.api.faults.append(Fault("/version", hang=True))
        text = await shows(pilot, "reading for")
        assert "CLERX" in text
        assert "istio-system" in text


async def test_how_much_is_read_is_counted(cluster: Cluster) -> None:
    cluster.api.faults.append(Fault("/log", hang=True))
    async with running(cluster.session(), start="guide") as pilot:
        await until(pilot, lambda text: re.search(r"reading for \d+s: \d+ of \d{2,}", text) is not None)
        cluster.api.faults.clear()
        cluster.api.drop_connections()
        await until(pilot, lambda text: "reading for" not in text)


async def test_istiod_restarts(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        shown = rows(await shows(pilot, "CLERX", "s ago"))
        fault = Fault("/pods/istiod-.*/portforward", 500, "InternalError")
        cluster.api.faults.append(fault)
        text = await shows(pilot, "NOT READ for", "STALE")
        assert rows(text) == shown
        cluster.api.faults.clear()
        await until(pilot, lambda text: "NOT READ" not in text and "STALE" not in text)


async def test_a_pod_that_goes_while_it_is_looked_at(cluster: Cluster) -> None:
    session = cluster.session()
    async with running(session) as pilot:
        await shows(pilot, "CLERX", "s ago")
        pod = next(name for name in session.names("proxy") if not name.startswith("istio-system"))
        await pilot.app.go(f"proxy {pod}")
        await shows(pilot, "1 listeners", "s ago")
        shown = rows(await shows(pilot, "3 clusters"))
        namespace, _, name = pod.partition("/")
        items = cluster.api.objects.select("/api/v1/pods", namespace, "", "")
        body = next(json.loads(item.body) for item in items if item.name == name)
        cluster.api.objects.change("DELETED", "/api/v1/pods", body)
        text = await shows(pilot, f"no running pod {pod} with a proxy")
        assert rows(text) == shown
        await shows(pilot, "NOT READ for", "STALE")
        assert pilot.app.is_running


async def test_the_guide_examines_anew_when_asked(cluster: Cluster) -> None:
    async with running(cluster.session(), start="guide") as pilot:
        await shows(pilot, "CULPRIT", "s ago")
        logs = len([path for path in paths(cluster.api) if path.endswith("/log")])
        await pilot.press("r")
        await until(pilot, lambda _: len([p for p in paths(cluster.api) if p.endswith("/log")]) >= 2 * logs)
        await shows(pilot, "CULPRIT")
        cluster.api.faults.append(Fault("/", 503, "ServiceUnavailable"))
        await pilot.press("r")
        text = await shows(pilot, "CLUSTER BUSY for", "STALE")
        assert "CULPRIT" in text


async def test_what_is_forbidden_is_told_with_its_rule(cluster: Cluster) -> None:
    cluster.api.denied = {("create", "pods/portforward"), ("list", "services")}
    session = cluster.session()
    async with running(session) as pilot:
        await shows(pilot, "s ago", "istio-system")
        await pilot.app.go("unread")
        text = (await shows(pilot, "resources: [services], verbs: [list]")).replace("\n", " ")
        assert "forbidden" in text
        await pilot.press("q")
        pod = next(name for name in session.names("proxy"))
        await pilot.app.go(f"proxy {pod}")
        text = await shows(pilot, "forbidden")
        assert "resources: [pods/portforward], verbs: [get, create]" in " ".join(text.split())


async def test_without_any_right_to_pods_the_rule_stands_where_the_rows_would(cluster: Cluster) -> None:
    cluster.api.denied = {("list", "pods")}
    async with running(cluster.session()) as pilot:
        text = " ".join((await shows(pilot, "forbidden")).split())
        assert 'lacks {apiGroups: [""], resources: [pods], verbs: [list]}' in text
        cluster.api.denied = set()
        await pilot.press("r")
        await shows(pilot, "CLERX", "s ago", "istio-system")


def with_pine(cluster: Cluster, other: ApiServer) -> dict[str, Any]:
    """A kubeconfig that names *other* as well."""
    both = cluster.api.kubeconfig()
    for part in ("clusters", "contexts"):
        (entry,) = other.kubeconfig()[part]
        entry["name"] = "pine"
        both[part].append(entry)
    both["contexts"][1]["context"]["cluster"] = "pine"
    return both


async def test_another_context(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with serving("pine", tmp_path / "other") as (other, _):
        cluster.write(with_pine(cluster, other))
        async with running(cluster.session()) as pilot:
            await shows(pilot, "test  live  RO", "s ago")
            cluster.api.faults.append(Fault("/", hang=True))
            await shows(pilot, "NO ANSWER")
            await pilot.press(*":context p")
            await pilot.press("tab", "enter")
            await shows(pilot, "pine  live  RO", "CLERX", "s ago", "web-")
            await pilot.press(*":context nowhere", "enter")
            await shows(pilot, "context 'nowhere' does not exist", "pine  live  RO")


async def test_contexts_are_listed_and_entered(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with serving("pine", tmp_path / "other") as (other, _):
        cluster.write(with_pine(cluster, other))
        async with running(cluster.session()) as pilot:
            await shows(pilot, "test  live  RO", "s ago")
            await pilot.press(*":ctx", "enter")
            text = await shows(pilot, "> contexts[2]", "this, kubectl")
            assert other.url in text
            await pilot.press("k", "enter")
            await shows(pilot, "pine  live  RO", "CLERX", "web-")


async def test_kubectl_config_use_context_in_another_shell_is_told_and_not_followed(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with serving("pine", tmp_path / "other") as (other, _):
        both = with_pine(cluster, other)
        cluster.write(both)
        async with running(cluster.session()) as pilot:
            shown = rows(await shows(pilot, "test  live  RO", "s ago", "istio-system"))
            cluster.write(both | {"current-context": "pine"})
            text = await shows(pilot, "kubectl now uses pine; this stays test   :context switches")
            assert rows(text) == shown
            assert text.splitlines()[0].startswith(" test  live  RO  kubectl: pine ")
            await pilot.press("j")
            await until(pilot, lambda text: ":context switches" not in text and "kubectl: pine" in text)
            assert not other.requests
            await pilot.press(*":errors", "enter")
            await shows(pilot, "kubeconfig", "kubectl now uses pine")
            await pilot.press(*":context pine", "enter")
            await until(pilot, lambda text: text.startswith(" pine  live  RO  ") and "kubectl:" not in text)


async def test_a_kubeconfig_that_names_another_cluster_is_told_and_not_followed(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with serving("pine", tmp_path / "other") as (other, _):
        async with running(cluster.session()) as pilot:
            shown = rows(await shows(pilot, "test  live  RO", "s ago", "istio-system"))
            cluster.path.write_text("contexts: [")
            await shows(pilot, "is not YAML")
            cluster.write(other.kubeconfig())
            text = await shows(pilot, f"test now names {other.url}"[:40], "the old cluster")
            assert rows(text) == shown
            cluster.api.tokens = {"tomorrow"}  # not even when the old cluster refuses the credential
            await shows(pilot, "LOGIN REFUSED")
            await pilot.press("A")
            await shows(pilot, "names another cluster")
            assert not other.requests
            await pilot.press(*":context test", "enter")
            await shows(pilot, "CLERX", "web-")
            assert other.requests


async def test_new_credentials_in_the_kubeconfig_are_told(cluster: Cluster) -> None:
    async with running(cluster.session(), language="ko") as pilot:
        await shows(pilot, "초 전")
        cluster.api.tokens = {"test-token", "tomorrow"}
        cluster.write(cluster.api.kubeconfig(token="tomorrow"))
        await shows(pilot, "kubeconfig에 test 의 새 인증 정보   :login 으로 사용")
        await pilot.press(*":login", "enter")
        await shows(pilot, "다시 로그인했습니다")
        cluster.write(cluster.api.kubeconfig() | {"contexts": [], "current-context": ""})
        await shows(pilot, "test 이 kubeconfig에서 없어짐. 화면은 그대로", "CLERX")


async def test_what_went_wrong_can_be_read_again(cluster: Cluster) -> None:
    cluster.api.denied = {("create", "pods/portforward")}
    async with running(cluster.session()) as pilot:
        await shows(pilot, "s ago", "istio-system")
        cluster.api.faults.append(Fault("/", 503, "ServiceUnavailable"))
        await shows(pilot, "CLUSTER BUSY for")
        cluster.api.faults.clear()
        await until(pilot, lambda text: "CLUSTER BUSY" not in text)
        await pilot.press(*":errors", "enter")
        text = await shows(pilot, "answers", "the cluster answers again, after", "HTTP 503")
        assert "forbidden" in text
        assert "resources: [pods/portforward], verbs: [get, create]" in text


async def test_evidence_of_a_cluster_opens_as_it_was_read(cluster: Cluster) -> None:
    async with running(cluster.session(), start="guide") as pilot:
        await shows(pilot, "CULPRIT", "s ago")
        await until(pilot, lambda text: "reading" not in text and "the next step" not in text)
        app = pilot.app
        assert isinstance(app, MeshDoctorApp)
        move_to(app, lambda cell: " line " in cell)
        cluster.api.logs = dict.fromkeys(cluster.api.logs, b"everything is another line now\n" * 500)
        await pilot.press("enter")
        text = await shows(pilot, "> log ")
        await until(pilot, lambda text: "reading the log" not in text)
        assert "everything is another line now" not in text
        await pilot.press("q")
        await app.go("object Pod")
        await shows(pilot, "kube/core/v1/pods.json", "items:")


async def test_an_object_is_one_get_of_it(cluster: Cluster) -> None:
    session = cluster.session()
    async with running(session, start="guide") as pilot:
        await shows(pilot, "CULPRIT", "s ago")
        await until(pilot, lambda text: "the next step" not in text and "reading" not in text)
        service = next(name for name in session.names("object") if name.startswith("Service shop/"))
        name = service.rpartition("/")[2]
        before = len(paths(cluster.api))
        assert isinstance(pilot.app, MeshDoctorApp)
        await pilot.app.go(f"object {service}")
        await shows(pilot, "kind: Service", f"name: {name}", "s ago")
        asked = paths(cluster.api)[before:]
        assert f"/api/v1/namespaces/shop/services/{name}" in asked
        assert not [path for path in asked if path.endswith("/services")]
        await pilot.press("q")
        await pilot.app.go(f"object Service shop/{name[:-1]}")
        await shows(pilot, f"no Service shop/{name[:-1]}: did you mean shop/")
        await pilot.press("q")
        await pilot.app.go(f"object Service shop/{name}?watch=true")
        await shows(pilot, "is not plain")
        await pilot.press("q")
        await pilot.app.go("object Secret shop/cart")
        await shows(pilot, "no kind Secret is read")
        await pilot.press("q")
        cluster.api.denied = {("get", "services")}
        await pilot.app.go(f"object {service}")
        await shows(pilot, "spec:", f"name: {name}")  # of the list, which is still allowed
        assert [path for path in paths(cluster.api)[before:] if path.endswith("/services")]


async def test_moments_of_a_recording_under_way_are_compared(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        await shows(pilot, "CLERX", "s ago")
        await pilot.press("R")
        await shows(pilot, "REC 1")
        service = json.loads(cluster.api.objects.select("/api/v1/services", "shop", "", "")[0].body)
        cluster.api.objects.change("DELETED", "/api/v1/services", service)
        await shows(pilot, "REC 3")
        await pilot.press("equals_sign")
        text = await shows(pilot, "moments 1 -> ", f"{service['metadata']['namespace']}/{service['metadata']['name']}")
        assert "removed Service" in text
        move_to(_app(pilot), lambda cell: cell == "Service")
        await pilot.press("enter")
        await shows(pilot, "-spec:", "object removed Service")
        await pilot.press("R")
        await shows(pilot, "recorded in ")
        await pilot.press("q")
        await pilot.press("r")
        await shows(pilot, "removed Service", "moments 1 -> ")


async def test_what_was_read_before_is_compared_with_now(cluster: Cluster) -> None:
    async with running(cluster.session(), start="guide") as pilot:
        await shows(pilot, "CULPRIT", "s ago")
        await until(pilot, lambda text: "the next step" not in text and "reading" not in text)
        await asyncio.sleep(1.1)  # readings are named by the second
        await pilot.press("equals_sign")
        await shows(pilot, "moments 1 -> 2 of 2", "read at one of the two moments only")
        service = json.loads(cluster.api.objects.select("/api/v1/services", "shop", "", "")[0].body)
        cluster.api.objects.change("DELETED", "/api/v1/services", service)
        await asyncio.sleep(1.1)
        await pilot.press("r")
        text = await shows(pilot, "moments 1 -> 3 of 3", "removed Service")
        assert "the guide was not run at both moments" in text
        cluster.api.faults.append(Fault("/", 503, "ServiceUnavailable"))
        await pilot.press("r")
        await shows(pilot, "HTTP 503", "removed Service")


async def test_a_first_reading_has_nothing_to_be_compared_with(cluster: Cluster) -> None:
    async with running(cluster.session(), language="ko") as pilot:
        await shows(pilot, "초 전", "가이드 미실행 (i)")
        await pilot.press("equals_sign")
        # It is said until there is a second one: an empty view reads again by itself.
        await until(pilot, lambda text: "this is the first reading" in text or "시점 1 -> " in text)
        await until(pilot, lambda text: bool(re.search(r"시점 1 -> (\d) / \1", text)) and "바뀐 것이 없습니다" in text)


def _app(pilot: Pilot[Any]) -> MeshDoctorApp:
    assert isinstance(pilot.app, MeshDoctorApp)
    return pilot.app


async def test_what_is_recorded_opens_with_its_moments(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        await shows(pilot, "CLERX", "s ago")
        await pilot.press("R")
        await shows(pilot, "REC 2")
        await pilot.press("R")
        await shows(pilot, "recorded in ")
    (file,) = cluster.home.glob("*.mdb")
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(RecordingSource.open(file).info.moments) >= 2
    recorded = ExaminedSession("bundle", lambda: RecordingSource.open(file))
    app = MeshDoctorApp(recorded, start="mesh", words=Words("en"))
    async with app.run_test(size=(120, 30)) as pilot:
        await shows(pilot, "moment ", "CLERX", "istio-system")


async def test_leaving_finishes_what_was_recorded(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        await shows(pilot, "CLERX", "s ago")
        await pilot.press("R")
        await shows(pilot, "REC 1")
    (file,) = cluster.home.glob("*.mdb")
    assert RecordingSource.open(file).info.kind == "recording"
    assert not list(cluster.home.glob("*.part"))
