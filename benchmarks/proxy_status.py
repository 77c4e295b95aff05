"""`python -m benchmarks.proxy_status`: proxy-status of 1,000 proxies from a recording, as a whole process.

The recording is a shipped one (FIXTURE) whose sidecars' pods and records of istiod are repeated under other names until
there are PROXIES of them, with everything that a real API server and istiod wrote about each. istioctl does not read
recordings; the figure is compared with how long Python's json.load takes on the same two files.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures/maple.tar.xz"
PROXIES = 1_000
RUNS = 3
LIMIT = 1.0
"""Seconds."""


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with tarfile.open(FIXTURE) as archive:
            archive.extractall(folder, filter="data")
        (pods,) = folder.rglob("pods.json")
        syncz = next(folder.rglob("syncz.json"))
        _multiply(pods, syncz)
        megabytes = (pods.stat().st_size + syncz.stat().st_size) / 1e6
        code = "import json,sys; [json.load(open(name)) for name in sys.argv[1:]]"
        load = min(_seconds([sys.executable, "-c", code, str(pods), str(syncz)]) for _ in range(RUNS))
        print(f"{PROXIES} proxies, {megabytes:.1f} MB of pods and sync records; json.load alone {load * 1000:.0f} ms")
        for form in ("short", "wide", "json", "istioctl"):
            command = [sys.executable, "-m", "meshdoctor", "proxy-status", "-o", form, "--recording", str(folder)]
            seconds = min(_seconds(command) for _ in range(RUNS))
            verdict = "met" if seconds < LIMIT else "MISS"
            print(f"proxy-status -o {form:<9} {seconds * 1000:>6.0f} ms {verdict} ({seconds / load:.1f}x json.load)")


def _multiply(pods: Path, syncz: Path) -> None:
    """Repeat the sidecars' pods and sync records until there are PROXIES of them."""
    listed, records = json.loads(pods.read_bytes()), json.loads(syncz.read_bytes())
    known = {record["proxy"]: record for record in records}
    sidecars = [pod for pod in listed["items"] if _proxy(pod) in known]
    for number in range(PROXIES - len(known)):
        pod = copy.deepcopy(sidecars[number % len(sidecars)])
        record = copy.deepcopy(known[_proxy(pod)])
        pod["metadata"]["name"] += f"-{number}"
        pod["metadata"]["uid"] = f"{number:08x}-0000-0000-0000-000000000000"
        record["proxy"] = _proxy(pod)
        listed["items"].append(pod)
        records.append(record)
    pods.write_text(json.dumps(listed))
    syncz.write_text(json.dumps(records))


def _proxy(pod: dict[str, Any]) -> str:
    return f"{pod['metadata']['name']}.{pod['metadata']['namespace']}"


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
