"""Where a piece of evidence is, as a person reads it and as a `:` command that opens it."""

from __future__ import annotations

from meshdoctor.mesh.finding import Resource
from meshdoctor.model.kinds import BY_NAME

_PREVIOUS = ".previous"


def place_command(file: str, at: str) -> str:
    """The command that opens the place *at* in *file*; empty when there is no file."""
    if not file:
        return ""
    log = _log(file)
    if log is None:
        return f"file {file} {at}".rstrip()
    pod, container, previous = log
    number = at.removeprefix("line ").strip()
    return " ".join(part for part in ("log", pod, container, number if number.isdigit() else "", previous) if part)


def place_text(file: str, at: str) -> str:
    """The place in few words: `shop/web-5d8 istio-proxy line 12`, `pods shop/cart`; with its time when not of now."""
    if not file:
        return ""
    snapshots, _, below = file.partition("/")
    moment, _, inside = below.partition("/")
    if snapshots == "snapshots" and inside:
        return f"{place_text(inside, at)} ({moment[11:19] or moment})"
    log = _log(file)
    if log is not None:
        return " ".join(part for part in (*log, at) if part)
    room, *rest = file.split("/")
    name = file.rpartition("/")[2].removesuffix(".json")
    owner = f"{'/'.join(rest[:2])} " if room in ("envoy", "ztunnel") and len(rest) == 3 else ""
    return f"{owner}{name} {at}".rstrip()


def resource_command(resource: Resource) -> str:
    """The command that opens an object; empty when its kind is not read."""
    return f"object {resource}" if resource.kind in BY_NAME else ""


def _log(file: str) -> tuple[str, str, str] | None:
    parts = file.split("/")
    if parts[0] != "logs" or len(parts) != 4:
        return None
    name = parts[3]
    previous = "previous" if name.endswith(_PREVIOUS) else ""
    return f"{parts[1]}/{parts[2]}", name.removesuffix(_PREVIOUS).removesuffix(".log"), previous
