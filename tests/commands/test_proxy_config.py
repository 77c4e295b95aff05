from __future__ import annotations

import gc
import gzip
import io
import json
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from meshdoctor.cli import main
from tests.commands.recordings import HOSTS, WEB, mesh
from tests.mesh.proxy.dumps import clusters, dump

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def web(tmp_path: Path) -> str:
    path = tmp_path / "config_dump.json"
    path.write_bytes(WEB)
    return str(path)


def lines(capsys: Captured, *arguments: str) -> list[str]:
    assert main(["proxy-config", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("table", "last"),
    [
        ("clusters", "cart.shop.svc.cluster.local     80       -          outbound      EDS      "),
        ("l", "0.0.0.0   80   ALL   Cluster: x"),
        ("routes", "80       h              *           /*        404"),
        ("secret", "No active or warming secrets found."),
        ("eds", "NAME     STATUS     LOCALITY     CLUSTER"),
    ],
)
def test_tables_of_a_file(capsys: Captured, web: str, table: str, last: str) -> None:
    assert lines(capsys, table, "--file", web)[-1] == last


@pytest.mark.parametrize("output", ["short", "wide", "json", "yaml", "istioctl"])
@pytest.mark.parametrize("table", ["cluster", "listener", "route", "secret", "eds", "bootstrap", "all"])
def test_every_table_has_every_format(capsys: Captured, web: str, table: str, output: str) -> None:
    printed = "\n".join(lines(capsys, table, "-f", web, "-o", output))
    if output == "json":
        json.loads(printed)
    elif output == "yaml":
        yaml.safe_load(printed)
    assert gc.isenabled()


def test_go_flags(capsys: Captured, web: str) -> None:
    assert lines(capsys, "listener", "-f", web, "--verbose=false")[0] == "ADDRESSES PORT TYPE"
    assert lines(capsys, "route", "-f", web, "--verbose")[0].startswith("NAME     VHOST NAME")
    assert lines(capsys, "cluster", "-f", web, "--port", "0x50")[1].startswith("cart")
    assert lines(capsys, "cluster", "-f", web, "--port", "0120")[1].startswith("cart")  # octal, as in Go


def test_standard_input(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(HOSTS)))
    assert lines(capsys, "endpoint", "-f", "-")[1] == "10.0.0.1:80     UNKNOWN     OK                c"


def test_the_whole_dump_of_standard_input_is_copied(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(WEB)))
    assert main(["proxy-config", "all", "-f", "-", "-o", "json"]) == 0
    assert capsys.readouterr().out == WEB.decode() + "\n"


@pytest.mark.parametrize(
    "target",
    ["web-1.shop", "web-1", "shop/web-1", "pod/web-1.shop", "deployment/web.shop", "deploy/web", "svc/web-svc.shop"],
)
def test_targets(capsys: Captured, tmp_path: Path, target: str) -> None:
    found = lines(capsys, "endpoint", target, "--recording", str(mesh(tmp_path)))
    assert found[1].startswith("10.0.0.1:80")


@pytest.mark.parametrize("target", ["dotted.name.shop", "shop/dotted.name"])
def test_a_pod_with_a_dot_in_its_name(capsys: Captured, tmp_path: Path, target: str) -> None:
    assert len(lines(capsys, "cluster", target, "--recording", str(mesh(tmp_path)))) == 2
    assert len(lines(capsys, "cluster", "dotted.name", "-n", "shop", "--recording", str(tmp_path))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cluster", "lost"], 'unable to retrieve Pod: pods "lost" not found'),
        (["cluster", "wep-1.shop"], "web-1.shop"),
        (["cluster", "deployment/lost"], '"deployment/lost" does not refer to a pod'),
        (["cluster", "serviceaccount/x"], '"serviceaccount/x" does not refer to a pod'),
        (["cluster", "same"], "several namespaces: did you mean same.a, same.b?"),
        (["cluster", "web-2.shop"], "not recorded"),
        (["endpoint", "dotted.name.shop"], "not recorded"),
        (["cluster"], "cluster requires pod name or --file parameter"),
        (["cluster", "web-1", "-o", "xml"], 'output format "xml" not supported'),
        (["log"], "log requires pod name or --selector"),
        (["log", "web-1", "--level", "xxx:debug"], "unrecognized logger name: xxx"),
        (["log", "web-1", "--level", "http:xxx"], "unrecognized logging level: xxx"),
        (["log", "web-1", "--level", "debug", "-r"], "--level cannot be combined with --reset"),
        (["rootca-compare", "web-1"], "rootca-compare requires 2 pods as an argument"),
        (["rootca-compare", "web-1", "web-1"], "cannot find ROOTCA from secret"),
        (["ecds", "web-1"], "no configuration type type.googleapis.com/envoy.admin.v3.EcdsConfigDump"),
    ],
)
def test_errors(capsys: Captured, tmp_path: Path, arguments: list[str], message: str) -> None:
    command = ["proxy-config", *arguments, "--recording", str(mesh(tmp_path))]
    assert main(command) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1
    if "-o" not in arguments:
        assert main([*command, "-o", "istioctl"]) == 1
        assert capsys.readouterr().err.startswith("Error: ")


