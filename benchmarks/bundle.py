"""`python -m benchmarks.bundle`: how small a bundle is against as many tar.gz, and how fast it opens.

200 proxies in 12 moments, made from the shape of Istio's own answers: every proxy knows the same services, each has its
own node, certificates, arrival times, counters and access log; between two moments counters move, a few
endpoints change, and one route is pushed. The same files go into one tar.gz per moment (level 6, as istioctl bug-report
packs) and into one bundle. Opening is measured in this process, warm, from the path to the first facts (the inventory,
pods and Services, one proxy's clusters).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meshdoctor.model import wants as ask
from meshdoctor.model.moment import rfc3339
from meshdoctor.recording.bundle.writer import BundleWriter
from meshdoctor.sources.recording import RecordingSource

START = 1_770_000_000.0
STEP = 30.0
PREFIX = "type.googleapis.com/envoy.admin.v3."
Json = dict[str, Any]


class Fleet:
    """A mesh of *proxies* sidecars that know *services* services; `moment` gives the files of one moment."""

    def __init__(self, proxies: int, services: int, lines: int) -> None:
        self.proxies, self.services, self.lines = proxies, services, lines
        self.random = random.Random(503)
        self.certificates = {number: self.random.randbytes(1100).hex() for number in range(proxies)}
        self.counters = {number: self.random.randrange(10**6) for number in range(proxies)}
        self.logs: dict[int, list[str]] = {number: self._lines(number, lines, 0) for number in range(proxies)}

    def moment(self, number: int) -> Iterator[tuple[str, bytes]]:
        """Every file of moment *number* (from 0), by its name."""
        yield (
            "kube/core/v1/pods.json",
            pretty({"kind": "PodList", "items": [self._pod(n) for n in range(self.proxies)]}),
        )
        yield "kube/core/v1/services.json", pretty({"items": [self._service(n) for n in range(self.services)]})
        for proxy in range(self.proxies):
            self.counters[proxy] += self.random.randrange(1000)
            top = f"envoy/ns-{proxy % 8}/web-{proxy}"
            yield f"{top}/config_dump.json", pretty(self._dump(proxy, number))
            yield f"{top}/clusters.json", pretty(self._clusters(proxy, number))
            yield f"{top}/server_info.json", pretty(self._server_info(proxy, number))
            self.logs[proxy] = [*self.logs[proxy], *self._lines(proxy, self.lines // 10, number + 1)][-self.lines :]
            yield f"logs/ns-{proxy % 8}/web-{proxy}/istio-proxy.log", "".join(self.logs[proxy]).encode()

    def _updated(self, proxy: int, number: int) -> str:
        nanos = (proxy * 7_919_111 + number * 104_729_333) % 10**9
        return f"2026-03-03T09:00:{proxy % 60:02}.{nanos:09}Z"

    def _host(self, service: int) -> str:
        return f"svc-{service}.ns-{service % 8}.svc.cluster.local"

    def _pod(self, proxy: int) -> Json:
        return {"metadata": {"name": f"web-{proxy}", "namespace": f"ns-{proxy % 8}", "labels": {"app": f"web-{proxy}"}},
                "spec": {"containers": [{"name": "app"}, {"name": "istio-proxy"}]},
                "status": {"phase": "Running", "podIP": f"10.1.{proxy // 250}.{proxy % 250}"}}  # fmt: skip

    def _service(self, service: int) -> Json:
        return {"metadata": {"name": f"svc-{service}", "namespace": f"ns-{service % 8}"},
                "spec": {"clusterIP": f"10.96.{service // 250}.{service % 250}", "ports": [{"port": 80}]}}  # fmt: skip

    def _node(self, proxy: int) -> Json:
        name = f"web-{proxy}.ns-{proxy % 8}"
        return {
            "id": f"sidecar~10.1.0.{proxy}~{name}~svc.cluster.local",
            "metadata": {"NAME": name, "ISTIO_VERSION": "1.31.0"},
        }

    def _dump(self, proxy: int, number: int) -> Json:
        version = f"2026-03-03T09:00:00Z/{100 + number // 4}"
        arrived = {"version_info": version, "last_updated": ""}
        clusters = [{**arrived, "last_updated": self._updated(proxy, n), "cluster": cluster(self._host(n), n)}
                    for n in range(self.services)]  # fmt: skip
        routes = [{"name": f"{self._host(n)}:80", "domains": [self._host(n), f"10.96.{n // 250}.{n % 250}"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": f"outbound|80||{self._host(n)}", "timeout": "0s",
             "retry_policy": {"retry_on": "connect-failure,refused-stream,unavailable,cancelled", "num_retries": 2}},
             "decorator": {"operation": f"{self._host(n)}:80/*"}}]} for n in range(self.services)]  # fmt: skip
        endpoints = [{"endpoint_config": {"cluster_name": f"outbound|80||{self._host(n)}", "endpoints": [
            {"lb_endpoints": [{"endpoint": {"address": {"socket_address": {
                "address": f"10.1.{n % 250}.{(k + (number if n % 97 == 0 else 0)) % 250}", "port_value": 8080}}},
                "health_status": "HEALTHY", "load_balancing_weight": 1} for k in range(3)]}]}}
            for n in range(self.services)]  # fmt: skip
        if number >= 4:
            routes[0]["routes"][0]["route"]["cluster"] = f"outbound|80|v3|{self._host(0)}"  # type: ignore[index]
        secret = {"name": "default", "secret": {"name": "default", "tls_certificate": {
            "certificate_chain": {"inline_bytes": self.certificates[proxy]}}}}  # fmt: skip
        return {"configs": [
            {"@type": f"{PREFIX}BootstrapConfigDump", "bootstrap": {"node": self._node(proxy)}},
            {"@type": f"{PREFIX}ClustersConfigDump", "version_info": version, "dynamic_active_clusters": clusters},
            {"@type": f"{PREFIX}EndpointsConfigDump", "dynamic_endpoint_configs": endpoints},
            {"@type": f"{PREFIX}RoutesConfigDump", "dynamic_route_configs": [
                {**arrived, "last_updated": self._updated(proxy, number // 4), "route_config": {"name": "80",
                 "virtual_hosts": routes}}]},
            {"@type": f"{PREFIX}SecretsConfigDump", "dynamic_active_secrets": [secret]},
        ]}  # fmt: skip

    def _clusters(self, proxy: int, number: int) -> Json:
        count = self.counters[proxy]
        return {"cluster_statuses": [{"name": f"outbound|80||{self._host(n)}", "added_via_api": True, "host_statuses": [
            {"address": {"socket_address": {"address": f"10.1.{n % 250}.{k}", "port_value": 8080}}, "stats": [
                {"name": name, "value": str((count * (n % 5)) // (i + 1)), "type": "COUNTER"}
                for i, name in enumerate(("cx_total", "cx_connect_fail", "rq_total", "rq_success", "rq_error"))],
             "health_status": {"eds_health_status": "HEALTHY"}, "weight": 1} for k in range(3)]}
            for n in range(self.services)]}  # fmt: skip

    def _server_info(self, proxy: int, number: int) -> Json:
        return {"version": "9e55/1.40.0/Clean/RELEASE/BoringSSL", "state": "LIVE", "node": self._node(proxy),
                "uptime_current_epoch": f"{500 + int(number * STEP) + proxy}s"}  # fmt: skip

    def _lines(self, proxy: int, count: int, number: int) -> list[str]:
        found = []
        for line in range(count):
            service = self.random.randrange(self.services)
            upstream = f"10.1.{service % 250}.{self.random.randrange(3)}:8080"
            request = "-".join(self.random.randbytes(size).hex() for size in (4, 2, 2, 2, 6))
            moment = rfc3339(START + number * STEP + line / 10)[:-1]
            found.append(
                f'[{moment}.{line % 1000:03}Z] "GET /items/{line % 7} HTTP/1.1" 200 - '
                f'via_upstream - "-" 0 232 {line % 9} {line % 8} "-" "agent/1.2" "{request}" "{self._host(service)}" '
                f'"{upstream}" outbound|80||{self._host(service)} 10.1.0.{proxy % 250}:{30_000 + line} 10.96.0.1:80 '
                f"10.1.0.{proxy % 250}:{40_000 + line} - default\n"
            )
        return found


def cluster(host: str, number: int) -> Json:
    """A cluster as istiod writes it."""
    name = f"outbound|80||{host}"
    return {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": name, "type": "EDS",
            "eds_cluster_config": {"eds_config": {"ads": {}, "resource_api_version": "V3"}, "service_name": name},
            "connect_timeout": "10s", "lb_policy": "LEAST_REQUEST", "circuit_breakers": {"thresholds": [
                {"max_connections": 4294967295, "max_pending_requests": 4294967295, "max_requests": 4294967295}]},
            "metadata": {"filter_metadata": {"istio": {"services": [
                {"host": host, "name": f"svc-{number}", "namespace": f"ns-{number % 8}"}]}}},
            "transport_socket_matches": [{"name": "tlsMode-istio", "match": {"tlsMode": "istio"}, "transport_socket": {
                "typed_config": {"common_tls_context": {"tls_certificate_sds_secret_configs": [
                    {"name": "default", "sds_config": {"api_config_source": {"api_type": "GRPC"}}}]},
                    "sni": f"outbound_.80_._.{host}"}}}]}  # fmt: skip


def pretty(value: Json) -> bytes:
    """As Envoy prints: one space a level."""
    return json.dumps(value, indent=1).encode()


def tar_gz(files: list[tuple[str, bytes]]) -> int:
    """The size of *files* as a tar.gz of level 6."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=6) as archive:
        for name, body in files:
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return out.tell()


