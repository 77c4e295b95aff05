"""Names and places in few words, texts folded to a width, words that every screen asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.text import Text

import meshdoctor
from meshdoctor.mesh.finding import Resource
from meshdoctor.mesh.places import Place
from meshdoctor.present.document_lines import MOST_LINES, capped, document_lines, folded
from meshdoctor.present.places import place_command, place_text, resource_command
from meshdoctor.present.short_names import short_cluster, short_host
from meshdoctor.present.table import plain
from meshdoctor.present.words import Words

WORDS = Words("en")


@pytest.mark.parametrize(
    ("file", "at", "command", "text"),
    [
        ("", "", "", ""),
        ("logs/a/b/istio-proxy.log", "line 7", "log a/b istio-proxy 7", "a/b istio-proxy line 7"),
        ("logs/a/b/app.log.previous", "line 7", "log a/b app 7 previous", "a/b app previous line 7"),
        ("logs/a/b/app.log", "", "log a/b app", "a/b app"),
        ("kube/core/v1/pods.json", "a/b", "file kube/core/v1/pods.json a/b", "pods a/b"),
        ("envoy/a/b/config_dump.json", "x", "file envoy/a/b/config_dump.json x", "a/b config_dump x"),
        ("istiod/i/syncz.json", "b", "file istiod/i/syncz.json b", "syncz b"),
        (
            "snapshots/2026-01-02T03:04:05Z/logs/a/b/app.log",
            "line 7",
            "file snapshots/2026-01-02T03:04:05Z/logs/a/b/app.log line 7",
            "a/b app line 7 (03:04:05)",
        ),
    ],
)
def test_a_place_and_its_command(file: str, at: str, command: str, text: str) -> None:
    assert place_command(file, at) == command
    assert place_text(file, at) == text


def test_only_objects_that_are_read_can_be_opened() -> None:
    assert resource_command(Resource("Pod", "a", "b")) == "object Pod a/b"
    assert resource_command(Resource("Secret", "a", "b")) == ""


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("outbound|80||cart.shop.svc.cluster.local", "cart.shop:80"),
        ("outbound|80|v1|cart.shop.svc.corp.example", "cart.shop:80 v1"),
        ("outbound|443||api.example.com", "api.example.com:443"),
        ("inbound|8080||", "inbound:8080"),
        ("PassthroughCluster", "PassthroughCluster"),
        ("anything else", "anything else"),
    ],
)
def test_short_cluster_names(name: str, short: str) -> None:
    assert short_cluster(name) == short


def test_short_hosts() -> None:
    assert short_host("cart.shop.svc.cluster.local:80") == "cart.shop:80"
    assert short_host("shop.example.com:80") == "shop.example.com:80"
    assert short_host("cart.shop.svc") == "cart.shop"


@pytest.mark.parametrize("width", [1, 2, 7, 80])
def test_folding_loses_nothing(width: int) -> None:
    line = "    한글 and " + "x" * 100
    parts = [plain(part) for part in folded([line, Text("kept")], width)]
    assert parts[-1] == "kept"
    indents = "".join(part.strip() for part in parts[:-1]).replace(" ", "")
    assert indents == line.replace(" ", "")
    if width >= 2:
        assert max(cell_len(part) for part in parts[:-1]) <= max(width, 2)


def test_objects_are_yaml_and_answers_json() -> None:
    pod = {"metadata": {"name": "a", "managedFields": [1]}, "spec": {"x": "esc\u001b[31m"}}
    lines = [plain(line) for line in document_lines("t", [Place("a", pod)], WORDS)]
    assert lines[0] == "# t"
    assert "  name: a" in lines
    assert not any("managedFields:" in line for line in lines)
    assert "# left out: managedFields" in lines
    assert not any("\x1b" in line for line in lines)
    assert [plain(line) for line in document_lines("t", [Place("", {"a": 1})], WORDS)][1:] == ["{", '  "a": 1', "}"]
    assert len(capped(["x"] * (MOST_LINES + 5), WORDS)) == MOST_LINES + 1


def test_what_repeats_an_object_does_not_push_it_out_of_sight() -> None:
    copy = {"kubectl.kubernetes.io/last-applied-configuration": '{"spec": {}}'}
    for given, kept in ((copy, False), ({**copy, "sidecar.istio.io/inject": "true"}, True)):
        rule = {"metadata": {"name": "a", "annotations": given}, "spec": {"host": "b"}}
        lines = [plain(line) for line in document_lines("t", [Place("a", rule)], WORDS)]
        assert lines[1] == "# left out: last-applied-configuration"
        assert ("  annotations:" in lines) is kept
        assert sum("last-applied" in line for line in lines) == 1
        assert "  host: b" in lines


def test_every_word_that_is_asked_for_exists() -> None:
    package = Path(meshdoctor.__path__[0])
    asked = {
        found
        for room in ("screens", "tui", "present")
        for path in (package / room).glob("*.py")
        if path.name != "words.py"  # its docstring has an example
        for found in re.findall(r'words\(\s*"([a-z_.]+)"', path.read_text(encoding="utf-8"))
    }
    assert len(asked) > 30
    assert [each for each in asked if each not in WORDS] == []
    for each in ("guide.active", "guide.over", "guide.now_failing", "guide.now_healthy", "guide.now_unknown"):
        assert each in WORDS
    for side in ("client", "server", "gateway", "application", "ztunnel"):
        assert f"traffic.{side}" in WORDS
