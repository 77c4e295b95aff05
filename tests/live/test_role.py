"""The ClusterRole of the repository: with it everything works, and nothing of it is unused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from meshdoctor.cli import main
from meshdoctor.kube.client import list_path
from meshdoctor.kube.rights import role_yaml
from meshdoctor.model.kinds import BY_NAME, KINDS
from meshdoctor.tui.clusterlink import WATCHED
from tests.live.apiserver import ApiServer
from tests.live.apiserver.rbac import Rbac
from tests.live.clusters import Cluster, running, serving, shows

LISTED = tuple(kind for kind in KINDS if kind.name != "ConfigMap")


def granted() -> set[tuple[str, str, str]]:
    """(verb, group, resource) of both roles."""
    return {
        (verb, group, resource)
        for role in yaml.safe_load_all(role_yaml())
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_it_grants_the_kinds_that_are_read_and_no_others() -> None:
    read = {(verb, kind.group, kind.resource) for kind in LISTED for verb in ("get", "list")}
    watched = {("watch", BY_NAME[name].group, BY_NAME[name].resource) for name in WATCHED}
    pods = {("get", "", "pods/log"), ("get", "", "pods/portforward"), ("create", "", "pods/portforward")}
    assert granted() == read | watched | pods | {("get", "", "configmaps")}


def serve_every_kind(api: ApiServer) -> None:
    """Kinds of which the recording has no object are served all the same."""
    for kind in KINDS:
        if list_path(kind) not in api.objects.lists:
            api.objects.add(list_path(kind), kind.name, [], namespaced=kind.namespaced)


async def test_with_it_nothing_is_refused_and_all_of_it_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving("cedar", tmp_path) as (api, _):
        serve_every_kind(api)
        api.rbac = Rbac.of_yaml(role_yaml())
        cluster = Cluster(api, tmp_path)
        flags = ("--kubeconfig", str(cluster.path))
        for command, status in (
            (["check-access"], 0),
            (["proxy-status"], 0),
            (["record", "-o", str(tmp_path / "a.mdb")], 0),
            (["diagnose"], 1),
            (["mtls"], None),
        ):
            # Each has an event loop of its own.
            assert await asyncio.to_thread(main, [*command, *flags]) == status or status is None
        assert "forbidden" not in capsys.readouterr().out
        async with running(cluster.session()) as pilot:
            await shows(pilot, "CLERX", "s ago")
            service = api.objects.select("/api/v1/services", "", "", "")[0]
            await pilot.app.go(f"object Service {service.namespace}/{service.name}")
            await shows(pilot, "kind: Service")
        assert api.refused == set()
        used = {(asked.verb, asked.group, asked.resource) for asked in api.authorized}
    single = {("get", kind.group, kind.resource) for kind in LISTED if kind.resource != "services"}
    assert used == granted() - single
