"""The command line: argparse only, so that `--help` imports nothing heavy; a command is imported when it is chosen."""

from __future__ import annotations

import argparse
import os.path
import sys
from importlib import import_module
from typing import NamedTuple

from meshdoctor import __version__
from meshdoctor.errors import MeshDoctorError


class Command(NamedTuple):
    """A sub-command: its module (with `configure(parser)` and `run(arguments) -> exit status`) and its one-line
    help.
    """

    module: str
    summary: str
    alias: str = ""
    """A shorter name, as istioctl has it."""


COMMANDS: dict[str, Command] = {
    "diagnose": Command("meshdoctor.commands.diagnose", "name the culprit of failing requests, with evidence"),
    "explain": Command("meshdoctor.commands.explain", "say what a response flag, detail or access-log line means"),
    "proxy-status": Command(
        "meshdoctor.commands.proxy_status", "show whether the proxies are in sync with istiod", "ps"
    ),
    "proxy-config": Command("meshdoctor.commands.proxy_config", "show what a proxy is configured to do", "pc"),
    "ztunnel-config": Command("meshdoctor.commands.ztunnel_config", "show what a node's ztunnel knows", "zc"),
    "mtls": Command("meshdoctor.commands.mtls", "show the mTLS in force between workloads, and where it fails"),
    "trace": Command("meshdoctor.commands.trace", "follow one request hop by hop, and say where it fails"),
    "waypoint": Command("meshdoctor.commands.waypoint", "list the waypoints, show whether they are programmed"),
    "check-access": Command("meshdoctor.commands.check_access", "show which rights you have, and the role for more"),
    "record": Command("meshdoctor.commands.record", "keep what the mesh looks like in one redacted file"),
    "bundle": Command("meshdoctor.commands.bundle", "inspect, verify, repair or redact a recorded bundle"),
    "compare": Command("meshdoctor.commands.compare", "say what changed between two moments of a recording"),
    "open": Command("meshdoctor.commands.tui", "open a cluster or a recording in the terminal application"),
    "demo": Command("meshdoctor.commands.demo", "practise on a recorded incident of a real mesh"),
}

TABLED = ("proxy-config", "ztunnel-config")
"""Commands whose next word is a table."""
TABLED_FLAGS = ("-o", "--output", "--recording", "--proxy-admin-port")
"""Their flags with a value that may stand before it."""

ALIASES = {command.alias: name for name, command in COMMANDS.items() if command.alias}

EXIT_STATUSES = """\
exit status: 0 nothing is wrong now
             1 an active culprit was found
             2 the command was wrong or the source could not be read
             3 nothing conclusive
"""


def build_parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """The parser; only the *chosen* sub-command's module is imported to add its arguments."""
    parser = argparse.ArgumentParser(
        prog=_program(sys.argv[0]),
        description="Why does this Istio mesh fail requests? Names the culprit, with evidence and what to change.\n"
        "Without a command, the cluster of the kubeconfig (or a RECORDING) is opened in the terminal.",
        epilog=EXIT_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"meshdoctor {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=f"{command.summary} ({command.alias})" if command.alias else command.summary,
            description=command.summary[0].upper() + command.summary[1:] + ".",
            epilog=EXIT_STATUSES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == chosen:
            import_module(command.module).configure(sub)
    return parser


def _program(path: str) -> str:
    """How this was called: as kubectl's plugin, or by its own name."""
    return "kubectl meshdoctor" if os.path.basename(path).startswith(("kubectl-", "kubectl_")) else "meshdoctor"


def _with_command(arguments: list[str]) -> list[str]:
    """*arguments* with a command's whole name for its alias, and `open` before them where none is named."""
    if not arguments:
        return ["open"]
    first = arguments[0]
    if first.startswith("-"):
        from meshdoctor.commands.cluster_flags import first_word

        place = first_word(arguments)  # kubectl's flags may stand before the command
        if place and arguments[place] in (*COMMANDS, *ALIASES):
            arguments = [arguments[place], *arguments[:place], *arguments[place + 1 :]]
            first = arguments[0]
    if first in ALIASES:
        first = ALIASES[first]
        arguments = [first, *arguments[1:]]
    if first in TABLED:
        return _table_first(arguments)
    own = {"-h", "--help", "--version"}
    is_flag = first.startswith("-") and first not in own
    return ["open", *arguments] if is_flag or (first not in COMMANDS and os.path.exists(first)) else arguments


def _table_first(arguments: list[str]) -> list[str]:
    """*arguments* with the table behind the command: istioctl takes their common flags before it, too."""
    if len(arguments) < 2 or not arguments[1].startswith("-"):
        return arguments
    from meshdoctor.commands.cluster_flags import first_word

    command, *rest = arguments
    place = first_word(rest, TABLED_FLAGS)
    if not place or rest[place].startswith("-"):
        return arguments
    return [command, rest[place], *rest[:place], *rest[place + 1 :]]


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status (see `EXIT_STATUSES`).

    Without *argv* the command is the process' own, and the last one; a program that runs many gives *argv*.
    """
    arguments = _with_command(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    parser = build_parser(chosen)
    parsed, unknown = parser.parse_known_args(arguments)
    try:
        if unknown:
            from meshdoctor.commands.misplaced import refuse_recordings

            refuse_recordings(parsed, unknown)
            parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        # What was read is worth keeping only where another command may follow.
        parsed.goes_on = argv is not None
        return int(import_module(COMMANDS[parsed.command].module).run(parsed))
    except MeshDoctorError as error:
        from meshdoctor.model.text import visible_line

        # What the user typed, and names of a hostile archive, may be in it.
        print(f"meshdoctor: {visible_line(str(error))}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        # The reader of a pipe left (`| head`): not an error, and nothing more can be written.
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130
