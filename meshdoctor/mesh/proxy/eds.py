"""`proxy-config eds`: endpoints as istiod sent them (istioctl/pkg/writer/envoy/configdump/endpoint.go)."""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple, cast

import msgspec

from meshdoctor.mesh.gosort import sort_by
from meshdoctor.mesh.proxy.endpoint import Address, EndpointFilter
from meshdoctor.mesh.proxy.naming import subset_key
from meshdoctor.mesh.proxy.part import read_part, readable, resource_value
from meshdoctor.mesh.proxy.protojson import set_fields
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.envoy.sections import Sections

SECTION = "EndpointsConfigDump"
HEADER = ("NAME", "STATUS", "LOCALITY", "CLUSTER")


class _More(msgspec.Struct, gc=False):
    address: Address | None = None


class _Endpoint(msgspec.Struct, gc=False):
    address: Address | None = None
    additional_addresses: list[_More] = []


class LbEndpoint(msgspec.Struct, gc=False):
    endpoint: _Endpoint | None = None
    health_status: str = "UNKNOWN"


class _Locality(msgspec.Struct, gc=False):
    region: str = ""
    zone: str = ""
    sub_zone: str = ""


class LocalityEndpoints(msgspec.Struct, gc=False):
    locality: _Locality | None = None
    lb_endpoints: list[LbEndpoint] = []


class _Assignment(msgspec.Struct, gc=False):
    cluster_name: str = ""
    endpoints: list[LocalityEndpoints] = []


class _Entry(msgspec.Struct, gc=False):
    endpoint_config: _Assignment | None = None


class _Endpoints(msgspec.Struct, gc=False):
    dynamic_endpoint_configs: list[_Entry] = []
    static_endpoint_configs: list[_Entry] = []


class _RawEntry(msgspec.Struct, gc=False):
    endpoint_config: msgspec.Raw = msgspec.Raw()


class _RawEndpoints(msgspec.Struct, gc=False):
    dynamic_endpoint_configs: list[_RawEntry] = []
    static_endpoint_configs: list[_RawEntry] = []


def eds_table(sections: Sections, chosen: EndpointFilter, *, typed: bool = False) -> TextTable:
    """A row per endpoint, in the order of cluster names; a dump without endpoints (no `include_eds`) has none."""
    if sections.last(SECTION) is None:
        return TextTable(HEADER, [])
    found = sections.once((HEADER, typed), lambda: _rows(sections, "endpoint/" if typed else ""))
    everything = not any(chosen)
    return TextTable(HEADER, [row.cells for row in found if everything or row.is_kept(chosen)])


def what_is_missing(sections: Sections) -> str:
    """Why a dump has no endpoints, which istioctl leaves to be guessed; "" when it has."""
    return "" if sections.last(SECTION) is not None else "the dump has no endpoints: save /config_dump?include_eds"


class EndpointRow(NamedTuple):
    """A row whose second cell is the status and the last one the cluster, with what a filter looks at besides."""

    addresses: list[str]
    port: int
    cells: Cells

    def is_kept(self, chosen: EndpointFilter) -> bool:
        if chosen.port not in (0, self.port):
            return False
        return _keeps(chosen, self.addresses, self.port, self.cells[-1], self.cells[1])


def _rows(sections: Sections, prefix: str) -> list[EndpointRow]:
    found = read_part(sections, SECTION, _Endpoints)
    assignments = [entry.endpoint_config for entry in (*found.dynamic_endpoint_configs, *found.static_endpoint_configs)]
    blocks = [
        (subset_key(assignment.cluster_name), rows)
        for assignment in assignments
        if assignment is not None and (rows := _assignment_rows(assignment, prefix))
    ]
    return [row for _, rows in sort_by(blocks, itemgetter(0)) for row in rows]


def _assignment_rows(assignment: _Assignment, prefix: str) -> list[EndpointRow]:
    name = assignment.cluster_name
    rows: list[EndpointRow] = []
    for group in assignment.endpoints:
        locality = place_name(group.locality) if group.locality else ""
        for endpoint in group.lb_endpoints:
            addresses, port = addresses_of(endpoint.endpoint)
            cells = (prefix + ",".join(addresses), endpoint.health_status, locality, name)
            rows.append(EndpointRow(addresses, port, cells))
    return rows


