"""`meshdoctor proxy-status`: is every proxy in sync, does every proxy have an istiod at all."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from meshdoctor.commands.flag_values import moment
from meshdoctor.commands.mesh_source import (
    add_source_arguments,
    as_istioctl,
    open_source,
    tell_problems,
    uncollected,
)
from meshdoctor.commands.misplaced import refuse_recorded_file
from meshdoctor.errors import SourceError, UsageError

if TYPE_CHECKING:
    from meshdoctor.mesh.index import MeshIndex
    from meshdoctor.mesh.sync import IstiodFacts, ProxySync
    from meshdoctor.sources.source import Source

_EPILOG = """\
short shows every sidecar, gateway, waypoint and ztunnel of the cluster, also those
that no istiod knows; wide adds revision, cluster and why; istioctl prints what
istioctl prints, json and yaml too (its answers of xDS). With a POD it shows what
this proxy does not run of what it should, resource by resource: of a sidecar,
against what its istiod would send now (istiod is asked, or the recording's
istiod/ISTIOD/config_dump/NAMESPACE/POD.json); of every proxy what Envoy refused
or waits for, when it is not in sync its endpoints against the EndpointSlices,
and what cannot be told. Two dumps (--file Envoy's, --istiod-file istiod's) are
compared as istioctl does.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{_EPILOG}\n{parser.epilog or ''}"
    add_source_arguments(parser)
    parser.add_argument("target", nargs="?", default="", metavar="POD", help="[type/]name[.namespace]")
    parser.add_argument(
        "-o", "--output", default="short", metavar="FORMAT", help="short, wide, json, yaml or istioctl (default: short)"
    )
    parser.add_argument(
        "-f",
        "--file",
        default="",
        metavar="FILE",
        help="what istioctl proxy-status -o json printed; with --istiod-file Envoy's /config_dump",
    )
    parser.add_argument("--istiod-file", default="", metavar="FILE", help="istiod's /debug/config_dump?proxyID=POD")
    parser.add_argument("-r", "--revision", default="", help="the istiods of this revision only")
    parser.add_argument("-v", "--verbosity", type=int, default=0, help="1: istioctl's columns per type")
    parser.add_argument("--now", type=moment, help="count ages from this time (RFC 3339 or Unix seconds)")


def run(arguments: argparse.Namespace) -> int:
    with uncollected():
        return as_istioctl(arguments, _show)


def _show(arguments: argparse.Namespace) -> int:
    if arguments.output not in ("short", "wide", "json", "yaml", "istioctl", "table"):
        raise UsageError(f'output format "{arguments.output}" not supported', "short, wide, json, yaml or istioctl")
    if arguments.istiod_file:
        return _differences(arguments)
    if arguments.file:
        refuse_recorded_file(arguments.file)
        return _from_file(arguments)
    from meshdoctor.mesh.proxies import istiods as all_istiods
    from meshdoctor.mesh.proxies import proxies as all_proxies
    from meshdoctor.mesh.sync import connected_proxies

    source = open_source(arguments)
    tell_problems(source)
    mesh = read_mesh(source)
    istiods = [facts for facts in all_istiods(mesh) if arguments.revision in ("", facts.revision)]
    now = source.info.finished_at or time.time() if arguments.now is None else arguments.now
    if arguments.output in ("json", "yaml"):
        from meshdoctor.mesh.discovery import discovery_response

        _check_istiods(istiods)
        _write_documents([discovery_response(facts, now, arguments.namespace) for facts in istiods], arguments)
        return 0
    if arguments.output in ("istioctl", "table") and not arguments.target:
        _check_istiods(istiods)
        _write(_of_namespace(connected_proxies(istiods, now), arguments.namespace), istiods, arguments)
        return 0
    proxies = all_proxies(mesh, now, istiods)
    if arguments.target:
        return _one(source, mesh, proxies, arguments)
    _tell_unread(mesh, istiods, proxies)
    _write(_of_namespace(proxies, arguments.namespace), istiods, arguments)
    return 0


def _tell_unread(mesh: MeshIndex, istiods: list[IstiodFacts], proxies: tuple[ProxySync, ...]) -> None:
    """Why the table says less than it could, a line each on standard error; raises `SourceError` when it is empty."""
    from meshdoctor.model import wants as ask
    from meshdoctor.model.snapshot import Missing
    from meshdoctor.model.text import visible_line

    pods = mesh.snapshot.get(ask.Objects("Pod"))
    if isinstance(pods, Missing):
        if not proxies and pods.reason != "not recorded":
            raise SourceError(f"the pods could not be read: {pods}")
        sys.stderr.write(
            f"meshdoctor: the pods could not be read ({visible_line(str(pods))}):"
            " a proxy that nothing else names is not shown\n"
        )
    for istiod in istiods:
        if istiod.records is None and istiod.why:
            sys.stderr.write(
                f"meshdoctor: {visible_line(f'{istiod.name} did not say which proxies it has: {istiod.why}')}\n"
            )


