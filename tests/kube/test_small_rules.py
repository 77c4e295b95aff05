"""Quantities, missing rules, backoff, the table of reads, errors of answers."""

from __future__ import annotations

import httpx
import pytest

from meshdoctor.kube.allowlist import pod_path_allowed
from meshdoctor.kube.answers import error_of, retry_after
from meshdoctor.kube.errors import Busy, Forbidden, Unreachable
from meshdoctor.kube.quantity import quantity
from meshdoctor.kube.rbac import rule_for
from meshdoctor.kube.reads import admin_read, admin_reads, view_reads
from meshdoctor.kube.retry import backoff, with_retries
from meshdoctor.kube.settings import Retry
from meshdoctor.kube.validation import without_login


@pytest.mark.parametrize(
    ("text", "value"),
    [("1Gi", 1 << 30), ("512Mi", 512 << 20), ("1G", 10**9), ("128974848", 128974848), ("1.5Gi", 3 << 29), ("2e3", 2000),
     ("1500m", 1), ("129e6", 129_000_000), (1024, 1024), ("", None), ("1 Gi", None), ("Gi", None), ("1Zi", None)],
)  # fmt: skip
def test_quantities(text: object, value: int | None) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/api/v1/pods", '{apiGroups: [""], resources: [pods], verbs: [list]}'),
        ("/api/v1/namespaces", '{apiGroups: [""], resources: [namespaces], verbs: [list]}'),
        ("/api/v1/namespaces/shop", '{apiGroups: [""], resources: [namespaces], verbs: [get]}'),
        ("/prefix/api/v1/namespaces/shop/pods/web", '{apiGroups: [""], resources: [pods], verbs: [get]}'),
        ("/api/v1/namespaces/shop/pods/web/log", '{apiGroups: [""], resources: [pods/log], verbs: [get]}'),
        (
            "/api/v1/namespaces/shop/pods/web/portforward",
            '{apiGroups: [""], resources: [pods/portforward], verbs: [get, create]}',
        ),
        (
            "/apis/networking.istio.io/v1/virtualservices",
            '{apiGroups: ["networking.istio.io"], resources: [virtualservices], verbs: [list]}',
        ),
        (
            "/api/v1/namespaces/istio-system/configmaps/istio",
            '{apiGroups: [""], resources: [configmaps], resourceNames: [istio], verbs: [get]}',
        ),
    ],
)
def test_the_rule_that_is_missing(path: str, rule: str) -> None:
    found = rule_for(path)
    assert found is not None and found.yaml == rule


def test_a_path_without_a_rule() -> None:
    assert rule_for("/version") is None
    error = error_of(403, httpx.Headers(), b"", "/version")
    assert isinstance(error, Forbidden) and "check-access" in str(error)


def test_backoff_is_jittered_and_capped() -> None:
    retry = Retry(base=1, cap=10)
    assert [backoff(retry, attempt, lambda: 1.0) for attempt in range(6)] == [1, 2, 4, 8, 10, 10]
    assert backoff(retry, 10**6, lambda: 0.5) == 5


async def test_retries_wait_what_the_server_asks() -> None:
    waits: list[float] = []
    tries = 0

    async def ask() -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Busy(429, "", "busy", retry_after=3)
        if tries == 2:
            raise Unreachable("cut")
        return "done"

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    assert await with_retries(Retry(base=0.5), ask, sleep) == "done"
    assert 3 <= waits[0] <= 3.3 and 0 <= waits[1] <= 1


async def test_silence_is_tried_once_more_only() -> None:
    tries = 0

    async def ask() -> str:
        nonlocal tries
        tries += 1
        raise Unreachable("no answer in time")

    async def sleep(seconds: float) -> None:
        return None

    with pytest.raises(Unreachable):
        await with_retries(Retry(attempts=5), ask, sleep)
    assert tries == 2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5", 5.0), ("600", 60.0), ("", None), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after(httpx.Headers({"Retry-After": value})) == seconds


def test_a_proxys_html_becomes_one_line() -> None:
    error = error_of(502, httpx.Headers(), b"<html>\n<h1>Bad \x1b[31mGateway</h1></html>", "/api/v1/pods")
    assert isinstance(error, Busy)
    assert "\n" not in str(error) and "\x1b" not in str(error) and "Bad" in str(error)


def test_every_read_of_the_table_is_allowed() -> None:
    for read in admin_reads():
        assert pod_path_allowed(read.role, read.target), read
    for view in view_reads():
        for role, path in (told.split(" ") for told in (*view.every, *view.some)):
            assert pod_path_allowed(role, path), view
    assert admin_read("ztunnel", "config_dump.json") is not admin_read("envoy", "config_dump.json")
    assert admin_read("envoy", "heap.json") is None


@pytest.mark.parametrize(
    ("server", "shown"),
    [
        ("https://me:secret@10.0.0.1:6443", "https://10.0.0.1:6443"),
        ("https://token@api.example.com/k8s/c@1", "https://api.example.com/k8s/c@1"),
        ("me:secret@10.0.0.1", "10.0.0.1"),
        ("https://me:p@ss@10.0.0.1", "https://10.0.0.1"),
        ("https://10.0.0.1/k8s/me@x", "https://10.0.0.1/k8s/me@x"),
        ("https://[::1]:6443", "https://[::1]:6443"),
    ],
)
def test_a_server_is_shown_without_its_password(server: str, shown: str) -> None:
    assert without_login(server) == shown
