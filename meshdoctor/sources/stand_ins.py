"""Where else a fact stands when the file that should hold it is not there.

istiod's own store (`/debug/configz`) has every Istio object, its ConfigMap `istio` the mesh config, and a proxy's
listeners the format of its access log: a recording with partial rights often lacks one and has the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from meshdoctor.model.accesslog_format import LogFormat, compile_format
from meshdoctor.model.decode import UnreadableError, convert, decode_json, decode_raw
from meshdoctor.model.envoy.any import EnvoyFact, typed
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.listener import AccessLog
from meshdoctor.model.istiod import MeshConfig
from meshdoctor.model.kinds import Kind
from meshdoctor.model.kubernetes import ConfigMap
from meshdoctor.model.meta import Object
from meshdoctor.recording.importing.yaml_guard import load_documents

CONFIG_MAP = re.compile(r"^istio(?:-[a-z0-9-]+)?$")
"""`istio`, or `istio-<revision>` (istiod's --meshConfig ConfigMap)."""


class _Head(msgspec.Struct, frozen=True, rename="camel"):
    kind: str = ""
    api_version: str = ""


def objects_of_configz(body: bytes, kind: Kind) -> tuple[Object, ...]:
    """The objects of one kind in a `/debug/configz` answer; raises `UnreadableError`."""
    found = []
    for raw in decode_json(body, list[msgspec.Raw]):
        head = decode_raw(raw, _Head)
        # configz spells the Gateway API's Gateway as Istio's; the group tells them apart.
        if head.api_version.partition("/")[0] == kind.group and head.kind in (kind.name, kind.name.removeprefix("K8s")):
            found.append(decode_raw(raw, kind.struct))
    return tuple(found)


def mesh_config_of(config_maps: tuple[Object, ...]) -> MeshConfig | None:
    """The mesh config in the ConfigMap `istio`; None when there is none or it cannot be read."""
    for found in config_maps:
        if isinstance(found, ConfigMap) and CONFIG_MAP.match(found.name) and found.data and "mesh" in found.data:
            try:
                return convert(next(load_documents(found.data["mesh"].encode()), None) or {}, MeshConfig)
            except UnreadableError:
                continue
    return None


class _Format(EnvoyFact, frozen=True):
    text_format_source: dict[str, Any] | None = None
    json_format: dict[str, Any] | None = None


class _FileLog(EnvoyFact, frozen=True):
    log_format: _Format | None = None


def formats_of(dump: ConfigDump) -> tuple[LogFormat, ...]:
    """The access-log formats that a proxy's listeners set, each once."""
    sources: dict[str, Any] = {}
    for entry in _access_logs(dump):
        found = typed(entry.typed_config, _FileLog, "FileAccessLog", "StdoutAccessLog", "StreamAccessLog")
        if found is None or found.log_format is None:
            continue
        text = (found.log_format.text_format_source or {}).get("inline_string")
        source = text or found.log_format.json_format
        if source:
            sources.setdefault(repr(source), source)
    return tuple(compile_format(source) for source in sources.values())


def _access_logs(dump: ConfigDump) -> Iterator[AccessLog]:
    for listener in dump.listeners:
        yield from listener.body.access_log
        for chain in listener.body.chains:
            for terminal in (chain.http, chain.tcp):
                if terminal:
                    yield from terminal.access_log
