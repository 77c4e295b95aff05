"""The mesh as a table: every proxy with its sync state per xDS type, its versions and its age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.text import Text

from meshdoctor.mesh.ages import human_duration
from meshdoctor.mesh.overview import LOST, NACK, ODD, OK, STALE, STATES, UNKNOWN, ProxyState
from meshdoctor.mesh.sync import ERROR, IGNORED, NOT_SENT, SYNCED, UNTOLD, ZTUNNEL, TypeSync
from meshdoctor.mesh.sync import STALE as TYPE_STALE
from meshdoctor.present import sync_tables
from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.table import Column, Row, fit_cell
from meshdoctor.present.words import Words

TYPES = ("CDS", "LDS", "EDS", "RDS", "ECDS")
STYLES = {
    OK: "state.ok",
    STALE: "state.stale",
    NACK: "state.nack",
    LOST: "state.lost",
    ODD: "warning",
    UNKNOWN: "state.unknown",
}
_TYPE_WORDS = {SYNCED: OK, ERROR: NACK, TYPE_STALE: STALE, NOT_SENT: "NOT SENT", IGNORED: "-", UNTOLD: UNKNOWN}
_GLYPHS = {OK: "+", NACK: "!", STALE: "~", "NOT SENT": "0", "-": "-", UNKNOWN: "?"}

COLUMNS = (
    Column("state", "STATE", 5, priority=0, ranks=STATES),
    Column("namespace", "NAMESPACE", 12, flex=1, widest=24, priority=0, elide="middle"),
    Column("name", "POD", 22, flex=3, widest=60, priority=0, elide="middle"),
    Column("kind", "KIND", 8, priority=3),
    Column("sync", "CLERX", 5, priority=1),
    Column("version", "ISTIO", 10, priority=2),
    Column("envoy", "ENVOY", 7, priority=5),
    Column("age", "AGE", 5, priority=2, align="right", order="duration"),
    Column("why", "WHY", 24, flex=2, priority=6),
)


def type_word(entry: TypeSync) -> str:
    """OK, NACK, STALE, `NOT SENT`, or `-` for a type that the proxy did not ask for."""
    word = _TYPE_WORDS.get(entry.status, entry.status)
    return OK if word == STALE and not entry.late else word


def mesh_rows(proxies: Iterable[ProxyState], words: Words) -> list[Row]:
    """A row per proxy, in the order given; Enter opens the proxy, or its pod where nothing was recorded of it."""
    rows = []
    for proxy in proxies:
        connected = bool(proxy.sync.types)
        letters = [_letter(proxy.sync.of_type(name)) for name in _types(proxy)] if connected else ["?"] * len(TYPES)
        own = Text("zt " if connected and proxy.sync.kind == ZTUNNEL else "", style="quiet")  # not under C and L
        cells = (
            Text(proxy.state, style=STYLES[proxy.state]),
            proxy.pod.namespace,
            proxy.pod.name,
            proxy.sync.kind,
            Text("").join([own, *(Text(letter, style=_letter_style(letter)) for letter in letters)]),
            proxy.sync.version or "-",
            proxy.envoy_version or "-",
            "-" if proxy.age is None else human_duration(proxy.age),
            why(proxy, words),
        )
        rows.append(Row(str(proxy.pod), cells, target=_target(proxy), problem=proxy.state != OK))
    return rows


def _target(proxy: ProxyState) -> str:
    if not proxy.recorded:
        return f"object Pod {proxy.pod}" if proxy.age is not None else ""  # a machine, or of another cluster
    # A ztunnel is no Envoy: it has workloads and services, not listeners and clusters.
    return f"{'ztunnel' if proxy.sync.kind == ZTUNNEL else 'proxy'} {proxy.pod}"


def _types(proxy: ProxyState) -> tuple[str, ...]:
    """The xDS types of a proxy: a ztunnel's are its own."""
    return tuple(entry.name for entry in proxy.sync.types) if proxy.sync.kind == ZTUNNEL else TYPES


def _letter(entry: TypeSync) -> str:
    return _GLYPHS.get(type_word(entry), "?")


def _letter_style(letter: str) -> str:
    return {"!": "state.nack", "~": "state.stale", "?": "state.unknown", "-": "quiet"}.get(letter, "")


def why(proxy: ProxyState, words: Words) -> str:
    """What is wrong with a proxy, in a line; empty when nothing is."""
    return "; ".join(map(words.said, sync_tables.reasons(proxy.sync)))


DETAIL_LINES = 4
"""Lines below the table for the proxy under the cursor."""


def detail(proxy: ProxyState, words: Words, width: int = 80) -> list[Text]:
    """One proxy in `DETAIL_LINES`: each type in words, what it is connected to, then what is wrong."""
    lines = list(_known(proxy, words))
    room = DETAIL_LINES - len(lines)
    wrong = list(wrap(why(proxy, words), width=width - 2))
    if len(wrong) > room:
        wrong = [*wrong[: room - 1], str(fit_cell(" ".join(wrong[room - 1 :]), width - 2))]
    return [*lines, *(Text(f" {line}", "warning" if proxy.state != OK else "") for line in wrong)]


def _known(proxy: ProxyState, words: Words) -> Iterator[Text]:
    line = Text(" ")
    if proxy.sync.types:
        for name in _types(proxy):
            entry = proxy.sync.of_type(name)
            word = type_word(entry)
            line.append(f"{name} ", "quiet").append(word, STYLES.get(word, "quiet"))
            line.append("  " if word != STALE or entry.age is None else f" {human_duration(entry.age)}  ")
    else:
        line.append(words("mesh.no_sync"), STYLES[proxy.state])
    yield line
    places = [f"istiod {proxy.sync.istiod} {proxy.sync.istiod_version}".rstrip()] if proxy.sync.istiod else []
    older = proxy.sync.version and proxy.sync.version != proxy.sync.istiod_version
    places += [f"Istio {proxy.sync.version}"] if older else []
    places += [f"Envoy {proxy.envoy_version}"] if proxy.envoy_version else []
    places += [f"rev {proxy.sync.revision}"] if proxy.sync.revision else []
    if places:
        yield Text(f" {'  '.join(places)}", "quiet")


def state_counts(proxies: Iterable[ProxyState], words: Words) -> tuple[Text, ...]:
    """How many proxies are in which state, the worst first.

    When nothing is worse, how many are in sync: no more than that, for requests may fail all the same.
    """
    count = Counter(proxy.state for proxy in proxies)
    bad = [Text(f"{state} {count[state]}", STYLES[state]) for state in STATES if state != OK and count[state]]
    return tuple(bad) or ((Text(words("mesh.synced", count=count[OK]), STYLES[OK]),) if count else ())
