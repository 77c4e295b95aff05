from __future__ import annotations

import json

import pytest

from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.config_dump import decode_config_dump
from meshdoctor.model.envoy.sections import find_sections, salvaged, snake

ADMIN = "type.googleapis.com/envoy.admin.v3."
CONFIGS = [
    {"@type": ADMIN + "BootstrapConfigDump", "bootstrap": {}},
    {
        "@type": ADMIN + "ClustersConfigDump",
        "dynamic_active_clusters": [{"cluster": {"name": "a"}}, {"cluster": {"name": "b"}}],
    },
    {"@type": ADMIN + "RoutesConfigDump", "static_route_configs": []},
]
ENVOY = json.dumps({"configs": CONFIGS}, indent=1).encode()
COMPACT = json.dumps({"configs": CONFIGS}, separators=(",", ":")).encode()
NAMES = ["BootstrapConfigDump", "ClustersConfigDump", "RoutesConfigDump"]


@pytest.mark.parametrize("body", [ENVOY, ENVOY + b"\n", COMPACT, json.dumps({"configs": CONFIGS}, indent=2).encode()])
def test_every_layout_has_the_same_sections(body: bytes) -> None:
    found = find_sections(body)
    assert list(found.parts) == NAMES
    assert [json.loads(bytes(found.parts[name][0])) for name in NAMES] == CONFIGS
    assert found.problems == []


@pytest.mark.parametrize("body", [ENVOY, COMPACT])
def test_of_two_dumps_the_last_one_counts(body: bytes) -> None:
    other = body.replace(b'"name"', b'"NAME"')
    found = find_sections(other + b"\n" + body)
    assert all(len(parts) == 1 for parts in found.parts.values())
    assert b'"name"' in bytes(found.parts["ClustersConfigDump"][0])
    assert "the file holds 2 dumps; the last one is shown" in found.problems


@pytest.mark.parametrize("body", [ENVOY, COMPACT])
@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\ndate: x\r\n\r\n", b"", "text before the JSON"),
        (b"curl {x}\n", b"", "text before the JSON"),
        (b"", b"\ncommand terminated\n", ""),
    ],
)
def test_noise_is_skipped_and_named(body: bytes, before: bytes, after: bytes, problem: str) -> None:
    found = find_sections(before + body + after)
    assert list(found.parts) == NAMES
    assert all(len(parts) == 1 for parts in found.parts.values())
    assert found.problems
    assert any(problem in line for line in found.problems)


def test_a_cut_dump_keeps_its_sections_before_the_cut() -> None:
    found = find_sections(ENVOY[: ENVOY.index(b'"name": "b"')])
    assert list(found.parts) == NAMES[:2]
    assert found.problems == ["the JSON is cut short"]
    dump = decode_config_dump(ENVOY[: ENVOY.index(b"RoutesConfigDump") - 60])
    assert [entry.name for entry in dump.clusters] == ["a", "b"]


@pytest.mark.parametrize("body", [b"", b" \n", b"null", b"[]", b"<html>", b"not found"])
def test_what_is_no_dump_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        find_sections(body)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("body", [ENVOY, COMPACT])
def test_what_a_shell_made_of_the_encoding_is_undone(body: bytes, encoding: str) -> None:
    found = find_sections(body.decode().encode(encoding))
    assert list(found.parts) == NAMES
    assert found.problems == []
    assert [entry.name for entry in decode_config_dump(body.decode().encode(encoding)).clusters] == ["a", "b"]


def test_an_answer_that_is_no_dump_is_quoted() -> None:
    with pytest.raises(UnreadableError, match="it begins with: Error from server"):
        find_sections(b"\n\nError from server (NotFound): no pod\n")


