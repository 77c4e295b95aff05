"""Attempts to get something other than an allowed read out of the program; nothing may reach the wire."""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meshdoctor.kube.access import _ReviewsOnly
from meshdoctor.kube.allowlist import (
    ReadOnly,
    exec_allowed,
    pod_path_allowed,
    port_forward_allowed,
    reads_allowed,
)
from meshdoctor.kube.errors import PathRefused
from meshdoctor.kube.podhttp import _GetOnly
from meshdoctor.model.kinds import KINDS

SERVER = "https://cluster.test:6443/prefix"


class Wire(httpx.AsyncBaseTransport):
    """Notes what gets through."""

    def __init__(self, answer: httpx.Response | None = None) -> None:
        self.sent: list[httpx.Request] = []
        self.answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        return self.answer or httpx.Response(200, json={})


def client(wire: Wire, **options: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=SERVER,
        transport=ReadOnly(wire, SERVER, reads_allowed, port_forward_allowed),
        **options,  # type: ignore[arg-type]
    )


ALLOWED = [
    "/version",
    "/api/v1/pods?limit=500&continue=abc%3D",
    "/api/v1/namespaces/shop/pods/web-1.x",
    "/api/v1/pods?watch=true&resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=10",
    "/api/v1/namespaces/shop/pods/web-1/log?container=istio-proxy&sinceSeconds=10&previous=true",
    "/api/v1/namespaces/shop/pods/web-1/portforward?ports=15000",
    "/api/v1/namespaces/istio-system/configmaps/istio-sidecar-injector",
    "/apis/discovery.k8s.io/v1/endpointslices",
    "/apis/networking.istio.io/v1beta1/namespaces/shop/virtualservices/web",
    "/apis/gateway.networking.k8s.io/v1/httproutes",
    "/apis/gateway.networking.k8s.io/v1beta1/grpcroutes",
]

REFUSED = [
    "/api/v1/secrets",
    "/api/v1/namespaces/shop/secrets/token",
    "/api/v1/namespaces/shop/pods/../secrets",
    "/api/v1/namespaces/shop/pods/%2e%2e/secrets",
    "/api/v1/namespaces/shop/pods/..%2fsecrets",
    "/api/v1/namespaces/shop/%73ecrets",
    "/api/v1/namespaces/shop//secrets",
    "//api/v1/secrets",
    "/api/v1/./secrets",
    "/api/v1/pods;/../secrets",
    "/api/v1/pods?/../secrets",
    "/api/v1/Secrets",
    "/api/v1/secrets?watch=true",
    "/api/v1/watch/secrets",
    "/api/v1/watch/namespaces/shop/pods",
    "/api/v1/proxy/namespaces/shop/pods/web",
    "/api/v1/namespaces/shop/pods/web/proxy/quitquitquit",
    "/api/v1/namespaces/shop/services/web/proxy",
    "/api/v1/nodes/node-1/proxy/configz",
    "/api/v1/namespaces/shop/pods/web/exec?command=sh",
    "/api/v1/namespaces/shop/pods/web/attach",
    "/api/v1/namespaces/shop/pods/web/eviction",
    "/api/v1/namespaces/shop/pods/web/portforward?ports=15000&command=x",
    "/api/v1/namespaces/shop/pods/web/portforward?ports=a",
    "/api/v1/namespaces/shop/serviceaccounts/default/token",
    "/api/v1/configmaps",
    "/api/v1/namespaces/shop/configmaps",
    "/api/v1/namespaces/shop/configmaps/passwords",
    "/api/v1/pods?dryRun=All",
    "/api/v1/pods?pretty=true&sendInitialEvents=1",
    "/api/v1/pods?limit=1&_method=DELETE",
    "/apis/apps/v1/namespaces/shop/deployments/web/scale",
    "/apis/networking.istio.io/v1/namespaces/shop/virtualservices/web/status",
    "/apis/cert-manager.io/v1/certificates",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/api/v1/endpoints",
    "/api/v2/secrets",
    "/apis/v1/secrets",
    "/apis/core/v1/secrets",
    "/apis/networking.istio.io/v1/secrets",
    "/apis/networking.istio.io/v1/namespaces/shop/secrets/istio-ca-secret",
    "/apis/gateway.networking.k8s.io/v1/referencegrants",
    "/API/V1/SECRETS",
    "/api/v1/SECRETS",
    "/api/v1/namespaces/shop/secret",
    "/api/v1/namespaces/shop/secrets/",
    "/api/v1/namespaces/shop/secrets?watch=1&fieldSelector=metadata.name=x",
    "/api/v1/namespaces/shop/pods/web-1%2f..%2f..%2fsecrets",
    "/api/v1/namespaces/shop%2fsecrets/pods",
    "/api/v1/namespaces/%2e%2e/secrets",
    "/api/v1/namespaces/shop/pods/.../secrets",
    "/api/v1/namespaces/shop/pods\\..\\secrets",
    "/api/v1/pods/%00/secrets",
    "/api/v1/namespaces/shop/configmaps/istio/../../secrets",
    "/api/v1/namespaces/shop/pods/web/ephemeralcontainers",
    "/api/v1/namespaces/shop/pods/web/binding",
    "/api/v1/namespaces/shop/pods/web/status",
    "/api/v1/namespaces/shop/pods/web/log/secrets",
    "/api/v1/namespaces/shop/pods/web/proxy",
    "/api/v1/namespaces/shop/pods/web:15000/proxy/quitquitquit",
    "/api/v1/namespaces/shop/services/https:web:443/proxy/",
    "/api/v1/namespaces/shop/pods/web/exec?command=pilot-agent&command=request&command=GET&command=/ready",
    "/apis/bitnami.com/v1alpha1/sealedsecrets",
    "/logs/",
    "/metrics",
    "/debug/pprof/heap",
    "/openapi/v2",
    "/api/v1/pods\u200b",
    "/api/v1/namespaces/shop\n/pods",
]