def opening(path: Path) -> float:
    """Seconds from the path to the first facts."""
    began = time.perf_counter()
    source = RecordingSource.open(path)
    found = source.read([ask.Contents(), ask.Objects("Pod"), ask.Objects("Service")])
    inventory = found.value(ask.Contents())
    assert inventory is not None and inventory.proxies
    clusters = source.read([ask.ProxyClusters(inventory.proxies[0])]).value(ask.ProxyClusters(inventory.proxies[0]))
    assert clusters is not None and clusters.cluster_statuses
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proxies", type=int, default=200)
    parser.add_argument("--moments", type=int, default=12)
    parser.add_argument("--services", type=int, default=150)
    parser.add_argument("--lines", type=int, default=100, help="access-log lines that each proxy keeps")
    arguments = parser.parse_args()
    fleet = Fleet(arguments.proxies, arguments.services, arguments.lines)
    raw = archives = 0
    tar_seconds = bundle_seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fleet.mdb"
        with BundleWriter(path, now=time.time) as writer:
            for number in range(arguments.moments):
                files = list(fleet.moment(number))
                raw += sum(len(body) for _, body in files)
                began = time.perf_counter()
                archives += tar_gz(files)
                tar_seconds += time.perf_counter() - began
                began = time.perf_counter()
                snapshot = writer.snapshot(START + number * STEP)
                for name, body in files:
                    snapshot.add(name, body)
                snapshot.finish(START + number * STEP + 5)
                bundle_seconds += time.perf_counter() - began
        size = path.stat().st_size
        print(f"raw            {raw / 2**20:9.1f} MiB, {arguments.proxies} proxies x {arguments.moments} moments")
        print(f"tar.gz each    {archives / 2**20:9.1f} MiB, {tar_seconds:.1f} s")
        print(f"bundle         {size / 2**20:9.1f} MiB, {bundle_seconds:.1f} s with redaction")
        print(f"smaller by     {archives / size:9.1f} times (goal: 5)")
        opening(path)
        best = min(opening(path) for _ in range(5))
        print(
            f"first facts in {best * 1000:9.0f} ms of {size / 2**20:.1f} MiB (goal: 150 for 10), {os.cpu_count()} cores"
        )
    return 0 if archives / size >= 5 else 1


if __name__ == "__main__":
    raise SystemExit(main())