def _keeps(chosen: EndpointFilter, addresses: list[str], port: int, cluster: str, status: str) -> bool:
    """As `EndpointFilter.keeps`, but the address is compared with its port (a difference of the two commands)."""
    return any(
        chosen.keeps(address, port, cluster, status) for address in (addresses if chosen.address else addresses[:1])
    )


def addresses_of(endpoint: _Endpoint | None) -> tuple[list[str], int]:
    if endpoint is None:
        return ["unknown"], 0
    socket = endpoint.address.socket_address if endpoint.address else None
    if socket and not endpoint.additional_addresses:
        return [f"{socket.address}:{socket.port_value}"], socket.port_value
    more = [entry.address for entry in endpoint.additional_addresses]
    return [_text(address) for address in (endpoint.address, *more)], socket.port_value if socket else 0


def _text(address: Address | None) -> str:
    if address and address.socket_address:
        return f"{address.socket_address.address}:{address.socket_address.port_value}"
    if address and address.pipe:
        return address.pipe.path
    inner = address.envoy_internal_address if address else None
    if inner and inner.server_listener_name is not None:
        return f"envoy://{inner.server_listener_name}/{inner.endpoint_id}"
    return "unknown"


def place_name(locality: _Locality) -> str:
    """`region/zone/subzone` up to the first that is empty (pilot/pkg/networking/util, LocalityToString)."""
    parts = []
    for index, part in enumerate((locality.region, locality.zone, locality.sub_zone)):
        if index and not part:
            break
        parts.append(part)
    return "/".join(parts)


def eds_resources(sections: Sections, chosen: EndpointFilter) -> list[dict[str, object]]:
    """The load assignments with the endpoints that the filter keeps, in the table's order."""
    if sections.last(SECTION) is None:
        return []
    kept = []
    cluster = chosen.cluster.lower()
    for named, body in sections.once((SECTION, "resources"), lambda: _resources(sections)):
        if cluster not in ("", named.cluster_name.lower()):
            continue
        raw = set_fields(resource_value(body))
        try:
            assignment = msgspec.convert(raw, _Assignment, strict=False)
        except msgspec.ValidationError as error:
            problem = f"{SECTION}: {named.cluster_name}: {error}"
            if problem not in sections.problems:
                sections.problems.append(problem)
            continue
        groups = cast("list[dict[str, object]]", raw.get("endpoints", []))
        pairs = list(zip(groups, assignment.endpoints, strict=True))
        left = [_left(chosen, group, shape, assignment.cluster_name) for group, shape in pairs]
        if any("lb_endpoints" in group for group in left):
            kept.append((subset_key(assignment.cluster_name), {**raw, "endpoints": left}))
    return [raw for _, raw in sort_by(kept, itemgetter(0))]


class _Named(msgspec.Struct, gc=False):
    cluster_name: str = ""


def _resources(sections: Sections) -> list[tuple[_Named, msgspec.Raw]]:
    """Every load assignment's name and JSON, in the dump's order."""
    found = read_part(sections, SECTION, _RawEndpoints)
    raws = (entry.endpoint_config for entry in (*found.dynamic_endpoint_configs, *found.static_endpoint_configs))
    return list(readable(raws, _Named, SECTION, sections.problems))


def _left(
    chosen: EndpointFilter, group: dict[str, object], shape: LocalityEndpoints, cluster: str
) -> dict[str, object]:
    """A locality with the endpoints that the filter keeps; none of them, no list."""
    endpoints = cast("list[object]", group.get("lb_endpoints", []))
    kept = [
        raw
        for raw, endpoint in zip(endpoints, shape.lb_endpoints, strict=True)
        if keep_endpoint(chosen, endpoint, cluster)
    ]
    rest = {key: value for key, value in group.items() if key != "lb_endpoints"}
    return {**rest, "lb_endpoints": kept} if kept else rest


def keep_endpoint(chosen: EndpointFilter, endpoint: LbEndpoint, cluster: str) -> bool:
    addresses, port = addresses_of(endpoint.endpoint)
    return _keeps(chosen, addresses, port, cluster, endpoint.health_status)
