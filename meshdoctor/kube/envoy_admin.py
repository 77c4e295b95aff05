"""Reading an Envoy without hurting it.

The admin endpoint builds its whole answer on the main thread: behind a 35 MB `/config_dump` the readiness probe waited
2.2 s, and a whole dump of 70 MB made the kernel kill a sidecar near its default memory limit. So the size and the head
room are looked at first, and a big configuration is read section by section and by groups of names, each a few MB.
Measured on Envoy 1.40 with 4,000 clusters and 32,000 endpoints (42 MB): whole, 1.4 s at a stretch and 127 MB more
memory at the peak; in 36 parts, 0.5 s at most and no measurable memory, for 5 s altogether.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from meshdoctor.kube.errors import PodError

Get = Callable[[str], Awaitable[bytes]]
"""GET of one admin target (path and query); raises ClusterError."""

MIB = 1 << 20
# Measured on Envoy 1.40 with Istio-shaped clusters: 5.5 to 12 KB of dump per cluster with its endpoints, and 3.7 times
# the dump's size in memory while it is made.
BYTES_PER_CLUSTER = 10_000
MEMORY_PER_BYTE = 4
WHOLE_DUMP_LIMIT = 12 * MIB
"""A larger dump keeps the main thread busy for more than about a second."""
HEAD_ROOM_SHARE = 0.5
"""A whole dump may take at most this part of the memory that is left."""
NAMES_PER_PART = 400
_NOBODY = quote("^meshdoctor-reads-only-the-bootstrap$", safe="")


class Section(NamedTuple):
    """One repeated field of a section of the dump; *names* is the mask that leaves only names, "" when never large."""

    message: str
    field: str
    names: str = ""
    name_path: tuple[str, ...] = ()
    endpoints: bool = False


_ENDPOINTS = ("endpoint_config.cluster_name", ("endpoint_config", "cluster_name"))
SECTIONS: tuple[Section, ...] = (
    Section("ClustersConfigDump", "static_clusters"),
    Section("ClustersConfigDump", "dynamic_active_clusters", "cluster.name", ("cluster", "name")),
    Section("ClustersConfigDump", "dynamic_warming_clusters"),
    Section("ListenersConfigDump", "static_listeners"),
    Section("ListenersConfigDump", "dynamic_listeners", "name", ("name",)),
    Section("RoutesConfigDump", "static_route_configs"),
    Section("RoutesConfigDump", "dynamic_route_configs", "route_config.name", ("route_config", "name")),
    Section("SecretsConfigDump", "static_secrets"),
    Section("SecretsConfigDump", "dynamic_active_secrets"),
    Section("SecretsConfigDump", "dynamic_warming_secrets"),
    Section("EcdsConfigDump", "ecds_filters"),
    Section("EndpointsConfigDump", "static_endpoint_configs", *_ENDPOINTS, True),
    Section("EndpointsConfigDump", "dynamic_endpoint_configs", *_ENDPOINTS, True),
)


class Size(NamedTuple):
    """What is known of a proxy before its dump is asked for; bytes, None when it could not be told."""

    clusters: int | None
    memory: int | None
    limit: int | None

    @property
    def dump(self) -> int | None:
        """The dump's estimated size in bytes."""
        return None if self.clusters is None else self.clusters * BYTES_PER_CLUSTER

    @property
    def in_parts(self) -> bool:
        """Whether a whole dump would hold the main thread for long or come near the memory limit."""
        size = self.dump
        if size is None or size > WHOLE_DUMP_LIMIT:
            return True
        if self.limit is None or self.memory is None:
            return False
        return size * MEMORY_PER_BYTE > HEAD_ROOM_SHARE * (self.limit - self.memory)


class _Memory(msgspec.Struct, frozen=True):
    total_physical_bytes: str = "0"
    heap_size: str = "0"


class _Stat(msgspec.Struct, frozen=True):
    name: str = ""
    value: int = 0


class _Stats(msgspec.Struct, frozen=True):
    stats: tuple[_Stat, ...] = ()


class _Clusters(msgspec.Struct, frozen=True):
    cluster_statuses: tuple[msgspec.Raw, ...] = ()


class _Configs(msgspec.Struct, frozen=True):
    configs: tuple[msgspec.Raw, ...] = ()


SIZE_TARGETS = ("/stats?filter=", "/memory")
"""How the targets begin that `proxy_size` asks for."""


async def proxy_size(get: Get, memory_limit: int | None) -> Size:
    """Ask `/stats` for the number of clusters and `/memory` for what is used; *memory_limit* in bytes."""
    clusters = memory = None
    target = f"/stats?filter={quote('^cluster_manager.active_clusters$', safe='')}&format=json"
    try:
        stats = msgspec.json.decode(await get(target), type=_Stats).stats
        clusters = next((stat.value for stat in stats if stat.name == "cluster_manager.active_clusters"), None)
    except (PodError, msgspec.DecodeError):
        clusters = None  # an older Envoy or a stats matcher: unknown, and so read in parts
    try:
        told = msgspec.json.decode(await get("/memory"), type=_Memory)
        memory = int(told.total_physical_bytes) or int(told.heap_size)
    except (PodError, msgspec.DecodeError, ValueError):
        memory = None
    return Size(clusters, memory, memory_limit)


