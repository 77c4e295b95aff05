"""`meshdoctor open RECORDING`: the terminal application on a recording."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from meshdoctor.errors import RecordingError
from meshdoctor.tui.launch import launch, require_terminal, terminal_here

if TYPE_CHECKING:
    from meshdoctor.sources.source import Source
    from meshdoctor.tui.examined import ExaminedSession

SUMMARY = "open a recording in the terminal application"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recording", metavar="RECORDING", type=Path, help="a folder, .tar, .tar.gz, .tar.xz or .tar.zst"
    )
    parser.add_argument("view", nargs="?", default="", metavar="VIEW", help="the first view as a : command ('mesh')")
    parser.add_argument("--from", dest="client", default="", metavar="NS/WORKLOAD", help="who calls")
    parser.add_argument("--to", dest="target", default="", metavar="HOST[:PORT][/PATH]", help="what is called")
    parser.add_argument("--at", metavar="TIME", help="the moment of a recording with several (RFC 3339)")
    add_display_arguments(parser)


def add_display_arguments(parser: argparse.ArgumentParser) -> None:
    """How the application looks and speaks."""
    parser.add_argument("--lang", choices=("en", "ko"), default="", help="language (default: that of the locale)")
    parser.add_argument("--theme", default="", metavar="NAME", help="md-dark, md-light, md-ansi or md-mono")
    parser.add_argument("--mouse", action="store_true", help="take the mouse from the terminal")
    parser.add_argument("--debug", action="store_true", help="print the traceback of a crash")


def run(arguments: argparse.Namespace) -> int:
    session = recording_session(arguments.recording, arguments.client, arguments.target, arguments.at)
    require_terminal(os.environ, terminal_here())
    return show(session, arguments, arguments.view)


def recording_session(
    path: Path, client: str = "", target: str = "", at: str | None = None, title: str = "", kind: str = "recording"
) -> ExaminedSession:
    """A session on the recording at *path*, which is opened when the first view asks.

    Raises:
        RecordingError: there is no such file, said before the terminal is taken.
    """
    from meshdoctor.tui.examined import ExaminedSession

    if not path.exists():
        raise RecordingError(f"{path}: no such file or folder", "name a recording, or `meshdoctor demo` for practice")

    def open_source() -> Source:
        from meshdoctor.sources.recording import RecordingSource

        return RecordingSource.open(path, at)

    return ExaminedSession(title or path.name, open_source, client=client, target=target, kind=kind)


def show(session: ExaminedSession, arguments: argparse.Namespace, view: str = "") -> int:
    """Run the application on *session*; the reason why the source could not be used is raised afterwards."""
    if arguments.lang:
        os.environ["MESHDOCTOR_LANG"] = arguments.lang
    status = launch(session, start=view, theme=arguments.theme, mouse=arguments.mouse, debug=arguments.debug)
    if session.failure is not None:
        raise session.failure
    return status
