"""What a file is, told by how it begins: people rename what they download, so that a name proves little."""

from __future__ import annotations

import re

CONFIG_DUMP = "config_dump"
CLUSTERS, CLUSTERS_TEXT = "clusters", "clusters text"
LISTENERS, LISTENERS_TEXT = "listeners", "listeners text"
STATS, STATS_TEXT, PROMETHEUS = "stats", "stats text", "prometheus"
CERTS, SERVER_INFO, INIT_DUMP = "certs", "server_info", "init_dump"
ZTUNNEL = "ztunnel config_dump"
KUBE_JSON, KUBE_YAML = "objects as JSON", "objects as YAML"
SYNC_JSON, SYNC_YAML, SYNC_TABLE = "proxy-status as JSON", "proxy-status as YAML", "proxy-status table"
SYNCZ = "syncz"
LOG = "log"
UNKNOWN = ""

HEAD = 64 * 2**10
"""Bytes of a file that are looked at."""

_FIRST_KEY = re.compile(rb'\s*\{\s*"(\w+)"\s*:')
_FIRST_ITEM_KEY = re.compile(rb'\s*\[\s*\{\s*"(\w+)"\s*:')
_BY_KEY = {
    b"configs": CONFIG_DUMP,
    b"cluster_statuses": CLUSTERS,
    b"listener_statuses": LISTENERS,
    b"stats": STATS,
    b"unready_targets_dumps": INIT_DUMP,
}
_KUBE_KEYS = {b"apiVersion", b"kind", b"items", b"metadata", b"spec", b"status", b"data"}
_SYNC_KEYS = {b"versionInfo", b"resources", b"typeUrl", b"nonce", b"controlPlane", b"canary"}
_ZTUNNEL_KEYS = {b"certificates", b"config", b"policies", b"services", b"workloads", b"version", b"stagedServices"}
_CLUSTER_LINE = re.compile(rb"^[^\n]+?::(?:observability_name|default_priority|added_via_api)::", re.MULTILINE)
_LISTENER_LINE = re.compile(rb"^[^\s:]+::(?:\[[^\]\s]+\]|[^\s:]+):\d+\s*$")
_STAT_LINE = re.compile(rb"^[\w.|;:<>\-\[\]]+: (?:\d+|\"[^\"\n]*\"|P0\([^\n]*|No recorded values)\s*$")
_PROMETHEUS_LINE = re.compile(
    rb"^(?:# (?:TYPE|HELP) \w+|[A-Za-z_:][\w:]*(?:\{[^\n]*\})? (?:[-+]?[\d.]+(?:[eE][-+]?\d+)?|NaN|[-+]?Inf)\s*$)"
)
_TABLE = re.compile(rb"^NAME\s.*\b(?:ISTIOD|PILOT)\b")
_YAML_KEY = re.compile(rb"^(?:- )?([A-Za-z]\w*):(?:\s|$)", re.MULTILINE)
_ACCESS_LINE = re.compile(rb'^\[\d{4}-\d\d-\d\dT[^\]]+\] "|^\{"', re.MULTILINE)
_TIMED_LINE = re.compile(rb"^(?:\[?\d{4}[-/]\d\d[-/]\d\d[T ]|[IWEF]\d{4} \d\d:)", re.MULTILINE)
_BOM = b"\xef\xbb\xbf"


def recognise(head: bytes) -> str:
    """What begins with *head* is; UNKNOWN when nothing that is known begins so."""
    body = head.removeprefix(_BOM).lstrip()
    if body[:1] == b"{":
        return _json_object(body)
    if body[:1] == b"[" and (match := _FIRST_ITEM_KEY.match(body)):
        if match[1] in _KUBE_KEYS:
            return KUBE_JSON
        return SYNCZ if b'"proxy"' in body[:4096] else UNKNOWN
    return _text(body)


def _json_object(body: bytes) -> str:
    match = _FIRST_KEY.match(body)
    key = match[1] if match else b""
    if key in _BY_KEY:
        return _BY_KEY[key]
    if _is_log_line(body):
        return LOG
    if b'"hot_restart_version"' in body or b'"command_line_options"' in body:
        return SERVER_INFO
    if key == b"certificates" and (b'"ca_cert"' in body or b'"cert_chain"' in body):
        return CERTS
    if key in _SYNC_KEYS and (b"ClientConfig" in body or b"controlPlane" in body):
        return SYNC_JSON
    if key in _KUBE_KEYS:
        return KUBE_JSON
    return ZTUNNEL if key in _ZTUNNEL_KEYS else UNKNOWN


def _is_log_line(body: bytes) -> bool:
    """One JSON object a line: an access log or an application's log in JSON."""
    first, newline, second = body.partition(b"\n")
    whole = first.rstrip().endswith(b"}") and len(first) > 2
    return whole and (b'"start_time"' in first or b'"ts"' in first or (bool(newline) and second[:1] == b"{"))


def _text(body: bytes) -> str:
    lines = [line for line in body.split(b"\n", 40)[:40] if line.strip()]
    if not lines:
        return UNKNOWN
    if _TABLE.match(lines[0]):
        return SYNC_TABLE
    if _CLUSTER_LINE.search(body[:8192]):
        return CLUSTERS_TEXT
    if all(_LISTENER_LINE.match(line) for line in lines[:-1] or lines):
        return LISTENERS_TEXT
    if all(_STAT_LINE.match(line) for line in lines[:-1] or lines):
        return STATS_TEXT
    if all(_PROMETHEUS_LINE.match(line) for line in lines[:-1] or lines):
        return PROMETHEUS
    if _ACCESS_LINE.search(body) or _TIMED_LINE.search(body):
        return LOG
    keys = set(_YAML_KEY.findall(body))
    if keys & {b"apiVersion", b"kind", b"items"}:
        return KUBE_YAML
    return SYNC_YAML if keys & {b"resources", b"controlPlane"} and b"ClientConfig" in body else UNKNOWN


def json_part(body: bytes) -> tuple[bytes, str]:
    """*body* without the lines around its JSON (a status line, a warning), and what was left out; "" when nothing was.

    must-gather and scripts around `kubectl exec` write both streams into one file.
    """
    if body[:1] in b"{[" or not body:
        return body, ""
    lines = body.split(b"\n")
    starts = next((number for number, line in enumerate(lines) if line[:1] in (b"{", b"[")), 0)
    ends = next((number for number in range(len(lines) - 1, starts - 1, -1) if lines[number][:1] in (b"}", b"]")), -1)
    noise = b" ".join(lines[:starts]).strip()
    if not starts or not noise:
        return body, ""
    kept = lines[starts : ends + 1] if ends >= starts and lines[ends] != b"" else lines[starts:]
    return b"\n".join(kept), noise[:80].decode(errors="replace")
