"""What protobuf's JSON may write in two ways is no difference; what only looks alike is one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from meshdoctor.mesh.proxy.fields import ABSENT, field_differences
from meshdoctor.mesh.proxy.protojson import camel, to_protojson
from meshdoctor.mesh.proxy.undelivered import sent_differences
from meshdoctor.model.envoy.camel import snake_name, to_snake
from meshdoctor.model.envoy.sections import find_sections
from tests.mesh.proxy.dumps import clusters, dump, listeners, routes, socket

# Names whose camelCase form does not show where the underscores were, with the json_name of their descriptors.
NAMES = {
    "consecutive_5xx": "consecutive5xx",
    "enforcing_consecutive_5xx": "enforcingConsecutive5xx",
    "consecutive_gateway_failure": "consecutiveGatewayFailure",
    "http2_protocol_options": "http2ProtocolOptions",
    "http_11_proxy": "http11Proxy",
    "accept_http_10": "acceptHttp10",
    "default_host_for_http_10": "defaultHostForHttp10",
    "append_x_forwarded_host": "appendXForwardedHost",
    "proxy_100_continue": "proxy100Continue",
    "trace_id_128bit": "traceId128bit",
    "ipv6_mapped": "ipv6Mapped",
    "lb_endpoints": "lbEndpoints",
    "name": "name",
}


@pytest.mark.parametrize(("name", "json_name"), NAMES.items())
def test_camel_is_the_json_name_of_protobuf(name: str, json_name: str) -> None:
    assert camel(name) == json_name
    assert camel(json_name) == json_name


@pytest.mark.parametrize("name", [name for name in NAMES if name != "http_11_proxy"])
def test_names_of_fields_come_back_from_camel_case(name: str) -> None:
    assert snake_name(camel(name)) == name


MESSAGE = {
    "node": {"id": "x", "metadata": {"PROXY_CONFIG": {"binaryPath": "/e"}, "a_b": 1}, "user_agent_name": "envoy"},
    "metadata": {"filter_metadata": {"my_filter": {"some_key": {"other_key": 1}}}},
    "transport_socket_matches": [
        {"name": "t", "match": {"tls_mode": "istio"}, "transport_socket": {"typed_config": 1}}
    ],
    "typed_extension_protocol_options": {"envoy.x_y": {"use_downstream_protocol_config": {}}},
    "route": {"match": {"case_sensitive": True}},
    "wasm": {"@type": "type.googleapis.com/google.protobuf.Struct", "value": {"a_b": {"c_d": 1}}},
}
CAMEL = {
    "node": {"id": "x", "metadata": {"PROXY_CONFIG": {"binaryPath": "/e"}, "a_b": 1}, "userAgentName": "envoy"},
    "metadata": {"filterMetadata": {"my_filter": {"some_key": {"other_key": 1}}}},
    "transportSocketMatches": [{"name": "t", "match": {"tls_mode": "istio"}, "transportSocket": {"typedConfig": 1}}],
    "typedExtensionProtocolOptions": {"envoy.x_y": {"useDownstreamProtocolConfig": {}}},
    "route": {"match": {"caseSensitive": True}},
    "wasm": {"@type": "type.googleapis.com/google.protobuf.Struct", "value": {"a_b": {"c_d": 1}}},
}


def test_data_keeps_its_keys_both_ways() -> None:
    assert to_protojson(MESSAGE) == CAMEL
    assert to_snake(CAMEL) == MESSAGE


@pytest.mark.parametrize(
    ("field", "sent", "runs"),
    [
        ("connectTimeout", "1s", "1.000s"),
        ("connectTimeout", "0.250s", "0.250000000s"),
        ("notAfter", "2026-11-23T10:00:00Z", "2026-11-23T10:00:00.000Z"),
        ("maxRequests", 4294967295, "4294967295"),
        ("minimumRingSize", "1024", 1024),
        ("value", 100, 100.0),
        ("value", 0.1, 0.10000000149011612),
        ("inlineBytes", "-_8", "+/8="),
        ("inlineBytes", "c2VjcmV0", "W3JlZGFjdGVkXQ=="),
        ("inlineString", "hunter2", "[redacted]"),
        ("lbPolicy", "CLIENT_SIDE_WEIGHTED", 17),
        ("domains", ABSENT, []),
        ("statPrefix", "", ABSENT),
        ("type", "STATIC", ABSENT),
        ("lbPolicy", ABSENT, "ROUND_ROBIN"),
        ("useRemoteAddress2", None, ABSENT),
        ("respectDnsTtl", False, ABSENT),
    ],
)
def test_harmless_spellings(field: str, sent: Any, runs: Any) -> None:
    first, second = ({"a": {} if value is ABSENT else {field: value}} for value in (sent, runs))
    assert list(field_differences(first, second)) == []
    assert list(field_differences(second, first)) == []


@pytest.mark.parametrize(
    ("field", "sent", "runs"),
    [
        ("connectTimeout", "1s", "1.001s"),
        ("notAfter", "2026-11-23T10:00:00Z", "2026-11-23T10:00:01Z"),
        ("maxRequests", 4294967295, "4294967294"),
        ("maxRequests", 10**400, 1),
        ("value", 0.1, 0.11),
        ("enabled", True, 1),
        ("path", "/a-b", "/a+b"),
        # Wrappers: 0 and false are not the same as nothing.
        ("maxEjectionPercent", 0, ABSENT),
        ("useRemoteAddress", False, ABSENT),
        ("ads", {}, ABSENT),
        ("type", "EDS", ABSENT),
        ("lbPolicy", "ROUND_ROBIN", "LEAST_REQUEST"),
        ("prefixes", ["a"], ["a", ""]),
    ],
)
def test_real_differences(field: str, sent: Any, runs: Any) -> None:
    first, second = ({} if value is ABSENT else {field: value} for value in (sent, runs))
    assert [(found.path, found.sent, found.runs) for found in field_differences(first, second)] == [(field, sent, runs)]


def test_data_is_what_it_is() -> None:
    first, second = (
        {"filterMetadata": {"x": {"timeout": text, "port": port}}} for text, port in (("1s", 0), ("1.0s", 1))
    )
    assert [found.path for found in field_differences(first, second)] == [
        "filterMetadata.x.port",
        "filterMetadata.x.timeout",
    ]
    assert len(list(field_differences({"filterMetadata": {"x": {"a": 0}}}, {"filterMetadata": {"x": {}}}))) == 1


TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
OLD_TYPE = "type.googleapis.com/envoy.api.v2.Cluster"
ECDS = {"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", "name": "shop.jwt"}


def sections(**named: Any) -> Any:
    return find_sections(dump(**named))


def test_versions_times_and_types_of_resources_do_not_count() -> None:
    sent = {
        "versionInfo": "2026-11-23T10:00:00Z/7",
        "dynamicActiveClusters": [{"cluster": {"connectTimeout": "1.000s", "name": "a", "@type": TYPE}}],
    }
    runs = {
        "version_info": "2026-11-23T10:00:05Z/9",
        "dynamic_active_clusters": [
            {
                "version_info": "x",
                "cluster": {"@type": OLD_TYPE, "name": "a", "connect_timeout": "1s"},
                "last_updated": "2026-11-23T10:00:05.1Z",
            }
        ],
    }
    assert sent_differences(sections(ClustersConfigDump=sent), sections(ClustersConfigDump=runs)) == []


def test_what_envoy_took_and_does_not_use_yet_is_warming() -> None:
    sent = sections(
        ClustersConfigDump=clusters({"name": "a"}, {"name": "b"}),
        ListenersConfigDump=listeners({"name": "l"}),
        SecretsConfigDump={"dynamicActiveSecrets": [{"secret": {"name": "kubernetes://cert"}}]},
    )
    runs = sections(
        ClustersConfigDump={"dynamic_warming_clusters": [{"cluster": {"name": "a"}}]},
        ListenersConfigDump={"dynamic_listeners": [{"name": "l", "warming_state": {"listener": {"name": "l"}}}]},
        SecretsConfigDump={
            "dynamic_warming_secrets": [{"name": "kubernetes://cert", "secret": {"name": "kubernetes://cert"}}]
        },
    )
    assert [found[:3] for found in sent_differences(sent, runs)] == [
        ("Clusters", "a", "warming"),
        ("Clusters", "b", "only istiod"),
        ("Listeners", "l", "warming"),
        ("Secrets", "kubernetes://cert", "warming"),
    ]


def test_of_secrets_and_extensions_only_istiods_own_count() -> None:
    def secret(name: str, chain: str) -> dict[str, Any]:
        certificate = {
            "certificate_chain": {"inline_bytes": chain},
            "private_key": {"inline_bytes": "W3JlZGFjdGVkXQ=="},
        }
        return {"name": name, "secret": {"name": name, "tls_certificate": certificate}}

    def extension(**config: Any) -> dict[str, Any]:
        return {"ecds_filters": [{"ecds_filter": {**ECDS, "typed_config": config}}]}

    envoy = sections(
        SecretsConfigDump={"dynamic_active_secrets": [secret("default", "b2xk"), secret("ROOTCA", "eA==")]},
        EcdsConfigDump=extension(rule=1),
    )
    assert sent_differences(sections(SecretsConfigDump={}, EcdsConfigDump={}), envoy) == []
    wasm = {"ecds_filters": [{"ecds_filter": {"@type": "x/Wasm", "config": {"name": "shop.filter"}}}]}
    assert sent_differences(sections(EcdsConfigDump=wasm), envoy) == []
    sent = sections(
        SecretsConfigDump={"dynamic_active_secrets": [secret("default", "bmV3")]}, EcdsConfigDump=extension(rule=2)
    )
    found = sent_differences(sent, envoy)
    assert [(one.kind, one.name, one.fields[0].path) for one in found] == [
        ("Extensions", "shop.jwt", "typed_config.rule"),
        ("Secrets", "default", "tls_certificate.certificate_chain.inline_bytes"),
    ]


def test_the_order_of_virtual_hosts_does_not_count_and_that_of_routes_does() -> None:
    one, two = ({"name": name, "routes": [{"name": "x"}, {"name": "y"}]} for name in ("a", "b"))
    turned = {"name": "a", "routes": [{"name": "y"}, {"name": "x"}]}
    first = sections(RoutesConfigDump=routes({"name": "80", "virtual_hosts": [one, two]}))
    assert sent_differences(first, sections(RoutesConfigDump=routes({"name": "80", "virtual_hosts": [two, one]}))) == []
    [found] = sent_differences(first, sections(RoutesConfigDump=routes({"name": "80", "virtual_hosts": [two, turned]})))
    assert [field.path for field in found.fields] == ["virtual_hosts[a].routes (order)"]


def test_an_assignment_without_endpoints_that_envoy_does_not_list_is_no_difference() -> None:
    def eds(*addresses: str) -> dict[str, Any]:
        hosts = [{"endpoint": {"address": socket(address, 80)}} for address in addresses]
        return {
            "dynamic_endpoint_configs": [
                {"endpoint_config": {"cluster_name": "c", "endpoints": [{"lb_endpoints": hosts}]}}
            ]
        }

    nothing = sections(EndpointsConfigDump={"dynamic_endpoint_configs": []})
    assert sent_differences(sections(EndpointsConfigDump=eds()), nothing) == []
    [found] = sent_differences(sections(EndpointsConfigDump=eds("10.0.0.1")), nothing)
    assert found[:3] == ("Endpoints", "c", "only istiod")


PAIR = Path(__file__).parent / "protojson"
"""One configuration as Envoy's admin port prints it, and as protobuf-go 1.36 does (API v1.40): what istiod answers."""


