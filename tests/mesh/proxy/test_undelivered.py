from __future__ import annotations

import json
from typing import Any

import pytest

from meshdoctor.mesh.proxy.difference import difference_lines
from meshdoctor.mesh.proxy.fields import ABSENT, field_differences
from meshdoctor.mesh.proxy.undelivered import (
    missing_clusters,
    received,
    sent_differences,
)
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.config_dump import decode_config_dump
from meshdoctor.model.envoy.sections import find_sections
from tests.mesh.proxy.dumps import clusters, dump, listeners, routes, socket

CART = "outbound|80||cart.shop.svc.cluster.local"


def fields(sent: object, runs: object) -> list[tuple[str, object, object]]:
    return [tuple(found) for found in field_differences(sent, runs)]


def test_fields_by_path() -> None:
    assert fields({"a": {"b": 1}, "c": [1, 2]}, {"a": {"b": 2}, "c": [1, 2]}) == [("a.b", 1, 2)]
    assert fields({"a": True}, {"a": 1}) == [("a", True, 1)]
    assert fields({"c": [1]}, {"c": [1, 2]}) == [("c", [1], [1, 2])]
    assert fields({"c": [{}]}, {"c": []}) == [("c[0]", {}, ABSENT)]


def test_named_entries_are_compared_by_name() -> None:
    first, second = {"name": "jwt", "x": 1}, {"name": "router"}
    assert fields({"f": [first, second]}, {"f": [second]}) == [("f[jwt]", first, ABSENT)]
    assert fields({"f": [first, second]}, {"f": [second, first]}) == [
        ("f (order)", ["jwt", "router"], ["router", "jwt"])
    ]
    twice = [{"name": "a"}, {"name": "a"}]
    assert fields({"f": twice}, {"f": [{"name": "a"}]}) == [("f[1]", {"name": "a"}, ABSENT)]


def eds(*addresses: str, cluster: str = CART) -> dict[str, Any]:
    hosts = [{"endpoint": {"address": socket(address, 8080)}, "health_status": "HEALTHY"} for address in addresses]
    return {
        "dynamic_endpoint_configs": [
            {"endpoint_config": {"cluster_name": cluster, "endpoints": [{"lb_endpoints": hosts}]}}
        ]
    }


BODY = {
    "name": CART,
    "type": "EDS",
    "connect_timeout": "10s",
    "outlier_detection": {"consecutive_5xx": 5},
    "transport_socket_matches": [{"name": "tlsMode-istio", "match": {"tlsMode": "istio"}}],
    "metadata": {"filter_metadata": {"istio": {"defaultPort": 80}}},
}
# As istiod answers: protojson, in which the names of fields are camelCase and the keys of data stay as they are.
SENT = {
    "name": CART,
    "type": "EDS",
    "connectTimeout": "10s",
    "outlierDetection": {"consecutive5xx": 5},
    "transportSocketMatches": [{"name": "tlsMode-istio", "match": {"tlsMode": "istio"}}],
    "metadata": {"filterMetadata": {"istio": {"defaultPort": 80}}},
}


def istiods(body: dict[str, Any], **sections: Any) -> bytes:
    return dump(ClustersConfigDump={"versionInfo": "x", "dynamicActiveClusters": [{"cluster": body}]}, **sections)


def test_the_same_in_both_spellings() -> None:
    assert sent_differences(find_sections(istiods(SENT)), find_sections(dump(ClustersConfigDump=clusters(BODY)))) == []


def test_which_field_of_which_resource() -> None:
    sent = find_sections(istiods({**SENT, "dnsRefreshRate": "5s"}))
    envoy = dump(ClustersConfigDump=clusters(BODY, {"name": "gone"}), ListenersConfigDump=listeners({"name": "l"}))
    found = sent_differences(sent, find_sections(envoy))
    assert [entry[:3] for entry in found] == [
        ("Clusters", "gone", "only Envoy"),
        ("Clusters", CART, "differs"),
        ("Listeners", "l", "only Envoy"),
    ]
    assert found[1].fields == (("dnsRefreshRate", "5s", ABSENT),)


