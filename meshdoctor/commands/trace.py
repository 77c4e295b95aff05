"""`meshdoctor trace NS/WORKLOAD HOST[:PORT][/PATH]`: what happens to this request, hop by hop."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from meshdoctor.commands.flag_values import add_language
from meshdoctor.commands.mesh_source import add_source_arguments, close_source, named_mesh, open_source
from meshdoctor.errors import UsageError

if TYPE_CHECKING:
    from meshdoctor.mesh.trace.outcome import Trace
    from meshdoctor.mesh.trace.question import TraceQuestion
    from meshdoctor.sources.source import Source

_ROUNDS = 12
"""Reading goes from proxy to proxy; a request passes fewer Envoys than this."""
_EPILOG = """\
The client may be a gateway: the request then arrives at it from outside.
--tls says that the application itself speaks TLS (https://HOST does, too).
Regular expressions match as Envoy matches them; what cannot be judged from the
configuration is marked "?" and the trace goes on.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{_EPILOG}\n{parser.epilog or ''}"
    parser.add_argument("client", metavar="NS/WORKLOAD", help="who calls: a workload, a pod or a gateway")
    parser.add_argument("target", metavar="HOST[:PORT][/PATH]", help="what is called; a scheme is allowed")
    parser.add_argument("--method", default="GET", help="the HTTP method (default: GET)")
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="a header; may repeat")
    parser.add_argument("--authority", default="", metavar="HOST", help="the Host header, if not the target's host")
    parser.add_argument("--tls", action="store_true", help="the client speaks TLS itself")
    parser.add_argument("--sni", default="", metavar="NAME", help="its server name (with --tls; default: the host)")
    parser.add_argument("--alpn", default="", metavar="A,B", help="its protocols (with --tls)")
    parser.add_argument(
        "--http", choices=("1.0", "1.1", "2", "none"), default="1.1", help="the HTTP version; none: TCP"
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to print (default: text)")
    add_language(parser)
    add_source_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    import msgspec

    from meshdoctor.present.trace import trace_lines
    from meshdoctor.present.words import choose_language

    question = question_of(arguments)
    try:
        source = open_source(arguments)
        question = whose(source, question)
        found = follow(source, question)
    finally:
        close_source(arguments)
    if arguments.output == "json":
        answer = {"question": question, "trace": found, "verdict": found.verdict}
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(answer), indent=1) + b"\n")
    else:
        print("\n".join(trace_lines(found, language=arguments.lang or choose_language(os.environ))))
    return {"fails": 1, "may fail": 1, "may match": 3}.get(found.verdict, 0)


def question_of(arguments: argparse.Namespace) -> TraceQuestion:
    """The command line as a question, its client as typed (see `whose`); raises `UsageError`."""
    from meshdoctor.mesh.trace.question import TraceQuestion, parse_target

    namespace, slash, client = arguments.client.rpartition("/")
    if not client or (slash and not namespace):
        raise UsageError(f"{arguments.client!r} names no client", "write NAMESPACE/WORKLOAD")
    try:
        target = parse_target(arguments.target)
    except ValueError as error:
        raise UsageError(str(error), "write HOST[:PORT][/PATH]") from None
    return TraceQuestion(
        namespace=arguments.namespace,
        client=arguments.client,
        host=target.host,
        port=target.port,
        path=target.path,
        method=arguments.method,
        headers=tuple(_header(text) for text in arguments.header),
        authority=arguments.authority,
        tls=arguments.tls or target.tls or bool(arguments.sni or arguments.alpn),
        sni=arguments.sni,
        alpn=tuple(filter(None, arguments.alpn.split(","))),
        version="" if arguments.http == "none" else arguments.http,
    )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UsageError(f"{text!r} is no header", "write --header NAME:VALUE")
    return name.strip().lower(), value.strip()


def follow(source: Source, question: TraceQuestion) -> Trace:
    """The trace, reading what it needs as it goes; raises `NothingMatches` when nobody is the client."""
    from meshdoctor.mesh.index import MeshIndex
    from meshdoctor.mesh.trace.journey import journey
    from meshdoctor.mesh.trace.logged import log_wants, logged, with_logs
    from meshdoctor.model.snapshot import Snapshot

    snapshot = Snapshot(source.info, {})
    for _ in range(_ROUNDS):
        found, lacking = journey(snapshot, question)
        if not lacking:
            break
        snapshot = source.read(lacking, snapshot)
    snapshot = source.read(log_wants(MeshIndex(snapshot), found), snapshot)
    return with_logs(found, logged(MeshIndex(snapshot), question))


def whose(source: Source, question: TraceQuestion) -> TraceQuestion:
    """*question* with its client as namespace and name of a workload, or of the pod that was named.

    Raises `NothingMatches` with the nearest names, or with those that it can mean.
    """
    import msgspec

    from meshdoctor.mesh.named import one_named

    found = one_named(named_mesh(source), question.client, question.namespace)
    name = found.pods[0].name if len(found.pods) == 1 else found.workload.name
    return msgspec.structs.replace(question, namespace=found.workload.namespace, client=name)
