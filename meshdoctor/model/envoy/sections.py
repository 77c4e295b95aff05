"""The sections of a config dump, found without decoding it: a table decodes only the section that it shows.

Envoy prints a dump with one space per level and `@type` first, and no JSON string can hold a raw newline, so that a
section's first line, with its indentation, is found by a search for bytes: 70 MB take some 10 ms. A dump in any other
layout is decoded as a whole; one that is no JSON (text around it, a broken section) is searched for what is left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import msgspec

from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.body import Body, beginning, utf8
from meshdoctor.model.envoy.camel import to_snake

T = TypeVar("T")
Part = bytes | memoryview

_FIRST_LINES = b'{\n   "@type": "type.googleapis.com/'
_ADMIN = b"envoy.admin."
_INDENT = b"\n  "
_HEAD = b'{\n "configs": ['
_ANY_SECTION = re.compile(rb'\{\s*"@type"\s*:\s*"(?:[\w.]+/)?envoy\.admin\.v\w+\.(\w+)"')
_TYPE = re.compile(rb'\s*\{\s*"@type"\s*:\s*"[^"]*?(\w+)"')
_CAMEL_KEY = re.compile(
    rb'"(?:versionInfo|lastUpdated|ecdsFilters|clusterStatuses|userAgent[A-Z]\w*|(?:static|dynamic)[A-Z]\w*)"\s*:'
)
_EDGE = 4096
"""How far from a section's ends its own keys are looked for, to tell camelCase; bytes."""


class Decoded:
    """What was decoded of an answer, for the next table that asks."""

    def __init__(self) -> None:
        self.decoded: dict[object, Any] = {}

    def once(self, key: object, make: Callable[[], T]) -> T:
        """What *make* gave for *key* the first time; nothing is kept when it raises."""
        if key not in self.decoded:
            self.decoded[key] = make()
        return cast(T, self.decoded[key])


