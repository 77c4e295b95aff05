"""One object of a ztunnel's dump as it stood in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from meshdoctor.model.ztunnel import whole_answer

_SECTIONS: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "workload": ("workloads", lambda entry: f"{entry.get('namespace')}/{entry.get('name')}"),
    "service": ("services", lambda entry: f"{entry.get('namespace')}/{entry.get('hostname')}"),
    "policy": ("policies", lambda entry: f"{entry.get('namespace')}/{entry.get('name')}"),
    "identity": ("certificates", lambda entry: entry.get("identity")),
    "connections": ("workloadState", lambda entry: _workload(entry.get("info"))),
}
KINDS = tuple(_SECTIONS)
"""What can be asked for; connections by their workload, `name.namespace` as istioctl writes it."""


def ztunnel_json(body: bytes, kind: str, name: str) -> Iterator[Any]:
    """The objects of *kind* that are called *name* in the answer *body* (`config_dump.json`).

    Raises:
        UnreadableError: it is no dump.
    """
    section, called = _SECTIONS[kind]
    entries = whole_answer(body).get(section)
    # The state of workloads is an object whose values are the entries; ztunnels differ in which sections are.
    for entry in entries.values() if isinstance(entries, dict) else entries or ():
        if isinstance(entry, dict) and called(entry) == name:
            yield entry


def _workload(info: Any) -> str:
    return f"{info.get('name')}.{info.get('namespace')}" if isinstance(info, dict) else ""
