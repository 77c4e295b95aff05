"""`meshdoctor mtls [NS[/WORKLOAD]]`: the mTLS in force between every two workloads, and whether they would agree."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from meshdoctor.commands.flag_values import add_language
from meshdoctor.commands.mesh_source import add_source_arguments, close_source, open_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdoctor.mesh.mtls.matrix import Matrix
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
    from meshdoctor.mesh.mtls.survey import columns_of, concerns
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
    columns = columns_of(view, only, arguments.target) if arguments.target else view.columns
    matrix = view.matrix(only, columns)
    concerned = concerns(view, matrix, only, one_service=bool(arguments.target))
    found = tuple(filter(concerned, findings(view, view.whole(only, columns))))
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
        told = [words("mtls.undecided" if view.undecided else "mtls.agree")]
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
