"""Where other tools put a pod's files: the path tells the pod, the container and what the file is.

istioctl bug-report (tools/bug-report/pkg, 1.20 to 1.32), `oc adm must-gather` with the Istio image (gather_istio),
`kiali gather`, `kubectl cluster-info dump --output-directory`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from meshdoctor.model.snapshot import PodRef

_START = r"(?:^|/)"
_POD = r"(?P<namespace>[a-z0-9][-a-z0-9]*)/(?P<pod>[a-z0-9][-a-z0-9.]*)"
_MUST_GATHER = rf"{_START}namespaces/(?P<namespace>[a-z0-9][-a-z0-9]*)/pods/(?P<pod>[a-z0-9][-a-z0-9.]*)"


class Place(NamedTuple):
    """What a path says: the pod, and the file of it in a recording ("" when only the content can tell)."""

    pod: PodRef
    room: str = ""
    """`envoy`, `istiod`, `sent` (what istiod would send) or `logs`; "" when only the content can tell."""
    file: str = ""
    stem: str = ""


# The first pattern that matches counts; `file` is the name inside the room.
_RULES: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), room, file)
    for pattern, room, file in (
        # istioctl bug-report
        (rf"{_START}proxies/{_POD}/(?P<container>istio-proxy)\.(?:log|prev\.log)$", "logs", ""),
        (rf"{_START}proxies/{_POD}/(?:netstat|memory|runtime|cores/.*|ztunnel.*)$", "skip", ""),
        (rf"{_START}proxies/{_POD}/(?P<endpoint>[^/?]+(?:/prometheus)?)(?:\?[^/]*)?$", "envoy", ""),
        (rf"{_START}istio/{_POD}/debug/(?P<endpoint>[a-z_]+)$", "istiod", ""),
        (rf"{_START}istio/{_POD}/(?P<container>discovery)\.log$", "logs", ""),
        (r"^(?:bug-report/)?(?:(?:analyze|operator|cni)/.*|versions|bug-report\.log)$", "skip", ""),
        (r"^(?:bug-report/)?cluster/(?:secrets|cluster-context|kubectl-version)$", "skip", ""),
        # must-gather and Kiali
        (rf"{_MUST_GATHER}/(?:config_dump_proxy\.json|envoyConfiguration)$", "envoy", "config_dump.json"),
        (rf"{_MUST_GATHER}/(?:config_dump_istiod\.json|pilotConfiguration)$", "sent", ""),
        (rf"{_MUST_GATHER}/proxy_stats$", "envoy", "stats"),
        (rf"{_MUST_GATHER}/debug-syncz\.json$", "istiod", "syncz.json"),
        (rf"{_MUST_GATHER}/(?P<container>[^/]+)/[^/]+/logs/(?P<when>current|previous)\.log$", "logs", ""),
        (rf"{_MUST_GATHER}/(?P<container>[^/]+)/logs/(?P<when>current|previous)\.log$", "logs", ""),
        (rf"{_MUST_GATHER}/.*(?:\.insecure\.log$|/logs/rotated/)", "skip", ""),
        (rf"{_START}offline-manifest\.json$", "moment", ""),
        # kubectl cluster-info dump
        (rf"{_START}{_POD}/logs\.txt$", "logs", ""),
    )
)
_ENDPOINTS = {
    "config_dump": "config_dump.json",
    "clusters": "clusters",
    "listeners": "listeners",
    "certs": "certs.json",
    "server_info": "server_info.json",
    "stats": "stats",
    "stats/prometheus": "stats.prom",
    "init_dump": "init_dump.json",
    "ready": "ready.txt",
}
_TOOLS = (
    (re.compile(rf"{_START}(?:proxies|istio)/{_POD}/"), "istioctl bug-report"),
    (re.compile(rf"{_START}bug-report\.log$"), "istioctl bug-report"),
    (re.compile(rf"{_START}offline-manifest\.json$"), "Kiali"),
    (re.compile(rf"{_MUST_GATHER}/"), "must-gather"),
)


def place(path: str) -> Place | None:
    """Where the file at *path* belongs; None when its content has to tell. Room `skip`: it answers no question."""
    for pattern, room, file in _RULES:
        match = pattern.search(path)
        if not match:
            continue
        groups = match.groupdict()
        pod = PodRef(groups.get("namespace") or "", groups.get("pod") or "")
        if room == "logs":
            previous = groups.get("when") == "previous" or path.endswith(".prev.log")
            container = groups.get("container") or ""
            return Place(pod, room, f"{container}.log{'.previous' if previous else ''}" if container else "")
        endpoint = groups.get("endpoint")
        if room == "envoy" and endpoint is not None:
            return Place(pod, room, _ENDPOINTS[endpoint]) if endpoint in _ENDPOINTS else Place(pod, "skip")
        if room == "istiod" and endpoint is not None:
            return Place(pod, room, f"{endpoint}.json")
        return Place(pod, room, file)
    return None


def tool(paths: list[str]) -> str:
    """Which tool wrote a folder with these *paths*; "" when no tool that is known."""
    return next((name for pattern, name in _TOOLS if any(pattern.search(path) for path in paths)), "")
