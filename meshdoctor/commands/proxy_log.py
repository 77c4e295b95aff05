"""`proxy-config log`: the loggers of a proxy, and what a person can run to change their levels."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from meshdoctor.commands.mesh_source import places, pod
from meshdoctor.mesh.proxy.logging import level_queries, reset_queries
from meshdoctor.mesh.proxy.target import find_pods, kind_of, labelled_pods
from meshdoctor.model.text import visible

if TYPE_CHECKING:
    from meshdoctor.commands.proxy_dump import ProxyDump
    from meshdoctor.model.snapshot import PodRef
    from meshdoctor.sources.source import Source

LOGGING_FILE = "logging.txt"
"""Envoy's answer to `POST /logging`, by its name in a recording."""


def print_log(dump: ProxyDump, arguments: argparse.Namespace) -> None:
    """Raises `UsageError` for a level that does not exist, `SourceError` when the loggers were not recorded."""
    text = visible(bytes(dump.body(LOGGING_FILE)).decode(errors="replace"))
    queries = reset_queries() if arguments.reset else level_queries(arguments.level, text) if arguments.level else []
    sys.stdout.write(text if arguments.file else f"{dump.name}:\n{text}")
    if not text.endswith("\n"):
        sys.stdout.write("\n")
    if queries:
        name, _, namespace = ("POD", "", "NAMESPACE") if arguments.file else dump.name.rpartition(".")
        sys.stderr.write("meshdoctor changes nothing; to set these levels, run:\n")
        for query in queries:
            sys.stderr.write(
                f"  kubectl exec -n {namespace} {name} -c istio-proxy -- pilot-agent request POST 'logging?{query}'\n"
            )


def pods_of_log(source: Source, arguments: argparse.Namespace) -> Sequence[PodRef]:
    """Every pod that is named or selected: istioctl shows and sets the levels of all of them."""
    if arguments.selector:
        return labelled_pods(arguments.selector, places(source, ""), arguments.namespace)
    target = arguments.targets[0]
    if kind_of(target.partition("/")[0]) and "/" in target:
        return find_pods(target, places(source, target), arguments.namespace)
    return [pod(source, target, arguments.namespace, exact=arguments.output == "istioctl")]
