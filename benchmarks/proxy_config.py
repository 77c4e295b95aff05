"""`python -m benchmarks.proxy_config [RECORDING]`: proxy-config on a large proxy, against the real istioctl's times.

RECORDING is the unpacked or packed recording of one sidecar among 4,000 services (config dump 70 MB, clusters 31 MB);
by default the one that lies beside the checkout. Every command is a whole process, start-up included, best of three;
memory is its peak. istioctl's times (1.32-dev, best of three on the machine that made the recording) are multiplied by
this machine's factor: how long Python's json.load takes on the dump here, over the 1.15 s that it took there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from meshdoctor import cli
from meshdoctor.commands import kept_dumps

DEFAULT = Path(__file__).resolve().parents[2] / "shared/corpus/large/recording.tar.xz"
ISTIOCTL_JSON_LOAD = 1.15
ISTIOCTL: tuple[tuple[str, float], ...] = (
    ("listener", 1.85),
    ("route", 1.96),
    ("cluster", 1.99),
    ("endpoint", 3.00),
    ("secret", 1.77),
    ("bootstrap -o short", 1.79),
    ("all", 3.22),
    ("cluster --fqdn mail-image-0040.team-040.svc.cluster.local", 2.29),
    ("route --name 80", 1.76),
)
FURTHER: tuple[tuple[str, float], ...] = (
    ("listener -o wide", 0),
    ("route -o wide", 0),
    ("cluster -o wide", 0),
    ("endpoint -o wide", 0),
    ("eds -o wide", 0),
    ("cluster --port 80", 0),
    ("endpoint --port 8080", 0),
    ("cluster --fqdn mail-image-0040.team-040.svc.cluster.local -o json", 0),
)
"""More of this program's own, for the times in one process."""
RUNS = 3
LIMIT = 0.050
"""Seconds that a command may take in a process that has run one before."""
FIRST = ("listener", "endpoint --status unhealthy")
"""The first command of a process, for the config dump and for the clusters."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", nargs="?", type=Path, default=DEFAULT)
    recording: Path = parser.parse_args().recording
    with tempfile.TemporaryDirectory() as scratch:
        folder = recording if recording.is_dir() else _unpacked(recording, Path(scratch))
        dump = next(folder.rglob("config_dump.json"))
        clusters = next(folder.rglob("clusters.json"))
        factor = _json_load(dump) / ISTIOCTL_JSON_LOAD
        print(f"this machine's factor: {factor:.2f}")
        print(f"{'proxy-config':<60} {'istioctl':>9} {'here':>8} {'times':>6} {'MB':>5} {'of file':>7}")
        for command, theirs in ISTIOCTL:
            file = clusters if command.startswith("endpoint") else dump
            seconds, peak = min(_process(command, file) for _ in range(RUNS))
            share = peak / file.stat().st_size
            scaled = theirs * factor
            times = f"{scaled:>7.2f} s {seconds:>6.2f} s {scaled / seconds:>5.1f}x"
            print(f"{command:<60} {times} {peak / 1e6:>5.0f} {share:>6.1f}x")
        _one_process(dump, clusters)


def _unpacked(recording: Path, folder: Path) -> Path:
    with tarfile.open(recording) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _json_load(dump: Path) -> float:
    """Seconds of json.load in a process of its own: Linux counts a parent's peak memory as its children's."""
    code = "import json,sys,time; t=time.perf_counter(); json.load(open(sys.argv[1])); print(time.perf_counter()-t)"
    command = [sys.executable, "-c", code, str(dump)]
    return min(float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(RUNS))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _process(command: str, file: Path) -> tuple[float, int]:
    """Wall time in seconds and peak memory in bytes of one run."""
    arguments = [sys.executable, "-m", "meshdoctor", "proxy-config", *command.split(), "--file", str(file)]
    start = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return time.perf_counter() - start, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _one_process(dump: Path, clusters: Path) -> None:
    """Commands in one process, at once after the first of their file, which lays out the tables of a large dump."""
    print(f"\nin one process, after a first command (limit {LIMIT * 1000:.0f} ms)")
    for command, _ in (*ISTIOCTL, *FURTHER):
        file = clusters if command.startswith("endpoint") else dump
        kept_dumps.KEPT = kept_dumps.KeptDumps()
        _command(FIRST[file == clusters], file)
        seconds = max(_command(command, file) for _ in range(RUNS))
        print(f"{command:<72} {seconds * 1000:>6.0f} ms {'met' if seconds < LIMIT else 'MISS'}")
    for file in (dump, clusters):
        kept_dumps.KEPT = kept_dumps.KeptDumps()
        first = _command(FIRST[file == clusters], file)
        print(f"the first command, {FIRST[file == clusters]}: {first * 1000:.0f} ms")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak of that process: {peak / (1024 * 1024 if sys.platform == 'darwin' else 1024):.0f} MB")


def _command(command: str, file: Path) -> float:
    """Seconds of one command in this process, printing included."""
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        start = time.perf_counter()
        status = cli.main(["proxy-config", *command.split(), "--file", str(file)])
        seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{command} failed")
    return seconds


if __name__ == "__main__":
    main()
