"""Scores the request trace on random requests that a real Envoy took (corpus `routes`; its README says how to compare).

A point a request for everything that was chosen (listener, filter chain, layer, virtual host, route, cluster and
endpoint), and a point for the answer (code, flags, details, location) of each request that Envoy answered by itself.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meshdoctor.mesh.trace.proxy import Proxy
from meshdoctor.mesh.trace.request import ClientHello, Request
from meshdoctor.mesh.trace.walk import End, Walk, walk
from meshdoctor.model.envoy.config_dump import decode_config_dump
from tests.acceptance.scoring import Score

# Refused before routing: a virtual host, route or cluster printed beside these has no meaning.
_EARLY = ("missing_host_header", "path_normalization_failed", "absolute_path_rejected", "low_version", "http")
# Connection failures of the lab (an address that nothing listens on), not a choice of Envoy.
_LAB = "upstream_reset"


def score(corpus: Path) -> Score:
    """Count as the corpus' README says."""
    right = total = 0
    misses: list[str] = []
    for file, line in _lines(corpus):
        case = json.loads(line)
        proxy = Proxy(decode_config_dump(json.dumps(case["config_dump"]).encode()))
        for entry in case["requests"]:
            found = walk(proxy, request_of(entry))
            for wrong in (wrong_choice(entry, found), wrong_answer(entry, found)):
                if wrong is None:
                    continue
                total += 1
                right += not wrong
                if wrong:
                    misses.append(f"{file.name} {case['id']} request {entry['n']}: {wrong}")
    return Score("routes", right, total, misses)


def _lines(corpus: Path) -> Iterator[tuple[Path, str]]:
    for file in sorted(corpus.glob("*.jsonl.xz")):
        with lzma.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield file, line


def request_of(entry: dict[str, Any]) -> Request:
    """One line of the corpus' `requests` as the trace's question."""
    ip, _, port = entry["dst"].rpartition(":")
    tls = entry.get("tls")
    hello = ClientHello(tls["sni"] or "", tuple(tls.get("alpn") or ()), bool(tls.get("cert"))) if tls else None
    return Request(
        direction=entry["dir"],
        ip=ip.strip("[]"),
        port=int(port),
        source_ip=entry["src"],
        tls=hello,
        version=entry.get("version", "1.1"),
        method=entry.get("method", "GET"),
        authority=entry.get("host"),
        path=entry.get("path", "/"),
        headers=tuple((name, value) for name, value in entry.get("headers", ())),
        payload=bytes.fromhex(entry["raw"]) if "raw" in entry else None,
    )


def wrong_choice(entry: dict[str, Any], found: Walk) -> str:
    """What was chosen otherwise than Envoy did; "" when nothing was."""
    got = entry["got"]
    listener = found.listener.body.name if found.listener else None
    chain = None if found.chain is None else "default" if found.chain.index is None else found.chain.index
    host = found.host.body.name if found.host else None
    if got.get("listener") != listener:
        return f"listener {listener}, not {got.get('listener')}"
    if got.get("filter_chain") != chain:
        return f"filter chain {chain}, not {got.get('filter_chain')}"
    ends = [end for end in found.ends if end.outcome.layer == got["layer"]]
    if not ends:
        return f"layer {found.main.outcome.layer}, not {got['layer']}"
    if got["layer"] == "none" or "raw" in entry or got.get("details", "").startswith(_EARLY):
        return ""
    if got["layer"] == "http" and got.get("vhost") != host:
        return f"virtual host {host}, not {got.get('vhost')}"
    ends = [end for end in ends if end.route == got.get("route")]
    if not ends:
        return f"route {found.route}, not {got.get('route')}"
    return _wrong_upstream(entry, ends)


def _wrong_upstream(entry: dict[str, Any], ends: list[End]) -> str:
    got = entry["got"]
    if "cluster" not in got:
        return ""
    ends = [end for end in ends if end.cluster == got["cluster"]]
    if not ends:
        return f"another cluster than {got['cluster']}"
    if "upstream_host" not in got:
        return ""
    hosts: set[str] = set()
    for end in ends:
        if end.endpoints is not None and end.endpoints.kind == "original":
            hosts.add(entry["dst"])
        elif end.endpoints is not None:
            hosts.update(host.address for host in end.endpoints.usable)
    return "" if got["upstream_host"] in hosts else f"endpoint {got['upstream_host']} is not among {sorted(hosts)}"


def wrong_answer(entry: dict[str, Any], found: Walk) -> str | None:
    """The answer if it is not Envoy's, "" if it is; None for a request that Envoy did not answer by itself."""
    got = entry["got"]
    details = got.get("details", "")
    if details.startswith(_LAB) or got.get("flags") == "UF,URX" or (got["layer"] == "none" and not details):
        return None
    if details == "via_upstream":
        return None
    truth = (got.get("code"), got.get("flags", ""), details, got.get("location", ""))
    mine = {
        (end.outcome.code, end.outcome.flags, end.outcome.details, end.outcome.location)
        for end in found.ends
        if end.route == got.get("route") or details.startswith(_EARLY)
    }
    return "" if truth in mine else f"answers {sorted(map(str, mine))}, not {truth}"
