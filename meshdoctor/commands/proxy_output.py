"""What `proxy-config` prints: a table as text, or resources as JSON and YAML as istioctl has them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from meshdoctor.mesh.texttable import TextTable
from meshdoctor.present.tabwriter import render

if TYPE_CHECKING:
    from meshdoctor.commands.proxy_dump import ProxyDump


def write(table: TextTable) -> None:
    sys.stdout.write(render(table))


def whole_text(dump: ProxyDump, name: str, table: Callable[[], TextTable]) -> str:
    """An unfiltered table as text, laid out once for each dump."""
    text = dump.texts.get(name)
    if text is None:
        text = dump.texts[name] = render(table())
    return text


def write_data(value: Any, output: str) -> None:
    """JSON or YAML; on a terminal, control characters of the strings are made visible."""
    from meshdoctor.present.datatext import json_text, yaml_text

    text = yaml_text(value) if output == "yaml" else json_text(value)
    if sys.stdout.isatty():
        from meshdoctor.model.text import visible

        text = visible(text)
    sys.stdout.write(text)


def write_resources(raws: Sequence[Any], output: str) -> None:
    """Envoy's resources (raw JSON or values in Envoy's spelling) as istioctl prints them, one at a time as JSON."""
    values = (value for raw in raws if (value := _resource(raw)) is not None)
    if output == "yaml" or not raws or sys.stdout.isatty():
        write_data(list(values), output)
        return
    from meshdoctor.present.datatext import json_text

    separator = "[\n    "
    for value in values:
        sys.stdout.write(separator + json_text(value).rstrip("\n").replace("\n", "\n    "))
        separator = ",\n    "
    sys.stdout.write("[]\n" if separator.startswith("[") else "\n]\n")


def _resource(raw: Any) -> Any:
    """One resource in istioctl's spelling; None, and a line on standard error, when it cannot be read."""
    import msgspec

    from meshdoctor.mesh.proxy.part import resource_value
    from meshdoctor.mesh.proxy.protojson import to_protojson
    from meshdoctor.model.decode import UnreadableError
    from meshdoctor.model.text import visible_line

    try:
        return to_protojson(resource_value(raw) if isinstance(raw, msgspec.Raw) else raw)
    except UnreadableError as error:
        sys.stderr.write(f"meshdoctor: a resource could not be read: {visible_line(str(error))}\n")
        return None