async def read_config_dump(get: Get, memory_limit: int | None = None) -> bytes:
    """`/config_dump?include_eds`, whole when it is small, else put together from parts with the same shape.

    In a dump made of parts a section's own `version_info` is missing (each resource has its own), and the configuration
    may have changed between two parts. Raises ClusterError.
    """
    if not (await proxy_size(get, memory_limit)).in_parts:
        return await get("/config_dump?include_eds")
    return await read_in_parts(get)


async def read_clusters(get: Get, memory_limit: int | None = None, names_per_part: int = NAMES_PER_PART) -> bytes:
    """`/clusters?format=json`, whole when the proxy is small, else by groups of names. Raises ClusterError."""
    target = "/clusters?format=json"
    if not (await proxy_size(get, memory_limit)).in_parts:
        return await get(target)
    names: list[str] = []
    for section in SECTIONS:
        if section.message == "ClustersConfigDump":
            found = await _configs(get, f"/config_dump?resource={section.field}&mask=cluster.name")
            names += [_name(raw, ("cluster", "name")) for raw in found]
    statuses: list[bytes] = []
    for number, pattern in enumerate(name_patterns(names, names_per_part)):
        body = await get(f"{target}&filter={quote(f'^(?:{pattern})$', safe='')}")
        try:
            part = msgspec.json.decode(body, type=_Clusters).cluster_statuses
        except msgspec.DecodeError:
            raise PodError(f"GET {target}: the answer is no complete JSON ({len(body)} bytes)", "try again") from None
        if number == 0 and len(part) > names_per_part:
            return body  # an Envoy that does not know `filter` has answered with everything
        statuses += [bytes(raw) for raw in part]
    return b'{"cluster_statuses":[' + b",".join(statuses) + b"]}"


async def read_in_parts(get: Get, names_per_part: int = NAMES_PER_PART) -> bytes:
    """The dump from `SECTIONS`, at most *names_per_part* resources of a large section at a time."""
    configs = [bytes(raw) for raw in await _configs(get, f"/config_dump?name_regex={_NOBODY}")]
    for section in SECTIONS:
        resources: list[bytes] = []
        async for part in _section(get, section, names_per_part):
            resources += part
        if resources:
            head = f'{{"@type":"type.googleapis.com/envoy.admin.v3.{section.message}","{section.field}":['
            configs.append(head.encode() + b",".join(resources) + b"]}")
    return b'{"configs":[' + b",".join(configs) + b"]}"


async def _section(get: Get, section: Section, most: int) -> AsyncIterator[list[bytes]]:
    base = f"/config_dump?{'include_eds&' if section.endpoints else ''}resource={section.field}"
    names: list[str] | None = None
    if section.names:
        try:
            found = await _configs(get, f"{base}&mask={section.names}")
            names = [_name(raw, section.name_path) for raw in found]
        except PodError:
            names = None  # this Envoy refuses the mask (HTTP 400): the section is read as it is
    if names is None or len(names) <= most:
        if names != []:
            yield [bytes(raw) for raw in await _configs(get, base)]
        return
    for pattern in name_patterns(names, most):
        yield [bytes(raw) for raw in await _configs(get, f"{base}&name_regex={quote(pattern, safe='')}")]


async def _configs(get: Get, target: str) -> tuple[msgspec.Raw, ...]:
    try:
        body = await get(target)
    except PodError as error:
        if "HTTP 404" in str(error):
            return ()  # Envoy's way to say that it has no such section
        raise
    try:
        return msgspec.json.decode(body, type=_Configs).configs
    except msgspec.DecodeError:
        raise PodError(f"GET {target}: the answer is no complete JSON ({len(body)} bytes)", "try again") from None


def _name(raw: msgspec.Raw, path: Sequence[str]) -> str:
    value: object = msgspec.json.decode(raw)
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def name_patterns(names: Iterable[str], most: int) -> Iterator[str]:
    """Regular expressions (RE2, matched against a whole name) that together match each name once.

    Each is made of prefixes and matches *most* names or fewer; a name that is also a prefix of others stands alone.
    """
    group: list[str] = []
    size = 0
    for pattern, count in _prefixes(sorted(set(names)), 0, most):
        if group and (size + count > most or sum(map(len, group)) + len(pattern) > 4000):
            yield "|".join(group)
            group, size = [], 0
        group.append(pattern)
        size += count
    if group:
        yield "|".join(group)


def _prefixes(names: list[str], depth: int, most: int) -> Iterator[tuple[str, int]]:
    if len(names) <= most and depth:
        yield f"{re_escape(names[0][:depth])}.*", len(names)
        return
    rest = names
    if rest and len(rest[0]) == depth:
        yield re_escape(rest[0]), 1
        rest = rest[1:]
    start = 0
    while start < len(rest):
        end = start
        while end < len(rest) and rest[end][depth] == rest[start][depth]:
            end += 1
        yield from _prefixes(rest[start:end], depth + 1, most)
        start = end


def re_escape(text: str) -> str:
    """*text* as a literal of RE2 (no escape of characters that need none, to keep URLs short)."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)
