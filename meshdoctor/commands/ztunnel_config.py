"""`meshdoctor ztunnel-config`: what one node's ztunnel knows, as `istioctl ztunnel-config` shows it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from meshdoctor.commands.flag_values import go_integer, moment
from meshdoctor.commands.mesh_source import add_source_arguments, as_istioctl, open_source
from meshdoctor.commands.misplaced import refuse_recorded_file
from meshdoctor.errors import SourceError, UsageError

if TYPE_CHECKING:
    from meshdoctor.commands.proxy_dump import ProxyDump
    from meshdoctor.model.snapshot import PodRef
    from meshdoctor.model.ztunnel import ZtunnelDump
    from meshdoctor.sources.source import Source

_TABLES = {
    "workload": ("workloads", "w"),
    "service": ("services", "s", "svc"),
    "policy": ("policies", "p", "pol"),
    "certificate": ("certificates", "certs", "cert"),
    "connections": ("cons",),
    "all": (),
    "log": ("o",),
}
_HELP = {
    "workload": "the pods and other workloads that it knows",
    "service": "the services, with their waypoints",
    "policy": "the authorization policies that it enforces",
    "certificate": "the certificates that it holds for the node's workloads",
    "connections": "the connections that are open",
    "all": "every table, one after the other",
    "log": "its log levels",
}
_DESCRIPTION = (
    "A group of commands used to update or retrieve Ztunnel configuration from a Ztunnel instance (here: retrieve)."
)
_EPILOG = "TARGET is a ztunnel pod, or a workload's pod: then the ztunnel of its node. Without one: the first.\n"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION
    parser.epilog = f"{_EPILOG}\n{parser.epilog or ''}"
    tables = parser.add_subparsers(dest="table", metavar="TABLE")
    for table, aliases in _TABLES.items():
        summary = _HELP[table]
        sub = tables.add_parser(table, aliases=aliases, help=summary, description=summary, allow_abbrev=False)
        sub.set_defaults(table=table)
        add_source_arguments(sub)
        sub.add_argument("targets", nargs="*", metavar="TARGET", help="[type/]name[.namespace]")
        sub.add_argument("-o", "--output", default="short", help="short, wide, json, yaml, istioctl (default: short)")
        sub.add_argument("-f", "--file", default="", metavar="FILE", help="read this file; - is stdin")
        sub.add_argument("--node", default="", help="the ztunnel of this node")
        sub.add_argument(
            "--proxy-admin-port", type=go_integer, default=0, metavar="PORT", help="the ztunnel's (default: 15000)"
        )
        sub.add_argument("--now", type=moment, help="judge certificates at this time (RFC 3339 or Unix seconds)")
        if table == "workload":
            sub.add_argument("--address", default="")
            sub.add_argument("--workload-node", default="")
        if table in ("workload", "connections"):
            sub.add_argument("--workload-namespace", default="")
        if table == "service":
            sub.add_argument("--service-namespace", default="")
        if table == "policy":
            sub.add_argument("--policy-namespace", default="")
        if table == "connections":
            sub.add_argument("--direction", default="", help="inbound or outbound")
            sub.add_argument("--raw", action="store_true", help="addresses instead of names")
        if table == "all":
            sub.add_argument("--with-headers", action="store_true")
        if table == "log":
            sub.add_argument("--level", default="", help="what levels would be set: level, or scope:level,...")
            sub.add_argument("-r", "--reset", action="store_true", help="what would reset the levels")
    parser.set_defaults(parser=parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.table is None:
        arguments.parser.print_help()
        return 0
    return as_istioctl(arguments, _show)


def _show(arguments: argparse.Namespace) -> int:
    if arguments.output not in ("short", "wide", "json", "yaml", "istioctl"):
        raise UsageError(f'output format "{arguments.output}" not supported', "short, wide, json, yaml or istioctl")
    if len(arguments.targets) > 1:
        raise UsageError("too many arguments", "name one pod")
    dump, workload = _dump(arguments)
    if arguments.table == "log":
        return _log(dump, arguments)
    print_table(dump, workload, arguments)
    return 0


def print_table(dump: ProxyDump, workload: str, arguments: argparse.Namespace) -> None:
    """The table that the arguments name; raises `SourceError`."""
    from meshdoctor.model.decode import UnreadableError
    from meshdoctor.model.text import visible_line
    from meshdoctor.model.ztunnel import decode_ztunnel_dump

    try:
        found = decode_ztunnel_dump(bytes(dump.body("config_dump.json")))
    except UnreadableError as error:
        raise SourceError(f"error unmarshalling config dump response from ztunnel: {error}") from None
    if arguments.output in ("json", "yaml"):
        from meshdoctor.commands.proxy_output import write_data

        try:
            value = _data(found, dump, workload, arguments)
        except UnreadableError as error:
            raise SourceError(str(error)) from None
        write_data(value, arguments.output)
    else:
        _write(found, dump.now if arguments.now is None else arguments.now, workload, arguments)
    for problem in found.problems:
        sys.stderr.write(f"meshdoctor: {visible_line(dump.name)}: {visible_line(problem)}\n")


def _write(dump: ZtunnelDump, now: float, workload: str, arguments: argparse.Namespace) -> None:
    from meshdoctor.mesh.ztunnel import tables, wide
    from meshdoctor.present.tabwriter import render

    widely = arguments.output == "wide"
    if arguments.table == "all":
        for banner, table in wide.all_tables(dump, now) if widely else tables.all_tables(dump, now):
            sys.stdout.write("\n")
            if arguments.with_headers:
                sys.stdout.write(f"------ {banner} INFO ------\n\n")
            sys.stdout.write(render(table))
        return
    if arguments.table == "workload":
        make = wide.wide_workloads if widely else tables.workload_table
        table = make(dump, _workload_filter(workload, arguments))
    elif arguments.table == "service":
        table = (wide.wide_services if widely else tables.service_table)(dump, arguments.service_namespace)
    elif arguments.table == "policy":
        table = (wide.wide_policies if widely else tables.policy_table)(dump, arguments.policy_namespace)
    elif arguments.table == "certificate":
        table = (wide.wide_certificates if widely else tables.certificate_table)(dump, now)
    else:
        table = tables.connection_table(dump, _connection_filter(workload, arguments))
    sys.stdout.write(render(table))


def _data(dump: ZtunnelDump, source: ProxyDump, workload: str, arguments: argparse.Namespace) -> Any:
    """What istioctl marshals: the structs of the table, or the whole answer for `all`."""
    import msgspec

    from meshdoctor.mesh.ztunnel import tables
    from meshdoctor.model.ztunnel import whole_answer

    if arguments.table == "all":
        return whole_answer(bytes(source.body("config_dump.json")))
    if arguments.table == "workload":
        return tables.workloads(dump, _workload_filter(workload, arguments))
    if arguments.table == "service":
        return tables.services(dump, arguments.service_namespace)
    if arguments.table == "policy":
        chosen = tables.policies(dump, arguments.policy_namespace)
        return [msgspec.structs.replace(policy, dry_run=msgspec.UNSET) for policy in chosen]
    if arguments.table == "certificate":
        return dump.certificates
    return tables.workload_states(dump, _connection_filter(workload, arguments))


def _workload_filter(workload: str, arguments: argparse.Namespace) -> Any:
    from meshdoctor.mesh.ztunnel.tables import WorkloadFilter

    return WorkloadFilter(arguments.workload_namespace, arguments.address, arguments.workload_node, workload)


def _connection_filter(workload: str, arguments: argparse.Namespace) -> Any:
    from meshdoctor.mesh.ztunnel.tables import ConnectionFilter

    return ConnectionFilter(arguments.workload_namespace, arguments.direction, arguments.raw, workload)


def _dump(arguments: argparse.Namespace) -> tuple[ProxyDump, str]:
    """The ztunnel's answers, and the `pod.namespace` that its tables are narrowed to ("" for all)."""
    from meshdoctor.commands.mesh_source import pod
    from meshdoctor.commands.proxy_dump import FileDump, SourceDump

    target = arguments.targets[0] if arguments.targets else ""
    if arguments.file:
        refuse_recorded_file(arguments.file)
        return FileDump(arguments.file), target
    source = open_source(arguments)
    if not target:
        return SourceDump(source, _ztunnel(source, arguments.node)), ""
    ztunnels = _ztunnels(source)
    ref = pod(source, target, arguments.namespace, exact=arguments.output == "istioctl")
    if ref in ztunnels:
        return SourceDump(source, ref), ""
    return SourceDump(source, _ztunnel(source, _node(source, ref))), f"{ref.name}.{ref.namespace}"


