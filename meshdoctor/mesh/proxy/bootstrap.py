"""`proxy-config bootstrap`: which Istio and which Envoy a proxy is (istioctl's PrintBootstrapSummary)."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.mesh.proxy.part import read_part, section_value
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.envoy.sections import Sections

SECTION = "BootstrapConfigDump"


class _Version(msgspec.Struct, gc=False):
    major_number: int = 0
    minor_number: int = 0
    patch: int = 0


class _Build(msgspec.Struct, gc=False):
    version: _Version = msgspec.field(default_factory=_Version)
    metadata: dict[str, Any] = {}


class _NodeMetadata(msgspec.Struct, gc=False):
    istio_version: Any = msgspec.field(name="ISTIO_VERSION", default="")
    istio_proxy_sha: Any = msgspec.field(name="ISTIO_PROXY_SHA", default="")


class _Node(msgspec.Struct, gc=False):
    metadata: _NodeMetadata = msgspec.field(default_factory=_NodeMetadata)
    user_agent_build_version: _Build = msgspec.field(default_factory=_Build)


class _Bootstrap(msgspec.Struct, gc=False):
    node: _Node = msgspec.field(default_factory=_Node)


class _Section(msgspec.Struct, gc=False):
    bootstrap: _Bootstrap = msgspec.field(default_factory=_Bootstrap)


def bootstrap_table(sections: Sections) -> TextTable:
    """The versions, a line each; an Envoy without Istio has only its own. Raises `UnreadableError`."""
    node = read_part(sections, SECTION, _Section).bootstrap.node
    rows: list[Cells] = []
    istio, sha = _text(node.metadata.istio_version), _text(node.metadata.istio_proxy_sha)
    if istio:
        rows.append(("Istio Version:", istio))
    if sha:
        rows.append(("Istio Proxy Version:", sha.split(":")[1] if ":" in sha else sha))
    rows.append(("Envoy Version:", _envoy_version(node.user_agent_build_version)))
    return TextTable((), rows, padding=1)


def _envoy_version(build: _Build) -> str:
    number = build.version
    text = f"{number.major_number}.{number.minor_number}.{number.patch}"
    for key, separator in (("build.label", "-"), ("revision.status", "/"), ("build.type", "/"), ("ssl.version", "/")):
        if key in build.metadata:
            text += separator + _text(build.metadata[key])
    return text


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def bootstrap_resource(sections: Sections) -> Any:
    """The whole section as JSON values; raises `UnreadableError`."""
    return section_value(sections, SECTION)
