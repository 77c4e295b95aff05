"""YAML of somebody else: read by PyYAML's C loader, but only after its events have been looked at.

libyaml's composer recurses: 50,000 nested brackets end the process, and a few hundred bytes of aliases grow to
gigabytes. The event stream is flat, so that both are seen before anything is built.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from meshdoctor.model.decode import UnreadableError
from meshdoctor.recording.limits import MAX_DEPTH

# PyYAML without libyaml does the same, slower. A loader is a parser too.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _TextLoader(_Loader):  # type: ignore[misc]
    """Leaves times as the text that they are: Kubernetes knows no other."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in _Loader.yaml_implicit_resolvers.items()
    }


def load_documents(body: bytes) -> Iterator[Any]:
    """The documents of *body*; raises `UnreadableError` when it is not YAML, too deep, or uses aliases or own tags."""
    try:
        _check(body)
        yield from yaml.load_all(body, Loader=_TextLoader)
    except yaml.YAMLError as error:
        raise UnreadableError(f"not valid YAML: {_first_line(error)}") from None
    except (ValueError, RecursionError, OverflowError) as error:
        raise UnreadableError(f"not valid YAML: {_first_line(error)}") from None


def as_json(document: object) -> bytes:
    """A document as JSON; raises `UnreadableError` when it has no form in it: a key that is no text."""
    try:
        return msgspec.json.encode(document)
    except (TypeError, ValueError, RecursionError) as error:
        raise UnreadableError(f"it has no form in JSON: {error}") from None


def _check(body: bytes) -> None:
    depth = 0
    for event in yaml.parse(body, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise UnreadableError(f"nested more than {MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            # kubectl and istioctl never write one; a chain of them can stand for gigabytes.
            raise UnreadableError("it uses YAML aliases, which neither kubectl nor istioctl writes")


def _first_line(error: Exception) -> str:
    problem = getattr(error, "problem", None)
    mark = getattr(error, "problem_mark", None)
    text = f"{problem} (line {mark.line + 1})" if problem and mark else str(error)
    return text.splitlines()[0][:200] if text else type(error).__name__
