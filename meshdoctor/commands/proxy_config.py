"""`meshdoctor proxy-config`: one proxy's configuration, as `istioctl proxy-config` shows it, and wider."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from meshdoctor.commands.flag_values import go_bool, go_integer, moment
from meshdoctor.commands.mesh_source import (
    add_source_arguments,
    as_istioctl,
    fact,
    open_source,
    pod,
    tell_problems,
    uncollected,
)
from meshdoctor.commands.misplaced import refuse_recorded_file, refuse_recordings
from meshdoctor.errors import SourceError, UsageError

if TYPE_CHECKING:
    from meshdoctor.commands.proxy_dump import ProxyDump

_ALIASES = {
    "cluster": ("clusters", "c"),
    "listener": ("listeners", "l"),
    "route": ("routes", "r"),
    "endpoint": ("endpoints", "ep"),
    "eds": (),
    "secret": ("secrets", "s"),
    "bootstrap": ("b",),
    "ecds": ("ec",),
    "all": ("a",),
    "log": ("o",),
    "rootca-compare": ("rc",),
}
_HELP = {
    "cluster": "the clusters: where requests can go",
    "listener": "the listeners and their filter chains",
    "route": "the route configurations, a row per route",
    "endpoint": "the hosts that Envoy has, with their health",
    "eds": "the endpoints that istiod sent",
    "secret": "the certificates that Envoy holds",
    "bootstrap": "the proxy's versions (-o short) or its whole bootstrap",
    "ecds": "filters that istiod sent apart from their listener",
    "all": "every table, one after the other",
    "log": "the loggers and their levels",
    "rootca-compare": "whether two pods trust a common root",
}
_SHOWN_PROBLEMS = 5
_DESCRIPTION = "A group of commands used to retrieve information about proxy configuration from the Envoy config dump."
_EPILOG = """\
A TARGET is [type/]name[.namespace]: a pod, deployment/x, service/x and so on;
NAMESPACE/NAME and the name of a workload alone (its first pod is shown), too.
-o istioctl prints what istioctl prints, byte for byte (as short does), errors
included; wide adds what istioctl does not show. A FILE is an answer of Envoy's
admin port: config_dump?include_eds, for endpoint clusters?format=json; also
packed (gzip, xz, zstd, bzip2), in YAML, and with other text around it.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION
    parser.epilog = f"{_EPILOG}\n{parser.epilog or ''}"
    parser.set_defaults(parser=parser)
    tables = parser.add_subparsers(dest="table", metavar="TABLE", parser_class=_TableParser)
    for table, aliases in _ALIASES.items():
        summary = _HELP[table]
        # The endpoints' own --cluster replaces kubectl's flag of that name.
        sub = tables.add_parser(
            table, aliases=aliases, help=summary, description=summary, allow_abbrev=False, conflict_handler="resolve"
        )
        sub.table = table
        sub.set_defaults(table=table)


class _TableParser(argparse.ArgumentParser):
    """Gets its flags when it is the one that parses: eleven tables have some thirty each."""

    table = ""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self.table:
            self.add_argument("targets", nargs="*", metavar="TARGET", help="[type/]name[.namespace]")
            _add_flags(self, self.table)
            self.table = ""
        return super().parse_known_args(args, namespace)


def _add_flags(sub: argparse.ArgumentParser, table: str) -> None:
    add_source_arguments(sub)
    default = "json" if table == "bootstrap" else "short"
    sub.add_argument(
        "-o",
        "--output",
        default=default,
        metavar="FORMAT",
        help=f"short, wide, json, yaml, istioctl (default: {default})",
    )
    if table not in ("rootca-compare",):
        sub.add_argument("-f", "--file", default="", metavar="FILE", help="read this file instead of a pod; - is stdin")
    sub.add_argument(
        "--proxy-admin-port", type=go_integer, default=0, metavar="PORT", help="Envoy's (default: what its pod says)"
    )
    sub.add_argument("--now", type=moment, help="judge certificates at this time (RFC 3339 or Unix seconds)")
    if table in ("cluster", "all"):
        sub.add_argument("--fqdn", default="", help="text in the name")
        sub.add_argument("--direction", default="", help="inbound, outbound, ...")
        sub.add_argument("--subset", default="", help="text in the subset")
    if table in ("cluster", "listener", "endpoint", "eds", "all"):
        sub.add_argument("--port", type=go_integer, default=0)
    if table in ("listener", "endpoint", "eds", "all"):
        sub.add_argument("--address", default="")
    if table in ("listener", "all"):
        sub.add_argument("--type", default="", help="HTTP, TCP, HTTP+TCP or UNKNOWN")
    if table in ("route", "all"):
        sub.add_argument("--name", default="", help="the whole name of a route configuration")
    if table in ("listener", "route", "all"):
        sub.add_argument("--verbose", nargs="?", const="true", default="true", metavar="false")
    if table == "listener":
        sub.add_argument("--waypoint", nargs="?", const="true", default="false", help=argparse.SUPPRESS)
    if table in ("endpoint", "eds"):
        sub.add_argument("--cluster", dest="envoy_cluster", default="", help="the whole name of a cluster")
        sub.add_argument("--status", default="", help="healthy, unhealthy, ...")
    if table == "all":
        sub.add_argument("--with-headers", nargs="?", const="true", default="false")
    if table == "log":
        sub.add_argument("--level", default="", help="what levels would be set: level, or logger:level,...")
        sub.add_argument("-r", "--reset", action="store_true", help="what would reset the levels")
        sub.add_argument("-l", "--selector", default="", metavar="LABELS", help="the pods with these labels")


def run(arguments: argparse.Namespace) -> int:
    if arguments.table is None:
        arguments.parser.print_help()
        return 0
    with uncollected():
        return as_istioctl(arguments, _checked)


