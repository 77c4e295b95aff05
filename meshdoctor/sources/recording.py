"""A recording as a source: each want is one or two of its files, decoded when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from meshdoctor.model import wants as ask
from meshdoctor.model.accesslog import ParsedLog, parse_access_log
from meshdoctor.model.accesslog_format import LogFormat, compile_format
from meshdoctor.model.applog import parse_app_log
from meshdoctor.model.decode import UnreadableError, decode_json, decode_raw
from meshdoctor.model.envoy.admin import (
    Certificates,
    InitDump,
    ListenerStatuses,
    ServerInfo,
    parse_prometheus,
)
from meshdoctor.model.envoy.config_dump import decode_config_dump
from meshdoctor.model.envoy.endpoint import ClusterStatuses
from meshdoctor.model.istiod import MeshConfig, RegistryService, SyncRecord, parse_istiod_version
from meshdoctor.model.kinds import BY_NAME, KINDS, Kind, kind_of_file
from meshdoctor.model.meta import Object
from meshdoctor.model.snapshot import REASONS, Fact, Missing, Origin, Part, PodRef, Snapshot, SourceInfo, Want
from meshdoctor.model.text import visible, visible_line
from meshdoctor.model.ztunnel import decode_whole_dump
from meshdoctor.model.ztunnellog import parse_ztunnel_log
from meshdoctor.recording.opening import open_any
from meshdoctor.recording.raw import RawRecording
from meshdoctor.sources.live_files import log_file, log_of
from meshdoctor.sources.stand_ins import formats_of, mesh_config_of, objects_of_configz

_ENVOY = "envoy/{0.namespace}/{0.name}/{1}"
_JSON_FILES: dict[type[Want[Any]], tuple[str, Any]] = {
    ask.ProxyClusters: ("clusters.json", ClusterStatuses),
    ask.ProxyCertificates: ("certs.json", Certificates),
    ask.ProxyListeners: ("listeners.json", ListenerStatuses),
    ask.ProxyServerInfo: ("server_info.json", ServerInfo),
    ask.ProxyInitDump: ("init_dump.json", InitDump),
}


class _ObjectList(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw] | None = None


class RecordingSource:
    """The facts of one moment of a recording."""

    def __init__(self, recording: RawRecording) -> None:
        self._recording = recording
        manifest = recording.manifest
        self.info = SourceInfo(
            kind="recording",
            name=str(recording.path),
            started_at=manifest.started_at,
            finished_at=manifest.finished_at,
            note=manifest.note,
            moments=recording.moments,
            moment=recording.moment,
            problems=recording.problems,
        )

    @classmethod
    def open(cls, path: Path, at: str | None = None) -> RecordingSource:
        """What is at *path* (a recording, a bundle, another tool's file); raises what `open_any` raises."""
        return cls(open_any([path], at))

    @classmethod
    def open_all(cls, paths: Sequence[Path], at: str | None = None) -> RecordingSource:
        """Several files as one source: a person's collection of what Envoy, istiod and kubectl answered."""
        return cls(open_any(paths, at))

    def at(self, moment: str) -> RecordingSource:
        """The same recording at another of its moments; raises `UsageError` when *moment* is before the first."""
        return RecordingSource(self._recording.at(moment))

    def read(self, wants: Iterable[Want[Any]], known: Snapshot | None = None) -> Snapshot:
        snapshot = known or Snapshot(self.info, {})
        return snapshot.updated({want: self._answer(want) for want in snapshot.lacks(wants)})

    def _answer(self, want: Want[Any]) -> Fact[Any] | Missing:
        match want:
            case ask.Contents():
                return Fact(self._inventory, Origin("manifest.json", self.info.finished_at))
            case ask.Objects(kind=kind):
                return self._objects(BY_NAME[kind])
            case ask.ObjectBody(kind=kind, namespace=namespace, name=name):
                return self._object_body(BY_NAME[kind], namespace, name)
            case ask.ProxyConfig(pod=pod):
                return self._config_dump(pod)
            case ask.ProxyBody(pod=pod, file=file):
                room = "ztunnel" if pod in self._inventory.ztunnels else "envoy"
                return self._decode(f"{room}/{pod.namespace}/{pod.name}/{file}", lambda body: body)
            case ask.RecordedFile(file=file):
                return self._decode(file, lambda body: body)
            case ask.ProxyReady(pod=pod):
                return self._decode(
                    _ENVOY.format(pod, "ready.txt"), lambda body: visible(body.decode(errors="replace")).strip()
                )
            case ask.ProxyMetrics(pod=pod):
                return self._decode(
                    _ENVOY.format(pod, "stats.prom"),
                    lambda body: parse_prometheus(visible(body.decode(errors="replace"))),
                )
            case ask.SyncStatus(istiod=istiod):
                return self._json(
                    f"istiod/{istiod}/syncz.json", list[SyncRecord] | None, lambda found: tuple(found or ())
                )
            case ask.ControlPlaneVersion(istiod=istiod):
                return self._decode(f"istiod/{istiod}/version.json", parse_istiod_version)
            case ask.SentConfig(istiod=istiod, pod=pod):
                return self._decode(self._sent_file(istiod, pod), lambda body: body)
            case ask.Registry(istiod=istiod):
                return self._json(
                    f"istiod/{istiod}/registryz.json", list[RegistryService] | None, lambda found: tuple(found or ())
                )
            case ask.Mesh():
                return self._mesh
            case ask.ZtunnelConfig(pod=pod):
                return self._decode(f"ztunnel/{pod.namespace}/{pod.name}/config_dump.json", decode_whole_dump)
            case ask.AccessLog(log=log):
                return self._of_part(self._access_log(log))
            case ask.ZtunnelAccessLog(log=log):
                return self._of_part(self._decode(log_file(log), parse_ztunnel_log))
            case ask.ApplicationLog(log=log):
                return self._of_part(self._decode(log_file(log), parse_app_log))
            case ask.LogText(log=log):
                text = self._decode(log_file(log), lambda body: visible(body.decode(errors="replace")))
                return self._of_part(text)
        name, kind = _JSON_FILES[type(want)]
        return self._json(_ENVOY.format(want.pod, name), kind)  # type: ignore[attr-defined]

    @cached_property
    def _inventory(self) -> ask.Inventory:
        proxies: dict[PodRef, None] = {}
        ztunnels: dict[PodRef, None] = {}
        istiods: dict[str, None] = {}
        logs: dict[ask.LogRef, None] = {}
        for file in sorted(self._recording.files):
            parts = file.split("/")
            if parts[0] == "envoy" and len(parts) == 4:
                proxies[PodRef(parts[1], parts[2])] = None
            elif parts[0] == "ztunnel" and len(parts) == 4:
                ztunnels[PodRef(parts[1], parts[2])] = None
            elif parts[0] == "istiod" and len(parts) == 3:
                istiods[parts[1]] = None
            elif (log := log_of(file)) is not None:
                logs[log] = None
        kinds = tuple(kind.name for kind in KINDS if kind.name in self._lists)
        return ask.Inventory(tuple(proxies), tuple(ztunnels), tuple(istiods), tuple(logs), kinds)

    @cached_property
    def _lists(self) -> dict[str, list[str]]:
        """The lists of each kind, one for each API version that was read: that of the version which we decode first."""
        found: dict[str, list[str]] = {}
        for file in self._recording.files:
            if (kind := kind_of_file(file)) is not None:
                found.setdefault(kind.name, []).append(file)
        return {
            name: sorted(files, key=lambda file: (file != BY_NAME[name].file, file)) for name, files in found.items()
        }

    def _objects(self, kind: Kind) -> Fact[tuple[Object, ...]] | Missing:
        files = self._lists.get(kind.name)
        if not files:
            for file in self._istiod_files("configz.json"):
                # istiod keeps every Istio object; an empty answer of it says that there is none.
                if "istio.io" in kind.group:
                    return self._of_part(self._decode(file, lambda body: objects_of_configz(body, kind)))
            return self._missing(kind.file)
        # All are lists of the same objects: one that is empty beside a full one, or cannot be read, tells less.
        facts = []
        for file in files:
            fact = self._list(file, kind)
            if not isinstance(fact, Missing) and fact.value:
                return self._of_part(fact)
            facts.append(fact)
        return self._of_part(next((fact for fact in facts if isinstance(fact, Missing)), facts[0]))

    def _list(self, file: str, kind: Kind) -> Fact[tuple[Object, ...]] | Missing:
        problems: list[str] = []

        def items(body: bytes) -> tuple[Object, ...]:
            found = []
            for number, raw in enumerate(decode_json(body, _ObjectList).items or ()):
                try:
                    found.append(decode_raw(raw, kind.struct))
                except UnreadableError as error:
                    problems.append(f"item {number}: {error}")
            return tuple(found)

        fact = self._decode(file, items)
        return fact if isinstance(fact, Missing) else fact._replace(problems=tuple(problems))

    def _of_part(self, fact: Fact[Any] | Missing) -> Fact[Any] | Missing:
        """The fact with the namespaces that its file is of, or with why a log has its newest lines only."""
        partial = None if isinstance(fact, Missing) else self._recording.partial(fact.origin.file)
        if isinstance(fact, Missing) or partial is None:
            return fact
        newest = log_of(partial.file) is not None
        part = Part(tuple(map(visible_line, partial.namespaces)), visible_line(partial.why), newest)
        return fact._replace(part=part)

    def _object_body(self, kind: Kind, namespace: str, name: str) -> Fact[bytes] | Missing:
        file = self._lists.get(kind.name, [kind.file])[0]

        def found(body: bytes) -> bytes:
            nameless = 0
            for raw in decode_json(body, _ObjectList).items or ():
                try:
                    metadata = decode_raw(raw, Object).metadata
                except UnreadableError:
                    nameless += 1
                    continue
                if (metadata.namespace, metadata.name) == (namespace, name):
                    return bytes(raw)
            if nameless:
                raise UnreadableError(f"no {kind.name} {name} is in it, but {nameless} that could not be decoded")
            return b""

        fact = self._decode(file, found)
        if isinstance(fact, Fact) and not fact.value:
            return Missing("not recorded", f"no {kind.name} {name} is in it", file)
        return fact

    def _config_dump(self, pod: PodRef) -> Fact[Any] | Missing:
        return self._decode(_ENVOY.format(pod, "config_dump.json"), decode_config_dump)

    @cached_property
    def _mesh(self) -> Fact[MeshConfig] | Missing:
        files = self._istiod_files("mesh.json")
        found = self._json(files[0] if files else "istiod/…/mesh.json", MeshConfig)
        config_maps = self._objects(BY_NAME["ConfigMap"]) if isinstance(found, Missing) else found
        if isinstance(config_maps, Missing) or not isinstance(config_maps.value, tuple):
            return found
        declared = mesh_config_of(config_maps.value)
        return Fact(declared, config_maps.origin) if declared else found

    def _sent_file(self, istiod: str, pod: PodRef) -> str:
        """What that istiod would send, else what any other would: all of a revision send the same."""
        name = f"config_dump/{pod.namespace}/{pod.name}.json"
        own = f"istiod/{istiod}/{name}"
        return own if own in self._recording.files else next(iter(self._istiod_files(name)), own)

    def _istiod_files(self, name: str) -> list[str]:
        return sorted(
            file for file in self._recording.files if file.startswith("istiod/") and file.endswith(f"/{name}")
        )

    def _access_log(self, log: ask.LogRef) -> Fact[ParsedLog] | Missing:
        fact = self._decode(log_file(log), lambda body: parse_access_log(body, self._formats))
        if isinstance(fact, Missing) or not fact.value.skipped.get("unreadable"):
            return fact
        # Lines of a format that the mesh config does not tell: the proxy's own listeners do.
        dump = self._config_dump(log.pod)
        own = () if isinstance(dump, Missing) else formats_of(dump.value)
        return self._decode(log_file(log), lambda body: parse_access_log(body, (*self._formats, *own))) if own else fact

    @cached_property
    def _formats(self) -> tuple[LogFormat, ...]:
        mesh = self._mesh
        custom = "" if isinstance(mesh, Missing) else mesh.value.access_log_format
        return (compile_format(custom),) if custom else ()

    def _json(self, file: str, kind: Any, shape: Callable[[Any], Any] = lambda found: found) -> Fact[Any] | Missing:
        return self._decode(file, lambda body: shape(decode_json(body, kind)))

    def _decode(self, file: str, decode: Callable[[bytes], Any]) -> Fact[Any] | Missing:
        # Evidence of an earlier moment names its file by the moment's folder.
        body = self._recording.files.get(file) or self._recording.whole.get(file)
        if body is None:
            return self._missing(file)
        try:
            return Fact(decode(body()), Origin(file, self.info.finished_at))
        except UnreadableError as error:
            return Missing("unreadable", str(error), file)
        except OSError as error:
            return Missing("unreadable", error.strerror or "the file cannot be read", file)

    def _missing(self, file: str) -> Missing:
        error = visible(self._recording.error(file)).removeprefix("failed: ")
        if not error:
            return Missing("not recorded", "", file)
        # What was forbidden or timed out when it was recorded is told as that.
        reason, colon, detail = error.partition(": ")
        return Missing(reason, detail, file) if colon and reason in REASONS else Missing("failed", error, file)
