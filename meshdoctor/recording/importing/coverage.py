"""Of how many proxies other tools brought a configuration: a tool that failed on one leaves nothing of it."""

from __future__ import annotations

from collections.abc import Iterable

from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.model.istiod import SyncRecord
from meshdoctor.model.snapshot import PodRef
from meshdoctor.recording.archive import Files
from meshdoctor.recording.importing import owners


def coverage(files: Files, pods: Iterable[bytes]) -> str:
    """Of how many proxies there is a configuration, "" when of all; *pods*: the JSON of each."""
    read = {tuple(file.split("/")[1:3]) for file in files if file.startswith(("envoy/", "ztunnel/"))}
    expected = {(pod.namespace, pod.name) for pod in _with_proxy(pods)} | _connected(files)
    return f"configuration of {len(read)} of {len(expected | read)} proxies" if read and expected - read else ""


def _with_proxy(bodies: Iterable[bytes]) -> list[PodRef]:
    needle = b'"istio-proxy"'
    return list(owners.addresses(body for body in bodies if needle in body))


def _connected(files: Files) -> set[tuple[str, str]]:
    """The proxies that the istiods know."""
    found: set[tuple[str, str]] = set()
    for file, read in files.items():
        if file.startswith("istiod/") and file.endswith("/syncz.json"):
            try:
                records = decode_json(read(), list[SyncRecord] | None)  # type: ignore[arg-type]
            except (UnreadableError, OSError):
                continue  # whoever asks for the file is told so
            found |= {(record.namespace, record.pod) for record in records or ()}
    return found
