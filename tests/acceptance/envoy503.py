"""Scores the access-log decoder and the explanations on recordings of a real Envoy, one folder per failure.

A point for every line that parses, for every pair of a text line and its JSON twin whose fields all equal what the JSON
says (read here with the standard library, not with the decoder under test), and for every response flag and detail that
is explained in words of its own, in both languages.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from meshdoctor.mesh.explanation import Explanation, Language, explain_details, explain_flag
from meshdoctor.model.accesslog import AccessLine, ParsedLog, parse_access_log
from tests.acceptance.scoring import Score

# Key of Istio's JSON format -> field of AccessLine, where the names differ.
_FIELD = {
    "start_time": "start",
    "response_code": "code",
    "response_flags": "flags",
    "response_code_details": "details",
    "connection_termination_details": "termination",
    "upstream_transport_failure_reason": "transport_failure",
}
_NUMBERS = {"bytes_received", "bytes_sent", "duration", "upstream_service_time"}


def score(corpus: Path) -> Score:
    """Count as the corpus' README says."""
    tally = _Tally()
    flags: set[str] = set()
    details: set[str] = set()
    for text_file in sorted(corpus.glob("*/*.istio.text.log")):
        json_file = text_file.with_name(text_file.name.replace(".istio.text.", ".istio.json."))
        texts, twins = _lines(text_file), _lines(json_file)
        where = str(text_file.relative_to(corpus))
        from_text = tally.parse(where, texts)
        from_json = tally.parse(str(json_file.relative_to(corpus)), twins)
        for number, twin in enumerate(twins, start=1):
            truth = json.loads(twin)
            flags.update(truth["response_flags"].split(","))
            details.update({truth["response_code_details"]} - {None})
            wrong = _differences(truth, from_text.get(number)) + _differences(truth, from_json.get(number))
            tally.count(not wrong, f"{where}:{number}: {', '.join(sorted(set(wrong)))}")
    for flag in sorted(flags):
        tally.count(_explained(explain_flag, flag), f"flag {flag!r} is not explained")
    for detail in sorted(details):
        tally.count(_explained(explain_details, detail), f"details {detail!r} are not explained")
    return Score("envoy503", tally.right, tally.total, tally.misses)


class _Tally:
    def __init__(self) -> None:
        self.right = self.total = 0
        self.misses: list[str] = []

    def count(self, right: bool, miss: str) -> None:
        self.total += 1
        self.right += right
        if not right:
            self.misses.append(miss)

    def parse(self, where: str, lines: list[str]) -> dict[int, AccessLine]:
        log: ParsedLog = parse_access_log("\n".join(lines))
        found = {line.line: line for line in log.lines}
        for number in range(1, len(lines) + 1):
            self.count(number in found, f"{where}:{number}: does not parse")
        return found


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8").split("\n") if line]


def _differences(truth: dict[str, Any], line: AccessLine | None) -> list[str]:
    if line is None:
        return ["missing"]
    return [key for key, value in truth.items() if getattr(line, _FIELD.get(key, key)) != _expected(key, value)]


def _expected(key: str, value: Any) -> object:
    if key == "response_flags":
        return () if value == "-" else tuple(value.split(","))
    if key == "start_time":
        return datetime.fromisoformat(value).timestamp()
    if key in _NUMBERS:
        return None if value is None else int(value)
    return value


def _explained(explain: Callable[[str, Language], Explanation], text: str) -> bool:
    found = [explain(text, language) for language in get_args(Language)]
    return all(one.known and len(one.means.split()) > 1 and one.means != text for one in found)
