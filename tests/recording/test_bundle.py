"""A bundle: what goes in comes out, moment by moment, whatever happens to the recorder."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.errors import RecordingError, UsageError
from meshdoctor.recording.bundle.format import TRUNCATED, UNREADABLE
from meshdoctor.recording.bundle.parts import filled, hoisted, parts
from meshdoctor.recording.bundle.reader import Bundle
from meshdoctor.recording.bundle.recorder import record_recording
from meshdoctor.recording.bundle.upkeep import repair, verify
from meshdoctor.recording.bundle.writer import BundleWriter
from meshdoctor.recording.opening import open_any
from tests.recording.rewritten_bundle import rewritten
from tests.recordings import Recording, access_line

NOW = 1_770_000_000.0
PREFIX = "type.googleapis.com/envoy.admin.v3."


def cluster(number: int, updated: str) -> dict[str, object]:
    return {
        "version_info": "v1",
        "last_updated": updated,
        "cluster": {"name": f"outbound|80||svc-{number}.depot.svc.cluster.local", "type": "EDS", "x": "y" * 60},
    }


def dump(pod: str, clusters: int = 200, updated: str = "2026-03-03T09:00:00.123Z") -> dict[str, object]:
    node = {"id": f"sidecar~10.0.0.1~{pod}.depot~depot.svc.cluster.local", "metadata": {"NAME": pod}}
    return {
        "configs": [
            {"@type": f"{PREFIX}BootstrapConfigDump", "bootstrap": {"node": node}},
            {
                "@type": f"{PREFIX}ClustersConfigDump",
                "dynamic_active_clusters": [cluster(number, f"{updated[:-1]}{number}Z") for number in range(clusters)],
            },
        ]
    }


def fleet(root: Path, proxies: int = 3, moments: int = 2) -> Recording:
    recording = Recording(root)
    for moment in range(moments):
        top = f"snapshots/2026-03-03T09:0{moment}:00Z"
        pods = [{"metadata": {"name": f"picker-{n}", "namespace": "depot"}} for n in range(proxies)]
        recording.put(f"{top}/kube/core/v1/pods.json", {"items": pods})
        for number in range(proxies):
            recording.put(f"{top}/envoy/depot/picker-{number}/config_dump.json", dump(f"picker-{number}"))
            line = access_line(moment, path=f"/{number}")
            recording.put(f"{top}/logs/depot/picker-{number}/istio-proxy.log", f"{line}\n")
    return recording


def record(recording: Path, path: Path, limit: int = 2**28) -> Path:
    with BundleWriter(path, now=lambda: NOW, limit=limit) as writer:
        record_recording(writer, open_any([recording]))
    return path


def test_every_moment_comes_out_as_it_went_in(tmp_path: Path) -> None:
    folder = fleet(tmp_path).write()
    before, after = open_any([folder]), open_any([record(folder, tmp_path / "a.mdb")])
    assert after.moments == before.moments == ("2026-03-03T09:00:00Z", "2026-03-03T09:01:00Z")
    for moment in before.moments:
        one, other = before.at(moment), after.at(moment)
        assert set(one.files) <= {*other.files, "manifest.json"}
        for file in one.files:
            if file.startswith("envoy/"):
                assert json.loads(one.files[file]()) == json.loads(other.files[file]())
            elif file.startswith("logs/"):
                agent = one.files[file]().replace(b'"agent/1"', b'"-"')
                assert other.files[file]() == agent, "the user agent is the client's own business"
    assert after.at("2026-03-03T09:00:30Z").moment == "2026-03-03T09:00:00Z"


def test_only_its_owner_may_read_it_and_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = fleet(tmp_path).write()
    path = record(folder, tmp_path / "a.mdb")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.with_name("a.mdb.part").exists()
    with pytest.raises(UsageError, match="exists"):
        BundleWriter(path, now=lambda: NOW)


def test_what_moments_and_proxies_share_is_held_once(tmp_path: Path) -> None:
    recording = fleet(tmp_path, 20, 6)
    path = record(recording.write(), tmp_path / "many.mdb")
    raw = sum(len(body) for body in recording.files.values())
    assert path.stat().st_size * 50 < raw, "120 dumps, all but the same"
    with Bundle(path) as bundle:
        names = {entry.body for ref in bundle.manifest.snapshots for entry in bundle.index(ref.id).entries}
        dumps = [name for name in bundle.places if name.startswith("blobs/")]
    assert len(dumps) < 20 * 12, "the clusters are held once, not 120 times"
    assert len(names) == 20 + 20 * 6 + 1, "a dump each, a log for each moment, and the pods"


@pytest.mark.parametrize("keep", [0.99, 0.8, 0.6, 0.4])
def test_repair_saves_every_finished_moment_of_a_cut_file(tmp_path: Path, keep: float) -> None:
    whole = record(fleet(tmp_path, 4, 6).write(), tmp_path / "a.mdb")
    with Bundle(whole) as bundle:
        ends = [
            place.offset + place.size for name, place in sorted(bundle.places.items()) if name.startswith("snapshots/")
        ]
    size = int(ends[0] + (whole.stat().st_size - ends[0]) * keep)
    cut = tmp_path / "cut.mdb.part"
    cut.write_bytes(whole.read_bytes()[:size])
    done = repair(cut, tmp_path / "repaired.mdb")
    assert done.saved == sum(end + 60 < size for end in ends) or done.saved == sum(end <= size for end in ends)
    assert verify(done.path) == []
    assert open_any([done.path]).moments == open_any([whole]).moments[: done.saved]


_RECORDER = """
import sys, time
from pathlib import Path
from meshdoctor.recording.bundle.writer import BundleWriter
with BundleWriter(Path(sys.argv[1]), now=time.time) as writer:
    for number in range(10_000):
        snapshot = writer.snapshot(1_770_000_000.0 + number)
        for pod in range(6):
            lines = (f'[2026-01-01T00:00:00.000Z] "GET /{number}/{pod}/{line} HTTP/1.1" 200' for line in range(200))
            body = "\\n".join(lines)
            snapshot.add(f"logs/depot/picker-{pod}/istio-proxy.log", body.encode())
        snapshot.finish(1_770_000_000.0 + number)
        print(number + 1, flush=True)
