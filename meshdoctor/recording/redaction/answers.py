"""Which files of a recording may be kept, and what each becomes: a file that no rule knows is not kept.

What does not decode is not kept either: a rule cannot have looked at it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.model.envoy.admin import Certificates, InitDump, ListenerStatuses, ServerInfo
from meshdoctor.model.envoy.endpoint import ClusterStatuses
from meshdoctor.model.istiod import MeshConfig, RegistryService, SyncRecord
from meshdoctor.model.kinds import kind_of_file
from meshdoctor.recording.redaction.logs import clean_log
from meshdoctor.recording.redaction.objects import clean_list, clean_store
from meshdoctor.recording.redaction.suspects import suspect
from meshdoctor.recording.redaction.text import Redactor
from meshdoctor.recording.redaction.tree import clean

_SAMPLE = re.compile(r"^[A-Za-z_:][\w:]*(?:\{[^\n]*\})? \S+$")
_VERSION_KEYS = ("major", "minor", "gitVersion", "gitCommit", "platform", "goVersion")
_TYPED: dict[str, Any] = {
    "clusters.json": ClusterStatuses,
    "listeners.json": ListenerStatuses,
    "certs.json": Certificates,
    "server_info.json": ServerInfo,
    "init_dump.json": InitDump,
    "syncz.json": list[SyncRecord] | None,
    "registryz.json": list[RegistryService] | None,
    "mesh.json": MeshConfig,
}
_ISTIOD = ("syncz.json", "registryz.json", "mesh.json")


_UPDATED = re.compile(rb'"last_updated":\s*("[^"\\]*")')


class _Dump(msgspec.Struct, frozen=True):
    configs: list[msgspec.Raw]


def redacted(file: str, body: bytes, redactor: Redactor) -> bytes | None:
    """What is kept of *body*, the file *file* of a recording; None when it is not kept at all.

    Raises `UnreadableError` when it does not decode, so that nothing of it can be kept.
    """
    rule = _rule(file)
    return rule(body, redactor) if rule else None


def kept(file: str) -> bool:
    """Whether a file of that name is kept."""
    return _rule(file) is not None


def _rule(file: str) -> Callable[[bytes, Redactor], bytes] | None:
    parts = file.split("/")
    room, name = parts[0], parts[-1]
    if room == "kube":
        if file == "kube/version.json":
            return _version
        kind = kind_of_file(file)
        return (lambda body, redactor: clean_list(body, kind, redactor)) if kind else None
    if room == "istiod" and len(parts) == 3:
        if name == "version.json":
            return _one_line
        if name == "configz.json":
            return clean_store
        return _typed(name) if name in _ISTIOD else None
    if room == "istiod" and len(parts) == 5 and parts[2] == "config_dump":
        return clean_dump
    if room == "envoy" and len(parts) == 4:
        if name == "config_dump.json":
            return clean_dump
        if name in ("ready.txt", "stats.prom"):
            return _one_line if name == "ready.txt" else _metrics
        return _typed(name) if name in _TYPED and name not in _ISTIOD else None
    if room == "ztunnel" and len(parts) == 4 and name == "config_dump.json":
        return _whole
    if room == "logs" and len(parts) == 4:
        container = name.partition(".log")[0]
        return lambda body, redactor: clean_log(body, container, redactor)
    return None


def _typed(name: str) -> Callable[[bytes, Redactor], bytes]:
    def rule(body: bytes, redactor: Redactor) -> bytes:
        built = msgspec.to_builtins(decode_json(body, _TYPED[name]))
        return msgspec.json.encode(clean(built, redactor) if suspect(body) else built)

    return rule


def _whole(body: bytes, redactor: Redactor) -> bytes:
    return _element(body, redactor)


def _version(body: bytes, redactor: Redactor) -> bytes:
    found = decode_json(body, dict[str, Any])
    return msgspec.json.encode({key: clean(found[key], redactor) for key in _VERSION_KEYS if key in found})


def _one_line(body: bytes, redactor: Redactor) -> bytes:
    return redactor.text(body.decode(errors="replace")[:256]).encode()


def _metrics(body: bytes, redactor: Redactor) -> bytes:
    lines = (line for line in body.decode(errors="replace").splitlines() if _SAMPLE.match(line))
    return "".join(f"{redactor.line(line)}\n" for line in lines).encode()


def clean_dump(body: bytes, redactor: Redactor) -> bytes:
    """A config dump, minified; only elements in which a secret could be are taken apart. Raises `UnreadableError`."""
    sections = []
    for raw in decode_json(body, _Dump).configs:
        fields = decode_json(bytes(raw), dict[str, msgspec.Raw])
        sections.append(b",".join(_field(name, bytes(value), redactor) for name, value in fields.items()))
    return b'{"configs":[' + b",".join(b"{" + section + b"}" for section in sections) + b"]}"


def _field(name: str, value: bytes, redactor: Redactor) -> bytes:
    key = msgspec.json.encode(name) + b":"
    if value[:1] == b"[":
        elements = decode_json(value, list[msgspec.Raw])
        return key + b"[" + b",".join(_element(bytes(element), redactor) for element in elements) + b"]"
    return key + _element(value, redactor)


def _remembered(raw: bytes, redactor: Redactor) -> bytes:
    """The element walked; every proxy has the same ones, but for the time at which each arrived."""
    times = _UPDATED.findall(raw)
    same = _UPDATED.sub(b'"last_updated":""', raw) if times else raw
    known = redactor.elements.get(same)
    if known is None:
        known = msgspec.json.encode(clean(msgspec.json.decode(same), redactor))
        redactor.remember(same, known)
    if not times:
        return known
    parts = known.split(b'"last_updated":""')
    if len(parts) != len(times) + 1:  # an empty time was there, or a walk dropped one: nothing is put back in its place
        return known
    return b"".join(
        part + (b'"last_updated":' + time if time else b"") for part, time in zip(parts, [*times, b""], strict=True)
    )


def _element(raw: bytes, redactor: Redactor) -> bytes:
    try:
        if not suspect(raw):
            return msgspec.json.format(raw, indent=-1)
        return _remembered(raw, redactor)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UnreadableError(f"not valid JSON: {str(error).splitlines()[0]}") from None
