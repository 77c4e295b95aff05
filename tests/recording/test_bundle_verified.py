"""`verify`: what is under the root, and that no byte of a bundle can change unseen."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from meshdoctor.errors import RecordingError
from meshdoctor.recording.bundle.format import BundleManifest, root_of_moments, sealed
from meshdoctor.recording.bundle.reader import Bundle, open_bundle
from meshdoctor.recording.bundle.recorder import record_recording
from meshdoctor.recording.bundle.upkeep import repair, verify
from meshdoctor.recording.bundle.writer import BundleWriter
from meshdoctor.recording.opening import open_any
from tests.recording.rewritten_bundle import rewritten
from tests.recordings import Recording, access_line


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Three moments of one proxy's log."""
    recording = Recording(tmp_path / "case")
    for moment in range(3):
        top = f"snapshots/2026-03-03T09:0{moment}:00Z"
        recording.put(f"{top}/kube/core/v1/pods.json", {"items": [{"metadata": {"name": "a", "namespace": "depot"}}]})
        lines = "".join(f"{access_line(moment, path=f'/{number}')}\n" for number in range(300))
        recording.put(f"{top}/logs/depot/a/istio-proxy.log", lines)
    with BundleWriter(tmp_path / "a.mdb", now=lambda: 1_770_000_000.0, source="shop") as writer:
        record_recording(writer, open_any([recording.write()]))
    return tmp_path / "a.mdb"


def with_manifest(path: Path, *, seal: bool = False, **changes: Any) -> Path:
    def change(name: str, body: bytes) -> bytes:
        if name != "manifest.json":
            return body
        told = json.loads(body) | changes
        return msgspec.json.encode(sealed(msgspec.convert(told, BundleManifest)) if seal else told)

    return rewritten(path, change)


def moments(path: Path) -> list[dict[str, Any]]:
    with Bundle(path) as opened:
        return [dict(msgspec.to_builtins(reference)) for reference in opened.manifest.snapshots]


def is_refused(path: Path) -> bool:
    try:
        return verify(path) != []
    except RecordingError:
        return True


@pytest.mark.parametrize("seal", [False, True])
def test_a_moment_has_the_time_that_is_in_its_hashed_index(bundle: Path, seal: bool) -> None:
    snapshots = moments(bundle)
    snapshots[0]["name"] = "2026-03-03T10:00:00Z"  # the first moment would be the last
    with_manifest(bundle, seal=seal, snapshots=snapshots)
    wrong = verify(bundle)
    assert "moment 2026-03-03T10:00:00Z is damaged (its own name is 2026-03-03T09:00:00Z)" in "\n".join(wrong)
    assert any(line.startswith("manifest.json") for line in wrong) is not seal
    with pytest.raises(RecordingError, match="its own name is"):
        open_bundle(bundle)


@pytest.mark.parametrize(
    "changes", [{"source": "elsewhere"}, {"created": "2020-01-01T00:00:00Z"}, {"redaction": {}}, {"unknown": 1}]
)
def test_the_root_is_over_all_that_the_manifest_says(bundle: Path, changes: dict[str, Any]) -> None:
    assert verify(with_manifest(bundle, **changes)) == ["manifest.json: its root is not that of what it says"]


def test_a_moment_that_was_left_out_changes_the_root(bundle: Path) -> None:
    assert verify(with_manifest(bundle, snapshots=moments(bundle)[:2])) != []


def test_a_later_minor_version_may_say_more(bundle: Path) -> None:
    def change(name: str, body: bytes) -> bytes:
        if name != "manifest.json":
            return body
        told = json.loads(body) | {"version": [1, 9], "signed_by": {"who": "x"}}
        del told["root"]
        root = hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()
        return json.dumps(told | {"root": root}).encode()

    assert verify(rewritten(bundle, change)) == []


def test_a_bundle_of_the_version_before_verifies_as_before(bundle: Path) -> None:
    with Bundle(bundle) as opened:
        root = root_of_moments(opened.manifest.snapshots)
    assert verify(with_manifest(bundle, version=[1, 1], root=root)) == []
    assert verify(with_manifest(bundle, source="elsewhere")) == []  # its root is not over it
    assert verify(with_manifest(bundle, root="0" * 64)) != []


def test_no_byte_changes_unseen(bundle: Path, tmp_path: Path) -> None:
    whole, chosen = bundle.read_bytes(), random.Random(7)
    changed = tmp_path / "changed.mdb"
    tail = len(whole) - 4000  # the manifest and the directory
    for at in (*chosen.sample(range(tail), 150), *chosen.sample(range(tail, len(whole)), 250)):
        body = bytearray(whole)
        body[at] ^= 1 << chosen.randrange(8)
        changed.write_bytes(body)
        assert is_refused(changed), f"byte {at} of {len(whole)}"
    changed.write_bytes(whole + b"\0")
    assert is_refused(changed)


def test_bytes_between_two_entries_are_seen(bundle: Path, tmp_path: Path) -> None:
    with Bundle(bundle) as opened:
        last = max(opened.places.values(), key=lambda one: one.offset)
    whole, changed = bundle.read_bytes(), tmp_path / "changed.mdb"
    changed.write_bytes(whole[: last.offset] + b"hidden" + whole[last.offset :])
    assert is_refused(changed)


def test_what_repair_makes_verifies(bundle: Path, tmp_path: Path) -> None:
    part = tmp_path / "b.mdb.part"
    shutil.copyfile(bundle, part)
    part.write_bytes(part.read_bytes()[:-2000])
    done = repair(part, tmp_path / "b.mdb")
    assert (done.saved, verify(done.path)) == (3, [])
