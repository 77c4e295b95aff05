"""Sync status as tables: istioctl's two, and the ones that show what istioctl does not."""

from __future__ import annotations

from collections.abc import Sequence

from meshdoctor.mesh.ages import human_duration
from meshdoctor.mesh.gosort import sort_by
from meshdoctor.mesh.sync import (
    CONNECTED,
    ERROR,
    IGNORED,
    MAIN_TYPES,
    NOT_SENT,
    TYPE_URLS,
    UNTOLD,
    ZTUNNEL,
    ProxySync,
    TypeSync,
    rejection,
)
from meshdoctor.mesh.texttable import Cells, TextTable

_CORE = ("CDS", "LDS", "EDS", "RDS", "ECDS")


def istioctl_table(proxies: Sequence[ProxySync]) -> TextTable:
    """`istioctl proxy-status` since 1.27: which types each connected proxy subscribed to."""
    rows = []
    for proxy in _connected(proxies):
        names = ",".join(entry.name for entry in proxy.types)
        subscribed = f"{len(proxy.types)} ({names})" if names else "0"
        rows.append((proxy.name, proxy.cluster, proxy.istiod, proxy.version, subscribed))
    return TextTable(("NAME", "CLUSTER", "ISTIOD", "VERSION", "SUBSCRIBED TYPES"), rows)


def istioctl_verbose_table(proxies: Sequence[ProxySync]) -> TextTable:
    """`istioctl proxy-status -v 1`: a column per type, by type URL; the five of Envoy always."""
    connected = _connected(proxies)
    urls = {entry.url: entry.name for proxy in connected for entry in proxy.types}
    urls |= {TYPE_URLS[name]: name for name in _CORE}
    names = list(dict.fromkeys(urls[url] for url in sorted(urls)))
    rows = [
        (
            proxy.name,
            proxy.cluster,
            *(status_cell(proxy.of_type(name)) for name in names),
            proxy.istiod,
            proxy.version,
        )
        for proxy in connected
    ]
    return TextTable(("NAME", "CLUSTER", *names, "ISTIOD", "VERSION"), rows)


def _connected(proxies: Sequence[ProxySync]) -> list[ProxySync]:
    return sort_by([proxy for proxy in proxies if proxy.state == CONNECTED], lambda proxy: proxy.name)


def status_cell(entry: TypeSync) -> str:
    """`SYNCED (4m)`: the age is that of the last send."""
    if entry.status in (NOT_SENT, IGNORED, UNTOLD) or entry.age is None:
        return entry.status
    return f"{entry.status} ({human_duration(entry.age)})"


def short_table(proxies: Sequence[ProxySync]) -> TextTable:
    """Every proxy that exists, with its worst state first."""
    return TextTable(
        ("NAME", "KIND", "STATUS", *MAIN_TYPES, "OTHER", "ISTIOD", "VERSION"), [_row(p) for p in proxies], 2
    )


def _row(proxy: ProxySync) -> Cells:
    others = ",".join(f"{e.name} {status_cell(e)}" for e in proxy.types if e.name not in MAIN_TYPES)
    # ztunnel has types of its own; "IGNORED" would say that it should have Envoy's.
    shown = proxy.state == CONNECTED and proxy.kind != ZTUNNEL
    main = [status_cell(proxy.of_type(name)) if shown else "-" for name in MAIN_TYPES]
    return (proxy.name, proxy.kind, proxy.word, *main, others or "-", proxy.istiod or "-", proxy.version or "-")


def wide_table(proxies: Sequence[ProxySync]) -> TextTable:
    """As the short one, with cluster, revision, istiod's version and why a state is what it is."""
    header = ("NAME", "KIND", "STATUS", *MAIN_TYPES, "OTHER", "ISTIOD", "VERSION", "REVISION", "CLUSTER", "WHY")
    return TextTable(header, [(*_row(p), p.revision or "-", p.cluster or "-", why(p) or "-") for p in proxies], 2)


def why(proxy: ProxySync) -> str:
    """The rejections and everything odd, in one line."""
    return "; ".join(reasons(proxy))


def reasons(proxy: ProxySync) -> list[str]:
    rejected = [f"{entry.name} rejected: {rejection(entry.error)}" for entry in proxy.types if entry.status == ERROR]
    late = [
        f"{entry.name} {'' if entry.age is None else f'sent {human_duration(entry.age)} ago and '}not acknowledged"
        for entry in proxy.types
        if entry.late
    ]
    untold = ["which types are in sync is not known: this form of istioctl proxy-status does not say it"]
    return [*rejected, *late, *(untold if proxy.state == CONNECTED and proxy.word == UNTOLD else ()), *proxy.notes]


def detail_lines(proxy: ProxySync) -> list[str]:
    """One proxy in full."""
    lines = [f"{proxy.name}  {proxy.kind}  {proxy.word}"]
    if proxy.istiod:
        lines.append(f"  istiod {proxy.istiod} {proxy.istiod_version}".rstrip())
    lines += [f"  {entry.name:<5} {status_cell(entry)}" for entry in proxy.types]
    return lines + [f"  {reason}" for reason in reasons(proxy)]
