"""Scores the tables of proxies, ztunnels and waypoints against istioctl's own test data (Istio master, 1.32-dev).

Only the commands that this program has are counted; `EXCLUDED` says why the others are not. Everything runs through the
command line: dumps come in by standard input, and what istioctl's tests fake as a cluster is a recording.
"""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tests.acceptance.command import Ran, run
from tests.acceptance.golden_worlds import gateway_world, pod_world, root_world, sync_world
from tests.acceptance.scoring import Score

NOW = "1795430000"
"""When certificates are judged: the corpus' expected rows hold until 2033."""

_NAMED = ("proxy-config", "proxy-status", "ztunnel-config", "waypoint list", "waypoint status", "(any)", "(parse)")
EXCLUDED = {
    "sds-writer": "a unit test of istioctl's writer: no command prints its JSON and its differences",
    "kube-inject": "injects, which this program does not",
    "workload-entry": "prepares virtual machines, which this program does not",
    "analyze": "scored by the analyzers' own corpus",
    "check-inject": "another command",
    "describe": "another command",
    "authz": "another command",
    "metrics": "another command",
}
_TABLES = {"pc-endpoint": "eds"}  # the endpoints of a config dump are the table `eds`


def score(corpus: Path) -> Score:
    """Count as the corpus' README says."""
    entries = json.loads((corpus / "index.json").read_text(encoding="utf-8"))["entries"]
    counted = [entry for entry in entries if _is_named(entry)]
    misses = [f"{entry['id']}: {why}" for entry in counted if (why := _judge(corpus, entry))]
    return Score("golden", len(counted) - len(misses), len(counted), misses)


def _is_named(entry: dict[str, Any]) -> bool:
    return entry["command"].startswith(_NAMED) and not entry["id"].startswith(tuple(EXCLUDED))


def _judge(corpus: Path, entry: dict[str, Any]) -> str:
    """Why the program's answer is not the expected one; "" when it is."""
    kinds = {"golden": _golden, "cli": _cli, "unit": _unit, "semantics": _roots, "error": _error, "parse": _parse}
    if entry["kind"] == "contains":
        return _contains(corpus, entry)
    return kinds[entry["kind"]](corpus, entry)


def _golden(corpus: Path, entry: dict[str, Any]) -> str:
    if entry["id"].startswith("waypoint"):
        return _waypoint(corpus, entry)
    arguments = _arguments(entry)
    body = (corpus / entry["inputs"][0]).read_bytes()
    if entry["command"].startswith("proxy-status"):
        body = "".join(json.dumps(answer) for answer in json.loads(body)["discovery_responses"].values()).encode()
    ran = run([*arguments, "--file", "-", "--now", NOW], body)
    expected = (corpus / entry["expected_file"]).read_text(encoding="utf-8")
    return _compare(ran, expected, entry)


def _arguments(entry: dict[str, Any]) -> list[str]:
    words = [word for word in entry["command"].split() if not word.startswith(("<", "(", "-"))][:2]
    if words[0] == "proxy-config":
        words[1] = next((table for prefix, table in _TABLES.items() if entry["id"].startswith(prefix)), words[1])
    if words[0] == "proxy-status":
        words = words[:1]
    chosen = entry.get("filter") or {}
    for name, flag in (("port", "--port"), ("address", "--address"), ("namespace", "--workload-namespace")):
        if chosen.get(name):
            words += ["-n" if words[0] == "proxy-status" and name == "namespace" else flag, str(chosen[name])]
    if chosen.get("verbosity"):
        words += ["-v", str(chosen["verbosity"])]
    if chosen.get("with_headers"):
        words.append("--with-headers")
    if chosen.get("workload"):
        words.append(chosen["workload"])
    output = entry.get("output_format", "short")
    return [*words, "-o", {"table": "istioctl"}.get(output, output)]


