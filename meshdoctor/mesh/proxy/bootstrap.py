"""`proxy-config bootstrap`: which Istio and which Envoy a proxy is (istioctl's PrintBootstrapSummary)."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.mesh.proxy.part import read_part, section_value
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.envoy.sections import Sections
from meshdoctor.model.labels import REVISION

SECTION = "BootstrapConfigDump"


class _Version(msgspec.Struct, gc=False):
    major_number: int = 0
    minor_number: int = 0
    patch: int = 0


class _Build(msgspec.Struct, gc=False):
    version: _Version = msgspec.field(default_factory=_Version)
    metadata: dict[str, Any] = {}


class _Node(msgspec.Struct, gc=False):
    id: str = ""
    locality: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    user_agent_build_version: _Build = msgspec.field(default_factory=_Build)


class _Bootstrap(msgspec.Struct, gc=False):
    node: _Node = msgspec.field(default_factory=_Node)


class _Section(msgspec.Struct, gc=False):
    bootstrap: _Bootstrap = msgspec.field(default_factory=_Bootstrap)


def bootstrap_table(sections: Sections) -> TextTable:
    """The versions, a line each; an Envoy without Istio has only its own. Raises `UnreadableError`."""
    return TextTable((), _versions(read_part(sections, SECTION, _Section).bootstrap.node), padding=1)


def _versions(node: _Node) -> list[Cells]:
    rows: list[Cells] = []
    istio, sha = _text(node.metadata.get("ISTIO_VERSION")), _text(node.metadata.get("ISTIO_PROXY_SHA"))
    if istio:
        rows.append(("Istio Version:", istio))
    if sha:
        rows.append(("Istio Proxy Version:", sha.split(":")[1] if ":" in sha else sha))
    rows.append(("Envoy Version:", _envoy_version(node.user_agent_build_version)))
    return rows


_FACTS = (
    ("Name:", "NAME"),
    ("Namespace:", "NAMESPACE"),
    ("Workload:", "WORKLOAD_NAME"),
    ("Service Account:", "SERVICE_ACCOUNT"),
    ("Kubernetes Node:", "NODE_NAME"),
    ("Addresses:", "INSTANCE_IPS"),
    ("Cluster:", "CLUSTER_ID"),
    ("Network:", "NETWORK"),
    ("Mesh:", "MESH_ID"),
    ("Interception:", "INTERCEPTION_MODE"),
)
_CONFIG = (("istiod:", "discoveryAddress"), ("Admin Port:", "proxyAdminPort"), ("Worker Threads:", "concurrency"))


def wide_bootstrap(sections: Sections) -> TextTable:
    """The versions, and who the proxy says that it is: what istiod chooses its configuration by."""
    node = read_part(sections, SECTION, _Section).bootstrap.node
    metadata = node.metadata
    labels, config = _mapping(metadata.get("LABELS")), _mapping(metadata.get("PROXY_CONFIG"))
    locality = "/".join(filter(None, (_text(node.locality.get(key)) for key in ("region", "zone", "sub_zone"))))
    facts = [
        *_versions(node),
        ("Node:", node.id),
        *((name, _word(metadata.get(key))) for name, key in _FACTS),
        ("Revision:", _word(labels.get(REVISION))),
        ("Locality:", locality),
        *((name, _word(config.get(key))) for name, key in _CONFIG),
    ]
    return TextTable((), [(name, value) for name, value in facts if value], padding=1)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _word(value: object) -> str:
    """A scalar of the metadata; istiod reads numbers and texts alike."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""


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
