"""The small admin answers: `/certs`, `/listeners`, `/server_info`, `/init_dump`, `/stats/prometheus`."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from meshdoctor.model.envoy.address import Address
from meshdoctor.model.envoy.any import EnvoyFact


class SubjectAltName(EnvoyFact, frozen=True):
    uri: str = ""
    dns: str = ""
    ip_address: str = ""

    def __str__(self) -> str:
        return self.uri or self.dns or self.ip_address


class CertificateDetails(EnvoyFact, frozen=True):
    """One certificate: serial number in hex, times RFC 3339, days as Envoy counts them (never negative)."""

    path: str = ""
    serial_number: str = ""
    subject_alt_names: list[SubjectAltName] = []
    days_until_expiration: int = 0
    valid_from: str | None = None
    expiration_time: str | None = None


class Certificate(EnvoyFact, frozen=True):
    ca_cert: list[CertificateDetails] = []
    cert_chain: list[CertificateDetails] = []


class Certificates(EnvoyFact, frozen=True):
    """`GET /certs`."""

    certificates: list[Certificate] = []


class ListenerStatus(EnvoyFact, frozen=True):
    name: str = ""
    local_address: Address = Address()


class ListenerStatuses(EnvoyFact, frozen=True):
    """`GET /listeners?format=json`: the listeners that are active now."""

    listener_statuses: list[ListenerStatus] = []


class Node(EnvoyFact, frozen=True):
    id: str = ""
    cluster: str = ""
    metadata: dict[str, Any] = {}
    locality: dict[str, str] = {}


class ServerInfo(EnvoyFact, frozen=True):
    """`GET /server_info`; *state* is LIVE, DRAINING, PRE_INITIALIZING or INITIALIZING."""

    version: str = ""
    state: str = ""
    uptime_current_epoch: str = ""
    node: Node = Node()
    command_line_options: dict[str, Any] = {}

    @property
    def envoy_version(self) -> str:
        """`1.40.0` of `9e55…/1.40.0/Clean/RELEASE/BoringSSL`."""
        parts = self.version.split("/")
        return parts[1] if len(parts) > 1 else self.version

    @property
    def istio_version(self) -> str:
        return str(self.node.metadata.get("ISTIO_VERSION", ""))


class UnreadyTarget(EnvoyFact, frozen=True):
    name: str = ""
    target_names: list[str] = []


class InitDump(EnvoyFact, frozen=True):
    """`GET /init_dump`: what Envoy still waits for."""

    unready_targets_dumps: list[UnreadyTarget] = []


class Sample(NamedTuple):
    """One line of Prometheus exposition text."""

    name: str
    labels: dict[str, str]
    value: float


_SAMPLE = re.compile(r"^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$")
_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')
_UNESCAPE = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def parse_prometheus(text: str) -> tuple[Sample, ...]:
    """Samples of a `/stats/prometheus` body; lines that are no sample (comments, a cut last line) are left out."""
    samples = []
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if not match:
            continue
        labels = {
            name: re.sub(r"\\.", lambda escape: _UNESCAPE.get(escape[0], escape[0]), value)
            for name, value in _LABEL.findall(match[2] or "")
        }
        try:
            samples.append(Sample(match[1], labels, float(match[3])))
        except ValueError:
            continue
    return tuple(samples)
