"""Lists, logs, watches and access reviews against the test API server, and what its faults turn into."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from meshdoctor.kube.access import AccessReviewer
from meshdoctor.kube.client import KubeClient, list_path
from meshdoctor.kube.errors import (
    ApiError,
    Busy,
    ClusterError,
    Expired,
    Forbidden,
    NotFound,
    Unauthorized,
    Unreachable,
)
from meshdoctor.kube.rbac import Rule
from meshdoctor.kube.settings import Retry, Settings, Timeouts
from meshdoctor.kube.watch import Changed, Listed, Lost, follow
from meshdoctor.model.kinds import BY_NAME
from meshdoctor.model.kubernetes import Pod
from tests.live.apiserver import ApiServer, Fault
from tests.live.conftest import FAST, connect, pod

PODS = "/api/v1/pods"


class Pods(msgspec.Struct, frozen=True):
    """A page of pods."""

    items: tuple[Pod, ...] | None


def decode(body: bytes) -> tuple[Pod, ...]:
    return msgspec.json.decode(body, type=Pods).items or ()


@pytest.fixture
async def client(api: ApiServer, tmp_path: Path) -> AsyncIterator[KubeClient]:
    """A client of `api` with small pages and quick retries."""
    settings = msgspec.structs.replace(FAST, page=2, timeouts=Timeouts(connect=2, read=2, watch=30))
    async with KubeClient(connect(api, tmp_path, settings)) as made:
        yield made


async def names(client: KubeClient) -> list[str]:
    return [item.name for item in (await client.list_all(PODS, decode)).items]


async def test_pages_are_put_together(api: ApiServer, client: KubeClient) -> None:
    assert list_path(BY_NAME["Pod"]) == PODS
    listing = await client.list_all(PODS, decode)
    assert [item.name for item in listing.items] == ["web-1", "web-2", "web-3"]
    assert listing.resource_version == "1000"
    assert api.requests == [("GET", PODS)] * 2


async def test_an_expired_page_begins_the_list_again(api: ApiServer, client: KubeClient) -> None:
    api.faults.append(Fault(r"continue=", 410, "Expired", times=1))
    assert await names(client) == ["web-1", "web-2", "web-3"]
    assert len(api.requests) == 4


async def test_a_list_that_expires_for_ever_is_given_up(api: ApiServer, client: KubeClient) -> None:
    api.faults.append(Fault(r"continue=", 410, "Expired"))
    with pytest.raises(Expired, match="list again"):
        await names(client)


async def test_a_busy_server_is_asked_again(api: ApiServer, client: KubeClient) -> None:
    api.faults.append(Fault(PODS, 503, "ServiceUnavailable", times=2))
    assert await names(client) == ["web-1", "web-2", "web-3"]


async def test_retry_after_is_honoured(api: ApiServer, tmp_path: Path) -> None:
    api.faults.append(Fault(PODS, 429, "TooManyRequests", {"Retry-After": "1"}, times=1))
    loop = asyncio.get_running_loop()
    async with KubeClient(connect(api, tmp_path)) as client:
        begun = loop.time()
        assert await names(client) == ["web-1", "web-2", "web-3"]
        assert loop.time() - begun >= 1.0  # what the server asked for, not how fast this is


async def test_a_server_that_stays_busy_is_said_to_be(api: ApiServer, client: KubeClient) -> None:
    api.faults.append(Fault(PODS, 429, "TooManyRequests"))
    with pytest.raises(Busy, match=r"HTTP 429 .*: the server is busy or down; try later"):
        await names(client)
    assert len(api.requests) == FAST.retry.attempts


@pytest.mark.parametrize(
    ("status", "kind", "tries"), [(401, Unauthorized, 1), (404, NotFound, 1), (418, ApiError, 1), (500, Busy, 4)]
)
async def test_each_status_has_its_error(
    api: ApiServer, client: KubeClient, status: int, kind: type[ApiError], tries: int
) -> None:
    api.faults.append(Fault(PODS, status, "x"))
    with pytest.raises(kind) as caught:
        await names(client)
    assert caught.value.status == status
    assert "\n" not in str(caught.value)
    assert len(api.requests) == tries


async def test_forbidden_names_the_missing_rule(api: ApiServer, client: KubeClient) -> None:
    api.denied.add(("list", "pods"))
    with pytest.raises(Forbidden) as caught:
        await names(client)
    assert caught.value.missing_rule == '{apiGroups: [""], resources: [pods], verbs: [list]}'
    assert str(caught.value).endswith('the role lacks {apiGroups: [""], resources: [pods], verbs: [list]}')
    api.denied = {("get", "pods/log")}
    with pytest.raises(Forbidden) as caught:
        await client.log("shop", "web-1", "istio-proxy")
    assert 'in namespace shop lacks {apiGroups: [""], resources: [pods/log], verbs: [get]}' in str(caught.value)


async def test_401_in_the_middle_is_mended_by_a_new_token(api: ApiServer, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("test-token")
    document = api.kubeconfig(tokenFile=str(token_file))
    api.kubeconfig = lambda **_: document  # type: ignore[method-assign]
    async with KubeClient(connect(api, tmp_path)) as client:
        assert await names(client) == ["web-1", "web-2", "web-3"]
        api.tokens = {"rotated"}
        token_file.write_text("rotated\n")
        assert await names(client) == ["web-1", "web-2", "web-3"]


async def test_json_cut_short_is_an_error_and_not_a_short_list(api: ApiServer, client: KubeClient) -> None:
    api.faults.append(Fault(PODS, cut_body_at=300))
    with pytest.raises(Unreachable, match=r"cut|complete"):
        await names(client)


@pytest.mark.parametrize("body", [b"{}", b'{"kind":"Status","status":"Failure"}', b"[]", b"<html>log in</html>"])
async def test_what_is_no_list_is_not_an_empty_one(api: ApiServer, client: KubeClient, body: bytes) -> None:
    api.faults.append(Fault(PODS, body=body))
    with pytest.raises(ClusterError):
        await names(client)


async def test_a_list_of_nothing_is_one(api: ApiServer, client: KubeClient) -> None:
    api.faults.append(Fault(PODS, body=b'{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}'))
    assert await names(client) == []


async def test_an_answer_nested_without_end_is_an_error(api: ApiServer, client: KubeClient) -> None:
    api.faults.append(Fault(PODS, body=b'{"items":[' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"]}"))
    with pytest.raises(ClusterError):
        await names(client)


async def test_an_answer_without_end_is_cut(
    api: ApiServer, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshdoctor.kube.client.LONGEST_ANSWER", 1 << 20)
    packed = gzip.compress(b'{"kind":"PodList","items":[' + b" " * (64 << 20) + b"]}")
    api.faults.append(Fault(PODS, body=packed, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(ClusterError, match="longer than 1 MiB"):
        await names(client)


async def test_a_silent_server_is_given_up(api: ApiServer, tmp_path: Path) -> None:
    api.faults.append(Fault(PODS, hang=True))
    settings = Settings(timeouts=Timeouts(connect=1, read=0.2), retry=Retry(attempts=2, base=0.01))
    async with KubeClient(connect(api, tmp_path, settings)) as client:
        with pytest.raises(Unreachable, match="no answer in time"):
            await names(client)


async def test_logs(api: ApiServer, client: KubeClient) -> None:
    api.logs["shop", "web-1", "istio-proxy", True] = b"before the restart\n"
    assert await client.log("shop", "web-1", "istio-proxy", since_seconds=900) == b"first line\nsecond line\n"
    assert await client.log("shop", "web-1", "istio-proxy", tail_lines=1) == b"second line\n"
    assert await client.log("shop", "web-1", "istio-proxy", previous=True) == b"before the restart\n"
    assert await client.log("shop", "web-1", "istio-proxy", limit_bytes=5) == b"first"
    with pytest.raises(ApiError, match="previous terminated container"):
        await client.log("shop", "web-2", "istio-proxy", previous=True)


def summary(event: Any) -> Any:
    match event:
        case Listed(items=items):
            return ("listed", len(items))
        case Changed(type=kind, object=body):
            return (kind, msgspec.json.decode(body, type=Pod).name)
        case Lost(error=error):
            return ("lost", type(error).__name__)
    return None


async def test_a_watch_tells_changes_and_begins_again_after_410(api: ApiServer, client: KubeClient) -> None:
    events = follow(client, PODS, decode)
    assert summary(await anext(events)) == ("listed", 3)
    api.objects.change("ADDED", PODS, pod(4))
    assert summary(await anext(events)) == ("ADDED", "web-4")
    api.objects.change("DELETED", PODS, pod(1))
    assert summary(await anext(events)) == ("DELETED", "web-1")
    api.objects.forget()
    assert summary(await anext(events)) == ("listed", 3)
    api.objects.change("MODIFIED", PODS, pod(4))
    assert summary(await anext(events)) == ("MODIFIED", "web-4")
    await events.aclose()  # type: ignore[attr-defined]


async def test_a_lost_watch_is_told_and_found_again(api: ApiServer, client: KubeClient) -> None:
    fault = Fault("watch=true", 503, "ServiceUnavailable", times=2)
    api.faults.append(fault)
    events = follow(client, PODS, decode)
    assert summary(await anext(events)) == ("listed", 3)
    assert [summary(await anext(events)) for _ in range(2)] == [("lost", "Busy")] * 2
    api.objects.change("ADDED", PODS, pod(9))
    assert summary(await anext(events)) == ("ADDED", "web-9")
    await events.aclose()  # type: ignore[attr-defined]


async def test_a_forbidden_watch_ends_with_its_rule(api: ApiServer, client: KubeClient) -> None:
    api.denied.add(("watch", "pods"))
    events = follow(client, PODS, decode)
    assert summary(await anext(events)) == ("listed", 3)
    with pytest.raises(Forbidden, match=r"verbs: \[watch\]"):
        await anext(events)


async def test_access_reviews(api: ApiServer, client: KubeClient) -> None:
    api.denied.add(("create", "pods/portforward"))
    reviewer = AccessReviewer(client)
    rule = Rule("", "pods/portforward", ("get", "create"), "shop")
    assert (await reviewer.may(rule, "get")).allowed
    assert not (await reviewer.may(rule, "create")).allowed
    assert await reviewer.whoami() == ("tester", ("system:authenticated",))
    assert {method for method, _ in api.requests} == {"POST"}
