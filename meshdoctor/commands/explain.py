"""`meshdoctor explain`: what a response flag, a detail, a cluster name or a whole access log means, in plain words."""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import Any

import msgspec

from meshdoctor.commands.flag_values import add_language
from meshdoctor.errors import MeshDoctorError, UsageError
from meshdoctor.mesh.explanation import (
    Explanation,
    Language,
    explain_cluster,
    explain_code,
    explain_details,
    explain_flag,
    explain_line,
    explain_transport,
    explain_ztunnel_error,
    explain_ztunnel_flag,
    explain_ztunnel_line,
    is_details,
    is_flag,
    is_ztunnel_flag,
    label,
    near_details,
)
from meshdoctor.mesh.failure_groups import (
    FailureGroup,
    ZtunnelGroup,
    count_successes,
    group_failures,
    group_ztunnel_failures,
)
from meshdoctor.model.accesslog import ParsedLog, compile_format, parse_access_log, parse_details
from meshdoctor.model.names import parse_cluster_name
from meshdoctor.model.text import visible_line
from meshdoctor.model.ztunnellog import ParsedZtunnelLog, parse_ztunnel_log
from meshdoctor.present.cause_words import explain_cause, is_cause
from meshdoctor.present.explanation_text import (
    group_lines,
    moment,
    paragraphs,
    skipped_line,
    word_lines,
    wrap,
    ztunnel_group_lines,
)
from meshdoctor.present.words import choose_language

