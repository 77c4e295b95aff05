"""One section of a config dump as the structs that a table needs, and what could not be decoded, a line each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast, get_args

import msgspec

from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.sections import Part, Sections, salvaged, snake

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
        return msgspec.json.decode(part(sections, name))
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableError(f"{name} is not valid JSON: {_line(error)}") from None


def read_part(sections: Sections, name: str, kind: type[S]) -> S:
    """A section as *kind*, a struct of lists; entries that cannot be decoded are left out and named in the problems.

    A section that repeats (a dump that was read in parts) counts as one. What was decoded once is kept. Raises
    `NoSectionError`, and `UnreadableError` when nothing can be read.
    """
    known = sections.decoded.get((name, kind))
    if known is None:
        raws = sections.parts.get(name)
        if not raws:
            raise NoSectionError(name)
        found = [decode_part(snake(raw), name, kind, sections.problems) for raw in raws]
        known = sections.decoded[name, kind] = _merged(found)
    return cast(S, known)


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
    except msgspec.ValidationError as error:
        if not _lists(kind):
            raise UnreadableError(f"{name}: {_line(error)}") from None
        fields: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        fields = salvaged(raw, _lists(kind))
        if not any(fields.values()):
            raise UnreadableError(f"{name} is not valid JSON: {_line(error)}") from None
        _note(problems, f"{name} is not valid JSON ({_line(error)}); the entries before that are shown")
    entries = {
        field: _entries(fields.get(field), entry, f"{name}.{field}", problems) for field, entry in _lists(kind).items()
    }
    return kind(**entries)


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
        except msgspec.DecodeError as error:
            _note(problems, f"{where}[{number}]: {_line(error)}")
    return found


def _line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
