"""Files made to harm whoever opens them: one clear line, no crash, little memory, nothing but visible symbols."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from meshdoctor.recording.bundle.format import MIMETYPE, blob_name
from meshdoctor.recording.bundle.zipfile_parts import Stored, write_directory, write_entry

MOST_KILOBYTES = 300 * 1024
# Not ru_maxrss: it starts with the size of the process that forked this one, a large test worker, say.
_RUN = """
import sys
from meshdoctor.cli import main
status = main(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
sys.exit(status)
"""
ZEROS = bytes(2**20)


class Opened:
    """What `meshdoctor diagnose FILE` did in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        done = subprocess.run([sys.executable, "-c", _RUN, "diagnose", *arguments], capture_output=True, timeout=120)
        self.status = done.returncode
        self.errors = done.stderr.decode()
        *lines, kilobytes = done.stdout.decode().splitlines()
        self.text = "\n".join(lines)
        self.kilobytes = int(kilobytes)

    def harmless(self) -> Opened:
        """No crash, no more than one line of error, no memory, no control characters."""
        assert self.status in (0, 1, 2, 3), self.errors
        assert "Traceback" not in self.errors
        assert self.errors.count("\n") <= 1
        assert self.kilobytes < MOST_KILOBYTES
        hidden = [char for char in self.text + self.errors if ord(char) < 32 and char not in "\n\t"]
        hidden += [char for char in self.text + self.errors if 0x7F <= ord(char) < 0xA0]
        assert not hidden
        return self

    def refused(self, *words: str) -> None:
        """Exit status 2 and one line with these *words*."""
        self.harmless()
        assert self.status == 2, self.text
        assert self.errors.startswith("meshdoctor: ")
        for word in words:
            assert word in self.errors


def packed(body: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(body)


def zeros(size: int) -> bytes:
    """A zstd frame of *size* zeros."""
    compressor = zstandard.ZstdCompressor(level=19).compressobj(size=size)
    return b"".join([*(compressor.compress(ZEROS) for _ in range(size // len(ZEROS))), compressor.flush()])


def bundle(path: Path, entries: list[dict[str, Any]], blobs: dict[str, bytes], **change: Any) -> Path:
    """A bundle of one moment with these *entries* and packed *blobs*; *change*: another index, manifest and so on."""
    index = json.dumps({"id": 1, "name": change.get("name", "2026-03-03T09:00:00Z"), "entries": entries}).encode()
    reference = {"id": 1, "name": change.get("name", "2026-03-03T09:00:00Z"), "index_sha256": sha(index)}
    manifest = {"format": "meshdoctor.bundle", "version": [1, 0], "snapshots": [reference]}
    files = [("mimetype", MIMETYPE), *((name, body) for name, body in blobs.items())]
    files += [("snapshots/000001.json.zst", change.get("index", packed(index)))]
    files += [("manifest.json", change.get("manifest", json.dumps(manifest).encode())), *change.get("extra", ())]
    with path.open("wb") as file:
        stored: list[Stored] = [write_entry(file, name, body) for name, body in files]
        write_directory(file, change.get("directory", lambda found: found)(stored))
    return path


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def entry(file: str, body: bytes, **more: Any) -> dict[str, Any]:
    return {"file": file, "body": sha(body), "size": len(body), **more}


PODS = b'{"items":[]}'
GOOD = entry("kube/core/v1/pods.json", PODS)
BLOB = {blob_name(sha(PODS)): packed(PODS)}


def test_the_builder_builds_what_opens(tmp_path: Path) -> None:
    opened = Opened(str(bundle(tmp_path / "a.mdb", [GOOD], BLOB))).harmless()
    assert opened.status in (0, 3)


def deflated(path: Path, lie: bool) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), MIMETYPE)
        with archive.open(zipfile.ZipInfo("manifest.json"), "w") as member:
            member._compressor = zipfile._get_compressor(zipfile.ZIP_DEFLATED)  # type: ignore[attr-defined]
            member._zinfo.compress_type = zipfile.ZIP_DEFLATED  # type: ignore[attr-defined]
            for _ in range(256):
                member.write(ZEROS)
    if lie:
        body = path.read_bytes()
        path.write_bytes(body.replace((256 * 2**20).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    return path


@pytest.mark.parametrize("lie", [False, True])
def test_a_zip_bomb(tmp_path: Path, lie: bool) -> None:
    Opened(str(deflated(tmp_path / "a.mdb", lie))).refused("packed as no bundle packs it")


def test_a_zstd_bomb_as_a_blob(tmp_path: Path) -> None:
    name = "0" * 64
    blobs = {blob_name(name): zeros(2**30)}
    for size in (100, 2**27, 2**40):
        bomb = {"file": "kube/core/v1/pods.json", "body": name, "size": size}
        path = bundle(tmp_path / f"{size}.mdb", [bomb], blobs)
        assert path.stat().st_size < 2**20
        opened = Opened(str(path)).harmless()
        assert "unreadable" in opened.text


def test_a_zstd_bomb_as_an_index(tmp_path: Path) -> None:
    Opened(str(bundle(tmp_path / "a.mdb", [], {}, index=zeros(2**30)))).refused("is damaged")


def test_one_part_named_ten_thousand_times(tmp_path: Path) -> None:
    part = bytes(2**20)
    listing = "\n".join([sha(part)] * 10_000).encode()
    blobs = {blob_name(sha(part)): packed(part), blob_name(sha(listing)): packed(listing)}
    many = {"file": "kube/core/v1/pods.json", "body": sha(listing), "listed": True, "size": 2**27}
    assert "unreadable" in Opened(str(bundle(tmp_path / "a.mdb", [many], blobs))).harmless().text


def test_a_dictionary_that_is_a_bomb(tmp_path: Path) -> None:
    blobs = {"dictionary-d.zst": zeros(2**30), blob_name(sha(PODS), "d"): packed(PODS)}
    Opened(str(bundle(tmp_path / "a.mdb", [GOOD], blobs))).harmless()


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "blobs/zz/x.zst", "snapshots/1.json", "blobs/../x", "C:\\x", "evil\x1b[2J"],
)
def test_names_that_no_bundle_has(tmp_path: Path, name: str) -> None:
    Opened(str(bundle(tmp_path / "a.mdb", [GOOD], BLOB, extra=[(name, b"x")]))).refused("belongs in no bundle")


def test_a_name_twice(tmp_path: Path) -> None:
    path = bundle(tmp_path / "a.mdb", [GOOD], BLOB, extra=[("manifest.json", b"{}")])
    Opened(str(path)).refused("manifest.json twice")


def test_too_many_entries(tmp_path: Path) -> None:
    path = bundle(tmp_path / "a.mdb", [GOOD], BLOB, directory=lambda found: found * 40_000)
    Opened(str(path)).refused("more than 100000 entries")


def test_entries_that_overlap_or_lie_outside(tmp_path: Path) -> None:
    body = b"x" * 5000
    big = {blob_name(sha(body)): body}

    def overlapping(found: list[Stored]) -> list[Stored]:
        large = next(one for one in found if one.name in big)
        return [*found, *(large._replace(name=blob_name(f"{number:064x}")) for number in range(50))]

    path = bundle(tmp_path / "a.mdb", [GOOD], {**BLOB, **big}, directory=overlapping)
    Opened(str(path)).refused("overlap")
    path = bundle(
        tmp_path / "b.mdb", [GOOD], BLOB, directory=lambda found: [*found[:-1], found[-1]._replace(offset=10**6)]
    )
    Opened(str(path)).refused()


@pytest.mark.parametrize("file", ["../../x", "/etc/passwd", "a//b", "kube/..", "x\\y"])
def test_an_index_that_names_files_elsewhere(tmp_path: Path, file: str) -> None:
    Opened(str(bundle(tmp_path / "a.mdb", [{**GOOD, "file": file}], BLOB))).refused("names files that no recording has")


DEEP = b"[" * 200_000 + b"]" * 200_000
BODIES = {
    "deep": DEEP,
    "deep unknown field": b'{"items":[{"metadata":{"name":"a"},"x":' + DEEP + b"}]}",
    "big number": b'{"items":[{"spec":{"replicas":' + b"9" * 5_000_000 + b"}}]}",
    "NaN": b'{"items":[{"spec":NaN}]}',
    "bad UTF-8": b'{"items":[{"metadata":{"name":"\xff\xfe"}}]}',
    "lone surrogate": b'{"items":[{"metadata":{"name":"\\ud800"}}]}',
    "escapes": b'{"items":[{"metadata":{"name":"\\u001b]52;c;aGk=\\u0007","namespace":"\\u009b2J"}}]}',
    "not JSON": b"\x1b[2J\x1b]0;owned\x07",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_in_a_bundle(tmp_path: Path, body: bytes) -> None:
    blobs = {blob_name(sha(body)): packed(body)}
    for file in ("kube/core/v1/pods.json", "envoy/depot/picker-1/server_info.json", "istiod/istiod-1/syncz.json"):
        Opened(str(bundle(tmp_path / f"{file.replace('/', '-')}.mdb", [entry(file, body)], blobs))).harmless()


@pytest.mark.parametrize("manifest", [DEEP, b"{", b"\x00" * 100, b'{"format": "x\x1b[2J", "version": [1, 0]}', b"{}"])
def test_a_manifest(tmp_path: Path, manifest: bytes) -> None:
    Opened(str(bundle(tmp_path / "a.mdb", [GOOD], BLOB, manifest=manifest))).refused()


def test_escapes_in_the_name_of_a_moment_or_a_file(tmp_path: Path) -> None:
    opened = Opened(str(bundle(tmp_path / "a.mdb", [GOOD], BLOB, name="\x1b[2J2026")))
    opened.harmless()
    blobs = {blob_name(sha(b"x")): packed(b"x")}
    evil = entry("logs/depot/\x1b]52;c;aGk=\x07/istio-proxy.log", b"x")
    Opened(str(bundle(tmp_path / "b.mdb", [evil], blobs))).harmless()
    named = tmp_path / "\x1b[2J.mdb"
    Opened(str(named)).refused("no such file")


@pytest.mark.parametrize("keep", [4, 40, 200, 0.5, 0.99])
def test_a_bundle_that_is_cut_short(tmp_path: Path, keep: float) -> None:
    body = bundle(tmp_path / "a.mdb", [GOOD], BLOB).read_bytes()
    cut = tmp_path / "cut.mdb"
    cut.write_bytes(body[: int(keep if keep > 1 else len(body) * keep)])
    Opened(str(cut)).refused()


# ---- other tools' files


YAML = {
    "deep": b"a: " + b"[" * 50_000,
    "deep blocks": b"".join(b" " * depth + b"a:\n" for depth in range(3_000)),
    "aliases": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(9)),
    "tags": b"kind: List\nitems: !!python/object/apply:os.system ['true']\n",
    "big number": b"kind: List\nitems: [" + b"9" * 100_000 + b"]\n",
    "control": b"kind: List\nitems: \x00\x1b[2J\n",
    "keys that are no text": b"kind: List\nitems:\n- {kind: Pod, apiVersion: v1, ? [a, b] : c}\n",
}


@pytest.mark.parametrize("body", YAML.values(), ids=YAML)
def test_yaml(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "kubectl-get.yaml"
    path.write_bytes(b"apiVersion: v1\n" + body)
    Opened(str(path)).refused("kubectl-get.yaml")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(
    "begin", [b"", b'{"configs":', b'{"cluster_statuses":', b'{"apiVersion":"v1","items":[{"kind":"Pod"},']
)
def test_json_of_other_tools(tmp_path: Path, begin: bytes, body: bytes) -> None:
    path = tmp_path / "web.json"
    path.write_bytes(begin + body)
    Opened(str(path)).harmless()


def compressed(path: Path, open_file: Callable[..., Any], size: int) -> Path:
    with open_file(path, "wb") as file:
        for _ in range(size // len(ZEROS)):
            file.write(ZEROS)
    return path


@pytest.mark.parametrize(("ending", "open_file"), [("gz", gzip.open), ("xz", lzma.open)])
def test_a_single_file_that_is_a_bomb(tmp_path: Path, ending: str, open_file: Callable[..., Any]) -> None:
    Opened(str(compressed(tmp_path / f"dump.json.{ending}", open_file, 2**28))).refused("archive bomb")


def test_a_zstd_file_that_is_a_bomb(tmp_path: Path) -> None:
    path = tmp_path / "dump.json.zst"
    path.write_bytes(zeros(2**30))
    Opened(str(path)).refused("archive bomb")


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, body in members:
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return path


def test_a_tar_of_many_files_that_fill_the_memory(tmp_path: Path) -> None:
    noise = os.urandom(2**21)  # keeps the ratio low enough to be believed
    many = [(tarfile.TarInfo(f"proxies/depot/p-{n}/config_dump"), bytes(6 * 2**20)) for n in range(90)]
    path = tar(tmp_path / "bug-report.tar.gz", (tarfile.TarInfo("bug-report.log"), noise), *many)
    Opened(str(path)).harmless()


def test_headers_and_links_of_a_tar(tmp_path: Path) -> None:
    long_name = tarfile.TarInfo("a" * 5000)
    Opened(str(tar(tmp_path / "long.tar.gz", (long_name, b"x")))).refused("characters")
    twice = tarfile.TarInfo("proxies/a/b/certs")
    Opened(str(tar(tmp_path / "twice.tar.gz", (twice, b"{}"), (twice, b"{}")))).refused("twice")
    evil = tarfile.TarInfo("proxies/a/\x1b]0;owned\x07/certs")
    Opened(str(tar(tmp_path / "evil.tar.gz", (evil, b'{"certificates": 1}')))).harmless()
    with tarfile.open(tmp_path / "pax.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("proxies/a/b/certs")
        info.pax_headers = {"comment": "x" * (3 * 2**20)}
        archive.addfile(info, io.BytesIO(b""))
    Opened(str(tmp_path / "pax.tar")).refused("damaged")


def test_nothing_that_is_known(tmp_path: Path) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0" + os.urandom(1000))
    Opened(str(path)).refused("nothing in it is known", "expected a recording")
    empty = tmp_path / "empty.json"
    empty.write_bytes(b"")
    Opened(str(empty)).refused("nothing in it is known")


def test_a_mesh_config_that_is_deep_yaml(tmp_path: Path) -> None:
    evil = {"metadata": {"name": "istio", "namespace": "istio-system"}, "data": {"mesh": "a: " + "[" * 60_000}}
    folder = tmp_path / "recording" / "kube" / "core" / "v1"
    folder.mkdir(parents=True)
    (folder / "configmaps.json").write_text(json.dumps({"items": [evil]}))
    Opened(str(tmp_path / "recording")).harmless()
    body = (folder / "configmaps.json").read_bytes()
    blobs = {blob_name(sha(body)): packed(body)}
    Opened(str(bundle(tmp_path / "a.mdb", [entry("kube/core/v1/configmaps.json", body)], blobs))).harmless()