def test_a_wrong_number_is_an_error(capsys: Captured, web: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(["proxy-config", "listener", "-f", web, "--port", "x"])
    assert left.value.code == 2
    assert 'invalid argument "x" for "--port" flag' in capsys.readouterr().err


def test_no_file_and_no_source(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert main(["proxy-config", "cluster", "-f", "/no/such/file"]) == 2
    assert "no such file or directory" in capsys.readouterr().err
    assert main(["proxy-config", "cluster", "web"]) == 2
    assert "no kubeconfig with a cluster" in capsys.readouterr().err


def test_the_group_alone_prints_its_help(capsys: Captured) -> None:
    assert main(["proxy-config"]) == 0
    assert "A group of commands used to retrieve information about" in capsys.readouterr().out


def test_log_prints_what_a_person_can_run_and_changes_nothing(capsys: Captured, tmp_path: Path) -> None:
    assert main(["proxy-config", "log", "web-1", "--level", "http:debug", "--recording", str(mesh(tmp_path))]) == 0
    printed = capsys.readouterr()
    assert printed.out == "web-1.shop:\nactive loggers:\n  http: warning\n"
    assert "kubectl exec -n shop web-1 -c istio-proxy -- pilot-agent request POST 'logging?http=debug'" in printed.err


def test_a_broken_section_is_named_and_the_others_are_shown(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    path.write_bytes(WEB.replace(b'"EDS"', b'"EDS'))
    assert main(["proxy-config", "all", "-f", str(path)]) == 0
    printed = capsys.readouterr()
    assert "Cluster: x" in printed.out
    assert "ClustersConfigDump is not valid JSON" in printed.err
    assert main(["proxy-config", "all", "-f", str(path), "-o", "istioctl"]) == 1


@pytest.mark.parametrize("odd", [b"\\ud800", b"\xff\xfe", b"\x01", b"\\u0000", b'"'])
@pytest.mark.parametrize("output", ["short", "wide", "json", "yaml"])
@pytest.mark.parametrize("table", ["cluster", "all"])
def test_bytes_that_are_no_text_stop_nothing(
    capsys: Captured, tmp_path: Path, odd: bytes, output: str, table: str
) -> None:
    path = tmp_path / "dump.json"
    named = dump(ClustersConfigDump=clusters({"name": "first"}, {"name": "odd"}), RoutesConfigDump={})
    path.write_bytes(named.replace(b'"odd"', b'"' + odd + b'"'))
    assert main(["proxy-config", table, "-f", str(path), "-o", output]) == 0
    printed = capsys.readouterr().out
    if output == "json":
        json.loads(printed)
    assert "first" in printed or table == "all"


def test_hostile_text_cannot_reach_the_terminal(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    path.write_bytes(dump(ClustersConfigDump=clusters({"name": "a\x1b]0;x\x07\nb\u202e"}, {"name": 7})))
    assert main(["proxy-config", "cluster", "-f", str(path)]) == 0
    printed = capsys.readouterr()
    assert not {"\x1b", "\x07", "\u202e"} & set(printed.out + printed.err)
    assert len(printed.out.splitlines()) == 2


def test_a_large_file_is_mapped(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    path.write_bytes(dump(ClustersConfigDump=clusters(*({"name": f"cluster-{n}"} for n in range(20_000)))))
    assert path.stat().st_size > 1 << 20
    assert len(lines(capsys, "cluster", "-f", str(path))) == 20_001


def test_what_of_the_given_files_was_not_used_is_said(capsys: Captured, tmp_path: Path) -> None:
    node = {"node": {"id": "sidecar~10.0.0.1~web.shop~shop.svc.cluster.local", "metadata": {}}}
    body = json.loads(WEB)
    body["configs"][0]["bootstrap"] = node
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(body))
    files = [word for name in ("a.json", "b.json") for word in ("--recording", str(tmp_path / name))]
    assert main(["proxy-config", "cluster", "web.shop", *files]) == 0
    told = capsys.readouterr()
    assert "cart.shop.svc.cluster.local" in told.out
    assert told.err == "meshdoctor: b.json: a second config dump of shop/web: this one is used\n"


def test_log_of_a_workload_is_that_of_every_pod(capsys: Captured, tmp_path: Path) -> None:
    source = ["--recording", str(mesh(tmp_path))]
    for target in (["deployment/web.shop"], ["-l", "app=web", "-n", "shop"]):
        assert main(["proxy-config", "log", *target, *source]) == 0
        printed = capsys.readouterr()
        assert printed.out == "web-1.shop:\nactive loggers:\n  http: warning\n"
        assert "envoy/shop/web-2/logging.txt: not recorded" in printed.err
    assert main(["proxy-config", "log", "web-2", *source]) == 2
    assert main(["proxy-config", "log", "-l", "app=none", *source]) == 2
    assert "no pods found" in capsys.readouterr().err


def test_a_compressed_answer_is_read_and_a_compressed_recording_is_not_one(capsys: Captured, tmp_path: Path) -> None:
    packed = tmp_path / "config_dump.json.gz"
    packed.write_bytes(gzip.compress(WEB))
    assert lines(capsys, "cluster", "-f", str(packed))[-1].startswith("cart.shop")
    packed.write_bytes(gzip.compress(WEB)[:-20])
    assert main(["proxy-config", "cluster", "-f", str(packed)]) == 2
    assert "cut short" in capsys.readouterr().err
    archive = tmp_path / "recording.tar.gz"
    with tarfile.open(archive, "w:gz") as members:
        members.add(packed, "config_dump.json.gz")
    assert main(["proxy-config", "cluster", "-f", str(archive)]) == 2
    assert "that is a recording" in capsys.readouterr().err


def test_what_istioctl_printed_as_yaml_is_read(capsys: Captured, web: str, tmp_path: Path) -> None:
    printed = "\n".join(lines(capsys, "all", "-f", web, "-o", "yaml"))
    path = tmp_path / "dump.yaml"
    path.write_text("---\n" + printed)
    assert lines(capsys, "all", "-f", str(path)) == lines(capsys, "all", "-f", web)
    path.write_text("configs:\n- &a [*a]\n")
    assert main(["proxy-config", "all", "-f", str(path)]) == 2
    assert "aliases" in capsys.readouterr().err
    path.write_text(f"{printed}\n---\n")  # what a script puts between two answers
    assert lines(capsys, "all", "-f", str(path)) == lines(capsys, "all", "-f", web)
    path.write_text("configs:\n  ? null\n  : b\n")
    assert main(["proxy-config", "all", "-f", str(path)]) == 2
    assert "no form in JSON" in capsys.readouterr().err


def test_the_hosts_of_a_bug_report_are_read(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "clusters"
    path.write_text(
        "c::observability_name::c\nc::default_priority::max_connections::1024\nc::added_via_api::true\n"
        "c::10.0.0.1:80::cx_active::0\nc::10.0.0.1:80::health_flags::/failed_outlier_check\n"
        "c::./var/run/socket::cx_active::0\nc::envoy://connect_originate/1.1.1.1:80::cx_active::0\n"
    )
    shown = [line.split() for line in lines(capsys, "endpoint", "-f", str(path))[1:]]
    assert [(line[0], *line[-2:]) for line in shown] == [
        ("10.0.0.1:80", "FAILED", "c"),
        ("envoy://connect_originate/1.1.1.1:80", "OK", "c"),
        ("unix://./var/run/socket", "OK", "c"),
    ]


@pytest.mark.parametrize("before", [("-o", "wide"), ("--output=wide",), ("-n", "shop", "-o", "wide")])
def test_common_flags_may_stand_before_the_table(capsys: Captured, web: str, before: tuple[str, ...]) -> None:
    behind = lines(capsys, "cluster", *before, "-f", web)
    assert lines(capsys, *before, "cluster", "-f", web) == behind
    assert "TLS" in behind[0]


def test_what_is_no_table_is_told_with_the_tables(capsys: Captured) -> None:
    for arguments, told in (["-o", "wide", "clustre"], "TABLE"), (["-o", "wide"], "TABLE"), (["--x", "cluster"], "--x"):
        with pytest.raises(SystemExit) as ended:
            main(["proxy-config", *arguments])
        assert ended.value.code == 2
        assert told in capsys.readouterr().err


def test_of_a_section_that_occurs_twice_istioctl_shows_the_last(capsys: Captured, tmp_path: Path) -> None:
    """Our own formats show both: a dump may have been read in parts."""
    first, second = (json.loads(dump(ClustersConfigDump=clusters({"name": name}))) for name in ("a", "b"))
    path = tmp_path / "config_dump.json"
    path.write_text(json.dumps({"configs": first["configs"] + second["configs"]}))
    assert [line.split()[0] for line in lines(capsys, "cluster", "-f", str(path))[1:]] == ["a", "b"]
    assert [line.split()[0] for line in lines(capsys, "cluster", "-f", str(path), "-o", "istioctl")[1:]] == ["b"]
    assert [line.split()[0] for line in lines(capsys, "cluster", "-f", str(path))[1:]] == ["a", "b"]
