"""Kubeconfig files as people and tools leave them: line ends, names, several documents, lists; kubectl is the judge."""

from __future__ import annotations

import json
import os
from pathlib import Path

import yaml

from tests.kube.auth_cases import Scene, b64, cases
from tests.live.certificates import authority


def rewrite(scene: Scene, *changes: tuple[str, str], name: str = "config") -> Path:
    """The kubeconfig with a token, its text changed."""
    scene.user = scene.user or {"token": "t"}
    path = Path(scene.write(name))
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def windows_line_ends(scene: Scene) -> None:
    path = rewrite(scene)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def byte_order_mark(scene: Scene) -> None:
    path = rewrite(scene)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def json_with_tabs(scene: Scene) -> None:
    path = rewrite(scene)
    path.write_text(json.dumps(yaml.safe_load(path.read_text()), indent="\t"))


def names_like_dates(scene: Scene) -> None:
    named = [(f"{word}: main", f"{word}: 2026-01-01") for word in ("name", "current-context", "cluster", "user")]
    rewrite(scene, *named)


def names_like_numbers(scene: Scene) -> None:
    scene.fails = True
    rewrite(scene, *[(f"{word}: main", f"{word}: 12") for word in ("name", "current-context", "cluster", "user")])


def a_token_like_a_time(scene: Scene) -> None:
    rewrite(scene, ("token: t", "token: 12:30:45"))


def a_token_like_a_truth(scene: Scene) -> None:
    scene.fails = True
    rewrite(scene, ("token: t", "token: y"))


def truth_in_one_letter(scene: Scene) -> None:
    scene.cluster = {"server": scene.cluster["server"]}
    rewrite(scene, ("server:", "insecure-skip-tls-verify: y\n    server:"))


def truth_in_quotes(scene: Scene) -> None:
    scene.cluster = {"server": scene.cluster["server"], "insecure-skip-tls-verify": "true"}
    scene.fails = True
    rewrite(scene)


def a_second_document(scene: Scene) -> None:
    path = rewrite(scene)
    path.write_text(f"---\n{path.read_text()}---\ncurrent-context: other\n")


def another_kind(scene: Scene) -> None:
    scene.fails = True
    rewrite(scene, ("kind: Config", "kind: ConfigMap"))


def another_version(scene: Scene) -> None:
    scene.fails = True
    rewrite(scene, ("apiVersion: v1", "apiVersion: v2"))


def neither_kind_nor_version(scene: Scene) -> None:
    rewrite(scene, ("apiVersion: v1\n", ""), ("kind: Config\n", ""))


def unknown_fields(scene: Scene) -> None:
    rewrite(scene, ("token: t", "token: t\n    frobnicate: [1]"))


def a_key_twice(scene: Scene) -> None:
    rewrite(scene, ("token: t", "token: first\n    token: last"))


def anchors_and_merges(scene: Scene) -> None:
    rewrite(scene, ("token: t", "<<: &login {token: merged}"))


def an_entry_without_a_name(scene: Scene) -> None:
    scene.user = {"token": "t"}
    scene.write(users=[{"name": "main", "user": scene.user}, {"user": {}}])


def empty_current_context(scene: Scene) -> None:
    scene.user = {"token": "t"}
    scene.fails = True
    scene.write(**{"current-context": ""})


def a_context_twice(scene: Scene) -> None:
    scene.fails = True
    context = {"name": "main", "context": {"cluster": "main", "user": "main"}}
    scene.write(contexts=[context, context])


def parts_in_two_files(scene: Scene) -> None:
    scene.user = {"token": "t"}
    first = scene.write("first", clusters=[], users=[])
    other = scene.write("other", contexts=[], **{"current-context": ""})
    scene.environment["KUBECONFIG"] = os.pathsep.join((str(scene.folder / "none"), first, "", other))


def a_user_is_taken_whole(scene: Scene) -> None:
    scene.user = {"token": "t"}
    scene.fails = True
    first = scene.write("first", users=[{"name": "main", "user": {"as": "carol"}}])
    scene.environment["KUBECONFIG"] = os.pathsep.join((first, scene.write("other")))


def a_broken_file_in_the_list(scene: Scene) -> None:
    scene.user = {"token": "t"}
    scene.fails = True
    scene.environment["KUBECONFIG"] = os.pathsep.join((scene.write("first"), scene.file("broken", b"{{{")))


def a_folder_in_the_list(scene: Scene) -> None:
    scene.user = {"token": "t"}
    scene.fails = True
    scene.environment["KUBECONFIG"] = os.pathsep.join((scene.write("first"), str(scene.folder)))


def an_empty_file_in_the_list(scene: Scene) -> None:
    scene.user = {"token": "t"}
    scene.environment["KUBECONFIG"] = os.pathsep.join((scene.file("empty", b""), scene.write("first")))


def relative_kubeconfig_with_relative_token_file(scene: Scene) -> None:
    scene.file("sub/token", b"relative\r\n")
    scene.user = {"tokenFile": "token"}
    scene.flags = {"kubeconfig": os.path.relpath(scene.write("sub/config"), scene.folder)}


def certificate_as_data_and_as_file(scene: Scene) -> None:
    pair = authority().issue("frank")
    scene.user = {
        "client-certificate-data": b64(pair.certificate),
        "client-key-data": b64(pair.key),
        "client-certificate": scene.file("frank.crt", pair.certificate),
        "client-key": scene.file("frank.key", pair.key),
    }
    scene.fails = True
    scene.write()


def ca_data_beside_a_missing_file(scene: Scene) -> None:
    scene.cluster["certificate-authority"] = str(scene.folder / "none")
    scene.user = {"token": "t"}
    scene.fails = True
    scene.write()


def a_key_without_a_certificate(scene: Scene) -> None:
    scene.user = {"client-key-data": b64(authority().issue("frank").key), "token": "t"}
    scene.write()


def a_token_with_blanks(scene: Scene) -> None:
    scene.user = {"token": " t "}
    scene.write()


FILES = cases(
    windows_line_ends,
    byte_order_mark,
    json_with_tabs,
    names_like_dates,
    names_like_numbers,
    a_token_like_a_time,
    a_token_like_a_truth,
    truth_in_one_letter,
    truth_in_quotes,
    a_second_document,
    another_kind,
    another_version,
    neither_kind_nor_version,
    unknown_fields,
    a_key_twice,
    anchors_and_merges,
    an_entry_without_a_name,
    empty_current_context,
    a_context_twice,
    parts_in_two_files,
    a_user_is_taken_whole,
    a_broken_file_in_the_list,
    a_folder_in_the_list,
    an_empty_file_in_the_list,
    relative_kubeconfig_with_relative_token_file,
    certificate_as_data_and_as_file,
    ca_data_beside_a_missing_file,
    a_key_without_a_certificate,
    a_token_with_blanks,
)
