"""The application on a cluster: what a person sees while it answers, and when it does not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshdoctor.tui.app import MeshDoctorApp
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
        await app.go("file kube/core/v1/pods.json")
        await shows(pilot, "kube/core/v1/pods.json", "items:")
        await app.go("object Pod")
        await shows(pilot, "> Pod[", "istio-system")


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
