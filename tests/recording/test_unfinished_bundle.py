"""A bundle that this process is still writing: its finished moments can be read."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from meshdoctor.errors import RecordingError
from meshdoctor.recording.bundle import writer as writing
from meshdoctor.recording.bundle.reader import open_written
from meshdoctor.recording.bundle.writer import BundleWriter

FIRST, SECOND = 1_772_532_300.0, 1_772_532_330.0
READY = "envoy/depot/picker-1/ready.txt"


def test_finished_moments_are_read_while_the_next_is_written(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "a.mdb", now=lambda: FIRST) as writer:
        assert not writer.finished
        for at, state in ((FIRST, b"LIVE\n"), (SECOND, b"DRAINING\n")):
            moment = writer.snapshot(at)
            moment.add(READY, state)
            moment.finish(at + 1)
        begun = writer.snapshot(SECOND + 30)
        begun.add(READY, b"INITIALIZING\n")
        assert writer.finished == ("2026-03-03T10:05:00Z", "2026-03-03T10:05:30Z")
        read = open_written(writer.part, writer.written())
        assert read.moments == writer.finished
        assert read.files[READY]() == b"DRAINING\n"
        assert read.manifest.finished_at == SECOND + 1
    # Who opened it keeps it, whatever the file is called by now.
    assert read.at(read.moments[0]).files[READY]() == b"LIVE\n"


@pytest.mark.parametrize(("moments", "next_step"), [(0, "record again"), (1, "meshdoctor bundle repair {part}")])
def test_a_full_disk_is_told_with_what_can_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moments: int, next_step: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        pytest.raises(RecordingError, match="No space left") as told,
        BundleWriter(tmp_path / "a.mdb", now=lambda: FIRST) as writer,
    ):
        for _ in range(moments):
            writer.snapshot(FIRST).finish(FIRST)
        monkeypatch.setattr(writing, "write_entry", full)
        writer.snapshot(SECOND).finish(SECOND)
    part = tmp_path / "a.mdb.part"
    assert told.value.next_step == f"make room, then: {next_step.format(part=part)}"
    assert part.exists() is bool(moments)