"""


@pytest.mark.parametrize("after", [1, 2, 7])
def test_a_killed_recorder_loses_no_finished_moment(tmp_path: Path, after: int) -> None:
    path = tmp_path / "a.mdb"
    with subprocess.Popen([sys.executable, "-c", _RECORDER, str(path)], stdout=subprocess.PIPE, text=True) as recorder:
        assert recorder.stdout is not None
        finished = 0
        for line in recorder.stdout:
            finished = int(line)
            if finished >= after:
                break
        time.sleep(0.003 * after)  # somewhere inside the next moment
        os.kill(recorder.pid, signal.SIGKILL)
        finished = max([finished, *(int(line) for line in recorder.stdout)])
    assert not path.exists()
    done = repair(path.with_name("a.mdb.part"), tmp_path / "repaired.mdb")
    assert done.saved in (finished, finished + 1), "the last one may have been finished but not yet told"
    assert verify(done.path) == []


def test_a_full_bundle_says_what_it_left_out(tmp_path: Path) -> None:
    folder = Recording(tmp_path)
    for number in range(40):
        text = "".join(f"{access_line(n, path=f'/{os.urandom(24).hex()}')}\n" for n in range(60))
        folder.put(f"logs/depot/picker-{number:02}/istio-proxy.log", text)
    path = tmp_path / "a.mdb"
    limit = 64 * 1024
    with BundleWriter(path, now=lambda: NOW, limit=limit) as writer:
        record_recording(writer, open_any([folder.write()]))
    assert writer.full
    assert path.stat().st_size < limit * 1.2
    with Bundle(path) as bundle:
        states = [entry.status for entry in bundle.index(1).entries]
    assert states.count(TRUNCATED) > 10
    assert states.count("ok") > 2
    recording = open_any([path])
    missing = next(entry for entry in recording.manifest.errors if "size limit" in str(entry["error"]))
    assert recording.error(str(missing["file"])).startswith("truncated")


def test_a_body_that_does_not_decode_leaves_its_size_and_hash_only(tmp_path: Path) -> None:
    recording = Recording(tmp_path).put("envoy/depot/picker-1/config_dump.json", '{"configs": [{"pass')
    recording.put("logs/depot/picker-1/istio-proxy.log", access_line(1))
    path = record(recording.write(), tmp_path / "a.mdb")
    with Bundle(path) as bundle:
        entry = next(entry for entry in bundle.index(1).entries if "config_dump" in entry.file)
    assert (entry.status, entry.size) == (UNREADABLE, 19)
    assert "sha256" in entry.error


def test_verify_finds_a_changed_byte(tmp_path: Path) -> None:
    path = record(fleet(tmp_path).write(), tmp_path / "a.mdb")
    assert verify(path) == []
    with Bundle(path) as bundle:
        name, (_, at, _, size) = next(
            (n, p) for n, p in bundle.places.items() if n.startswith("blobs/") and p.size > 200
        )
    body = bytearray(path.read_bytes())
    body[at + 30 + len(name) + size // 2] ^= 0xFF
    path.write_bytes(bytes(body))
    assert any("depot" in line or "pods" in line for line in verify(path))


def test_a_newer_major_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = record(fleet(tmp_path).write(), tmp_path / "a.mdb")
    rewritten(path, lambda name, body: body.replace(b"  1,\n", b"  9,\n") if name == "manifest.json" else body)
    with pytest.raises(RecordingError, match=r"newer MeshDoctor \(bundle format 9.*upgrade"):
        open_any([path])


def test_a_bundle_of_a_bundle_is_the_same(tmp_path: Path) -> None:
    one = record(fleet(tmp_path).write(), tmp_path / "a.mdb")
    two = record(one, tmp_path / "b.mdb")
    first, second = open_any([one]), open_any([two])
    assert first.moments == second.moments
    names = [file for file in first.files if file != "manifest.json"]
    assert [first.files[name]() for name in names] == [second.files[name]() for name in names]


_TEXTS = st.binary(max_size=3000) | st.lists(
    st.sampled_from(
        [b'{"a":1},{"last_updated":"2026"}', b'"value":12,', b"},{", b"line\n", b'"version_info":""', b'{"value":0}']
    )
).map(b"".join)


@given(_TEXTS, st.sampled_from(["a.json", "a.log", "stats.prom"]))
def test_cutting_and_hoisting_lose_nothing(body: bytes, name: str) -> None:
    skeleton, values = hoisted(name, body)
    assert b"".join(parts(name, skeleton)) == skeleton
    assert (filled(skeleton, values) if values else skeleton) == body


@pytest.mark.parametrize("finished", [0, 1])
def test_an_interrupted_recorder_leaves_what_can_be_used(tmp_path: Path, finished: int) -> None:
    path = tmp_path / "a.mdb"

    def interrupted() -> None:
        with BundleWriter(path, now=lambda: NOW) as writer:
            for _ in range(finished):
                writer.snapshot(NOW).finish(NOW)
            writer.snapshot(NOW).add("kube/core/v1/pods.json", b'{"items":[]}')
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [found.name for found in tmp_path.iterdir()] == ["a.mdb"] * finished
