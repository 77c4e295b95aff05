"""Answers of a live cluster by the name that they have in a recording: what evidence points at, read once and kept."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

from meshdoctor.model import wants as ask
from meshdoctor.model.kinds import BY_NAME
from meshdoctor.model.snapshot import PodRef, Want

KEPT_BYTES = 64 << 20
"""How much is kept; a place that was dropped is read again."""

PROXY_FILES: dict[type[Want[Any]], str] = {
    ask.ProxyConfig: "config_dump.json",
    ask.ProxyClusters: "clusters.json",
    ask.ProxyCertificates: "certs.json",
    ask.ProxyListeners: "listeners.json",
    ask.ProxyServerInfo: "server_info.json",
    ask.ProxyInitDump: "init_dump.json",
    ask.ProxyReady: "ready.txt",
    ask.ProxyMetrics: "stats.prom",
    ask.ZtunnelConfig: "config_dump.json",
}
"""What a pod answers, by the name of its file."""
_ISTIOD_FILES: dict[type[Want[Any]], str] = {
    ask.SyncStatus: "syncz.json",
    ask.Registry: "registryz.json",
    ask.ControlPlaneVersion: "version.json",
}


class Kept(NamedTuple):
    """What was read, and when in Unix seconds; *cut*: why it is only the newest lines of a log."""

    body: bytes
    read_at: float
    cut: str = ""


class KeptFiles:
    """The latest answer of each name, the least used dropped first; a huge one is not kept at all."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._limit = limit
        self._size = 0
        self._files: OrderedDict[str, Kept] = OrderedDict()

    def put(self, file: str, kept: Kept) -> None:
        """Keep an answer in the place of an older one."""
        self._drop(file)
        if len(kept.body) > self._limit // 2:
            return
        self._files[file] = kept
        self._size += len(kept.body)
        while self._size > self._limit:
            self._drop(next(iter(self._files)))

    def get(self, file: str) -> Kept | None:
        """The latest answer, if it was kept."""
        if file in self._files:
            self._files.move_to_end(file)
        return self._files.get(file)

    def _drop(self, file: str) -> None:
        old = self._files.pop(file, None)
        self._size -= len(old.body) if old else 0


def log_file(log: ask.LogRef) -> str:
    """The name of a container's log."""
    return f"logs/{log.pod.namespace}/{log.pod.name}/{log.container}.log{'.previous' if log.previous else ''}"


def file_of(want: Any) -> str:
    """The name of the file that answers *want* in a recording of a cluster."""
    if isinstance(want, ask.Objects):
        return BY_NAME[want.kind].file
    if isinstance(want, ask.LogText | ask.AccessLog | ask.ApplicationLog | ask.ZtunnelAccessLog):
        return log_file(want.log)
    if type(want) in PROXY_FILES:
        room = "ztunnel" if isinstance(want, ask.ZtunnelConfig) else "envoy"
        return f"{room}/{want.pod.namespace}/{want.pod.name}/{PROXY_FILES[type(want)]}"
    if type(want) in _ISTIOD_FILES:
        return f"istiod/{want.istiod}/{_ISTIOD_FILES[type(want)]}"
    return sent_file(want.istiod, want.pod) if isinstance(want, ask.SentConfig) else "istiod/…/mesh.json"


def sent_file(istiod: str, pod: PodRef) -> str:
    """The name of what an istiod would send to a proxy."""
    return f"istiod/{istiod}/config_dump/{pod.namespace}/{pod.name}.json"


def log_wants(log: ask.LogRef) -> tuple[ask.AccessLog, ask.ApplicationLog, ask.LogText, ask.ZtunnelAccessLog]:
    """Everything that one log answers."""
    return ask.AccessLog(log), ask.ApplicationLog(log), ask.LogText(log), ask.ZtunnelAccessLog(log)


def body_want(file: str) -> ask.ProxyBody | None:
    """The admin answer that has this name (`envoy/shop/web-1/config_dump.json`)."""
    parts = file.split("/")
    return (
        ask.ProxyBody(PodRef(parts[1], parts[2]), parts[3])
        if len(parts) == 4 and parts[0] in ("envoy", "ztunnel")
        else None
    )


def log_of(file: str) -> ask.LogRef | None:
    """The log that has this name."""
    parts = file.split("/")
    if len(parts) != 4 or parts[0] != "logs":
        return None
    container, _, ending = parts[3].partition(".log")
    return ask.LogRef(PodRef(parts[1], parts[2]), container, ending == ".previous")