def _ztunnels(source: Source) -> tuple[PodRef, ...]:
    from meshdoctor.commands.mesh_source import fact
    from meshdoctor.model import wants as ask

    return fact(source, ask.Contents()).ztunnels


def _node(source: Source, ref: PodRef) -> str:
    from meshdoctor.commands.mesh_source import places

    return next((pod.spec.node_name for pod in places(source, "").pods if (pod.namespace, pod.name) == ref), "")


def _ztunnel(source: Source, node: str) -> PodRef:
    """The ztunnel of a node, the first one when no node is given; raises `SourceError`."""
    for ref in _ztunnels(source):
        if not node or _node(source, ref) == node:
            return ref
    where = f"on node {node}" if node else "in this source"
    raise SourceError(f"no ztunnel {where}", "only a ztunnel whose config dump was read can be shown")


def _log(dump: ProxyDump, arguments: argparse.Namespace) -> int:
    from meshdoctor.commands.proxy_log import LOGGING_FILE
    from meshdoctor.mesh.proxy.logging import level_queries
    from meshdoctor.model.text import visible

    if arguments.reset and arguments.level:
        raise UsageError("--level cannot be combined with --reset")
    if arguments.level:
        level_queries(arguments.level, "", check_names=False)
    text = visible(bytes(dump.body(LOGGING_FILE)).decode(errors="replace"))
    sys.stdout.write(f"{visible(dump.name)}:\n{text.rstrip()}\n\n")
    if arguments.level or arguments.reset:
        # ztunnel knows "warn" and "error" for Envoy's "warning" and "critical" (istioctl, ztunnelLogLevel).
        level = {"warning": "warn", "critical": "error"}.get(arguments.level, arguments.level) or "info"
        sys.stderr.write(
            "meshdoctor changes nothing; to set this level, forward the pod's port 15000 and run:\n"
            f"  curl -X POST 'localhost:15000/logging?level={level}{'&reset' if arguments.reset else ''}'\n"
        )
    return 0