def test_one_configuration_as_go_and_as_envoy_print_it() -> None:
    istiod = json.loads((PAIR / "istiod.json").read_bytes())
    assert to_protojson(to_snake(istiod)) == istiod
    both = (find_sections((PAIR / f"{side}.json").read_bytes()) for side in ("istiod", "envoy"))
    assert sent_differences(*both) == []


@pytest.mark.parametrize(
    ("was", "now", "path"),
    [
        ('"consecutive5xx":5', '"consecutive5xx":6', "outlierDetection.consecutive5xx"),
        ('"maxEjectionPercent":0,', "", "outlierDetection.maxEjectionPercent"),
        ('"minimumRingSize":"1024"', '"minimumRingSize":"1025"', "ringHashLbConfig.minimumRingSize"),
        ('"some_label":"v1"', '"some_label":"v2"', "lbSubsetConfig.defaultSubset.some_label"),
        ('"clockSkewSeconds":5', '"clockSkewSeconds":6', "typedConfig.providers.origins_0.clockSkewSeconds"),
        ('"snake_case":1', '"snake_case":2', "logFormat.jsonFormat.nested.snake_case"),
        ('"proxy100Continue":true', '"proxy100Continue":false', "typedConfig.proxy100Continue"),
        ('"fixedDelay":"5s"', '"fixedDelay":"6s"', "typedPerFilterConfig.envoy.filters.http.fault.delay.fixedDelay"),
        ('"loadBalancingWeight":1}],"loadB', '"loadBalancingWeight":2}],"loadB', "10.0.0.1:8080.weight"),
        ('"shadowRulesStatPrefix":"x"', '"shadowRulesStatPrefix":"y"', "typedConfig.shadowRulesStatPrefix"),
    ],
)
def test_each_real_difference_is_found_alone(was: str, now: str, path: str) -> None:
    text = re.sub(r"([,:])[ ]+(?=[\"{\[\d])", r"\1", (PAIR / "istiod.json").read_text())
    assert text.count(was) == 1
    [found] = sent_differences(find_sections(text.replace(was, now).encode()), sections_of_envoy())
    [field] = found.fields
    assert field.path.endswith(path)


def sections_of_envoy() -> Any:
    return find_sections((PAIR / "envoy.json").read_bytes())
