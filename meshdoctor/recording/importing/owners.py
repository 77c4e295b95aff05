"""Whose a file is that does not say it: answers that lie beside a config dump, and logs by the addresses in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.model.snapshot import PodRef

UNKNOWN_NAMESPACE = "unknown"
"""The namespace of a pod that no file names."""

_NODE = re.compile(rb'"id":\s*"(?:sidecar|router|waypoint|ingress|agentgateway|ztunnel)~[^~"]*~([^~"]+)~[^~"]*"')
# istio-agent's own line (pkg/istio-agent, "Proxy role"), near the begin of a container's log.
_ROLE = re.compile(rb"Proxy role\s.*?\bid=([a-z0-9][-a-z0-9.]*)\.([a-z0-9][-a-z0-9]*)\b")
_ADDRESS = re.compile(rb"(?<![\d.])(\d{1,3}(?:\.\d{1,3}){3}):\d+")
_WORDS = re.compile(
    r"(?:config[_-]?dump|include[_-]eds|clusters?|format[_-]json|stats|prometheus|listeners?|certs|server[_-]info"
    r"|init[_-]dump|ready|istio-proxy|proxy|envoy|logs?|json|txt|ya?ml|out|current|previous|prev)",
    re.IGNORECASE,
)
_SAMPLE = 256 * 2**10
_ALMOST_ALL = 0.9


def node_pod(body: bytes) -> PodRef | None:
    """The pod whose proxy wrote *body* (a dump or server_info), by its node id `TYPE~IP~NAME.NAMESPACE~DOMAIN`."""
    match = _NODE.search(body)
    name, dot, namespace = match[1].decode(errors="replace").rpartition(".") if match else ("", "", "")
    safe = bool(re.fullmatch(r"[A-Za-z0-9][-A-Za-z0-9.]*", name) and re.fullmatch(r"[a-z0-9][-a-z0-9]*", namespace))
    return PodRef(namespace, name) if dot and safe else None


def stem(path: str) -> str:
    """What is left of a file's name without the words that say what it is: files with the same rest are of one pod."""
    inside = PurePosixPath(path)
    rest = ".".join(part for part in re.split(r"[._\s?&=]+", _WORDS.sub(".", inside.name)) if part)
    return f"{inside.parent}/{rest.strip('-.')}"


def log_pod(
    path: str, body: bytes, pods: Mapping[PodRef, Collection[str]], stems: Mapping[str, PodRef]
) -> PodRef | None:
    """Whose log *body* is; *pods*: those that are known, with their addresses, *stems*: whose files lie beside it."""
    name = PurePosixPath(path).name
    named = [pod for pod in pods if re.search(rf"(?<![-a-z0-9.]){re.escape(pod.name)}(?![-a-z0-9])", name)]
    if len(named) == 1:
        return named[0]
    match = _ROLE.search(body[:_SAMPLE])
    if match:
        return PodRef(match[2].decode(), match[1].decode())
    if stem(path) in stems:
        return stems[stem(path)]
    return _by_address(body, pods)


def _by_address(body: bytes, pods: Mapping[PodRef, Collection[str]]) -> PodRef | None:
    """The one pod whose address is an end of (almost) every connection: a proxy logs no others."""
    lines = [line for line in body[-_SAMPLE:].splitlines()[1:] if line.count(b":") > 3]
    seen = Counter(address for line in lines for address in {found.decode() for found in _ADDRESS.findall(line)})
    owners = {address: pod for pod, addresses in pods.items() for address in addresses}
    counted = [(count, address) for address, count in seen.items() if address in owners]
    if not counted:
        return None
    count, address = max(counted)
    return owners[address] if count >= _ALMOST_ALL * len(lines) else None


def addresses(bodies: Iterable[bytes]) -> dict[PodRef, tuple[str, ...]]:
    """The pods of the *bodies* of Pod objects with their addresses; one that cannot be read is left out."""
    found: dict[PodRef, tuple[str, ...]] = {}
    for body in bodies:
        try:
            pod: Any = decode_json(body, dict[str, Any])
        except UnreadableError:
            continue
        metadata, status, spec = (pod.get(key) or {} for key in ("metadata", "status", "spec"))
        ref = PodRef(str(metadata.get("namespace", "")), str(metadata.get("name", "")))
        own = () if spec.get("hostNetwork") else tuple(str(ip["ip"]) for ip in status.get("podIPs") or () if "ip" in ip)
        found[ref] = own or ((str(status["podIP"]),) if status.get("podIP") and not spec.get("hostNetwork") else ())
    return found