class Sections(Decoded):
    """The raw JSON of each section by message name (`ClustersConfigDump`)."""

    def __init__(self, parts: dict[str, tuple[Part, ...]], problems: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.parts = parts
        self.problems: list[str] = list(problems)
        """What could not be used or decoded so far, one line each."""

    def last(self, name: str) -> Part | None:
        """The section that counts when one repeats: istioctl takes the last (istioctl/pkg/util/configdump/util.go)."""
        found = self.parts.get(name)
        return found[-1] if found else None


class _Dump(msgspec.Struct):
    configs: list[msgspec.Raw] | None = []


class _Typed(msgspec.Struct):
    type: str = msgspec.field(name="@type", default="")


def find_sections(body: Body) -> Sections:
    """The sections of a dump's *body*; raises `UnreadableError` when it holds none and is no empty dump either."""
    plain = utf8(body)
    return _by_layout(plain) or _by_decoding(bytes(plain))


_ENTRIES = {
    "StaticCluster": ("ClustersConfigDump", "static_clusters"),
    "DynamicCluster": ("ClustersConfigDump", "dynamic_active_clusters"),
    "StaticListener": ("ListenersConfigDump", "static_listeners"),
    "DynamicListener": ("ListenersConfigDump", "dynamic_listeners"),
    "StaticRouteConfig": ("RoutesConfigDump", "static_route_configs"),
    "DynamicRouteConfig": ("RoutesConfigDump", "dynamic_route_configs"),
    "StaticSecret": ("SecretsConfigDump", "static_secrets"),
    "DynamicSecret": ("SecretsConfigDump", "dynamic_active_secrets"),
    "StaticEndpointConfig": ("EndpointsConfigDump", "static_endpoint_configs"),
    "DynamicEndpointConfig": ("EndpointsConfigDump", "dynamic_endpoint_configs"),
    "EcdsFilterConfig": ("EcdsConfigDump", "ecds_filters"),
}
"""What `/config_dump?resource=FIELD` gives in place of a section: its entries, each with a type of its own."""


def _whole(parts: dict[str, list[Part]]) -> dict[str, tuple[Part, ...]]:
    """The parts by section: entries that came without their section are put into one."""
    for name in _ENTRIES.keys() & parts.keys():
        section, field = _ENTRIES[name]
        entries = b",".join(parts.pop(name))
        whole = b'{"@type":"type.googleapis.com/envoy.admin.v3.%s","%s":[%s]}'
        parts.setdefault(section, []).append(whole % (section.encode(), field.encode(), entries))
    return {name: tuple(found) for name, found in parts.items()}


def is_camel(part: Part) -> bool:
    """Whether a section has its fields in camelCase (protojson), as istiod and istioctl print them."""
    return bool(_CAMEL_KEY.search(part[:_EDGE]) or _CAMEL_KEY.search(part[-_EDGE:]))


def snake(part: Part) -> Part:
    """A section with its fields in snake_case, as Envoy prints them; a camelCase one (protojson) is converted.

    Raises `UnreadableError` when a section to convert is not JSON.
    """
    if not is_camel(part):
        return part
    try:
        return msgspec.json.encode(to_snake(msgspec.json.decode(part)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"not valid JSON: {error}") from None


def _by_layout(body: Body) -> Sections | None:
    """The sections of a dump that is laid out as Envoy prints it, or None."""
    starts: list[int] = []
    at = body.find(_FIRST_LINES)
    while at >= 0:
        if body[at - len(_INDENT) : at] == _INDENT:
            starts.append(at)
        at = body.find(_FIRST_LINES, at + len(_FIRST_LINES))
    types = [start + len(_FIRST_LINES) for start in starts]
    if not any(body[at : at + len(_ADMIN)] == _ADMIN for at in types):
        return None
    view = memoryview(body)
    parts: dict[str, list[Part]] = {}
    dumps = 1
    for start, after in zip(starts, [*starts[1:], len(body)], strict=True):
        if after < len(body) and body[after - 4 : after] == b",\n  ":
            end = after - 4
        else:
            close = body.rfind(b"\n  }", start, after)
            end = close + 4 if close >= 0 else after
            if after < len(body) and _HEAD in body[end:after]:
                dumps += 1
                parts.clear()
                end = -1
        if end < 0:
            continue
        message = bytes(body[start + len(_FIRST_LINES) : start + len(_FIRST_LINES) + 160]).partition(b'"')[0]
        name = message.rpartition(b".")[2].decode(errors="replace")
        parts.setdefault(name, []).append(view[start:end])
    return Sections(_whole(parts), _around(body, starts[0], end, dumps))


def _around(body: Body, first: int, end: int, dumps: int) -> tuple[str, ...]:
    """What stands around the sections that does not belong to a dump."""
    problems = []
    start = max(body.rfind(_HEAD, 0, first), 0) or body.find(b"{", 0, first)
    before = bytes(body[: min(start, _EDGE)]).strip()
    if before:
        line = before.splitlines()[0][:60].decode(errors="replace")
        problems.append(f"text before the JSON was skipped: {line}")
    if dumps > 1:
        problems.append(f"the file holds {dumps} dumps; the last one is shown")
    after = bytes(body[end : end + _EDGE]).split()
    if b"".join(after[:2]) != b"]}":
        ends = bytes(body[-64:]).rstrip().endswith(b"]\n}")
        what = "something after the last section is none and was left out" if ends else "the JSON is cut short"
        problems.append(what)
    elif len(after) > 2 or len(body) > end + _EDGE:
        problems.append("text after the JSON was skipped")
    return tuple(problems)


def _by_decoding(body: bytes) -> Sections:
    if not body.strip():
        raise UnreadableError("the body is empty")
    try:
        configs = msgspec.json.decode(body, type=_Dump).configs or _alone(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _by_search(body, str(error).splitlines()[0])
    parts: dict[str, list[Part]] = {}
    problems = []
    for number, raw in enumerate(configs):
        match = _TYPE.match(raw)
        try:
            name = match[1].decode() if match else msgspec.json.decode(raw, type=_Typed).type.rpartition(".")[2]
        except (msgspec.DecodeError, UnicodeDecodeError):
            name = ""
        if name:
            parts.setdefault(name, []).append(memoryview(raw))
        else:
            problems.append(f"section {number} has no type and was left out")
    return Sections(_whole(parts), tuple(problems))


def _alone(body: bytes) -> list[msgspec.Raw]:
    """A section that was cut out of its dump."""
    kind = msgspec.json.decode(body, type=_Typed).type
    return [msgspec.Raw(body)] if kind.endswith("ConfigDump") else []


def _by_search(body: bytes, why: str) -> Sections:
    """What can still be found in a body that is not one JSON document: each section from its type to the next one's."""
    found = list(_ANY_SECTION.finditer(body))
    if not found:
        raise UnreadableError(f"not a config dump ({why}); it begins with: {beginning(body)}")
    parts: dict[str, list[Part]] = {}
    problems = [f"not one JSON document ({why}); what could be found in it is shown"]
    before = body[: found[0].start()]
    if before.count(b"{") and before[: before.find(b"{")].strip():
        problems.append("text before the JSON was skipped")
    dumps = 1
    for match, after in zip(found, [*found[1:], None], strict=True):
        raw = body[match.start() : after.start() if after else len(body)]
        name, section = match[1].decode(), _object(raw)
        parts.setdefault(name, []).append(section)
        if after and b'"configs"' in raw[len(section) :]:
            dumps += 1
            parts.clear()
    if dumps > 1:
        problems.append(f"the file holds {dumps} dumps; the last one is shown")
    return Sections(_whole(parts), tuple(problems))


def _object(raw: bytes) -> bytes:
    """The leading JSON object of *raw* without what follows it; *raw* itself when its object does not end."""
    depth, at, inside = 0, 0, False
    for match in _TOKEN.finditer(raw):
        at = match.end()
        token = match[0]
        if token[:1] == b'"':
            inside = not token.endswith(b'"') or len(token) < 2
            if inside:
                return raw
        elif token in b"{[":
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                return raw[:at]
    return raw


_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"?|[{}\[\]]', re.DOTALL)


def documents(body: bytes) -> tuple[list[bytes], bytes]:
    """The JSON objects that stand one after the other in *body*, whatever is between them, and what is left over."""
    found: list[bytes] = []
    at = body.find(b"{")
    while at >= 0:
        whole = _object(body[at:])
        try:
            msgspec.json.decode(whole, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            break
        found.append(whole)
        after = at + len(whole)
        at = body.find(b"{", after)
    return found, body[after:].strip() if found else body


def salvaged(raw: Part, fields: Iterable[str]) -> dict[str, list[bytes]]:
    """The entries of each list of a section that is no JSON, but for those that are broken.

    Where an entry of a dump with lines is broken, the next one is known by its indentation; without lines, what follows
    a broken entry cannot be told from what is in it.
    """
    from json import JSONDecoder, dumps  # only a broken dump needs it

    text = bytes(raw).decode(errors="replace")
    decoder = JSONDecoder(strict=False)
    found: dict[str, list[bytes]] = {}
    for field in fields:
        match = re.search(rf'"{re.escape(field)}"\s*:\s*\[(\s*)', text)
        if not match:
            continue
        at, lead = match.end(), match[1]
        # No string holds a line break, so that a bracket that stands one to the left of the entries ends their list.
        close = text.find(lead[:-1] + "]", at) if "\n" in lead else -1
        while text[at : at + 1] not in ("", "]"):
            try:
                value, end = decoder.raw_decode(text, at)
            except (ValueError, RecursionError):
                following = text.find(lead + "{", at) if "\n" in lead else -1
                if following < 0 or following > close >= 0:
                    break
                at = following + len(lead)
                continue
            entry = text[at:end]
            found.setdefault(field, []).append((dumps(value) if _CONTROL.search(entry) else entry).encode())
            while text[end : end + 1] in _BETWEEN:
                end += 1
            at = end
    return found


_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_BETWEEN = frozenset(", \t\r\n")
