"""Where a command reads from: a recording or a cluster; the pods that it knows."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from meshdoctor.errors import MeshDoctorError, SourceError

if TYPE_CHECKING:
    from meshdoctor.mesh.index import MeshIndex
    from meshdoctor.mesh.proxy.target import Places
    from meshdoctor.model.meta import Object
    from meshdoctor.model.snapshot import PodRef, Snapshot, Want
    from meshdoctor.sources.source import Source

    O = TypeVar("O", bound=Object)  # noqa: E741
T = TypeVar("T")


def add_source_arguments(parser: argparse.ArgumentParser, *, positional: bool = False) -> None:
    """What is read: recordings (by `--recording`, or as *positional* arguments) with `--at`, else kubectl's cluster."""
    from meshdoctor.commands.cluster_flags import add_cluster_flags

    files = "a recording, a bundle, or files of kubectl, istioctl (bug-report, too) and Envoy's admin port"
    if positional:
        parser.add_argument(
            "recording", type=Path, metavar="RECORDING", nargs="*", help=f"{files}; none: the cluster of the kubeconfig"
        )
    else:
        parser.add_argument(
            "--recording", type=Path, action="append", metavar="PATH", help=f"read {files}, instead of a cluster"
        )
    parser.set_defaults(
        instead="or give a RECORDING; `meshdoctor demo` has some"
        if positional
        else "or read a recording with --recording PATH"
    )
    parser.add_argument("--at", metavar="TIME", help="the moment of a recording with several (RFC 3339)")
    parser.add_argument("-n", "--namespace", default="", metavar="NS", help="the namespace of a name without one")
    add_cluster_flags(parser, namespace=False)


def open_source(arguments: argparse.Namespace) -> Source:
    """The recordings that the flags name, else the cluster; `close_source` ends it. Raises `SourceError`.

    Raises `UsageError` when a recording stands where a name is expected.
    """
    from meshdoctor.commands.misplaced import refuse_recordings

    refuse_recordings(arguments)
    if not arguments.recording:
        from meshdoctor.commands.cluster_flags import open_live_source

        arguments.opened = open_live_source(arguments)
        return cast("Source", arguments.opened)
    from meshdoctor.sources.recording import RecordingSource

    return RecordingSource.open_all(arguments.recording, arguments.at)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection: a command's many small objects are made, shown and gone with the process."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def tell_problems(source: Source) -> None:
    """What of the given files could not be used, a line each on standard error."""
    from meshdoctor.model.text import visible_line

    for problem in source.info.problems:
        sys.stderr.write(f"meshdoctor: {visible_line(problem)}\n")


def close_source(arguments: argparse.Namespace) -> None:
    """Close the connections of a cluster that was opened."""
    opened = getattr(arguments, "opened", None)
    if opened is not None:
        opened.close()


def fact(source: Source, want: Want[T]) -> T:
    """One answer; raises `SourceError` with the reason when it is missing."""
    from meshdoctor.model.snapshot import Missing

    found = source.read([want]).get(want)
    if isinstance(found, Missing):
        raise SourceError(f"{found.file or 'the source'}: {found}")
    return found.value


def places(source: Source, target: str) -> Places:
    """What *target* is looked up in: other objects than pods only where it names a type.

    Raises SourceError when a cluster did not let its pods be read: then nothing can be found, or said to be missing.
    """
    from meshdoctor.mesh.proxy.target import Places, workload_kinds
    from meshdoctor.model import wants as ask
    from meshdoctor.model.kubernetes import Pod, Service, Workload
    from meshdoctor.model.snapshot import Missing

    kinds = ("Pod", "Service", *workload_kinds()) if "/" in target else ("Pod",)
    snapshot = source.read([ask.Contents(), *(ask.Objects(kind) for kind in kinds)])
    inventory = snapshot.value(ask.Contents()) or ask.Inventory()
    listed = snapshot.get(ask.Objects("Pod"))
    if isinstance(listed, Missing) and listed.reason != "not recorded" and not inventory.proxies:
        raise SourceError(f"the pods could not be read: {listed}")
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


def pod(source: Source, target: str, namespace: str, *, exact: bool = False) -> PodRef:
    """The pod that *target* names, of a workload its first one; *exact*: as istioctl reads names. Raises
    `NothingMatches`.
    """
    from meshdoctor.errors import NothingMatches
    from meshdoctor.mesh.named import named, near_names, one_named
    from meshdoctor.mesh.proxy.target import find_pod
    from meshdoctor.model.text import visible_line

    try:
        return find_pod(target, places(source, target), namespace)
    except NothingMatches as literal:
        if exact or literal.nearest:
            raise
        unknown = literal.what
    mesh = named_mesh(source)
    if not named(mesh, target, namespace):
        raise NothingMatches(unknown, near_names(mesh, target))
    pods = one_named(mesh, target, namespace).pods
    if len(pods) > 1:
        others = ", ".join(f"{ref.name}.{ref.namespace}" for ref in pods[1:4]) + (", ..." if len(pods) > 4 else "")
        sys.stderr.write(visible_line(f"meshdoctor: showing {pods[0].name}.{pods[0].namespace}; also: {others}") + "\n")
    return pods[0]


def named_mesh(source: Source, snapshot: Snapshot | None = None) -> MeshIndex:
    """What names of workloads and pods are looked up in."""
    from meshdoctor.mesh.index import MeshIndex
    from meshdoctor.model import wants as ask

    wants: list[Want[Any]] = [ask.Contents(), *(ask.Objects(kind) for kind in ("Pod", "ReplicaSet", "Service"))]
    return MeshIndex(source.read(wants, snapshot))


def as_istioctl(arguments: argparse.Namespace, show: Callable[[argparse.Namespace], int]) -> int:
    """Run *show* and close what it opened; with `-o istioctl` an error is printed as istioctl does, with status 1."""
    try:
        return show(arguments)
    except MeshDoctorError as error:
        if arguments.output != "istioctl":
            raise
        from meshdoctor.model.text import visible

        sys.stderr.write(f"Error: {visible(error.what)}\n")
        return 1
    finally:
        close_source(arguments)
