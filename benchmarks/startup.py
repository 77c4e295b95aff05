"""CPU time of `--help` and of `diagnose`, against `python -c pass` in the same minutes.

Goals: `--help` within 1.5 times of `python -c pass` plus 40 ms; `diagnose` of a shipped incident under 1 s of CPU.

    python -m benchmarks.startup [rounds]
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from importlib.resources import as_file, files

ROUNDS = 9


def cpu_seconds(command: list[str]) -> float:
    """User and system time of one run of *command* and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Run the commands in turn, round by round, and print medians and ratios."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    recordings = sorted(
        (entry for entry in files("meshdoctor.fixtures").iterdir() if ".tar" in entry.name), key=lambda one: one.name
    )
    with as_file(recordings[0]) as shipped:
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "meshdoctor --help": [sys.executable, "-m", "meshdoctor", "--help"],
            f"meshdoctor diagnose {shipped.name}": [sys.executable, "-m", "meshdoctor", "diagnose", str(shipped)],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                times[name].append(cpu_seconds(command))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:44} {median * 1000:7.1f} ms of CPU, median of {rounds}")
    bare, helped, diagnosed = medians.values()
    print(f"--help may take {bare * 1.5 * 1000 + 40:.1f} ms: {'met' if helped <= bare * 1.5 + 0.04 else 'MISSED'}")
    print(f"diagnose may take 1000 ms: {'met' if diagnosed <= 1.0 else 'MISSED'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
