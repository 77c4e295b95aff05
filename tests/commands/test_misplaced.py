"""A recording where a name is expected, and no cluster where one would be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdoctor.cli import main
from meshdoctor.commands.misplaced import is_recording
from tests.recordings import Recording, pack, tar_bytes

KUBE = ("KUBECONFIG", "KUBERNETES_SERVICE_HOST")


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the home and the working directory, without a kubeconfig."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in KUBE:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("kind", ["", "gz", "xz", "zst"])
def test_archives_are_known_by_their_beginning(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "web"
    body = tar_bytes({"manifest.json": b"{}"})
    file.write_bytes(pack(body, kind) if kind else body)
    assert is_recording(str(file))


def test_what_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "web").write_text("notes about the workload web")
    (tmp_path / "shop").mkdir()
    (tmp_path / "pods.json").write_text("{}")
    assert not is_recording(str(tmp_path / "web"))
    assert not is_recording(str(tmp_path / "shop"))
    assert not is_recording(str(tmp_path / "nothing"))
    assert is_recording(str(tmp_path / "pods.json"))
    assert not is_recording(str(tmp_path / "pods.json"), answers=False)


@pytest.mark.parametrize(
    "words",
    [
        ("mtls", "R"),
        ("mtls", "R", "shop/web"),
        ("proxy-status", "R"),
        ("trace", "R", "cart"),
        ("trace", "R", "shop/web", "cart"),
        ("proxy-config", "clusters", "R"),
        ("proxy-config", "clusters", "web", "R"),
        ("proxy-config", "clusters", "web", "-f", "R"),
        ("ztunnel-config", "workload", "R"),
    ],
)
def test_a_recording_in_the_place_of_a_name(
    nowhere: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    recording = Recording(nowhere).tar("xz")
    assert main([str(recording) if word == "R" else word for word in words]) == 2
    error = capsys.readouterr().err
    assert error == f"meshdoctor: {recording}: that is a recording: use --recording PATH\n"


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (("mtls",), "or read a recording with --recording PATH"),
        (("trace", "shop/web", "cart"), "or read a recording with --recording PATH"),
        (("proxy-config", "clusters", "web"), "or read a recording with --recording PATH"),
        (("diagnose",), "or give a RECORDING; `meshdoctor demo` has some"),
        (("open",), "or give a RECORDING; `meshdoctor demo` has some"),
    ],
)
def test_without_a_kubeconfig_a_recording_is_offered(
    nowhere: Path, words: tuple[str, ...], instead: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(list(words)) == 2
    error = capsys.readouterr().err
    assert error.startswith("meshdoctor: no kubeconfig") and error.endswith(f"{instead}\n")


def test_who_asked_for_a_cluster_is_told_about_it_alone(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mtls", "--context", "x"]) == 2
    assert "recording" not in capsys.readouterr().err


def test_explain_reads_a_file_from_standard_input(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (nowhere / "proxy.log").write_text("whatever")
    (nowhere / "UF").write_text("whatever")
    assert main(["explain", "proxy.log"]) == 2
    assert capsys.readouterr().err == (
        "meshdoctor: proxy.log is a file: give it on standard input: meshdoctor explain < proxy.log\n"
    )
    assert main(["explain", "UF"]) == 0


@pytest.mark.parametrize(("alias", "name"), [("pc", "proxy-config"), ("ps", "proxy-status"), ("zc", "ztunnel-config")])
def test_istioctls_aliases(alias: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([alias, "-h"])
    assert capsys.readouterr().out.startswith(f"usage: meshdoctor {name} ")


def test_ztunnel_config_lists_its_tables(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["ztunnel-config", "-h"])
    printed = capsys.readouterr().out
    for table in ("workload", "service", "policy", "certificate", "connections", "all", "log"):
        assert f"\n    {table}" in printed


def test_a_word_too_many_is_still_one(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["trace", "shop/web", "cart", "more"])
    assert "unrecognized arguments: more" in capsys.readouterr().err
