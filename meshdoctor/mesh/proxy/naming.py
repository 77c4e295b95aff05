"""How istioctl reads cluster names and names the object that a resource comes from."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

# pilot/pkg/model/push_context.go, ParseSubsetKey: the SNI form of a cluster name separates by "_.".
_SNI_FORMS = ("outbound_.", "inbound_.")
_INTEGER = re.compile(r"[+-]?[0-9]+")


class SubsetKey(NamedTuple):
    """The sort key of clusters as istioctl orders them (istioctl/pkg/writer/envoy/configdump/cluster.go)."""

    host: str
    subset: str
    port: int
    direction: str


def is_subset_key(name: str) -> bool:
    return name.count("|") >= 3


def subset_key(name: str) -> SubsetKey:
    """`direction|port|subset|host` taken apart; a name with fewer parts is a host."""
    plain = name.split("|")
    if len(plain) < 4:
        return SubsetKey(name, "", 0, "")
    if len(plain) == 4 and plain[1].isdigit() and plain[1].isascii() and len(plain[1]) < 19:
        return SubsetKey(plain[3], plain[2], int(plain[1]), plain[0])
    separator = "_." if name.startswith(_SNI_FORMS) else "|"
    parts = name.split(separator, 3)
    direction = parts[0] if len(parts) > 1 else ""
    port = integer(parts[1]) if len(parts) > 2 else None
    subset = parts[2] if len(parts) > 3 else ""
    # A fifth part makes the host uncertain: istioctl leaves it out.
    host = parts[3] if len(parts) > 3 and separator not in parts[3] else ""
    return SubsetKey(host, subset, port or 0, direction)


def integer(text: str) -> int | None:
    """*text* as Go's strconv.Atoi reads it, or None when it is no 64-bit integer."""
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


class IstioMetadata(msgspec.Struct, gc=False):
    config: object = msgspec.UNSET
    """A string, where istiod wrote it."""


class FilterMetadata(msgspec.Struct, gc=False):
    istio: IstioMetadata | None = None


class Metadata(msgspec.Struct, gc=False):
    filter_metadata: FilterMetadata | None = None


def managed_by(metadata: Metadata | None) -> str:
    """`name.namespace` of the Istio object behind a resource; "<unknown>" for one of another API group, and for what
    is no path at all (istioctl/pkg/writer/envoy/configdump/route.go, describeManagement).
    """
    istio = metadata.filter_metadata.istio if metadata and metadata.filter_metadata else None
    if istio is None or istio.config is msgspec.UNSET:
        return ""
    pieces = istio.config.split("/") if isinstance(istio.config, str) else []
    if pieces[:3] != ["", "apis", "networking.istio.io"] or pieces[4:5] != ["namespaces"]:
        return "<unknown>"
    return f"{pieces[7]}.{pieces[5]}" if len(pieces) == 8 else ""
