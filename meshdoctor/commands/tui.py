"""`meshdoctor open [RECORDING …]`: the terminal application on a cluster or on recordings."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshdoctor.commands.flag_values import add_language
from meshdoctor.commands.mesh_source import add_source_arguments
from meshdoctor.errors import RecordingError, UsageError
from meshdoctor.tui.launch import launch, redirected, require_terminal

if TYPE_CHECKING:
    from meshdoctor.commands.background_record import BackgroundRecording
    from meshdoctor.sources.source import Source
    from meshdoctor.tui.examined import ExaminedSession

SUMMARY = "open a cluster or a recording in the terminal application"


LOG_LINES = 400_000
"""The lines of all logs that are read at once to find what fails: some 200 MB."""


def configure(parser: argparse.ArgumentParser) -> None:
    add_source_arguments(parser, positional=True)
    parser.add_argument("--view", default="", metavar="VIEW", help="the first view as a : command ('mesh')")
    parser.add_argument("--from", dest="client", default="", metavar="NS/WORKLOAD", help="who calls")
    parser.add_argument("--to", dest="target", default="", metavar="HOST[:PORT][/PATH]", help="what is called")
    parser.add_argument(
        "--refresh", default="", metavar="TIME", help="read what is in sight again every so often (default: 10s)"
    )
    add_display_arguments(parser)


def add_display_arguments(parser: argparse.ArgumentParser) -> None:
    """How the application looks and speaks."""
    add_language(parser)
    parser.add_argument("--theme", default="", metavar="NAME", help="md-dark, md-light, md-ansi or md-mono")
    parser.add_argument("--mouse", action="store_true", help="take the mouse from the terminal")
    parser.add_argument("--debug", action="store_true", help="print the traceback of a crash")


def run(arguments: argparse.Namespace) -> int:
    paths, view = _paths_and_view(arguments.recording, arguments.view)
    if paths:
        session = recording_session(paths, arguments.client, arguments.target, arguments.at)
        require_terminal(os.environ, redirected())
        return show(session, arguments, view)
    if arguments.at:
        raise UsageError("--at needs a recording", "a cluster has only its present")
    return _show_cluster(arguments, view)


def _paths_and_view(given: Sequence[Path], view: str) -> tuple[list[Path], str]:
    """The files, and the view where the last word after them names one and no file is called so."""
    from meshdoctor.tui.router import UnknownCommand, find_route

    paths = list(given)
    if len(paths) > 1 and not view and not paths[-1].exists():
        try:
            find_route(str(given[-1]).partition(" ")[0])
        except UnknownCommand:
            return paths, view
        return paths[:-1], str(given[-1])
    return paths, view


def recording_session(
    paths: Path | Sequence[Path],
    client: str = "",
    target: str = "",
    at: str | None = None,
    title: str = "",
    kind: str = "recording",
) -> ExaminedSession:
    """A session on the recording at *paths*, which is opened when the first view asks.

    Raises:
        RecordingError: there is no such file, said before the terminal is taken.
    """
    from meshdoctor.tui.examined import ExaminedSession

    files = [paths] if isinstance(paths, Path) else list(paths)
    for path in files:
        if not path.exists():
            raise RecordingError(
                f"{path}: no such file or folder", "name a recording, or `meshdoctor demo` for practice"
            )

    def open_source() -> Source:
        from meshdoctor.sources.recording import RecordingSource

        return RecordingSource.open_all(files, at)

    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return ExaminedSession(title or f"{files[0].name}{more}", open_source, client=client, target=target, kind=kind)


def _show_cluster(arguments: argparse.Namespace, view: str) -> int:
    """The application on the cluster that kubectl would use; what is wrong with it is shown there."""
    import msgspec

    from meshdoctor.commands.cluster_flags import cluster_flags, cluster_settings, cluster_target
    from meshdoctor.kube.target import resolve_target
    from meshdoctor.model.moment import duration

    settings = cluster_settings(arguments)
    if arguments.refresh:
        seconds = duration(arguments.refresh)
        if not seconds:
            raise UsageError(f"--refresh {arguments.refresh!r} is no time", "write it as 10s or 1m")
        settings = msgspec.structs.replace(settings, refresh=max(1.0, seconds))
    first = cluster_target(arguments)  # the kubeconfig is judged first, before the terminal and all that is heavy
    require_terminal(os.environ, redirected())

    from meshdoctor.sources.live import LiveSource
    from meshdoctor.tui.kubeconfigwatch import Kubeconfig
    from meshdoctor.tui.livesession import LiveSession

    flags = cluster_flags(arguments)

    def connect(context: str, **options: Any) -> LiveSource:
        target = resolve_target(msgspec.structs.replace(flags, context=context), os.environ) if context else first
        namespaces = (arguments.namespace,) if arguments.namespace else ()
        return LiveSource(target, settings, namespaces=namespaces, allow_exec=arguments.allow_exec, **options)

    def record(context: str) -> BackgroundRecording:
        from meshdoctor.commands.background_record import BackgroundRecording

        return BackgroundRecording(lambda capture: connect(context, capture=capture), Path.cwd())

    kubeconfig = Kubeconfig(flags, os.environ)
    session = LiveSession(
        partial(connect, log_lines=LOG_LINES), kubeconfig, record, client=arguments.client, target=arguments.target
    )
    try:
        session.prepare()
        return show(session, arguments, view)
    finally:
        session.close()


def show(session: ExaminedSession, arguments: argparse.Namespace, view: str = "") -> int:
    """Run the application on *session*; the reason why the source could not be used is raised afterwards."""
    if arguments.lang:
        os.environ["MESHDOCTOR_LANG"] = arguments.lang
    status = launch(session, start=view, theme=arguments.theme, mouse=arguments.mouse, debug=arguments.debug)
    if session.failure is not None:
        raise session.failure
    return status
