"""A recording served as if it were a cluster: lists, logs, and each pod's admin port with what was recorded of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.live.apiserver import ApiServer, Objects, running_api_server
from tests.live.pod_servers import answering, running_pod_servers

_TARGETS = {
    "/config_dump": "config_dump.json",
    "/clusters": "clusters.json",
    "/listeners": "listeners.json",
    "/certs": "certs.json",
    "/server_info": "server_info.json",
    "/stats/prometheus": "stats.prom",
    "/init_dump": "init_dump.json",
    "/ready": "ready.txt",
}


Asked = tuple[str, str, str]
"""Role, pod and path of a request that a pod was sent."""


@contextlib.contextmanager
def serving_recording(folder: Path, asked: list[Asked] | None = None) -> Iterator[ApiServer]:
    """An API server for the unpacked recording in *folder*; what pods are asked is noted in *asked*."""
    places = [(15000, path) for room in ("envoy", "ztunnel") for path in sorted((folder / room).glob("*/*"))] + [
        (15014, path) for path in sorted((folder / "istiod").glob("*"))
    ]
    looks = [(path, _admin(path) if port == 15000 else _istiod(path)) for port, path in places]
    serves = [answering(look if asked is None else _noting(look, path, asked)) for path, look in looks]
    with running_api_server(Objects.of_recording(folder)) as api, running_pod_servers(*serves) as addresses:
        for (port, path), address in zip(places, addresses, strict=True):
            api.ports[_namespace(path), path.name, port] = address
        for log in (folder / "logs").glob("*/*/*.log*"):
            container, _, ending = log.name.partition(".log")
            api.logs[log.parts[-3], log.parts[-2], container, ending == ".previous"] = log.read_bytes()
        yield api


def _noting(look: Callable[[str], bytes | None], folder: Path, asked: list[Asked]) -> Callable[[str], bytes | None]:
    role = "istiod" if folder.parent.name == "istiod" else folder.parent.parent.name

    def noting(target: str) -> bytes | None:
        asked.append((role, folder.name, target.partition("?")[0]))
        return look(target)

    return noting


def _namespace(path: Path) -> str:
    return "istio-system" if path.parent.name == "istiod" else path.parent.name


def _admin(folder: Path) -> Callable[[str], bytes | None]:
    def look(target: str) -> bytes | None:
        path = target.partition("?")[0]
        if target.startswith("/stats?filter="):
            dump = json.loads((folder / "config_dump.json").read_bytes())
            count = sum(len(section.get("dynamic_active_clusters", ())) for section in dump["configs"])
            return json.dumps({"stats": [{"name": "cluster_manager.active_clusters", "value": count}]}).encode()
        if path == "/memory":
            return b'{"total_physical_bytes":"60000000"}'
        file = folder / _TARGETS.get(path, "none")
        return file.read_bytes() if file.is_file() else None

    return look


def _istiod(folder: Path) -> Callable[[str], bytes | None]:
    def look(target: str) -> bytes | None:
        path, _, query = target.partition("?")
        file = folder / f"{path.removeprefix('/debug/').removeprefix('/')}.json"
        if not file.is_file():
            return None
        body = file.read_bytes()
        if path == "/debug/config_dump" and "include_eds=true" not in query.split("&"):
            # As istiod does (pilot/pkg/xds/debug.go, ConfigDump): a bare `include_eds` is not enough.
            dump = json.loads(body)
            dump["configs"] = [each for each in dump["configs"] if not each["@type"].endswith(".EndpointsConfigDump")]
            body = json.dumps(dump).encode()
        return body

    return look
