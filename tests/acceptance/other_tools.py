"""Scores what is found in the files of other tools: the cause where they hold it, and no guess where they do not.

For each set of files a point for the first cause (or for none above 0.6 where there is none to be found), for its
object and for failing traffic; for the answers of one proxy alone, that the empty cluster is named with what is missing
to say more; for `istioctl proxy-status` in each form, that every proxy of it is known.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from meshdoctor.model import wants as ask
from meshdoctor.sources.recording import RecordingSource
from tests.acceptance.command import run
from tests.acceptance.scoring import Score

CAUSE, RESOURCE = "no-endpoints", ("Service", "shop", "cart")
CLUSTER = "outbound|80||cart.shop.svc.cluster.local"
_LOG = "web.istio-proxy.log.xz"
FOUND: tuple[tuple[str, ...], ...] = (
    ("bug-report-incident.tar.gz",),
    ("kubectl-get.yaml.xz", _LOG),
    ("kubectl-get.json.xz", _LOG),
    ("kubectl-get.json.xz", _LOG, "web.config_dump.xz", "web.clusters.xz", "proxy-status.json"),
)
PROXY_ALONE: tuple[tuple[str, ...], ...] = (
    ("web.config_dump_include_eds.xz", "web.clusters.xz"),
    ("web.config_dump.xz", "web.clusters.xz"),
    ("web.config_dump.xz", "web.clusters_format_json.xz"),
    ("web.config_dump_include_eds.xz",),
    tuple(
        f"web.{name}.xz"
        for name in ("config_dump", "clusters", "stats", "stats_format_json", "listeners", "certs", "server_info")
    ),
)
PROXY_STATUS = ("proxy-status.txt", "proxy-status.json", "proxy-status.yaml.xz")


def score(corpus: Path) -> Score:
    total = 0
    misses: list[str] = []

    def count(right: bool, miss: str) -> None:
        nonlocal total
        total += 1
        if not right:
            misses.append(miss)

    for names in FOUND:
        status, found = _diagnosis(corpus, names)
        nothing: dict[str, Any] = {"cause": "", "confidence": 0, "resources": []}
        first = found["verdicts"][0] if found["verdicts"] else nothing
        count(first["cause"] == CAUSE and first["confidence"] > 0.6, f"{names}: first is {first['cause'] or 'nothing'}")
        count(RESOURCE in _named(first), f"{names}: {first['resources']}")
        count(found["now"] == "failing" and status == 1, f"{names}: now is {found['now']}, exit {status}")
        count(not [v for v in found["verdicts"][1:] if v["confidence"] > 0.6], f"{names}: more than one verdict")
    for names in PROXY_ALONE:
        status, found = _diagnosis(corpus, names)
        told = [entry["why"] for entry in found["not_checked"] if CLUSTER in entry["why"]]
        count(any("no endpoint" in why and "Service shop/cart" in why for why in told), f"{names}: {told}")
        count(not found["verdicts"] and status == 3, f"{names}: {len(found['verdicts'])} verdicts, exit {status}")
    for name in PROXY_STATUS:
        source = RecordingSource.open(corpus / name)
        inventory = source.read([ask.Contents()]).value(ask.Contents()) or ask.Inventory()
        known = {
            f"{record.pod}.{record.namespace}"
            for istiod in inventory.istiods
            for record in source.read([ask.SyncStatus(istiod)]).value(ask.SyncStatus(istiod)) or ()
        }
        table = (corpus / "proxy-status.txt").read_text("utf-8").splitlines()[1:]
        count(known == {line.split()[0] for line in table}, f"{name}: knows {len(known)} of {len(table)} proxies")
    return Score("other_tools", total - len(misses), total, misses)


def _diagnosis(corpus: Path, names: tuple[str, ...]) -> tuple[int, dict[str, Any]]:
    ran = run(["diagnose", *(str(corpus / name) for name in names), "--output", "json"])
    return ran.exit, json.loads(ran.stdout)


def _named(verdict: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(found["kind"], found["namespace"], found["name"]) for found in verdict["resources"]}
