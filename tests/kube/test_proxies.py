"""Go's rules for HTTPS_PROXY and NO_PROXY (net/http and x/net/http/httpproxy)."""

from __future__ import annotations

import pytest

from meshdoctor.kube.kubeconfig import Cluster, User
from meshdoctor.kube.proxies import proxy_for
from meshdoctor.kube.target import Target

PROXY = "http://proxy.test:3128"


def proxy(server: str, **environment: str) -> str:
    return proxy_for(Target(server, Cluster(server=server), User(), "default"), environment)


@pytest.mark.parametrize(
    ("server", "no_proxy", "direct"),
    [
        ("https://api.mesh.test:6443", "", False),
        ("https://localhost:6443", "", True),
        ("https://127.8.9.1:6443", "", True),
        ("https://[::1]:6443", "", True),
        ("https://api.mesh.test:6443", "*", True),
        ("https://api.mesh.test:6443", "mesh.test", True),
        ("https://mesh.test:6443", "mesh.test", True),
        ("https://mesh.test:6443", ".mesh.test", False),
        ("https://api.mesh.test:6443", ".mesh.test", True),
        ("https://api.mesh.test:6443", "*.mesh.test", True),
        ("https://notmesh.test:6443", "mesh.test", False),
        ("https://API.Mesh.Test:6443", "MESH.test", True),
        ("https://api.mesh.test:6443", "mesh.test:6443", True),
        ("https://api.mesh.test:6443", "mesh.test:443", False),
        ("https://api.mesh.test", "mesh.test:443", True),
        ("https://10.1.2.3:6443", "10.0.0.0/8", True),
        ("https://10.1.2.3:6443", "10.2.0.0/16, 10.1.2.3", True),
        ("https://10.1.2.3:6443", "10.1.2.4", False),
        ("https://[fd00::5]:6443", "fd00::/8", True),
        ("https://[fd00::5]:6443", "[fd00::5]:6443", True),
        ("https://api.mesh.test:6443", "10.0.0.0/8,,bad/cidr", False),
    ],
)
def test_no_proxy(server: str, no_proxy: str, direct: bool) -> None:
    assert proxy(server, HTTPS_PROXY=PROXY, NO_PROXY=no_proxy) == ("" if direct else PROXY)


def test_which_variable() -> None:
    assert proxy("https://a.test", https_proxy="lower.test:1") == "http://lower.test:1"
    assert proxy("https://a.test", HTTPS_PROXY="upper.test", https_proxy="lower.test") == "http://upper.test"
    assert proxy("https://a.test", HTTP_PROXY=PROXY, ALL_PROXY=PROXY) == ""
    assert proxy("http://a.test", HTTP_PROXY=PROXY) == PROXY


def test_proxy_url_of_the_kubeconfig_wins_and_knows_no_exceptions() -> None:
    cluster = Cluster(server="https://localhost", proxy_url="socks5://own.test:1080")
    target = Target("https://localhost", cluster, User(), "default")
    assert proxy_for(target, {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}) == "socks5://own.test:1080"
