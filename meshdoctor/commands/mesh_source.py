"""Where a command reads from: a recording or a cluster; the pods that it knows."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from meshdoctor.errors import MeshDoctorError, SourceError, UsageError

if TYPE_CHECKING:
    from meshdoctor.mesh.proxy.target import Places
    from meshdoctor.model.kubernetes import Object
    from meshdoctor.model.snapshot import PodRef, Snapshot, Want
    from meshdoctor.sources.source import Source

    O = TypeVar("O", bound=Object)  # noqa: E741
T = TypeVar("T")


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """`--recording` with `--at`, and `-n`."""
    parser.add_argument("--recording", type=Path, metavar="PATH", help="read this recording instead of a cluster")
    parser.add_argument("--at", metavar="TIME", help="the moment of a recording with several (RFC 3339)")
    parser.add_argument("-n", "--namespace", default="", metavar="NS", help="the namespace of a name without one")


def open_source(arguments: argparse.Namespace) -> Source:
    """The source that the flags name; raises `UsageError` when they name none."""
    if arguments.recording is None:
        raise UsageError(
            "no source is named", "add --recording PATH, or --file FILE with what Envoy's admin port answered"
        )
    from meshdoctor.sources.recording import RecordingSource

    return RecordingSource.open(arguments.recording, arguments.at)


def fact(source: Source, want: Want[T]) -> T:
    """One answer; raises `SourceError` with the reason when it is missing."""
    from meshdoctor.model.snapshot import Missing

    found = source.read([want]).get(want)
    if isinstance(found, Missing):
        raise SourceError(f"{found.file or 'the source'}: {found}")
    return found.value


def places(source: Source) -> Places:
    """What a target's name is looked up in."""
    from meshdoctor.mesh.proxy.target import Places, workload_kinds
    from meshdoctor.model import wants as ask
    from meshdoctor.model.kubernetes import Pod, Service, Workload

    kinds = ("Pod", "Service", *workload_kinds())
    snapshot = source.read([ask.Contents(), *(ask.Objects(kind) for kind in kinds)])
    inventory = snapshot.value(ask.Contents()) or ask.Inventory()
    return Places(
        pods=objects(snapshot, "Pod", Pod),
        recorded=(*inventory.proxies, *inventory.ztunnels),
        workloads={kind: objects(snapshot, kind, Workload) for kind in workload_kinds()},
        services=objects(snapshot, "Service", Service),
    )


def objects(snapshot: Snapshot, kind: str, struct: type[O]) -> tuple[O, ...]:
    """The objects of a kind; empty when they could not be read."""
    from meshdoctor.model import wants as ask

    return cast("tuple[O, ...]", snapshot.value(ask.Objects(kind)) or ())


def pod(source: Source, target: str, namespace: str) -> PodRef:
    """The pod that *target* names; raises `NothingMatches`."""
    from meshdoctor.mesh.proxy.target import find_pod

    return find_pod(target, places(source), namespace)


def istioctl_error(error: MeshDoctorError) -> str:
    """The one line that istioctl prints for an error."""
    from meshdoctor.model.text import visible

    return f"Error: {visible(error.what)}\n"
