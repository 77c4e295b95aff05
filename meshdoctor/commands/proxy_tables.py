"""What each table of `proxy-config` prints: short, wide, or its resources as data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from meshdoctor.commands.proxy_output import whole_text, write, write_data, write_resources
from meshdoctor.mesh.proxy.endpoint import EndpointFilter
from meshdoctor.mesh.texttable import TextTable

if TYPE_CHECKING:
    from meshdoctor.commands.proxy_dump import ProxyDump


def _write_chosen(
    dump: ProxyDump, arguments: argparse.Namespace, table: Callable[[], TextTable], *, whole: bool
) -> None:
    """A command's table; when no filter is given, the *whole* one is laid out once for each dump."""
    if whole:
        form = "wide" if arguments.output == "wide" else "short"
        sys.stdout.write(whole_text(dump, f"{arguments.table} {form}", table))
    else:
        write(table())


def _is_data(arguments: argparse.Namespace) -> bool:
    return arguments.output in ("json", "yaml")


def _clusters(dump: ProxyDump, arguments: argparse.Namespace) -> None:
    from meshdoctor.mesh.proxy import cluster

    chosen = cluster.ClusterFilter(arguments.fqdn, arguments.direction, arguments.subset, arguments.port)
    if _is_data(arguments):
        write_resources(cluster.cluster_resources(dump.sections, chosen), arguments.output)
    elif arguments.output == "wide":
        from meshdoctor.mesh.proxy.cluster_wide import wide_clusters

        _write_chosen(dump, arguments, lambda: wide_clusters(dump.sections, chosen), whole=not any(chosen))
        _tell_refused(dump, "cluster", chosen.keeps)
    else:
        _write_chosen(dump, arguments, lambda: cluster.cluster_table(dump.sections, chosen), whole=not any(chosen))


def _listeners(dump: ProxyDump, arguments: argparse.Namespace) -> None:
    from meshdoctor.mesh.proxy import listener

    chosen = listener.ListenerFilter(arguments.address, arguments.port, arguments.type)
    if arguments.waypoint:
        from meshdoctor.mesh.proxy.waypoint_listener import waypoint_listener_table

        write(waypoint_listener_table(dump.sections))
    elif _is_data(arguments):
        write_resources(listener.listener_resources(dump.sections, chosen), arguments.output)
    elif arguments.output == "wide":
        from meshdoctor.mesh.proxy.listener_wide import wide_listeners

        write(wide_listeners(dump.sections, chosen))
        _tell_refused(dump, "listener", lambda _: True)
    else:
        write(listener.listener_table(dump.sections, chosen, verbose=arguments.verbose))


def _tell_refused(dump: ProxyDump, kind: str, keeps: Callable[[str], bool]) -> None:
    """Below a wide table, why Envoy refused an update of what stands in it."""
    from meshdoctor.mesh.proxy.rejected import rejected_lines
    from meshdoctor.model.text import visible_line

    for name, line in rejected_lines(dump.sections, kind):
        if keeps(name):
            sys.stdout.write(visible_line(line) + "\n")


def _routes(dump: ProxyDump, arguments: argparse.Namespace) -> None:
    from meshdoctor.mesh.proxy import route

    name = arguments.name
    if _is_data(arguments):
        write_resources(route.route_resources(dump.sections, name), arguments.output)
    elif arguments.output == "wide":
        from meshdoctor.mesh.proxy.route_wide import wide_routes

        _write_chosen(dump, arguments, lambda: wide_routes(dump.sections, name), whole=not name)
        _tell_refused(dump, "route", lambda own: name in ("", own))
    else:
        verbose = arguments.verbose
        table = lambda: route.route_table(dump.sections, name, verbose=verbose)  # noqa: E731
        _write_chosen(dump, arguments, table, whole=not name and verbose)