@pytest.mark.parametrize("target", ALLOWED)
async def test_what_may_be_read(target: str) -> None:
    wire = Wire()
    async with client(wire) as http:
        await http.get(target)
    assert wire.sent[0].url.raw_path.decode() == "/prefix" + target


@pytest.mark.parametrize("target", REFUSED)
async def test_what_may_not_be_read(target: str) -> None:
    wire = Wire()
    async with client(wire) as http:
        with pytest.raises((PathRefused, httpx.InvalidURL)):
            await http.get(target)
    assert wire.sent == []


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "CONNECT", "get", "GET ", "TRACE"]
)
async def test_only_get(method: str) -> None:
    wire = Wire()
    async with client(wire) as http:
        with contextlib.suppress(PathRefused):
            await http.request(method, "/api/v1/pods")
    assert all(request.method == "GET" for request in wire.sent)
    assert len(wire.sent) == (method == "get")  # httpx itself makes upper case of it


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.test:6443/prefix/api/v1/pods",
        "https://cluster.test/prefix/api/v1/pods",
        "http://cluster.test:6443/prefix/api/v1/pods",
        "https://cluster.test:6443/api/v1/pods",
        "https://cluster.test:6443/other/prefix/api/v1/pods",
        "https://cluster.test:6443/prefix/../api/v1/secrets",
    ],
)
async def test_absolute_urls(url: str) -> None:
    wire = Wire()
    async with client(wire) as http:
        with pytest.raises(PathRefused):
            await http.get(url)
    assert wire.sent == []


async def test_redirects_are_judged_again() -> None:
    wire = Wire(httpx.Response(302, headers={"Location": "/prefix/api/v1/secrets"}))
    async with client(wire, follow_redirects=True) as http:
        with pytest.raises(PathRefused):
            await http.get("/api/v1/pods")
    assert len(wire.sent) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"X-HTTP-Method-Override": "DELETE"},
        {"x-method-override": "PUT"},
        {"X-HTTP-Method": "PATCH"},
        {"X-Original-URL": "/api/v1/secrets"},
        {"X-Rewrite-URL": "/api/v1/secrets"},
        {"Transfer-Encoding": "chunked"},
    ],
)
async def test_headers_that_change_the_meaning(headers: dict[str, str]) -> None:
    wire = Wire()
    async with client(wire) as http:
        with pytest.raises(PathRefused):
            await http.get("/api/v1/pods", headers=headers)
    assert wire.sent == []


async def test_a_get_with_a_body() -> None:
    wire = Wire()
    async with client(wire) as http:
        with pytest.raises(PathRefused):
            await http.request("GET", "/api/v1/pods", json={"kind": "DeleteOptions"})
    assert wire.sent == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/pods"),
        ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews?dryRun=All"),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews/../../../../api/v1/namespaces"),
        ("PUT", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
    ],
)
async def test_the_one_exception_is_narrow(method: str, path: str) -> None:
    wire = Wire()
    async with httpx.AsyncClient(base_url=SERVER, transport=_ReviewsOnly(wire, SERVER)) as http:
        with pytest.raises(PathRefused):
            await http.request(method, path, json={})
    assert wire.sent == []


def test_exec_runs_two_commands_only() -> None:
    path = "/api/v1/namespaces/shop/pods/web/exec"
    istiod = [("command", word) for word in ("pilot-discovery", "request", "GET", "/debug/syncz")]
    assert exec_allowed(path, [*istiod, ("container", "discovery"), ("stdout", "true")])
    assert not exec_allowed(path, [*istiod[:3], ("command", "/debug/force_disconnect?proxyID=x")])
    assert not exec_allowed(path, [*istiod[:3], ("command", "/config_dump")])
    assert not exec_allowed(path, [("command", "pilot-agent"), *istiod[1:]])
    good = [("command", word) for word in ("pilot-agent", "request", "GET", "/config_dump")]
    assert not exec_allowed(path, [*good[:2], ("command", "--debug-port=15004"), *good[2:]])
    assert not exec_allowed(path, [*good[:3], ("command", "@127.0.0.1:15020/quitquitquit")])
    assert exec_allowed(path, [*good, ("container", "istio-proxy"), ("stdout", "true"), ("stderr", "true")])
    assert not exec_allowed(path, [*good, ("stdin", "true")])
    assert not exec_allowed(path, [*good, ("tty", "true")])
    assert not exec_allowed(path, [*good, ("command", "extra")])
    assert not exec_allowed(path, [*good[:2], ("command", "POST"), good[3]])
    assert not exec_allowed(path, [*good[:3], ("command", "/quitquitquit")])
    assert not exec_allowed(path, [("command", "sh")])