@pytest.mark.parametrize("indent", [1, None])
def test_entries_without_their_section_are_put_into_one(indent: int | None) -> None:
    kinds = {"ClustersConfigDump.DynamicCluster": "cluster", "ListenersConfigDump.StaticListener": "listener"}
    entries = [{"@type": ADMIN + kind, field: {"name": name}} for kind, field in kinds.items() for name in ("a", "b")]
    found = find_sections(json.dumps({"configs": entries}, indent=indent).encode())
    assert set(found.parts) == {"ClustersConfigDump", "ListenersConfigDump"}
    assert json.loads(bytes(found.parts["ClustersConfigDump"][0]))["dynamic_active_clusters"] == entries[:2]
    assert json.loads(bytes(found.parts["ListenersConfigDump"][0]))["static_listeners"] == entries[2:]


def test_a_section_alone_is_a_dump_of_one() -> None:
    assert list(find_sections(json.dumps(CONFIGS[1]).encode()).parts) == ["ClustersConfigDump"]
    assert find_sections(b'{"configs": null}').parts == {}


def test_a_deep_document_is_refused() -> None:
    with pytest.raises(UnreadableError):
        find_sections(b'{"configs":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_sections_that_repeat_in_one_dump_are_all_kept() -> None:
    twice = json.dumps({"configs": [CONFIGS[1], CONFIGS[1]]}, indent=1).encode()
    assert len(find_sections(twice).parts["ClustersConfigDump"]) == 2
    assert len(decode_config_dump(twice).clusters) == 4


def test_camel_case_is_turned_into_envoys_own() -> None:
    section = {"@type": ADMIN + "ClustersConfigDump", "versionInfo": "1", "dynamicActiveClusters": [{"cluster": {}}]}
    assert json.loads(bytes(snake(json.dumps(section).encode()))) == {
        "@type": ADMIN + "ClustersConfigDump",
        "version_info": "1",
        "dynamic_active_clusters": [{"cluster": {}}],
    }


def test_a_section_of_an_unknown_type_and_an_entry_of_none() -> None:
    found = find_sections(json.dumps({"configs": [{"@type": "x.y/envoy.admin.v9.NewDump"}, 7]}).encode())
    assert list(found.parts) == ["NewDump"]
    assert found.problems == ["section 1 has no type and was left out"]


BROKEN = json.dumps(
    {"first": [{"n": 1}, {"n": 2}, {"n": 3, "deep": [{"n": 4}]}], "second": [{"n": 5}]}, indent=1, ensure_ascii=False
)


@pytest.mark.parametrize(
    ("old", "new", "left"),
    [
        ('"n": 2', '"n": 2,,', [1, 3]),
        ('"n": 1', "}}{{", [2, 3]),
        ('"n": 3', '"n": ', [1, 2]),
        ('"n": 2', '"n": "\x01"', [1, "\x01", 3]),
    ],
)
def test_a_broken_entry_does_not_hide_the_next(old: str, new: str, left: list[object]) -> None:
    found = salvaged(BROKEN.replace(old, new).encode(), ["first", "second"])
    assert [json.loads(entry).get("n") for entry in found["first"] if entry != b"{\n   }"] == left
    assert [json.loads(entry)["n"] for entry in found["second"]] == [5]


def test_without_lines_what_follows_a_broken_entry_is_left_out() -> None:
    compact = json.dumps(json.loads(BROKEN)).replace('"n": 2', '"n": 2,,').encode()
    assert [json.loads(entry) for entry in salvaged(compact, ["first", "second"])["first"]] == [{"n": 1}]


def test_a_section_of_an_unknown_type_is_a_section_of_its_own() -> None:
    other = {"@type": "type.googleapis.com/envoy.admin.v9.QuantumConfigDump", "x": 1}
    found = find_sections(json.dumps({"configs": [*CONFIGS, other]}, indent=1).encode())
    assert list(found.parts) == [*NAMES, "QuantumConfigDump"]
    assert json.loads(bytes(found.parts["RoutesConfigDump"][0])) == CONFIGS[2]
    assert found.problems == []
