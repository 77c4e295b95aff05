"""One section of a config dump as the structs that a table needs, and what could not be decoded, a line each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, cast, get_args

import msgspec

from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.body import without_halves
from meshdoctor.model.envoy.sections import Part, Sections, salvaged, snake
from meshdoctor.model.mending import mended

S = TypeVar("S")

TYPE_PREFIX = "type.googleapis.com/envoy.admin.v3."


class NoSectionError(UnreadableError):
    """The dump has no such section; the message is istioctl's."""

    def __init__(self, name: str) -> None:
        super().__init__(f"config dump has no configuration type {TYPE_PREFIX}{name}")


def part(sections: Sections, name: str) -> Part:
    """The section that counts; raises `NoSectionError`."""
    found = sections.last(name)
    if found is None:
        raise NoSectionError(name)
    return snake(found)


def section_value(sections: Sections, name: str) -> Any:
    """A whole section as JSON values; raises `UnreadableError`."""
    try:
        return msgspec.json.decode(_utf8(part(sections, name)))
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableError(f"{name} is not valid JSON: {_line(error)}") from None


def read_part(sections: Sections, name: str, kind: type[S], *, keep: bool = True) -> S:
    """A section as *kind*, a struct of lists; entries that cannot be decoded are left out and named in the problems.

    A section that repeats (a dump that was read in parts) counts as one. What was decoded once is kept, unless *keep*
    is off: large structs that only make rows. Raises `NoSectionError`, and `UnreadableError` when nothing can be read.
    """
    raws = sections.parts.get(name)
    if not raws:
        raise NoSectionError(name)

    def decoded() -> S:
        return _merged([decode_part(snake(raw), name, kind, sections.problems) for raw in raws])

    return sections.once((name, kind), decoded) if keep else decoded()


def _merged(parts: list[S]) -> S:
    """Several parts of one section: their lists one after the other; of other fields, the last part's count."""
    if len(parts) == 1:
        return parts[0]
    lists = _lists(type(parts[0]))
    values = {field: [entry for part in parts for entry in getattr(part, field)] for field in lists}
    return cast(S, msgspec.structs.replace(cast(Any, parts[-1]), **values))


def decode_part(raw: Part, name: str, kind: type[S], problems: list[str]) -> S:
    """*raw* as *kind*, by entries when it cannot be decoded as a whole; raises `UnreadableError`."""
    try:
        return msgspec.json.decode(raw, type=kind, strict=False)
    except UnicodeDecodeError:
        _note(problems, f"{name}: bytes that are no UTF-8 are shown as \ufffd")
        return decode_part(_utf8(raw), name, kind, problems)
    except (msgspec.DecodeError, RecursionError) as error:
        mended = _mended(raw, error)
        if mended is not None:
            if not isinstance(error, msgspec.ValidationError):
                _note(problems, f"{name}: halves of UTF-16 pairs are shown as \ufffd")
            return decode_part(mended, name, kind, problems)
        lists = _lists(kind)
        if isinstance(error, msgspec.ValidationError) and not lists:
            raise UnreadableError(f"{name}: {_line(error)}") from None
        fields = _fields(raw, name, lists, problems)
    entries = {field: _entries(fields.get(field), entry, f"{name}.{field}", problems) for field, entry in lists.items()}
    return kind(**entries)


def _mended(raw: Part, error: Exception) -> Part | None:
    """*raw* without what is no fault of an entry: fields that are null are unset, as in protojson; text that is half
    of a UTF-16 pair is shown as a replacement character. None when it has none of these.
    """
    if isinstance(error, msgspec.ValidationError):
        if not _NULL.search(raw):
            return None
        try:
            return msgspec.json.encode(_without_nulls(msgspec.json.decode(raw)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
    return without_halves(raw)


def _without_nulls(value: Any) -> Any:
    """JSON values without the fields and entries that are null."""
    if isinstance(value, dict):
        return {key: _without_nulls(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, list):
        return [_without_nulls(entry) for entry in value if entry is not None]
    return value


_NULL = re.compile(rb"[:,\[]\s*null\b")


def _fields(raw: Part, name: str, lists: Iterable[str], problems: list[str]) -> dict[str, Any]:
    """The lists of a section, each as raw JSON, or as the entries that are left when it is no JSON."""
    try:
        return dict(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        found = salvaged(raw, lists)
        if not found:
            raise UnreadableError(f"{name} is not valid JSON: {_line(error)}") from None
        _note(problems, f"{name} is not valid JSON ({_line(error)}); what could be read of its entries is shown")
        return dict(found)


def readable(
    raws: Iterable[msgspec.Raw], kind: type[S], where: str, problems: list[str]
) -> Iterator[tuple[S, msgspec.Raw]]:
    """Each resource that can be read, as *kind* and as JSON; what is empty is left out, what is broken is named."""
    for raw in raws:
        if not bytes(raw):
            continue
        try:
            yield msgspec.json.decode(raw, type=kind, strict=False), raw
        except UnicodeDecodeError:
            yield from readable([msgspec.Raw(_utf8(bytes(raw)))], kind, where, problems)
        except (msgspec.DecodeError, RecursionError) as error:
            _note(problems, f"{where}: {_line(error)}")
            if (part := mended(raw, kind)) is not None:
                yield part, raw


def resource_value(raw: msgspec.Raw) -> Any:
    """A resource's JSON as values; text that is no Unicode is shown as replacement characters.

    Raises `UnreadableError` when even so it is no JSON.
    """
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = _SURROGATE.sub("\ufffd", bytes(raw).decode(errors="replace"))
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableError(f"not valid JSON: {_line(error)}") from None


def is_sound(sections: Sections) -> bool:
    """Whether nothing was left out and every section is JSON."""
    return not sections.problems and sections.once("sound", lambda: _is_json(sections))


def _is_json(sections: Sections) -> bool:
    try:
        for raw in (raw for parts in sections.parts.values() for raw in parts):
            msgspec.json.decode(raw, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def whole_dump(sections: Sections) -> dict[str, Any]:
    """Every section that can be read, as the values of one dump, in Envoy's own spelling."""
    configs = []
    for name, parts in sections.parts.items():
        for raw in parts:
            try:
                configs.append(resource_value(msgspec.Raw(raw)))
            except UnreadableError as error:
                _note(sections.problems, f"{name} is {error}")
    return {"configs": configs}


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def _utf8(raw: Part) -> bytes:
    return bytes(raw).decode(errors="replace").encode()


def _note(problems: list[str], line: str) -> None:
    if line not in problems:
        problems.append(line)


def _lists(kind: type[Any]) -> dict[str, type[Any]]:
    """The list fields of a section's struct, with the type of their entries."""
    found = {}
    for field in msgspec.structs.fields(kind):
        arguments = get_args(field.type)
        if arguments:
            found[field.encode_name] = arguments[0]
    return found


def _entries(raw: Any, kind: type[Any], where: str, problems: list[str]) -> list[Any]:
    if raw is None:
        return []
    try:
        raws: Iterable[Any] = raw if isinstance(raw, list) else msgspec.json.decode(raw, type=list[msgspec.Raw])
    except msgspec.DecodeError as error:
        _note(problems, f"{where}: {_line(error)}")
        return []
    found = []
    for number, entry in enumerate(raws):
        try:
            found.append(msgspec.json.decode(entry, type=kind, strict=False))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            _note(problems, f"{where}[{number}]: {_line(error)}")
            if (part := mended(entry, kind)) is not None:
                found.append(part)
    return found


def _line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