def _checked(arguments: argparse.Namespace) -> int:
    _check(arguments)
    return _show(arguments)


def _check(arguments: argparse.Namespace) -> None:
    table = arguments.table
    if arguments.output != "istioctl":
        refuse_recordings(arguments)
        refuse_recorded_file(getattr(arguments, "file", ""))
    for name in ("verbose", "waypoint", "with_headers"):
        given = getattr(arguments, name, None)
        if given is not None:
            value = go_bool(given)
            if value is None:  # `--verbose TARGET`: the flag needs no value, so that this is the target
                value = True
                arguments.targets.insert(0, given)
            setattr(arguments, name, value)
    if arguments.output not in ("short", "wide", "json", "yaml", "istioctl"):
        raise UsageError(f'output format "{arguments.output}" not supported', "short, wide, json, yaml or istioctl")
    if table == "rootca-compare":
        if len(arguments.targets) != 2:
            raise UsageError("rootca-compare requires 2 pods as an argument")
    elif table == "log" and not arguments.targets and not arguments.file and not arguments.selector:
        raise UsageError("log requires pod name or --selector", "name a pod, or a --file with its answer to /logging")
    elif (len(arguments.targets) == 1 or bool(getattr(arguments, "selector", ""))) == bool(arguments.file):
        # istioctl says "endpoints" here, and the names of the other tables as they are.
        name = "endpoints" if table == "endpoint" else table
        raise UsageError(f"{name} requires pod name or --file parameter")
    if table == "log" and arguments.reset and arguments.level:
        raise UsageError("--level cannot be combined with --reset")


def _show(arguments: argparse.Namespace) -> int:
    from meshdoctor.commands.kept_dumps import KEPT, identity_of
    from meshdoctor.commands.proxy_dump import FileDump, SourceDump
    from meshdoctor.model import wants as ask

    if arguments.table == "rootca-compare":
        from meshdoctor.commands.proxy_roots import compare_roots

        return compare_roots(arguments)
    identity = identity_of(arguments)
    if arguments.file:
        with KEPT.dump(identity, lambda: FileDump(arguments.file)) as dump:
            _print(dump, arguments)
        return 0
    source = KEPT.source(identity, lambda: open_source(arguments))
    tell_problems(source)
    if arguments.table == "log":
        from meshdoctor.commands.proxy_log import pods_of_log

        return _print_each([SourceDump(source, each) for each in pods_of_log(source, arguments)], arguments)
    ref = pod(source, arguments.targets[0], arguments.namespace, exact=arguments.output == "istioctl")
    with KEPT.dump((*identity, ref) if identity else None, lambda: SourceDump(source, ref)) as dump:
        if ref in fact(source, ask.Contents()).ztunnels:
            _print_ztunnel(dump, arguments)
        else:
            _print(dump, arguments)
    return 0


def _print_each(dumps: Sequence[ProxyDump], arguments: argparse.Namespace) -> int:
    """Of several pods, those that cannot be read are named; raises `SourceError` when none can."""
    from meshdoctor.model.text import visible_line

    unread = []
    for dump in dumps:
        try:
            _print(dump, arguments)
        except SourceError as error:
            unread.append(error)
    if unread and len(unread) == len(dumps):
        raise unread[0]
    for missing in unread:
        sys.stderr.write(f"meshdoctor: {visible_line(missing.what)}\n")
    return 0


def _print_ztunnel(dump: ProxyDump, arguments: argparse.Namespace) -> None:
    """What these tables are of a ztunnel, as istioctl has it: its own summary, and its certificates."""
    from meshdoctor.commands import ztunnel_config

    table = {"all": "all", "secret": "certificate"}.get(arguments.table)
    if table is None:
        raise SourceError(
            f"{dump.name} is a ztunnel: it has no table {arguments.table}", "use meshdoctor ztunnel-config"
        )
    ztunnel_config.print_table(dump, "", argparse.Namespace(**{**vars(arguments), "table": table}))


def _print(dump: ProxyDump, arguments: argparse.Namespace) -> None:
    """The table, and what of the dump could not be read."""
    from meshdoctor.model.decode import UnreadableError

    try:
        if arguments.output == "istioctl" and arguments.table not in ("endpoint", "log"):
            dump = dump.as_istioctl()
        _printer(arguments.table)(dump, arguments)
    except UnreadableError as error:
        _complain(dump)
        raise SourceError(str(error)) from None
    _complain(dump)


def _printer(table: str) -> Callable[[ProxyDump, argparse.Namespace], None]:
    """The function that prints a table; only its module is imported."""
    if table == "log":
        from meshdoctor.commands.proxy_log import print_log

        return print_log
    from meshdoctor.commands import proxy_tables

    return proxy_tables.PRINTERS[table]


def _complain(dump: ProxyDump) -> None:
    """What could not be read, a line each, beside what was shown."""
    from meshdoctor.model.text import visible_line

    problems = dump.problems
    for problem in problems[:_SHOWN_PROBLEMS]:
        sys.stderr.write(f"meshdoctor: {visible_line(dump.name)}: {visible_line(problem)}\n")
    if _is_of_ztunnel(dump):
        sys.stderr.write(f"meshdoctor: {visible_line(dump.name)}: a ztunnel's dump; use meshdoctor ztunnel-config\n")
    if len(problems) > _SHOWN_PROBLEMS:
        sys.stderr.write(f"meshdoctor: {len(problems) - _SHOWN_PROBLEMS} more entries could not be read\n")


def _is_of_ztunnel(dump: ProxyDump) -> bool:
    """Whether there are none of Envoy's sections, because ztunnel answered."""
    if "sections" not in dump.answers or dump.sections.parts:
        return False
    return b'"workloads"' in bytes(dump.body("config_dump.json"))