@pytest.mark.parametrize(
    ("role", "target", "allowed"),
    [
        ("envoy", "/config_dump?resource=dynamic_listeners&mask=name", True),
        ("envoy", "/stats?filter=^cluster&format=json", True),
        ("envoy", "/quitquitquit", False),
        ("envoy", "/logging?level=trace", False),
        ("envoy", "/runtime_modify?x=y", False),
        ("envoy", "/drain_listeners", False),
        ("envoy", "/healthcheck/fail", False),
        ("envoy", "/cpuprofiler?enable=y", False),
        ("envoy", "/tap", False),
        ("envoy", "/reset_counters", False),
        ("envoy", "/clusters?format=json&x=y", False),
        ("envoy", "/debug/syncz", False),
        ("istiod", "/debug/syncz", True),
        ("istiod", "/debug/config_dump?proxyID=web.shop&include_eds", True),
        ("istiod", "/debug/config_dump?proxyID=web.shop&push=true", False),
        ("istiod", "/debug/adsz?push=true", False),
        ("istiod", "/debug/force_disconnect?proxyID=x", False),
        ("istiod", "/debug/%2e%2e/ready", False),
        ("ztunnel", "/config_dump", True),
        ("ztunnel", "/quitquitquit", False),
    ],
)
async def test_what_a_pod_is_asked(role: str, target: str, allowed: bool) -> None:
    assert pod_path_allowed(role, target) == allowed
    wire = Wire()
    async with httpx.AsyncClient(transport=_GetOnly(wire)) as http:
        try:
            await http.get(f"http://web.shop.pod:15000{target}", extensions={"pod_role": role})
        except PathRefused:
            assert not allowed
    assert bool(wire.sent) == allowed


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_pod_is_only_got(method: str) -> None:
    wire = Wire()
    async with httpx.AsyncClient(transport=_GetOnly(wire)) as http:
        with pytest.raises(PathRefused):
            await http.request(method, "http://web.shop.pod:15000/ready", extensions={"pod_role": "envoy"})
    assert wire.sent == []


WORDS = """
    api apis v1 v1beta1 v2 core networking.istio.io watch proxy namespaces shop kube-system pods services nodes web-1
    secrets Secrets SECRETS secret %73ecrets secret%73 %53ecrets configmaps istio istio-x endpoints events log exec
    attach portforward token status serviceaccounts virtualservices . .. ... %2e %2e%2e .%2e %2f %5c ; * pods;a=b
    pods%00 pods%20 pods# pods?a secrets?watch=1 pods?watch=true&fieldSelector=x
"""
SEGMENTS = st.sampled_from((*WORDS.split(), ""))


def request_info(path: str) -> tuple[str, str, str]:
    """Group, resource and subresource as the API server reads a path (apiserver `RequestInfoFactory`)."""
    parts = [part for part in posixpath.normpath(unquote(unquote(path))).split("/") if part]
    if not parts or parts[0] not in ("api", "apis") or len(parts) < 3:
        return "", "", ""
    group = parts[1] if parts[0] == "apis" else ""
    rest = parts[3:] if parts[0] == "apis" else parts[2:]
    if rest and rest[0] in ("watch", "proxy"):
        return group, rest[0], ""
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
        rest = rest[2:]
    return group, rest[0] if rest else "", rest[2] if len(rest) > 2 else ""


@settings(max_examples=1500, deadline=None)
@given(
    st.lists(SEGMENTS, min_size=1, max_size=7),
    st.sampled_from(
        ["/", "//", "", "/api/v1/", "/api/v1/namespaces/shop/", "/apis/networking.istio.io/v1/", "/api/v2/"]
    ),
)
@example(["pods", "..", "pods"], "/api/v1/namespaces/shop/")
def test_whatever_is_asked_only_known_kinds_get_out(segments: list[str], start: str) -> None:
    wire = Wire()

    async def ask() -> None:
        async with client(wire) as http:
            with contextlib.suppress(PathRefused, httpx.InvalidURL):
                await http.get(start + "/".join(segments))

    asyncio.run(ask())
    known = {(kind.group, kind.resource) for kind in KINDS} | {("", "")}
    for request in wire.sent:
        path = request.url.raw_path.decode().partition("?")[0].removeprefix("/prefix")
        group, resource, subresource = request_info(path)
        assert (group, resource) in known or not resource
        assert subresource in ("", "log", "portforward")
        assert "secret" not in resource.lower()
