"""The exit status that a command ends with is one that its `--help` tells, with the meaning that it tells."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import pytest

from meshdoctor.cli import COMMANDS, main
from tests.commands.recordings import write

Captured = pytest.CaptureFixture[str]
PINE = "fixtures/pine.tar.xz"
TABLE = ["--recording", PINE]
GATEWAY = {
    "metadata": {"name": "waypoint", "namespace": "default"},
    "spec": {"gatewayClassName": "istio-waypoint"},
    "status": {"conditions": [{"type": "Programmed", "status": "False"}]},
}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_tells_the_statuses_of_this_command(name: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        main([name, "--help"])
    told = capsys.readouterr().out.partition("exit status: ")[2].splitlines()
    numbers = [int(line.split()[0]) for line in told if line.strip()[:1].isdigit()]
    assert numbers == sorted(COMMANDS[name].statuses)
    assert max(map(len, told)) <= 79


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["diagnose", PINE], 1, "culprit"),
        (["explain", "UF"], 0, "explained"),
        (["explain", "zzz"], 2, "nothing readable"),
        (["proxy-status", *TABLE], 0, "whether they are in sync or not"),
        (["proxy-status", "--recording", "/nowhere"], 2, "could not be read"),
        (["proxy-status", "--recording", "/nowhere", "-o", "istioctl"], 1, "-o istioctl"),
        (["proxy-config", "cluster", "nobody", *TABLE, "-o", "istioctl"], 1, "-o istioctl"),
        (["proxy-config", "rootca-compare", "web.shop", "cart.shop", *TABLE], 0, "done"),
        (["ztunnel-config", "workload", *TABLE, "-o", "istioctl"], 1, "-o istioctl"),
        (["mtls", *TABLE], 1, "was hit"),
        (["trace", "shop/web", "cart:80/items", *TABLE], 1, "something fails it"),
        (["check-access", "--role"], 0, ""),
        (["compare", PINE], 2, "the command was wrong"),
        (["compare", PINE, "fixtures/maple.tar.xz"], 0, "whether anything changed or not"),
        (["demo", "pine", "--answer"], 0, "done"),
    ],
)
def test_a_command_ends_as_it_tells(words: list[str], status: int, told: str) -> None:
    assert main(words) == status
    assert told in COMMANDS[words[0]].statuses[status]


def test_a_waypoint_that_is_not_programmed(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "manifest.json": {"format": "meshdoctor-raw/1", "finished_at": 1_795_428_060},
            "kube/gateway.networking.k8s.io/v1/gateways.json": [GATEWAY],
        },
    )
    assert main(["waypoint", "status", "--recording", str(tmp_path)]) == 1
    assert main(["waypoint", "list", "--recording", str(tmp_path)]) == 0
    assert "not programmed" in COMMANDS["waypoint"].statuses[1]


def test_a_bundle_that_is_damaged(tmp_path: Path) -> None:
    bundle = tmp_path / "a.mdb"
    assert main(["record", "--from-recording", PINE, "-o", str(bundle)]) == 0
    assert main(["bundle", "verify", str(bundle)]) == 0
    with ZipFile(bundle) as archive:
        largest = max(archive.infolist(), key=lambda part: part.compress_size)
    body = bytearray(bundle.read_bytes())
    body[largest.header_offset + largest.compress_size // 2] ^= 255
    bundle.write_bytes(body)
    assert main(["bundle", "verify", str(bundle)]) == 1
    assert "damaged" in COMMANDS["bundle"].statuses[1]
