"""`proxy-config all`: every table of a proxy one after the other, or its whole dump."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from meshdoctor.commands.proxy_output import whole_text, write, write_data
from meshdoctor.mesh.proxy.endpoint import EndpointFilter

if TYPE_CHECKING:
    from meshdoctor.commands.proxy_dump import ProxyDump
    from meshdoctor.model.envoy.body import Body


def _copy(body: Body) -> None:
    """An answer as it is, a piece at a time."""
    from codecs import getincrementaldecoder

    decoder = getincrementaldecoder("utf-8")("replace")
    for start in range(0, len(body), _PIECE):
        sys.stdout.write(decoder.decode(body[start : start + _PIECE]))
    sys.stdout.write(decoder.decode(b"", final=True) + "\n")


_PIECE = 1 << 20


def print_all(dump: ProxyDump, arguments: argparse.Namespace) -> None:
    """Every table in turn; one that cannot be read is a problem, or with `-o istioctl` the end."""
    if arguments.output in ("json", "yaml"):
        from meshdoctor.mesh.proxy.part import is_sound, whole_dump

        if arguments.output == "json" and not sys.stdout.isatty() and is_sound(dump.sections):
            from meshdoctor.model.envoy.body import utf8

            _copy(utf8(dump.body("config_dump.json")))  # as istioctl does
        else:
            write_data(whole_dump(dump.sections), arguments.output)
        return
    from meshdoctor.mesh.proxy import secret
    from meshdoctor.mesh.proxy.cluster import ClusterFilter
    from meshdoctor.mesh.proxy.listener import ListenerFilter
    from meshdoctor.mesh.proxy.summary import SummaryFilter, summary

    chosen = SummaryFilter(
        ClusterFilter(arguments.fqdn, arguments.direction, arguments.subset, arguments.port),
        ListenerFilter(arguments.address, arguments.port, arguments.type),
        arguments.name,
        EndpointFilter(arguments.address, arguments.port),
        arguments.verbose,
    )
    now = dump.now if arguments.now is None else arguments.now
    if arguments.output == "wide":
        from meshdoctor.mesh.proxy.summary_wide import wide_summary

        blocks = wide_summary(dump.sections, chosen, now)
    else:
        blocks = summary(dump.sections, chosen, now)
    for number, block in enumerate(blocks):
        if number:
            sys.stdout.write("\n")
        if arguments.with_headers:
            sys.stdout.write(f"------ {block.banner} INFO ------\n\n")
        table = block.table
        if (
            table is not None
            and chosen == SummaryFilter()
            and block.banner != "SECRET"  # whose VALID CERT has its time
            and arguments.output != "wide"
        ):
            sys.stdout.write(whole_text(dump, f"all {block.banner}", lambda table=table: table))  # type: ignore[misc]
        elif table is not None:
            write(table)
            for line in block.notes:
                sys.stdout.write(line + "\n")
        elif not block.why:
            sys.stdout.write(secret.NOTHING)
        elif arguments.output == "istioctl":
            from meshdoctor.model.decode import UnreadableError

            raise UnreadableError(block.why)
        else:
            dump.sections.problems.append(block.why)
