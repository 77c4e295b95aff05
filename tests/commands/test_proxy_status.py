from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshdoctor.cli import main
from tests.commands.recordings import WEB, pod, write

Captured = pytest.CaptureFixture[str]
URL = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
SYNCZ = [
    {
        "cluster_id": "Kubernetes",
        "proxy": "web.shop",
        "proxy_type": "sidecar",
        "istio_version": "1.29.0",
        "resources": {URL: {"sent": "n", "acked": "m", "sentTime": "2026-11-23T10:00:00Z", "lastError": "bad\x1b[0m"}},
    }
]


def recording(folder: Path, syncz: object = SYNCZ) -> str:
    istiod = pod("istiod-a", "istio-system", labels={"app": "istiod", "istio.io/rev": "default"})
    istiod["spec"]["containers"] = [{"name": "discovery"}]
    refused = {
        "@type": "x/envoy.admin.v3.ListenersConfigDump",
        "dynamic_listeners": [{"name": "l", "error_state": {"details": "no"}}],
    }
    return str(
        write(
            folder,
            {
                "manifest.json": {"format": "meshdoctor-raw/1", "finished_at": 1_795_428_060},
                "kube/core/v1/pods.json": [pod("web", "shop"), pod("lost", "shop"), istiod],
                "istiod/istiod-a/syncz.json": syncz,
                "istiod/istiod-a/version.json": b"1.29.1-abc-Clean",
                "envoy/shop/web/config_dump.json": {"configs": [refused]},
            },
        )
    )


def test_every_proxy_is_shown(capsys: Captured, tmp_path: Path) -> None:
    assert main(["proxy-status", "--recording", recording(tmp_path)]) == 0
    table = [line.split()[:3] for line in capsys.readouterr().out.splitlines()]
    assert table == [
        ["NAME", "KIND", "STATUS"],
        ["lost.shop", "sidecar", "DISCONNECTED"],
        ["web.shop", "sidecar", "ERROR"],
    ]


def test_wide_says_why(capsys: Captured, tmp_path: Path) -> None:
    assert main(["proxy-status", "-o", "wide", "--recording", recording(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "CDS rejected: bad" in printed
    assert "no istiod lists it now" in printed
    assert "\x1b" not in printed


def test_istioctls_tables_and_data(capsys: Captured, tmp_path: Path) -> None:
    source = recording(tmp_path)
    assert main(["proxy-status", "-o", "istioctl", "--recording", source]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["web.shop     Kubernetes     istiod-a     1.29.0      1 (CDS)"]
    assert main(["proxy-status", "-o", "istioctl", "-v", "1", "--recording", source]) == 0
    assert "ERROR (60s)" in capsys.readouterr().out
    assert main(["proxy-status", "-o", "json", "--recording", source]) == 0
    answer = capsys.readouterr().out
    assert json.loads(answer)["resources"][0]["genericXdsConfigs"][0]["configStatus"] == "ERROR"
    path = tmp_path / "saved.json"
    path.write_text(answer)
    assert main(["proxy-status", "-o", "istioctl", "-f", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("web.shop")


def test_one_proxy_with_what_envoy_refused(capsys: Captured, tmp_path: Path) -> None:
    assert main(["proxy-status", "web.shop", "--recording", recording(tmp_path)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "web.shop  sidecar  ERROR"
    assert "  Envoy refused listener l: no" in printed


def test_no_istiod(capsys: Captured, tmp_path: Path) -> None:
    source = str(write(tmp_path, {"kube/core/v1/pods.json": [pod("web", "shop")]}))
    assert main(["proxy-status", "--recording", source]) == 0
    assert "NO ISTIOD" in capsys.readouterr().out
    assert main(["proxy-status", "-o", "istioctl", "--recording", source]) == 1
    assert capsys.readouterr().err == 'Error: no running Istio pods in "istio-system"\n'


def test_an_istiod_that_did_not_answer_clears_nobody(capsys: Captured, tmp_path: Path) -> None:
    source = recording(tmp_path)
    (tmp_path / "istiod/istiod-a/syncz.json").write_text("{")
    assert main(["proxy-status", "-o", "wide", "--recording", source]) == 0
    printed = capsys.readouterr().out
    assert printed.count("UNKNOWN") == 2
    assert "unreadable" in printed


@pytest.mark.parametrize(
    "arguments", [["lost-pod"], ["deployment/x"], ["-o", "xml"], ["-f", "/no/such"], ["--istiod-file", "x"]]
)
def test_errors(capsys: Captured, tmp_path: Path, arguments: list[str]) -> None:
    assert main(["proxy-status", *arguments, "--recording", recording(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_differences_by_resource(capsys: Captured, tmp_path: Path) -> None:
    istiod, envoy = tmp_path / "istiod.json", tmp_path / "envoy.json"
    istiod.write_bytes(WEB)
    envoy.write_bytes(WEB.replace(b'"EDS"', b'"STATIC"').replace(b'"name": "l"', b'"name": "m"'))
    assert main(["proxy-status", "--istiod-file", str(istiod), "--file", str(envoy)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "Clusters Don't Match" in printed
    assert "  outbound|80||cart.shop.svc.cluster.local: differs" in printed
    assert '-   "type": "EDS"' in printed
    assert "  l: only istiod" in printed
    assert "  m: only Envoy" in printed
    assert "Routes Match" in printed
