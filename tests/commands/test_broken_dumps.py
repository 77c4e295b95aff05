"""Dumps with anything in the place of anything: no table of them ends with an exception."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from meshdoctor.cli import main
from tests.commands.recordings import HOSTS, WEB

Captured = pytest.CaptureFixture[str]

JUNK: list[Any] = [
    None,
    0,
    -1,
    1e308,
    2**70,
    "",
    "x\x1b[2J",
    "\ud800",
    "a|b|c|d",
    [],
    {},
    [None],
    [{}],
    {"@type": "x"},
    True,
]
ENVOY = ("cluster", "listener", "route", "secret", "eds", "bootstrap", "ecds", "all")
ZTUNNEL = ("workload", "service", "policy", "certificate", "connections", "all")
FORMATS = ("short", "wide", "json", "yaml", "istioctl")
RICH = {
    "EcdsConfigDump": {"ecds_filters": [{"ecds_filter": {"name": "f", "typed_config": {"@type": "a/b"}}}]},
    "EndpointsConfigDump": {
        "dynamic_endpoint_configs": [
            {
                "endpoint_config": {
                    "cluster_name": "outbound|80||a",
                    "endpoints": [
                        {
                            "locality": {"region": "r"},
                            "lb_endpoints": [
                                {"endpoint": {"address": {"socket_address": {"address": "1.1.1.1", "port_value": 80}}}}
                            ],
                        }
                    ],
                }
            }
        ]
    },
    "SecretsConfigDump": {
        "dynamic_active_secrets": [
            {"name": "d", "secret": {"tls_certificate": {"certificate_chain": {"inline_bytes": "eA=="}}}}
        ]
    },
}
KNOWN = {
    "workloads": [{"uid": "u", "name": "w", "namespace": "n", "workloadIps": ["1.1.1.1"], "status": "Healthy"}],
    "services": [{"name": "s", "namespace": "n", "vips": ["/1.1.1.2"], "endpoints": {"u": {"workloadUid": "u"}}}],
    "policies": [{"name": "p", "namespace": "n", "rules": [[]]}],
    "certificates": [{"identity": "i", "state": "Available", "certChain": [{"serialNumber": "1"}]}],
    "workloadState": {"u": {"info": {"name": "w"}, "connections": {"inbound": [{"src": "1.1.1.1:1"}]}}},
}


def envoy_dump() -> Any:
    dump = json.loads(WEB)
    for section in dump["configs"]:
        section.update(RICH.get(section["@type"].rpartition(".")[2], {}))
    return dump


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        found += places(inner, (*path, key))
    return found


def broken(document: Any, chance: random.Random) -> bytes:
    """A copy with a value replaced or left out, sometimes cut or with other bytes in it."""
    copy = json.loads(json.dumps(document))
    path = chance.choice(places(copy))
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    if chance.random() < 0.2:
        del holder[path[-1]]
    else:
        holder[path[-1]] = chance.choice(JUNK)
    text = json.dumps(copy, indent=chance.choice([1, None])).encode()
    if chance.random() < 0.2:
        text = text[: chance.randrange(len(text))]
    elif chance.random() < 0.2:
        at = chance.randrange(len(text))
        text = text[:at] + bytes([chance.randrange(256)]) + text[at + 1 :]
    return text


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("command", "tables"), [("proxy-config", ENVOY), ("proxy-config", ("endpoint",)), ("ztunnel-config", ZTUNNEL)]
)
def test_a_broken_dump_is_shown_in_part_or_refused(
    capsys: Captured, tmp_path: Path, seed: int, command: str, tables: tuple[str, ...]
) -> None:
    chance = random.Random(f"{command} {tables[0]} {seed}")
    document = {"endpoint": json.loads(HOSTS), "workload": KNOWN}.get(tables[0], envoy_dump())
    path = tmp_path / "answer.json"
    for _ in range(6):
        path.write_bytes(broken(document, chance))
        for table in tables:
            status = main([command, table, "-f", str(path), "-o", chance.choice(FORMATS)])
            assert status in (0, 1, 2)
            assert "Traceback" not in capsys.readouterr().err
