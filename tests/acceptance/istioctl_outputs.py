"""Scores `proxy-config` against what the real istioctl printed for the proxies of the recorded incidents.

A point per run of istioctl: a table must be the same bytes, JSON and YAML the same value, and where istioctl failed,
the program must fail too.
"""

from __future__ import annotations

import json
import lzma
import tarfile
from pathlib import Path
from typing import Any

import yaml

from tests.acceptance.command import Ran, run
from tests.acceptance.scoring import Score


def score(corpus: Path) -> Score:
    """Count as the corpus' README says; the recordings are in `incidents/` beside the corpora."""
    with lzma.open(corpus / "outputs.jsonl.xz", "rt", encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines]
    by_recording: dict[str, list[dict[str, Any]]] = {}
    for case in cases:
        by_recording.setdefault(case["recording"], []).append(case)
    misses = []
    for recording, asked in by_recording.items():
        files = _files(corpus.parents[1] / "incidents" / recording, {case["file"] for case in asked})
        for case in asked:
            why = _difference(case, files[case["file"]])
            if why:
                arguments = " ".join(case["args"])
                misses.append(f"{recording}/{case['file']}: {case['command']} {arguments}: {why}")
    return Score("istioctl_outputs", len(cases) - len(misses), len(cases), misses)


def _files(incident: Path, names: set[str]) -> dict[str, bytes]:
    """Some files of a recording, unpacked in memory."""
    with tarfile.open(incident / "recording.tar.xz") as archive:
        found = {}
        for member in archive:
            name = member.name.removeprefix("./")
            name = name if name in names else name.partition("/")[2]
            if name in names and member.isfile():
                opened = archive.extractfile(member)
                assert opened is not None
                found[name] = opened.read()
        return found


def _difference(case: dict[str, Any], body: bytes) -> str:
    """Why the answer is not istioctl's; "" when it is."""
    arguments = [*case["command"].split(), "--file", "-", *case["args"], "--now", str(case["at"])]
    ran = run(arguments, body)
    if case["exit"]:
        return "" if ran.exit else "istioctl fails here"
    if ran.exit:
        return f"failed: {ran.stderr.strip()}"
    output = case["args"][case["args"].index("-o") + 1] if "-o" in case["args"] else "short"
    return compare(ran, case["stdout"], output)


def compare(ran: Ran, expected: str, output: str) -> str:
    """The first difference of two outputs; JSON and YAML are compared by value."""
    if output == "json":
        return "" if json.loads(ran.stdout) == json.loads(expected) else "another value"
    if output == "yaml":
        return "" if yaml.safe_load(ran.stdout) == yaml.safe_load(expected) else "another value"
    if ran.stdout == expected:
        return ""
    ours, theirs = ran.stdout.splitlines(), expected.splitlines()
    for number, (our, their) in enumerate(zip(ours, theirs, strict=False), start=1):
        if our != their:
            return f"line {number} is {our!r} instead of {their!r}"
    return f"{len(ours)} lines instead of {len(theirs)}"