_EPILOG = """\
examples:
  meshdoctor explain UF,URX
  meshdoctor explain 'upstream_reset_before_response_started{overflow}'
  meshdoctor explain 503 'outbound|80|v1|reviews.shop.svc.cluster.local'
  kubectl logs POD -c istio-proxy | meshdoctor explain

A log's failing lines are grouped by code, flags, details and cluster, worst
first: 5xx and connection errors, refusals, then clients that left.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `explain`."""
    parser.epilog = f"{_EPILOG}\n{parser.epilog or ''}"
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="flag, details, transport failure, cluster name, code, or a pasted log line; without one, a log is read"
        " from standard input",
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="text (default) or json")
    add_language(parser)
    parser.add_argument("--format", metavar="FORMAT", help="the mesh's accessLogFormat, when it is not Istio's default")
    parser.add_argument(
        "--limit",
        type=int,
        default=20,
        metavar="N",
        help="show at most N kinds of failure as text (default 20, 0: all)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Explain the words, or the log on standard input; 0 when there was something to explain.

    Raises UsageError when nothing was given, MeshDoctorError when nothing of it is readable.
    """
    language: Language = arguments.lang or choose_language(os.environ)
    if arguments.words:
        return _run_words(arguments, language)
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "nothing to explain", "meshdoctor explain WORD…, or kubectl logs POD -c istio-proxy | meshdoctor explain"
        )
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    log = _Log(text, arguments.format)
    if not log.readable:
        words = text.split("\n") if len(text) < 4000 else []
        found = [one for word in words if word.strip() for one in _explain_word(word.strip(), language)]
        if not found or len(found) < sum(bool(word.strip()) for word in words):
            raise MeshDoctorError(
                "nothing on standard input is an access log",
                "pipe the log of an istio-proxy container; a custom format needs --format",
            )
        return _print_words(found, arguments.output, language)
    return _print_log(log, arguments, language)


def _run_words(arguments: argparse.Namespace, language: Language) -> int:
    for text in ("\n".join(arguments.words), " ".join(arguments.words)):
        log = _Log(text, arguments.format)  # a pasted line, also one that the shell took apart
        if log.readable:
            return _print_log(log, arguments, language)
    found: list[Explanation] = []
    for word in arguments.words:
        # `proxy.log` would pass for a detail; a file that is called like a flag has neither.
        a_file = ("." in word or os.sep in word) and os.path.isfile(word)
        explained = [] if a_file else _explain_word(word.strip(), language)
        if not explained:
            shown = visible_line(word.encode("utf-8", "replace").decode())
            raise _unreadable(shown)
        found += explained
    return _print_words(found, arguments.output, language)


_UNKNOWN_FLAG = re.compile(r"[A-Z][A-Z0-9_]{1,15}")
_UNKNOWN_DETAILS = re.compile(r"[a-z][a-z0-9]*(?:[_.][A-Za-z0-9]+)+|[a-z][A-Za-z0-9_.]*(?:\{.*\}|\[.*\]|\(.*\))")
_TRANSPORT = re.compile(
    r"TLS[_ ]error|connect[_ ]error|OPENSSL_internal|failed[_ ]to[_ ]bind|CERTIFICATE_VERIFY_FAILED"
)


def _explain_word(word: str, language: Language) -> list[Explanation]:
    """What *word* can be, the most certain reading first; nothing when it has no shape that Envoy's words have."""
    word = visible_line(word)
    if is_cause(word.lower()):
        return [explain_cause(word.lower(), language)]
    names = [name.strip() for name in word.split(",")]
    if all(is_flag(name) or is_flag(name.upper()) for name in names):
        return [explain_flag(name if is_flag(name) else name.upper(), language) for name in names]
    if is_ztunnel_flag(word.upper()):
        return [explain_ztunnel_flag(word.upper(), language)]
    if re.fullmatch(r"[0-9]{1,3}", word):
        return [explain_code(int(word), language)]
    cluster = parse_cluster_name(word)
    if cluster.direction is not None or cluster.special:
        return [explain_cluster(word, language)]
    if is_details(word) or not word:
        transport = parse_details(word).transport
        found = [explain_details(word, language)]
        return [*found, explain_transport(transport, language)] if transport else found
    for explained in (explain_transport(word, language), explain_ztunnel_error(word, language)):
        if explained.known or (explained.subject == "transport" and _TRANSPORT.search(word)):
            return [explained]
    if all(_UNKNOWN_FLAG.fullmatch(name) for name in names):
        return [explain_flag(name, language) for name in names]
    if _UNKNOWN_DETAILS.fullmatch(word):
        if near := near_details(word):
            raise MeshDoctorError(f"no details are called {word!r}", f"did you mean {', '.join(near)}?")
        return [explain_details(word, language)]
    return []


def _unreadable(shown: str) -> MeshDoctorError:
    if os.path.exists(shown):
        return MeshDoctorError(f"{shown} is a file", f"give it on standard input: meshdoctor explain < {shown}")
    return MeshDoctorError(
        f"cannot read {shown[:60]!r}",
        "give a response flag (UF), details (via_upstream), a cause, a cluster name or an access-log line",
    )


def _print_words(found: list[Explanation], output: str, language: Language) -> int:
    if output == "json":
        _print_json({"explanations": found})
    else:
        print(paragraphs(word_lines(one, language) for one in found))
    return 0


class _Log:
    """An access log read as Envoy's and, where it has lines of that kind, as ztunnel's."""

    def __init__(self, text: str, log_format: str | None) -> None:
        self.format = compile_format(log_format) if log_format else None
        if self.format is not None and not (self.format.fields or self.format.keys):
            raise UsageError(
                "--format names no field of a log line", "give the mesh's accessLogFormat, %OPERATORS% and all"
            )
        self.envoy: ParsedLog = parse_access_log(text, [self.format] if self.format else [])
        self.ztunnel = ParsedZtunnelLog((), {})
        self.skipped = dict(self.envoy.skipped)
        if {"ztunnel", "pilot-agent", "unreadable"} & self.skipped.keys():
            self.ztunnel = parse_ztunnel_log(text)
            if self.ztunnel.lines and not self.envoy.lines:
                self.skipped = dict(self.ztunnel.skipped)
            elif self.ztunnel.lines:
                left = self.skipped.pop("ztunnel", 0) - len(self.ztunnel.lines)
                self.skipped |= {"ztunnel": left} if left > 0 else {}

    @property
    def readable(self) -> bool:
        """Whether it holds any access line."""
        return bool(self.envoy.lines or self.ztunnel.lines)


def _print_log(log: _Log, arguments: argparse.Namespace, language: Language) -> int:
    groups = group_failures(log.envoy.lines)
    connections = group_ztunnel_failures(log.ztunnel.lines)
    total = len(log.envoy.lines) + len(log.ztunnel.lines)
    failed = sum(group.count for group in groups) + sum(group.count for group in connections)
    fine: dict[str, int] = {str(code): count for code, count in count_successes(log.envoy.lines).items()}
    connected = sum(not line.failed for line in log.ztunnel.lines)
    if arguments.output == "json":
        _print_json(
            {
                "lines": total,
                "failed": failed,
                "fine": fine | ({"ztunnel": connected} if connected else {}),
                "skipped": log.skipped,
                "groups": [_envoy_group(group, language) for group in groups],
                "ztunnel_groups": [_ztunnel_group(group, language) for group in connections],
            }
        )
        return 0
    blocks = [list(group_lines(group, language)) for group in groups]
    blocks += [list(ztunnel_group_lines(group, language)) for group in connections]
    kinds = len(blocks)
    if 0 < arguments.limit < kinds:
        blocks = blocks[: arguments.limit]
        blocks.append(list(wrap(label("more", language, count=kinds - arguments.limit), "  ", "")))
    heading = label("failed", language, failed=failed, total=total, kinds=kinds)
    closing = list(wrap(heading if failed else label("nothing", language), "  ", ""))
    fine |= {label("ztunnel", language): connected} if connected else {}
    codes = ", ".join(f"{code} × {count}" for code, count in fine.items())
    if codes:
        closing += wrap(label("fine", language, count=total - failed, codes=codes), "  ", "")
    closing += skipped_line(log.skipped, language)
    if log.format is not None and not log.format.tells_outcome:
        closing += wrap(label("outcome", language), "  ", "")
    print(paragraphs([*blocks, closing]))
    return 0


def _envoy_group(group: FailureGroup, language: Language) -> dict[str, Any]:
    line = group.example
    return {
        "count": group.count,
        "first": moment(group.first),
        "last": moment(group.last),
        "code": line.code,
        "flags": line.flags,
        "details": line.details if line.details is not None else line.termination,
        "cluster": line.upstream_cluster,
        "example": line,
        "explanations": explain_line(line, language),
    }


def _ztunnel_group(group: ZtunnelGroup, language: Language) -> dict[str, Any]:
    line = group.example
    return {
        "count": group.count,
        "first": moment(group.first),
        "last": moment(group.last),
        "direction": line.direction,
        "destination": line.dst_service or line.dst_addr,
        "error": line.error,
        "example": line,
        "explanations": explain_ztunnel_line(line, language),
    }


def _print_json(document: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
