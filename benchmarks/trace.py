"""How fast requests are traced: walks and explained traces a minute, and single traces on one large proxy.

    python -m benchmarks.trace [--routes FOLDER] [--large CONFIG_DUMP.json] [--rounds N]

Goals: 100,000 traces a minute in one process; a trace on a dump of 70 MB in under 50 ms once it is loaded.
"""

from __future__ import annotations

import argparse
import json
import lzma
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from meshdoctor.mesh.trace.explain import trace
from meshdoctor.mesh.trace.proxy import Proxy
from meshdoctor.mesh.trace.request import Request
from meshdoctor.mesh.trace.walk import walk
from meshdoctor.model.envoy.config_dump import decode_config_dump
from tests.acceptance.routes import request_of

Case = tuple[Proxy, list[Request]]


def corpus(folder: Path) -> list[Case]:
    """Every proxy of a routes corpus with its requests."""
    cases = []
    for file in sorted(folder.glob("*.jsonl.xz")):
        with lzma.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                case = json.loads(line)
                proxy = Proxy(decode_config_dump(json.dumps(case["config_dump"]).encode()))
                cases.append((proxy, [request_of(entry) for entry in case["requests"]]))
    return cases


def a_minute(cases: Iterable[Case], run: Callable[[Proxy, Request], object]) -> tuple[int, float]:
    """How many requests there were, and how many a minute *run* does."""
    count = 0
    started = time.perf_counter()
    for proxy, requests in cases:
        for request in requests:
            run(proxy, request)
        count += len(requests)
    return count, 60 * count / (time.perf_counter() - started)


def large(dump: Path, rounds: int) -> None:
    """One proxy of a large mesh: loading, the first trace to a host, and the next ones."""
    started = time.perf_counter()
    proxy = Proxy(decode_config_dump(dump.read_bytes()))
    loaded = time.perf_counter()
    table = max((entry.body for entry in proxy.dump.routes), key=lambda body: len(body.virtual_hosts))
    hosts = [host.domains[0] for host in table.virtual_hosts if host.domains][:rounds]
    port = int(table.name) if table.name.isdigit() else 80
    first: list[float] = []
    for host in hosts:
        request = Request("outbound", "", port, "10.0.0.1", authority=host, path="/")
        before = time.perf_counter()
        trace(proxy, request)
        first.append(1000 * (time.perf_counter() - before))
    rest = sorted(first[1:])
    print(f"large: {dump.stat().st_size / 1e6:.1f} MB, opened in {loaded - started:.2f} s")
    print(f"large: the first trace {first[0]:.1f} ms (decodes its sections), then for {len(rest)} other hosts")
    print(f"large: median {statistics.median(rest):.3f} ms, 99 % below {rest[int(0.99 * len(rest))]:.3f} ms")


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routes", type=Path, help="a folder of *.jsonl.xz with proxies and requests")
    parser.add_argument("--large", type=Path, help="a large config_dump.json")
    parser.add_argument("--rounds", type=int, default=300, help="hosts to trace on the large dump")
    arguments = parser.parse_args()
    if not arguments.routes and not arguments.large:
        parser.error("name --routes, --large or both")
    if arguments.routes:
        cases = corpus(arguments.routes)
        for name, run in (("walks", walk), ("traces with reasons", trace)):
            count, rate = a_minute(cases, run)
            print(f"{name}: {count} requests of {len(cases)} proxies, {rate:,.0f} a minute")
    if arguments.large:
        large(arguments.large, arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