def test_endpoints_count_by_address_when_both_sides_have_them() -> None:
    new, old = eds("10.0.0.1", "10.0.0.2"), eds("10.0.0.1", "10.0.0.9")
    [found] = sent_differences(*(find_sections(dump(EndpointsConfigDump=side)) for side in (new, old)))
    assert [field.path for field in found.fields] == ["10.0.0.2:8080", "10.0.0.9:8080"]
    assert found.fields[0].runs is ABSENT
    resolved = eds("192.0.2.1", cluster="outbound|443||example.com")
    by_envoy = {"dynamic_endpoint_configs": new["dynamic_endpoint_configs"] + resolved["dynamic_endpoint_configs"]}
    sides = (find_sections(dump(EndpointsConfigDump=side)) for side in (new, by_envoy))
    assert sent_differences(*sides) == []
    without = dump(BootstrapConfigDump={})
    assert sent_differences(find_sections(dump(EndpointsConfigDump=new)), find_sections(without)) == []


def test_a_section_of_another_shape_is_unreadable() -> None:
    sound = find_sections(dump(ClustersConfigDump=clusters(BODY)))
    broken = find_sections(dump(ClustersConfigDump={"dynamic_active_clusters": ["x"]}))
    with pytest.raises(UnreadableError, match="not built as"):
        sent_differences(broken, sound)
    with pytest.raises(UnreadableError, match="not built as"):
        list(difference_lines(sound, broken))
    deep = find_sections(
        b'{"configs": [{"@type": "x/envoy.admin.v3.ClustersConfigDump", "dynamic_active_clusters": ' + b"[" * 9000
    )
    with pytest.raises(UnreadableError):
        sent_differences(sound, deep)


def test_istiods_answer_as_go_writes_it() -> None:
    """On one line, with blanks where Go's protojson puts some at random (protobuf-go, internal/detrand)."""
    text = (
        '{"configs":[{"@type":  "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump"}, '
        '{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump",  "versionInfo":"2026-11-23T10:00:00Z/9", '
        f'"dynamicActiveClusters":[{{"cluster":{json.dumps(SENT)}}}]}}, '
        '{"@type":"type.googleapis.com/envoy.admin.v3.EndpointsConfigDump"}, '
        '{"@type":"type.googleapis.com/envoy.admin.v3.ListenersConfigDump",  "versionInfo":"2026-11-23T10:00:00Z/9"}, '
        '{"@type":"type.googleapis.com/envoy.admin.v3.ScopedRoutesConfigDump"}, '
        '{"@type":"type.googleapis.com/envoy.admin.v3.RoutesConfigDump"}, '
        '{"@type":"type.googleapis.com/envoy.admin.v3.SecretsConfigDump"}, '
        '{"@type":"type.googleapis.com/envoy.admin.v3.EcdsConfigDump"}]}'
    )
    envoy = dump(ClustersConfigDump=clusters(BODY), EndpointsConfigDump=eds("10.0.0.1"))
    assert sent_differences(find_sections(text.encode()), find_sections(envoy)) == []


def test_routes_to_clusters_that_never_arrived() -> None:
    actions = [{"cluster": CART}, {"weighted_clusters": {"clusters": [{"name": "outbound|80|v2|x"}]}}]
    host = {"name": "v", "domains": ["*"], "routes": [{"route": action} for action in actions]}
    body = dump(
        ClustersConfigDump=clusters({"name": CART, "type": "EDS"}),
        RoutesConfigDump=routes({"name": "80", "virtual_hosts": [host]}),
    )
    assert missing_clusters(decode_config_dump(body)) == {"outbound|80|v2|x": ("80",)}
    assert missing_clusters(decode_config_dump(dump(BootstrapConfigDump={}))) == {}


def test_when_what_runs_arrived() -> None:
    body = dump(
        ClustersConfigDump={
            "dynamic_active_clusters": [
                {"cluster": {"name": name}, "last_updated": when}
                for name, when in (("a", "2026-11-23T10:00:00Z"), ("b", "2026-11-23T10:05:00Z"))
            ],
            "static_clusters": [{"cluster": {"name": "s"}, "last_updated": "2026-11-23T11:00:00Z"}],
        }
    )
    assert received(decode_config_dump(body)) == {"clusters": "2026-11-23T10:05:00Z"}


def test_names_that_camel_case_cannot_give_back() -> None:
    sent = {**SENT, "outlierDetection": {"consecutive5xx": 7}}
    [found] = sent_differences(find_sections(istiods(sent)), find_sections(dump(ClustersConfigDump=clusters(BODY))))
    assert found.fields == (("outlierDetection.consecutive5xx", 7, 5),)
