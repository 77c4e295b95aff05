"""A recording is read the same from a folder and every archive; hostile and damaged ones are refused in one line."""

from __future__ import annotations

import gzip
import io
import lzma
import random
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.errors import RecordingError, UsageError
from meshdoctor.recording import archive as archive_module
from meshdoctor.recording.archive import read_files
from meshdoctor.recording.limits import BoundedReader
from meshdoctor.recording.raw import open_recording
from tests.kube_objects import pod, service
from tests.recordings import Recording, access_line, pack, tar_bytes

KINDS = ("", "gz", "xz", "zst", "bz2")


def depot(root: Path) -> Recording:
    recording = Recording(root)
    recording.objects("Pod", pod("picker-1", "depot", "10.40.1.5"))
    recording.objects("Service", service("ledger", "books", "10.96.44.3", [(8090, "http", 9191)]))
    recording.log("depot/picker-1", "istio-proxy", *(access_line(at, request_id=f"r{at}") for at in range(40)))
    return recording


@pytest.mark.parametrize("top", ["", "depot-2026-03-03", "./", "a/b"], ids=["bare", "top", "dot", "two tops"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_holds_what_the_folder_holds(tmp_path: Path, kind: str, top: str) -> None:
    recording = depot(tmp_path)
    opened = open_recording(recording.tar(kind, top.rstrip("/")))
    assert {name: read() for name, read in opened.files.items()} == recording.all_files
    folder = open_recording(recording.write())
    assert {name: read() for name, read in folder.files.items()} == recording.all_files


def test_the_ending_of_the_name_does_not_matter(tmp_path: Path) -> None:
    misnamed = depot(tmp_path).tar("zst").rename(tmp_path / "attachment.bin")
    assert "kube/core/v1/pods.json" in open_recording(misnamed).files


def test_a_folder_with_one_folder_in_it(tmp_path: Path) -> None:
    depot(tmp_path / "outer").write("inner")
    assert "kube/core/v1/pods.json" in open_recording(tmp_path / "outer").files


def test_moments(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    for at in ("2026-03-03T09:00:00Z", "2026-03-03T09:05:00Z"):
        recording.put(f"snapshots/{at}/kube/core/v1/pods.json", at)
    path = recording.tar("xz")
    newest = open_recording(path)
    assert newest.files["kube/core/v1/pods.json"]() == b"2026-03-03T09:05:00Z"
    assert newest.moments == ("2026-03-03T09:00:00Z", "2026-03-03T09:05:00Z")
    between = open_recording(path, "2026-03-03T09:04:59Z")
    assert between.files["kube/core/v1/pods.json"]() == b"2026-03-03T09:00:00Z"
    with pytest.raises(UsageError, match="begins at 2026-03-03T09:00:00Z"):
        open_recording(path, "2026-03-03T08:59:59Z")


def test_the_manifest_above_the_moments_counts(tmp_path: Path) -> None:
    recording = Recording(tmp_path).put("snapshots/2026-03-03T09:00:00Z/kube/core/v1/pods.json", {"items": []})
    opened = open_recording(recording.write())
    assert opened.manifest.finished_at == recording.manifest["finished_at"]


# -- what is no recording


def refusal(path: Path) -> str:
    with pytest.raises(RecordingError) as caught:
        open_recording(path)
    assert "\n" not in str(caught.value)
    assert caught.value.next_step, "an error says what to do next"
    assert caught.value.exit_status == 2
    return str(caught.value)


def test_no_such_file(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "nowhere.tar.gz")


@pytest.mark.parametrize(
    "body", [b"", b"PK\x03\x04 a zip", b"hello\n" * 400, bytes(4096), b"\x1f\x8b", b"\xfd7zXZ\x00"]
)
def test_not_a_recording(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "file").write_bytes(body)
    assert refusal(tmp_path / "file").startswith(f"{tmp_path / 'file'}: ")


def test_an_empty_folder_and_one_of_other_things(tmp_path: Path) -> None:
    assert "not a recording" in refusal(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing here")
    assert "not a recording" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["meshdoctor-raw/2", "meshdoctor-raw/17.3"])
def test_a_newer_major_format(tmp_path: Path, name: str) -> None:
    recording = depot(tmp_path)
    recording.manifest["format"] = name
    assert "newer MeshDoctor" in refusal(recording.write())
    assert "upgrade" in refusal(recording.tar("gz"))


def test_a_newer_minor_format_is_read(tmp_path: Path) -> None:
    recording = depot(tmp_path)
    recording.manifest["format"] = "meshdoctor-raw/1.7"
    assert open_recording(recording.write()).files


def test_an_unknown_format(tmp_path: Path) -> None:
    recording = depot(tmp_path)
    recording.manifest["format"] = "sosreport/1"
    assert "not known" in refusal(recording.write())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b'{"format": 5, "errors": 3}', b"\xff\xfe"])
def test_an_unreadable_manifest_costs_only_itself(tmp_path: Path, body: bytes) -> None:
    opened = open_recording(depot(tmp_path).put("manifest.json", body).write())
    assert "cannot be read" in opened.manifest.note
    assert "kube/core/v1/pods.json" in opened.files


# -- cut short


@pytest.mark.parametrize("kind", KINDS)
def test_cut_short_anywhere(tmp_path: Path, kind: str) -> None:
    whole = depot(tmp_path).tar(kind)
    body = whole.read_bytes()
    cut = tmp_path / "cut"
    everything = open_recording(whole).files.keys()
    for size in {*range(0, len(body), max(1, len(body) // 60)), len(body) - 1, 1, 7, 20}:
        cut.write_bytes(body[:size])
        try:
            # A cut in the padding or the checksum behind the last file costs nothing.
            assert open_recording(cut).files.keys() == everything, size
            assert size > 0.8 * len(body) or not kind
        except RecordingError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_half_an_archive_says_that_it_is_cut_short(tmp_path: Path, kind: str) -> None:
    whole = depot(tmp_path).put("logs/depot/picker-1/server.log", random.Random(3).randbytes(2**18)).tar(kind)
    body = whole.read_bytes()
    whole.write_bytes(body[: len(body) // 2])
    assert "cut short" in refusal(whole)


@pytest.fixture(scope="module")
def packed() -> Iterator[dict[str, bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        body = tar_bytes(depot(Path(folder)).all_files)
    yield {kind: pack(body, kind) for kind in KINDS}


@given(data=st.data(), kind=st.sampled_from(KINDS))
def test_truncating_raises_recording_error_only(packed: dict[str, bytes], data: st.DataObject, kind: str) -> None:
    body = packed[kind]
    size = data.draw(st.integers(0, len(body)))
    assert_refused_or_read(body[:size])


@given(data=st.data(), kind=st.sampled_from(KINDS))
def test_damage_raises_recording_error_only(packed: dict[str, bytes], data: st.DataObject, kind: str) -> None:
    body = bytearray(packed[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    assert_refused_or_read(bytes(body))


def assert_refused_or_read(body: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "recording")
        file.write_bytes(body)
        try:
            open_recording(file)
        except RecordingError as error:
            assert "\n" not in str(error)
        assert [found.name for found in Path(folder).iterdir()] == ["recording"], "something was written"


# -- hostile


def bomb(kind: str, size: int = 2**30) -> bytes:
    """An archive of one member of *size* zeros, compressed in steps of 1 MiB."""
    entry = tarfile.TarInfo("kube/core/v1/pods.json")
    entry.size = size
    head, zeros = entry.tobuf(), bytes(2**20)
    compressor = _compressor(kind)
    parts = [compressor.compress(head)]
    parts += [compressor.compress(zeros) for _ in range(size // 2**20)]
    parts += [compressor.compress(bytes(1024)), compressor.flush()]
    return b"".join(parts)


def _compressor(kind: str) -> Any:
    if kind == "gz":
        return _Gzip()
    return lzma.LZMACompressor(preset=0) if kind == "xz" else zstandard.ZstdCompressor(level=1).compressobj()


class _Gzip:
    """gzip as a compressor of parts."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._file = gzip.GzipFile(fileobj=self._out, mode="wb", compresslevel=9, mtime=0)

    def compress(self, part: bytes) -> bytes:
        self._file.write(part)
        return b""

    def flush(self) -> bytes:
        self._file.close()
        return self._out.getvalue()


@pytest.mark.parametrize("kind", ["gz", "xz", "zst"])
def test_a_bomb_is_refused_early(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[BoundedReader] = []

    class Watched(BoundedReader):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            readers.append(self)

    monkeypatch.setattr(archive_module, "BoundedReader", Watched)
    file = tmp_path / f"bomb.tar.{kind}"
    file.write_bytes(bomb(kind))
    assert file.stat().st_size < 2 * 2**20
    said = refusal(file)
    assert "archive bomb" in said
    assert readers[0].total <= max(64 * 2**20, 200 * file.stat().st_size) + 2**20, "it read on beyond the limit"
    assert readers[0].total < 2**30 // 2
    assert [found.name for found in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("kind", ["gz", "xz", "zst"])
def test_repetitive_but_harmless(tmp_path: Path, kind: str) -> None:
    recording = depot(tmp_path).put("logs/depot/picker-1/server.log", b"\n" * 30 * 2**20)
    assert len(open_recording(recording.tar(kind)).files["logs/depot/picker-1/server.log"]()) == 30 * 2**20


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../kube/x.json", "kube/../../x.json", "a/../../b", "..", "C:/x.json", "kube\\..\\..\\x"]
)
def test_a_path_that_leaves_the_archive(tmp_path: Path, name: str) -> None:
    file = tmp_path / "evil.tar"
    file.write_bytes(tar_bytes({"kube/core/v1/pods.json": b"{}", name: b"x"}))
    assert "leaves the archive" in refusal(file)


@pytest.mark.parametrize(
    ("kind", "name", "target"),
    [
        (tarfile.SYMTYPE, "logs/link", "/etc/passwd"),
        (tarfile.SYMTYPE, "logs/link", "../../etc/passwd"),
        (tarfile.SYMTYPE, "link", ".."),
        (tarfile.LNKTYPE, "logs/link", "../etc/passwd"),
        (tarfile.LNKTYPE, "logs/link", "/etc/passwd"),
    ],
)
def test_a_link_that_leaves_the_archive(tmp_path: Path, kind: bytes, name: str, target: str) -> None:
    assert "leaves the archive" in refusal(linked(tmp_path, kind, name, target))


def test_a_link_inside_and_devices_are_left_out(tmp_path: Path) -> None:
    file = linked(tmp_path, tarfile.SYMTYPE, "logs/link", "../kube/core/v1/pods.json")
    assert set(open_recording(file).files) == {"kube/core/v1/pods.json"}
    file = linked(tmp_path, tarfile.CHRTYPE, "logs/null", "")
    assert set(open_recording(file).files) == {"kube/core/v1/pods.json"}


def linked(root: Path, kind: bytes, name: str, target: str) -> Path:
    file = root / "linked.tar"
    with tarfile.open(file, "w") as archive:
        entry = tarfile.TarInfo("kube/core/v1/pods.json")
        entry.size = 2
        archive.addfile(entry, io.BytesIO(b"{}"))
        link = tarfile.TarInfo(name)
        link.type, link.linkname = kind, target
        archive.addfile(link)
    return file


def test_a_link_out_of_a_folder_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("do not read")
    folder = depot(tmp_path).write()
    (folder / "logs" / "outside.log").symlink_to(tmp_path / "secret")
    (folder / "logs" / "loop").symlink_to(folder / "logs" / "loop")
    (folder / "logs" / "dangling").symlink_to(folder / "nowhere")
    assert not {"logs/outside.log", "logs/loop", "logs/dangling"} & set(open_recording(folder).files)


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MAX_MEMBERS", 2)
    assert "more than 2 files" in refusal(depot(tmp_path).tar("gz"))


def test_hostile_names_are_visible_in_the_error(tmp_path: Path) -> None:
    file = tmp_path / "evil.tar"
    file.write_bytes(tar_bytes({"../\x1b[2Jx": b"x"}))
    assert "\x1b" not in refusal(file)


def test_reading_files_twice_gives_the_same(tmp_path: Path) -> None:
    files = read_files(depot(tmp_path).tar("xz"))
    assert files["kube/core/v1/pods.json"]() == files["kube/core/v1/pods.json"]()