def _hosts(dump: ProxyDump, arguments: argparse.Namespace) -> None:
    from meshdoctor.mesh.proxy import endpoint

    chosen = _endpoint_filter(arguments)
    if _is_data(arguments):
        write_resources(endpoint.endpoint_resources(dump.hosts, chosen), arguments.output)
    elif arguments.output == "wide":
        from meshdoctor.mesh.proxy.endpoint_wide import wide_endpoints

        table = lambda: wide_endpoints(dump.hosts, chosen, dump.own_sections)  # noqa: E731
        _write_chosen(dump, arguments, table, whole=not any(chosen))
    else:
        _write_chosen(dump, arguments, lambda: endpoint.endpoint_table(dump.hosts, chosen), whole=not any(chosen))


def _eds(dump: ProxyDump, arguments: argparse.Namespace) -> None:
    from meshdoctor.mesh.proxy import eds

    chosen = _endpoint_filter(arguments)
    if _is_data(arguments):
        write_resources(eds.eds_resources(dump.sections, chosen), arguments.output)
    elif arguments.output == "wide":
        from meshdoctor.mesh.proxy.endpoint_wide import wide_eds

        _write_chosen(dump, arguments, lambda: wide_eds(dump.sections, chosen), whole=not any(chosen))
    else:
        _write_chosen(dump, arguments, lambda: eds.eds_table(dump.sections, chosen), whole=not any(chosen))
    _tell_missing_endpoints(dump)


def _tell_missing_endpoints(dump: ProxyDump) -> None:
    from meshdoctor.mesh.proxy.eds import what_is_missing
    from meshdoctor.model.text import visible_line

    if missing := what_is_missing(dump.sections):
        sys.stderr.write(f"meshdoctor: {visible_line(dump.name)}: {missing}\n")


def _endpoint_filter(arguments: argparse.Namespace) -> EndpointFilter:
    return EndpointFilter(arguments.address, arguments.port, arguments.envoy_cluster, arguments.status)


def _secrets(dump: ProxyDump, arguments: argparse.Namespace) -> None:
    from meshdoctor.mesh.proxy import secret

    now = dump.now if arguments.now is None else arguments.now
    if _is_data(arguments):
        from meshdoctor.mesh.proxy.protojson import to_protojson

        write_data(to_protojson(secret.secret_resource(dump.sections)), arguments.output)
        return
    if arguments.output == "wide":
        from meshdoctor.mesh.proxy.secret_wide import wide_secrets

        write(wide_secrets(dump.sections, now))
        return
    table = secret.secret_table(dump.sections, now)
    if table is None:
        sys.stdout.write(secret.NOTHING)
    else:
        write(table)


def _bootstrap(dump: ProxyDump, arguments: argparse.Namespace) -> None:
    from meshdoctor.mesh.proxy import bootstrap

    if _is_data(arguments):
        from meshdoctor.mesh.proxy.protojson import to_protojson

        write_data(to_protojson(bootstrap.bootstrap_resource(dump.sections)), arguments.output)
    elif arguments.output == "wide":
        write(bootstrap.wide_bootstrap(dump.sections))
    else:
        write(bootstrap.bootstrap_table(dump.sections))


def _ecds(dump: ProxyDump, arguments: argparse.Namespace) -> None:
    from meshdoctor.mesh.proxy import ecds

    if _is_data(arguments):
        from meshdoctor.mesh.proxy.protojson import to_protojson

        write_data(to_protojson(ecds.ecds_resource(dump.sections)), arguments.output)
    elif arguments.output == "wide":
        from meshdoctor.mesh.proxy.ecds_wide import wide_ecds

        write(wide_ecds(dump.sections))
    else:
        write(ecds.ecds_table(dump.sections))


def _all_tables(dump: ProxyDump, arguments: argparse.Namespace) -> None:
    from meshdoctor.commands.proxy_all import print_all

    print_all(dump, arguments)
    if not _is_data(arguments):
        _tell_missing_endpoints(dump)


PRINTERS: dict[str, Callable[[ProxyDump, argparse.Namespace], None]] = {
    "cluster": _clusters,
    "listener": _listeners,
    "route": _routes,
    "endpoint": _hosts,
    "eds": _eds,
    "secret": _secrets,
    "bootstrap": _bootstrap,
    "ecds": _ecds,
    "all": _all_tables,
}