def _check_istiods(istiods: list[IstiodFacts]) -> None:
    if not istiods:
        raise SourceError('no running Istio pods in "istio-system"')


def _of_namespace(proxies: tuple[ProxySync, ...], namespace: str) -> tuple[ProxySync, ...]:
    return tuple(proxy for proxy in proxies if namespace in ("", proxy.pod.namespace))


def _write(proxies: tuple[ProxySync, ...], istiods: Sequence[IstiodFacts], arguments: argparse.Namespace) -> None:
    """The table; istioctl, since it counts subscribed types (1.27), prints an empty one without a word."""
    from meshdoctor.present import sync_tables
    from meshdoctor.present.tabwriter import render

    as_istioctl = arguments.output in ("istioctl", "table")
    if as_istioctl:
        table = sync_tables.istioctl_verbose_table if arguments.verbosity else sync_tables.istioctl_table
    else:
        table = sync_tables.wide_table if arguments.output == "wide" else sync_tables.short_table
    sys.stdout.write(render(table(proxies)))
    if not proxies and not as_istioctl:
        answered = sum(istiod.records is not None for istiod in istiods)
        sys.stderr.write(f"meshdoctor: no proxies found (checked {answered} istiods)\n")


def _write_documents(documents: list[dict[str, object]], arguments: argparse.Namespace) -> None:
    """A document per istiod, as istioctl prints them; YAML ones with a separator, so that they can be read."""
    from meshdoctor.commands.proxy_output import write_data

    for number, document in enumerate(documents):
        if number and arguments.output == "yaml":
            sys.stdout.write("---\n")
        write_data(document, arguments.output)


def _from_file(arguments: argparse.Namespace) -> int:
    """The table of what `istioctl proxy-status -o json` wrote: no pods are known, only who is connected."""
    from meshdoctor.commands.proxy_dump import FileDump
    from meshdoctor.mesh.discovery import in_namespace, istiod_facts
    from meshdoctor.mesh.revisions import Revisions
    from meshdoctor.mesh.sync import connected_proxies, sync_status
    from meshdoctor.model.decode import UnreadableError
    from meshdoctor.model.discovery import read_responses

    dump = FileDump(arguments.file)
    try:
        responses = read_responses(bytes(dump.body("proxy-status.json")).decode(errors="replace"))
    except UnreadableError as error:
        raise SourceError(f"{dump.name}: {error}") from None
    responses = [in_namespace(response, arguments.namespace) for response in responses]
    if arguments.output in ("json", "yaml"):
        _write_documents(responses, arguments)
        return 0
    istiods = [istiod_facts(response) for response in responses]
    now = time.time() if arguments.now is None else arguments.now
    as_istioctl = arguments.output in ("istioctl", "table")
    known = Revisions(pods_known=False)
    _write(connected_proxies(istiods, now) if as_istioctl else sync_status(istiods, (), known, now), istiods, arguments)
    return 0


def read_mesh(source: Source) -> MeshIndex:
    """What the source knows of its istiods and proxies."""
    from meshdoctor.mesh.index import MeshIndex
    from meshdoctor.mesh.proxies import PROXY_OBJECTS, istiod_wants

    mesh = MeshIndex(source.read(PROXY_OBJECTS))
    mesh.extend(source.read(istiod_wants(mesh.inventory), mesh.snapshot))
    return mesh


def _one(source: Source, mesh: MeshIndex, proxies: tuple[ProxySync, ...], arguments: argparse.Namespace) -> int:
    """One proxy in full, with what it does not run of what it should."""
    from meshdoctor.commands.mesh_source import pod
    from meshdoctor.commands.proxy_undelivered import lines
    from meshdoctor.errors import NothingMatches
    from meshdoctor.model.text import visible_line

    exact = arguments.output in ("istioctl", "table")
    ref = pod(source, arguments.target, arguments.namespace, exact=exact)
    chosen = next((proxy for proxy in proxies if proxy.pod == ref), None)
    if chosen is None:
        raise NothingMatches(f"{ref.name}.{ref.namespace} has no proxy", ())
    for line in lines(source, mesh, chosen):
        sys.stdout.write(f"{visible_line(line)}\n")
    return 0


def _differences(arguments: argparse.Namespace) -> int:
    """What differs between two dumps, as `istioctl proxy-status POD` prints it."""
    from meshdoctor.commands.proxy_dump import FileDump
    from meshdoctor.mesh.proxy.difference import difference_lines
    from meshdoctor.model.decode import UnreadableError
    from meshdoctor.model.text import visible

    if not arguments.file:
        raise UsageError("--istiod-file needs --file", "give Envoy's config dump with --file")
    try:
        lines = difference_lines(FileDump(arguments.istiod_file).sections, FileDump(arguments.file).sections)
        sys.stdout.write("".join(f"{visible(line)}\n" for line in lines))
    except UnreadableError as error:
        raise SourceError(str(error)) from None
    return 0
