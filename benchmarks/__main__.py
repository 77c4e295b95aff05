"""`python -m benchmarks [name …]`: run the benchmarks by name, or all of them one after the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NOT_BENCHMARKS = {
    "__init__",
    "__main__",
    "busy_mesh",
    "busy_process",
    "hours_client",
    "mesh_objects",
    "refreshed_table",
    "stub_cluster",
}


def names() -> list[str]:
    """Every benchmark module, by name."""
    here = Path(__file__).parent
    return sorted(file.stem for file in here.glob("*.py") if file.stem not in NOT_BENCHMARKS)


def main() -> int:
    """Run each in a process of its own, so that none warms another's caches; the worst exit status is returned."""
    chosen = sys.argv[1:] or names()
    unknown = [name for name in chosen if name not in names()]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(names())}", file=sys.stderr)
        return 2
    worst = 0
    for name in chosen:
        print(f"== {name}", flush=True)
        worst = max(worst, subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode)
    return worst


if __name__ == "__main__":
    raise SystemExit(main())
