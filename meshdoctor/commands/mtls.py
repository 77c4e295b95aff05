"""`meshdoctor mtls [NS[/WORKLOAD]]`: the mTLS in force between every two workloads, and whether they would agree."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from meshdoctor.commands.flag_values import add_language
from meshdoctor.commands.mesh_source import add_source_arguments, close_source, open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshdoctor.mesh.mtls.matrix import Column, Matrix
    from meshdoctor.mesh.mtls.patterns import Disagreement
    from meshdoctor.mesh.mtls.view import MtlsView
    from meshdoctor.present.words import Words


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("only", metavar="NS[/WORKLOAD]", nargs="?", default="", help="show these clients only")
    parser.add_argument("--to", dest="target", default="", metavar="HOST[:PORT]", help="one service, with the why")
    add_language(parser)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to print (default: text)")
    add_source_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    from meshdoctor.mesh.index import MeshIndex
    from meshdoctor.mesh.mtls.findings import findings
    from meshdoctor.mesh.mtls.view import MtlsView, object_wants, proxy_wants
    from meshdoctor.mesh.sample import spared
    from meshdoctor.present.words import Words, choose_language

    try:
        source = open_source(arguments)
        snapshot = source.read(object_wants())
        mesh = MeshIndex(snapshot)
        wants = proxy_wants(mesh, counters=bool(arguments.target))
        if source.info.kind == "cluster":
            within = f"{arguments.namespace}/" if arguments.namespace and "/" not in arguments.only else ""
            wants = spared(mesh, wants, (within + arguments.only).rstrip("/"), arguments.target)
        snapshot = source.read(wants, snapshot)
    finally:
        close_source(arguments)
    view = MtlsView(MeshIndex(snapshot))
    only = _only(view, arguments.only, arguments.namespace)
    columns = _columns(view, arguments.target, only) if arguments.target else view.columns
    matrix = view.matrix(only, columns)
    concerns = _concerns(view, matrix, only, bool(arguments.target))
    found = tuple(entry for entry in findings(view, view.whole(only, columns)) if concerns(entry))
    if arguments.output == "json":
        sys.stdout.buffer.write(_json(view, matrix, found))
    else:
        words = Words(arguments.lang or choose_language(os.environ))
        print("\n".join(_text(view, matrix, found, only, bool(arguments.target), words)))
    return exit_status(view, found, bool(matrix.rows and matrix.columns))


def exit_status(view: MtlsView, found: Sequence[Disagreement], shown: bool = True) -> int:
    """1 when a disagreement was hit, 3 when one is declared and nothing was read that could show it, else 0.

    Where nothing was *shown* at all, nothing is known either.
    """
    if any(entry.seen for entry in found):
        return 1
    unknown = not shown or bool(view.objects.missing) or any(entry.server and entry.seen is None for entry in found)
    return 3 if unknown else 0


def _concerns(view: MtlsView, matrix: Matrix, only: str, one_service: bool) -> Callable[[Disagreement], bool]:
    """Which disagreements belong to what was asked for: to its clients (or the server itself) and its service."""
    spaces = {name.partition("/")[0] for name in matrix.rows}
    hosts = {column.host for column in matrix.columns}
    ends = {pair.endpoint.endpoint.name for cell in matrix.cells.values() for pair in cell.pairs}

    def concerns(found: Disagreement) -> bool:
        server = found.server if found.server in view.objects.peers else found.server.rpartition(":")[0]
        mine = server in view.objects.peers and view.workload(server) in matrix.rows
        if only and found.client not in matrix.rows and not mine:
            return not found.client and any(
                text.partition(" ")[2].partition("/")[0] in spaces for text in found.objects
            )
        return not one_service or found.host in hosts or found.server in ends

    return concerns


def _only(view: MtlsView, only: str, namespace: str) -> str:
    """The namespace, or the workload as `NS/WORKLOAD`, that was asked for; raises `NothingMatches`."""
    from difflib import get_close_matches

    from meshdoctor.errors import NothingMatches
    from meshdoctor.mesh.named import named, near_names, one_named

    spaces = {name.partition("/")[0] for name in view.workloads}
    if not only or only in view.workloads or (only in spaces and not namespace):
        return only
    if not named(view.index, only, namespace):
        near = tuple(get_close_matches(only, sorted(spaces), 1, 0.6)) if "/" not in only else ()
        near += near_names(view.index, only)
        raise NothingMatches(f"no workload or namespace is called {only}", near)
    return str(one_named(view.index, only, namespace).workload)


def _columns(view: MtlsView, target: str, only: str) -> tuple[Column, ...]:
    """The ports that `HOST[:PORT]` names, as a client of *only* would resolve the host; raises `NothingMatches`."""
    from meshdoctor.errors import NothingMatches
    from meshdoctor.mesh.mtls.matrix import all_columns

    asked, _, port = target.partition("/")[0].rpartition(":") if ":" in target else (target, "", "")
    columns = all_columns(view.declared)
    host = view.declared.host(asked, only.partition("/")[0])
    found = tuple(
        c for c in columns if (c.host == host or c.host.startswith(f"{asked}.")) and port in ("", str(c.port))
    )
    if not found:
        raise NothingMatches(f"no service port is called {target}", _near(asked, columns))
    return found


def _near(asked: str, columns: Sequence[Column]) -> tuple[str, ...]:
    """Ports of services that are spelt like *asked*, by the part of the host that a person writes."""
    from difflib import get_close_matches

    depth = asked.count(".") + 1
    names: dict[str, list[str]] = {}
    for column in columns:
        parts = column.host.split(".")
        shown = ".".join(parts[:2]) if ".svc." in column.host else column.host
        for key in {".".join(parts[:depth]), shown}:
            names.setdefault(key, []).append(f"{shown}:{column.port}")
    close = [asked] if asked in names else get_close_matches(asked, sorted(names), 3, 0.5)
    return tuple(dict.fromkeys(name for key in close for name in names[key]))[:3]


def _text(
    view: MtlsView, matrix: Matrix, found: Sequence[Disagreement], only: str, why: bool, words: Words
) -> list[str]:
    from meshdoctor.present.mtls import finding_lines, legend_lines, matrix_lines, server_lines, why_lines

    lines = [words("mtlstext.unread", what=words.said(line)) for line in view.missing]
    lines += matrix_lines(matrix, words)
    if why:
        for row in matrix.rows:
            for column in matrix.columns:
                lines += ["", *why_lines(view, row, column, matrix.cells[row, column], words)]
        if any("foreign" in line for line in lines):
            lines += ["", words("mtlstext.counts")]
    elif matrix.rows and matrix.columns:
        lines += ["", *legend_lines(words)]
        if only:
            lines += ["", *server_lines(view, matrix.rows, words)]
    told = finding_lines(found, words)
    if not told and matrix.rows and matrix.columns:
        told = [words("mtls.agree")]
    return [*lines, "", *told] if told else lines


def _json(view: MtlsView, matrix: Matrix, found: Sequence[Disagreement]) -> bytes:
    import msgspec

    cells = [
        {
            "client": row,
            "host": column.host,
            "port": column.port,
            "outcome": cell.outcome,
            "tls": cell.tls.tls,
            "cluster_type": cell.tls.cluster_type,
            "sni": cell.tls.sni,
            "reasons": cell.tls.reasons,
            "endpoints": [
                {
                    "endpoint": pair.endpoint.endpoint.name,
                    "sends": pair.endpoint.tls,
                    "takes": pair.server.mode if pair.server else "",
                    "outcome": pair.outcome,
                    "because": [pair.endpoint.reason, *([pair.server.reason] if pair.server else [])],
                }
                for pair in cell.pairs
            ],
        }
        for row in matrix.rows
        for column in matrix.columns
        for cell in (matrix.cells[row, column],)
    ]
    report: dict[str, Any] = {
        "schema": "meshdoctor.mtls/1",
        "source": {"kind": view.index.snapshot.info.kind, "name": view.index.snapshot.info.name},
        "servers": _servers(view),
        "cells": cells,
        "disagreements": [{**entry._asdict(), "pattern": entry.pattern.name} for entry in found],
        "not_read": view.missing,
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def _servers(view: MtlsView) -> list[dict[str, Any]]:
    found = []
    for name, peers in view.workloads.items():
        for peer in peers:
            ports = view.declared.servers.of(peer)
            held = view.configured_server(peer.key)
            for port in sorted({*ports.ports, *(number for _, number, _ in peer.ports)}):
                mode = ports.at(port)
                found.append(
                    {
                        "workload": name,
                        "pod": peer.key,
                        "port": port,
                        "declared": mode.mode,
                        "configured": held.at(port) if held else None,
                        "reason": mode.reason,
                        "ignored": [str(entry) for entry in mode.ignored],
                    }
                )
    return found
