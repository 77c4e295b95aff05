"""What another shell does to the kubeconfig, as it is noticed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshdoctor.kube.target import ClusterFlags, Target
from meshdoctor.present.short_names import ends
from meshdoctor.tui.kubeconfigwatch import Kubeconfig, KubeconfigWatch, News


class Home:
    """A kubeconfig with two contexts, and a watch while `harbour` is shown."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "config"
        self.ticks = 0
        self.document: dict[str, Any] = {
            "current-context": "harbour",
            "contexts": [{"name": each, "context": {"cluster": each, "user": each}} for each in ("harbour", "quay")],
            "clusters": [{"name": each, "cluster": {"server": f"https://{each}:6443"}} for each in ("harbour", "quay")],
            "users": [{"name": each, "user": {"token": "one"}} for each in ("harbour", "quay")],
        }
        self.write()
        kubeconfig = Kubeconfig(ClusterFlags(kubeconfig=str(self.path)), {})
        self.shown: Target = kubeconfig.target("harbour")
        self.watch = KubeconfigWatch(kubeconfig, lambda: self.shown)

    def write(self, text: str = "") -> None:
        self.path.write_text(text or yaml.safe_dump(self.document))
        self.ticks += 1  # a file system may count time in whole seconds
        os.utime(self.path, (self.ticks, self.ticks))

    def use(self, context: str) -> tuple[News, ...]:
        self.document["current-context"] = context
        self.write()
        return self.watch.look()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_another_context_is_told_once_and_until_it_is_back(home: Home) -> None:
    assert home.watch.look() == ()
    assert home.use("quay") == (News("context", "quay"),)
    assert (home.watch.look(), home.watch.elsewhere) == ((), "quay")
    assert home.use("harbour") == ()
    assert home.watch.elsewhere == ""


def test_a_context_that_kubectl_had_at_the_start_is_no_news(home: Home) -> None:
    home.shown = home.shown.__class__("https://quay:6443", home.shown.cluster, home.shown.user, "default", "quay")
    assert home.watch.elsewhere == ""  # the person asked for --context quay
    home.document["users"].append({"name": "more"})
    home.document["clusters"][0]["cluster"]["proxy-url"] = "http://proxy:3128"
    home.write()
    assert [news.kind for news in home.watch.look() if news.kind != "credential"] == []


def test_credentials_cluster_and_the_end_of_a_context(home: Home) -> None:
    home.document["users"][0]["user"]["token"] = "two"
    home.write()
    assert home.watch.look() == (News("credential"),)
    home.document["users"][1]["user"]["token"] = "two"
    home.document["users"][0]["user"]["token"] = "one"
    home.write()
    assert home.watch.look() == ()  # quay's is not shown
    home.document["clusters"][0]["cluster"]["server"] = "https://elsewhere\x1b[2J:6443"
    home.write()
    (news,) = home.watch.look()
    assert news.kind in ("cluster", "unreadable")
    assert "\x1b" not in news.detail
    del home.document["contexts"][0]
    home.write()
    assert home.watch.look() == (News("gone"),)


def test_a_token_that_an_identity_provider_renewed_is_no_news(home: Home) -> None:
    login = {"name": "oidc", "config": {"client-id": "mesh", "idp-issuer-url": "https://idp.test", "id-token": "one"}}
    home.document["users"][0]["user"] = {"auth-provider": login}
    home.write()
    assert home.watch.look() == (News("credential"),)
    home.shown = Kubeconfig(ClusterFlags(kubeconfig=str(home.path)), {}).target("harbour")
    login["config"] = {"client-id": "mesh", "idp-issuer-url": "https://idp.test", "id-token": "two"}
    home.write()
    assert home.watch.look() == ()
    login["config"] = {"client-id": "mesh", "idp-issuer-url": "https://other.test", "id-token": "two"}
    home.write()
    assert home.watch.look() == (News("credential"),)


def test_a_file_that_is_being_written_is_looked_at_once_more(home: Home) -> None:
    home.write("contexts: [")
    assert home.watch.look() == ()
    home.write()
    assert home.watch.look() == ()
    home.write("contexts: [")
    assert home.watch.look() == ()
    (news,) = home.watch.look()
    assert (news.kind, "is not YAML" in news.detail) == ("unreadable", True)
    assert home.watch.look() == ()


def test_a_long_name_keeps_its_end() -> None:
    name = "arn:aws:eks:ap-northeast-2:123456789012:cluster/prod-seoul"
    (short,) = ends([name], 26)
    assert short.startswith("..")
    assert short.endswith(":cluster/prod-seoul")
    assert len(short) == 26
    assert ends(["prod", name], 30) == ["prod", short]
    assert ends([name, name], 0) == ["..prod-seoul"] * 2
    assert ends(["부산-스테이징-클러스터"], 15)[0].endswith("클러스터")
