"""Renewed tokens in a kubeconfig: nothing else of the file changes, and it is never left half written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshdoctor.errors import MeshDoctorError
from meshdoctor.kube.kubeconfig_write import write_provider_config

CHANGED = {"id-token": "new.id.token", "refresh-token": "#second: 'one'"}
BLOCK = """\
# work account
current-context: prod   # do not touch
users:
- name: other
  user: {token: abc}
- name: me
  user:
    auth-provider:
      name: oidc
      config:
        client-id: kubectl # from IT
        id-token: old.id.token
        refresh-token: >-
          first
        zone: "1"
contexts: []
"""
FLOW = json.dumps(
    {
        "users": [
            {
                "name": "me",
                "user": {
                    "auth-provider": {"name": "oidc", "config": {"refresh-token": "first", "client-id": "kubectl"}}
                },
            }
        ]
    },
    indent=2,
)
ALIASES = """\
shared: &config {client-id: kubectl, id-token: old, refresh-token: first}
users:
- {name: other, user: {auth-provider: {name: oidc, config: *config}}}
- {name: me, user: {auth-provider: {name: oidc, config: *config}}}
"""


def config(text: str, name: str = "me") -> dict[str, Any]:
    users = {entry["name"]: entry["user"] for entry in yaml.safe_load(text)["users"]}
    found: dict[str, Any] = users[name]["auth-provider"]["config"]
    return found


def written(path: Path, text: str) -> str:
    path.write_bytes(text.encode())
    write_provider_config(str(path), "me", CHANGED)
    return path.read_bytes().decode()


@pytest.mark.parametrize("text", [BLOCK, BLOCK.replace("\n", "\r\n"), FLOW, "\ufeff" + BLOCK, BLOCK + "---\na: b\n"])
def test_only_the_tokens_change(tmp_path: Path, text: str) -> None:
    new = written(tmp_path / "config", text)
    first = new.removeprefix("\ufeff").partition("\n---")[0]
    before = config(text.removeprefix("\ufeff").partition("\n---")[0])
    assert config(first) == before | CHANGED
    kept = [line for line in text.splitlines() if "token" not in line and "first" not in line]
    assert [line for line in new.splitlines() if "token" not in line] == kept


def test_another_user_with_the_same_anchor_keeps_its_tokens(tmp_path: Path) -> None:
    new = written(tmp_path / "config", ALIASES)
    assert config(new)["id-token"] == "new.id.token"
    assert config(new, "other")["id-token"] == "old"


def test_a_user_that_has_gone_is_not_made_anew(tmp_path: Path) -> None:
    text = BLOCK.replace("name: me", "name: you")
    assert written(tmp_path / "config", text) == text


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    real = tmp_path / "real" / "config"
    real.parent.mkdir()
    real.write_text(BLOCK)
    real.chmod(0o640)
    link = tmp_path / "config"
    link.symlink_to(real)
    write_provider_config(str(link), "me", CHANGED)
    assert link.is_symlink()
    assert config(real.read_text())["id-token"] == "new.id.token"
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["config", "config", "real"]


def test_a_failing_write_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_text(BLOCK)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(MeshDoctorError, match=r"No space left on device\): log in again"):
        write_provider_config(str(path), "me", CHANGED)
    assert path.read_text() == BLOCK
    assert [file.name for file in tmp_path.iterdir()] == ["config"]
