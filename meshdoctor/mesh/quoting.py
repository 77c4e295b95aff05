"""Evidence and remedies in the same words everywhere: a log line, an object, a count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from meshdoctor.mesh.finding import Evidence, Remedy
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.traffic import Seen
from meshdoctor.model.meta import Object
from meshdoctor.model.moment import clock
from meshdoctor.model.snapshot import PodRef

CHECK_AGAIN = "run meshdoctor diagnose again: the failures must have stopped"


def lines_say(lines: Sequence[Seen], what: str) -> Evidence:
    """*what* the lines show, with their number and their first and last time; points at the last one."""
    times = sorted(seen.start for seen in lines if seen.start is not None)
    when = f", {clock(times[0])} to {clock(times[-1])} UTC" if times else ""
    newest = max(lines, key=lambda seen: seen.start or 0.0)
    return Evidence(f"{counted(len(lines), 'line')}: {what}{when}", newest.file, f"line {newest.line}")


def logged(seen: Seen) -> str:
    """Code, flags and details of a line as the access log has them."""
    line = seen.access
    if seen.tunnel:
        return f"{seen.tunnel.direction or ''} {seen.tunnel.error or seen.tunnel.message}".strip()
    if line is None:
        return f"{seen.call.status} {seen.call.error}" if seen.call else ""
    return " ".join(part for part in (str(line.code), ",".join(line.flags) or "-", line.details or "") if part)


def object_says(mesh: MeshIndex, kind: str, found: Object, what: str) -> Evidence:
    """*what* an object shows; points at it in the list that it was read with."""
    return Evidence(what, mesh.file(kind), found.key)


def config_says(pod: PodRef, what: str, at: str = "") -> Evidence:
    """*what* the configuration of a proxy shows; *at* is the name there to look for."""
    return Evidence(what, f"envoy/{pod}/config_dump.json", at)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Iterable[str], most: int = 3) -> str:
    """`a, b, c and 2 more`."""
    found = list(dict.fromkeys(names))
    rest = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + rest


def remedy(text: str, yaml: str = "", verify: str = CHECK_AGAIN) -> Remedy:
    return Remedy(text, yaml, verify)
