"""`meshdoctor waypoint list|status`: the waypoints and whether they are programmed, as istioctl shows them."""

from __future__ import annotations

import argparse
import sys

from meshdoctor.commands.mesh_source import add_source_arguments, as_istioctl, fact, open_source
from meshdoctor.errors import MeshDoctorError


class NotProgrammed(MeshDoctorError):
    """A waypoint is not ready; istioctl's words, which end in a newline."""

    exit_status = 1


def configure(parser: argparse.ArgumentParser) -> None:
    tables = parser.add_subparsers(dest="table", metavar="list|status", required=True)
    for name, summary in (("list", "the waypoints"), ("status", "the conditions of the waypoints")):
        sub = tables.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        sub.add_argument("-A", "--all-namespaces", action="store_true")
        sub.add_argument("-o", "--output", choices=("short", "istioctl"), default="short")
        # istioctl has it for every waypoint command, and these two do not look at it.
        sub.add_argument("--name", default="", help=argparse.SUPPRESS)
        add_source_arguments(sub)
        if name == "status":
            sub.add_argument(
                "-w", "--wait", nargs="?", const="true", default="true", help="false: not ready is no error"
            )
            sub.add_argument("--waypoint-timeout", default="", help="ignored: what was read does not change")


def run(arguments: argparse.Namespace) -> int:
    return as_istioctl(arguments, _show)


def _show(arguments: argparse.Namespace) -> int:
    from meshdoctor.mesh.waypoints import condition_of, list_table, status_table, waypoints
    from meshdoctor.model import wants as ask
    from meshdoctor.model.istio import GenericObject
    from meshdoctor.present.tabwriter import render

    everywhere = arguments.all_namespaces
    namespace = "" if everywhere else arguments.namespace or "default"
    gateways = [
        entry for entry in fact(open_source(arguments), ask.Objects("K8sGateway")) if isinstance(entry, GenericObject)
    ]
    if not [gateway for gateway in gateways if namespace in ("", gateway.namespace)]:
        sys.stdout.write("No waypoints found.\n")
        return 0
    found = waypoints(gateways, namespace)
    if arguments.table == "list":
        sys.stdout.write(render(list_table(found, all_namespaces=everywhere)))
        return 0
    unready = next((gateway for gateway in found if not condition_of(gateway).programmed), None)
    if unready and arguments.wait.lower() in ("true", "t", "1"):
        ending = "\n" if arguments.output == "istioctl" else ""
        raise NotProgrammed(
            "failed to print waypoint status: timed out while retrieving status for waypoint\t"
            f"{unready.namespace}/{unready.name}{ending}"
        )
    exact = arguments.output == "istioctl"
    sys.stdout.write(render(status_table(found, all_namespaces=everywhere, exact=exact)))
    return 0
