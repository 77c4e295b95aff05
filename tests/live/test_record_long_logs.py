"""A log that is longer than what is read of it: its newest lines count, and what is older is never said to be well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshdoctor.cli import main
from meshdoctor.commands.recorded_moment import record_moment
from meshdoctor.guide.examination import Examination
from meshdoctor.kube.target import ClusterFlags, resolve_target
from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import Fact, Part, PodRef, Snapshot
from meshdoctor.recording.bundle.reader import Bundle
from meshdoctor.recording.bundle.recorder import record_recording
from meshdoctor.recording.bundle.writer import BundleWriter
from meshdoctor.recording.limited import limited
from meshdoctor.recording.opening import open_any
from meshdoctor.sources.live import LiveSource
from meshdoctor.sources.recording import RecordingSource
from tests.live.apiserver import ApiServer
from tests.live.conftest import FAST
from tests.recordings import access_line

Key = tuple[str, str, str, bool]
GOOD = access_line(0, path="/good").encode() + b"\n"
SHORT, LONG = b"short\n", b"x" * 300 + b"\n"


def proxy_logs(api: ApiServer) -> list[Key]:
    return sorted(key for key in api.logs if key[2] == "istio-proxy" and not key[3])


def live(api: ApiServer, folder: Path, **options: Any) -> LiveSource:
    path = folder / "own-kubeconfig"
    path.write_text(yaml.safe_dump(api.kubeconfig()))
    target = resolve_target(ClusterFlags(kubeconfig=str(path)), {"HOME": str(folder)})
    return LiveSource(target, FAST, environment={}, **options)


def text_of(source: LiveSource, key: Key) -> Fact[str]:
    want = ask.LogText(ask.LogRef(PodRef(key[0], key[1]), key[2]))
    found = source.read([want]).get(want)
    assert isinstance(found, Fact)
    return found


def diagnosed(source: Any) -> Any:
    examination = Examination(source.read, Snapshot(source.info, {}))
    for _ in examination.steps():
        continue
    return examination.diagnosis()


@pytest.fixture
def failing(cluster: tuple[ApiServer, str]) -> Iterator[tuple[ApiServer, Key]]:
    """The incident: every request in the log of one proxy, and in no other, is good but for the last ones."""
    api, _ = cluster
    key, bad = next(
        (key, lines)
        for key in proxy_logs(api)
        if (lines := [line for line in api.logs[key].splitlines(keepends=True) if b" 404 NR " in line])
    )
    for other in api.logs:
        api.logs[other] = GOOD
    api.logs[key] = GOOD * (2 * 2**20 // len(GOOD)) + b"".join(bad)
    yield api, key


@pytest.mark.parametrize(
    "body",
    [GOOD * 9000, SHORT * 20_000 + LONG * 2000, LONG * 2000 + SHORT * 20_000, SHORT * 200_000 + LONG],
    ids=["even", "newest longer", "newest shorter", "one long line"],
)
def test_the_newest_whole_lines_are_read(cluster: tuple[ApiServer, str], tmp_path: Path, body: bytes) -> None:
    api, _ = cluster
    key = proxy_logs(api)[0]
    api.logs[key] = body
    with live(api, tmp_path, log_bytes=100_000) as source:
        found = text_of(source, key)
    read = found.value.encode()
    assert (body.endswith(read), body[-len(read) - 1 : -len(read)]) == (True, b"\n")
    assert 1500 < len(read) < 100_000
    assert found.part == Part((), "longer than 98 KiB", newest=True)


def test_a_log_that_fits_is_whole(cluster: tuple[ApiServer, str], tmp_path: Path) -> None:
    api, _ = cluster
    key = proxy_logs(api)[0]
    api.logs[key] = GOOD * 100
    with live(api, tmp_path, log_bytes=len(GOOD) * 100 + 1) as source:
        found = text_of(source, key)
    assert (found.part, found.value) == (None, (GOOD * 100).decode())


def test_what_short_logs_do_not_need_is_left_to_a_long_one(cluster: tuple[ApiServer, str], tmp_path: Path) -> None:
    api, _ = cluster
    keys = proxy_logs(api)
    for key in keys:
        api.logs[key] = GOOD
    api.logs[keys[0]] = GOOD * 9000
    wants = [ask.AccessLog(ask.LogRef(PodRef(key[0], key[1]), key[2])) for key in keys]
    with live(api, tmp_path, all_log_bytes=1 << 20) as source:
        found = source.read(wants)
    facts = [found.get(want) for want in wants]
    assert all(isinstance(fact, Fact) for fact in facts)
    lines = [len(fact.value.lines) for fact in facts if isinstance(fact, Fact)]
    assert lines[1:] == [1] * (len(keys) - 1)
    assert 0.8 * 2**20 < lines[0] * len(GOOD) < 2**20
    (told,) = found.cut_logs()
    assert told.startswith(
        f"logs/{keys[0][0]}/{keys[0][1]}/istio-proxy.log: only the newest lines (longer than 1023 KiB"
    )


def test_a_log_with_more_lines_than_were_asked_for_is_a_part(cluster: tuple[ApiServer, str], tmp_path: Path) -> None:
    api, _ = cluster
    key = proxy_logs(api)[0]
    api.logs[key] = GOOD * 900
    with live(api, tmp_path, log_lines=600) as source:
        found = text_of(source, key)
    assert (found.value.count("\n"), found.part) == (600, Part((), "more than 600 lines", newest=True))


def test_the_failures_at_the_end_are_found_and_the_rest_is_told(failing: tuple[ApiServer, Key], tmp_path: Path) -> None:
    api, key = failing
    with live(api, tmp_path, log_bytes=2**20) as source:
        found = diagnosed(source)
    assert found.now != "healthy"
    assert found.traffic
    file = f"logs/{key[0]}/{key[1]}/istio-proxy.log"
    told = [entry.why for entry in found.not_checked if entry.probe == "logs"]
    assert told == [f"{file}: only the newest lines (longer than 1.0 MiB)"]


def test_good_newest_lines_are_no_full_health(cluster: tuple[ApiServer, str], tmp_path: Path) -> None:
    api, _ = cluster
    for key in api.logs:
        api.logs[key] = GOOD
    api.logs[proxy_logs(api)[0]] = GOOD * 9000
    with live(api, tmp_path, log_bytes=2**20) as source:
        (verdict,) = diagnosed(source).verdicts
    assert (verdict.cause, verdict.confidence) == ("healthy", 0.6)
    assert "the older lines of 1 log" in verdict.evidence[-1].says


def test_a_recording_says_what_the_cluster_said(
    failing: tuple[ApiServer, Key], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api, key = failing
    path, file = tmp_path / "a.mdb", f"logs/{key[0]}/{key[1]}/istio-proxy.log"
    read: list[tuple[str, bytes]] = []
    with (
        live(api, tmp_path, log_bytes=2**20, capture=lambda name, body: read.append((name, body))) as source,
        BundleWriter(path, now=lambda: 0.0) as writer,
    ):
        moment = writer.snapshot(0.0)
        record_moment(source, moment, read, (), 0.0)
        moment.finish(0.0)
    with live(api, tmp_path, log_bytes=2**20) as source:
        before = diagnosed(source)
    after = diagnosed(RecordingSource.open(path))
    assert (after.now, [one.cause for one in after.verdicts]) == (before.now, [one.cause for one in before.verdicts])
    assert [entry for entry in after.not_checked if entry.probe == "logs"] == [
        entry for entry in before.not_checked if entry.probe == "logs"
    ]
    with Bundle(path) as bundle:
        entry = next(entry for entry in bundle.index(1).entries if entry.file == file)
    assert (entry.status, entry.namespaces, entry.error) == ("partial", [], "longer than 1.0 MiB")
    assert main(["bundle", "inspect", str(path)]) == 0
    assert "    1 log has its newest lines only (longer than 1.0 MiB)\n" in capsys.readouterr().out
    # Whoever records the recording anew, or a part of it, does not forget it.
    again = tmp_path / "b.mdb"
    with BundleWriter(again, now=lambda: 0.0) as writer:
        record_recording(writer, open_any([path]), lambda one: limited(one, [key[0]], "--namespaces"))
    found = open_any([again]).partial(file)
    assert found is not None
    assert (found.namespaces, found.why) == ((), "longer than 1.0 MiB")
    assert json.loads(open_any([again]).files["manifest.json"]())["partial"]
