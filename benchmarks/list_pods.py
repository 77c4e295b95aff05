"""Listing 5,000 sidecar pods (95 MB of JSON) from an API server: seconds, and the peak memory of the lister.

    python -m benchmarks.list_pods [COUNT]

Goals: under 2 s and 300 MB for 5,000.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.stub_cluster import ROOT, running_stub


def measure(kubeconfig: str) -> None:
    """List once in this process; prints what it took."""
    from meshdoctor.kube.target import ClusterFlags, resolve_target
    from meshdoctor.model.snapshot import Missing
    from meshdoctor.model.wants import Objects
    from meshdoctor.sources.live import LiveSource

    target = resolve_target(ClusterFlags(kubeconfig=kubeconfig), {})
    with LiveSource(target, environment={}) as source:
        begun = time.perf_counter()
        pods = source.read([Objects("Pod")]).get(Objects("Pod"))
        seconds = time.perf_counter() - begun
    if isinstance(pods, Missing):
        raise SystemExit(str(pods))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"pods": len(pods.value), "seconds": round(seconds, 2), "peak MB": round(memory)}))


def main() -> None:
    if "--measure" in sys.argv:
        measure(sys.argv[2])
        return
    count = sys.argv[1] if len(sys.argv) > 1 else "5000"
    with running_stub("pods", count) as config, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kubeconfig"
        path.write_text(json.dumps(config))
        for _ in range(3):
            command = [sys.executable, "-m", "benchmarks.list_pods", "--measure", str(path)]
            print(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip())


if __name__ == "__main__":
    main()