def _waypoint(corpus: Path, entry: dict[str, Any]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        gateway_world(Path(folder), corpus / entry["inputs"][0])
        arguments = [*entry["args"], "-n", entry["namespace"], "--recording", folder, "-o", "istioctl"]
        ran = run(arguments)
    expected = (corpus / entry["expected_file"]).read_text(encoding="utf-8")
    return "" if ran.stdout + ran.stderr == expected else f"{ran.stdout + ran.stderr!r} instead of {expected!r}"


def _compare(ran: Ran, expected: str, entry: dict[str, Any]) -> str:
    if ran.exit:
        return f"failed: {ran.stderr.strip()}"
    output = entry.get("output_format")
    if output in ("json", "yaml"):
        same = list(yaml.safe_load_all(ran.stdout)) == list(yaml.safe_load_all(expected))
        return "" if same else "another value"
    exact = entry["compare"].startswith("exact")
    ours, theirs = (ran.stdout, expected) if exact else (ran.stdout.strip(), expected.strip())
    return "" if ours == theirs else f"{ours!r} instead of {theirs!r}"


def _cli(corpus: Path, entry: dict[str, Any]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        world = Path(folder)
        if "world" in entry:
            sync_world(world, entry["world"])
        else:
            bodies = {
                pod: (corpus / answer).read_bytes() if (corpus / answer).is_file() else answer.encode()
                for pod, answer in entry.get("exec_results", {}).items()
            }
            pod_world(world, bodies, ztunnel=entry["command"].startswith("ztunnel"))
        arguments = list(entry["args"])
        if len(arguments) > 1 or arguments[0] == "proxy-status":
            arguments += ["--recording", folder]
            arguments += [] if "-o" in arguments else ["-o", "istioctl"]
        ran = run(arguments)
    if bool(ran.exit) != entry["expect_error"]:
        return f"exit {ran.exit}: {ran.stderr.strip()}"
    printed = ran.stdout + ran.stderr
    if "expected_output" in entry:
        return "" if printed == entry["expected_output"] else f"{printed!r} instead of {entry['expected_output']!r}"
    wanted = entry.get("expected_string", "")
    return "" if wanted in printed else f"{wanted!r} is not in {printed!r}"


def _contains(corpus: Path, entry: dict[str, Any]) -> str:
    files = dict(zip(entry["roles"], (str(corpus / name) for name in entry["inputs"]), strict=True))
    ran = run(["proxy-status", "--istiod-file", files["istiod"], "--file", files["envoy"]])
    missing = [text for text in entry["expected_strings"] if text not in ran.stdout]
    return f"lacks {', '.join(missing)}: {ran.stderr}" if missing else ""


def _unit(_: Path, entry: dict[str, Any]) -> str:
    """Filters of the listener table, each on a dump of one listener."""
    wrong = []
    for case in entry["cases"]:
        section = {"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump"}
        dump = {"configs": [{**section, "static_listeners": [{"listener": {"name": "one", **case["listener"]}}]}]}
        flags = [part for name, value in case["filter"].items() if value for part in (f"--{name}", str(value))]
        ran = run(["proxy-config", "listener", "--file", "-", "-o", "json", *flags], json.dumps(dump).encode())
        if bool(json.loads(ran.stdout or "[]")) != case["expected"]:
            wrong.append(case["name"])
    return ", ".join(wrong)


def _roots(_: Path, entry: dict[str, Any]) -> str:
    """The four cases of the Go test; certificates are made here, as there."""
    first, second = _certificate("A"), _certificate("B")
    bundles = {
        "Matching Certificates - both rootCA identical": (first, first),
        "Non-Matching Certificates": (first, second),
        "Subset of Certificates": (first + second, second),
        "Invalid Certificate Data": (b"invalid data", first),
    }
    wrong = []
    for case in entry["cases"]:
        with tempfile.TemporaryDirectory() as folder:
            encoded = [base64.b64encode(bundle).decode() for bundle in bundles[case["name"]]]
            root_world(Path(folder), encoded)
            ran = run(["proxy-config", "rootca-compare", "one", "two", "--recording", folder, "-o", "istioctl"])
        said = case["expected_error"] is None or case["expected_error"] in ran.stderr
        if (ran.exit == 0) != case["expected_match"] or not said:
            wrong.append(f"{case['name']}: {ran.stderr.strip()}")
    return "; ".join(wrong)


def _certificate(name: str) -> bytes:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, start, start + timedelta(days=365))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _error(_: Path, entry: dict[str, Any]) -> str:
    ran = run(["proxy-config", "cluster", "--file", "-"], entry["inline_input"].encode())
    return "" if ran.exit else "an empty dump is no error"


def _parse(corpus: Path, entry: dict[str, Any]) -> str:
    ran = run(["ztunnel-config", "workload", "--file", "-", "-o", "json"], (corpus / entry["inputs"][0]).read_bytes())
    count = len(json.loads(ran.stdout))
    empty = run(["ztunnel-config", "workload", "--file", "-"], b"")
    return "" if count == entry["expected_count"]["workloads"] and empty.exit else f"{count} workloads"
