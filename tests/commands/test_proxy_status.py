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


def test_an_empty_table_says_so_but_for_istioctls(capsys: Captured, tmp_path: Path) -> None:
    """istioctl/pkg/proxystatus/proxystatus_test.go, "with Istiod instance but no proxies"."""
    source = recording(tmp_path, [])
    assert main(["proxy-status", "-o", "istioctl", "--recording", source]) == 0
    printed = capsys.readouterr()
    assert printed.out.split() == ["NAME", "CLUSTER", "ISTIOD", "VERSION", "SUBSCRIBED", "TYPES"]
    assert not printed.err
    assert main(["proxy-status", "-n", "nowhere", "--recording", source]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("NAME")
    assert "meshdoctor: no proxies found (checked 1 istiods)\n" in printed.err


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


def test_what_istiod_would_send_by_resource(capsys: Captured, tmp_path: Path) -> None:
    path = recording(tmp_path)
    sent = WEB.replace(b'"EDS"', b'"STATIC"').replace(b'"name": "80"', b'"name": "81"')
    write(tmp_path, {"istiod/istiod-a/config_dump/shop/web.json": sent, "envoy/shop/web/config_dump.json": WEB})
    assert main(["proxy-status", "web.shop", "--recording", path]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "    cluster outbound|80||cart.shop.svc.cluster.local: differs" in printed
    assert '      type: istiod "STATIC", Envoy "EDS"' in printed
    assert "    route 80: not of istiod any more" in printed
    assert "    route 81: not in Envoy" in printed
    write(tmp_path, {"istiod/istiod-a/config_dump/shop/web.json": WEB})
    assert main(["proxy-status", "web.shop", "--recording", path]) == 0
    assert "Envoy runs what istiod would send now" in capsys.readouterr().out


def test_without_istiods_word_the_cluster_tells(capsys: Captured, tmp_path: Path) -> None:
    path = recording(tmp_path, [])
    labels = {"kubernetes.io/service-name": "cart"}
    address = {"socket_address": {"address": "10.0.0.9", "port_value": 80}}
    cluster = "outbound|80||cart.shop.svc.cluster.local"
    assigned = {"cluster_name": cluster, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}
    old = json.loads(WEB)
    for section in old["configs"]:
        if section["@type"].endswith("EndpointsConfigDump"):
            section["dynamic_endpoint_configs"] = [{"endpoint_config": assigned}]
    ports = [{"name": "http", "port": 80}]
    endpoints = [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}]
    write(
        tmp_path,
        {
            "envoy/shop/web/config_dump.json": old,
            "kube/core/v1/services.json": [
                {"metadata": {"name": "cart", "namespace": "shop"}, "spec": {"ports": ports}}
            ],
            "kube/discovery.k8s.io/v1/endpointslices.json": [
                {
                    "metadata": {"name": "cart-1", "namespace": "shop", "labels": labels},
                    "endpoints": endpoints,
                    "ports": ports,
                }
            ],
        },
    )
    assert main(["proxy-status", "web.shop", "--recording", path]) == 0
    printed = capsys.readouterr().out
    assert f"    {cluster}: still has 10.0.0.9; has not got 10.0.0.1" in printed
    assert "DISCONNECTED" in printed


def test_a_broken_answer_of_istiod_is_said(capsys: Captured, tmp_path: Path) -> None:
    path = recording(tmp_path)
    write(tmp_path, {"istiod/istiod-a/config_dump/shop/web.json": b"Proxy not connected"})
    assert main(["proxy-status", "web.shop", "--recording", path]) == 0
    assert "what istiod would send cannot be compared: not a config dump" in capsys.readouterr().out
