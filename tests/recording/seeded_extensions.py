"""Secrets in what is configured for extensions of Envoy: filters, metadata, expressions, health checks."""

from __future__ import annotations

from tests.recording.seeded_envoy import Json, Seeds, header

_TYPE = "type.googleapis.com/"
_HTTP = f"{_TYPE}envoy.extensions.filters.http."


def filters(seed: Seeds) -> list[Json]:
    """One for each extension whose configuration is a language of its own, and others with places for anything."""
    configs: list[Json] = [
        {
            "@type": f"{_HTTP}set_metadata.v3.Config",
            "metadata": [{"metadata_namespace": "a", "value": {"license": seed()}}],
        },
        {
            "@type": f"{_HTTP}header_to_metadata.v3.Config",
            "request_rules": [{"header": "x", "on_header_present": {"key": "k", "value": seed()}}],
        },
        {
            "@type": f"{_HTTP}aws_request_signing.v3.AwsRequestSigning",
            "credential_provider": {"inline_credential": {"access_key_id": seed(), "secret_access_key": seed()}},
        },
        {"@type": f"{_HTTP}api_key_auth.v3.ApiKeyAuth", "credentials": [{"key": seed(), "client": "c"}]},
        {"@type": f"{_HTTP}ext_authz.v3.ExtAuthzPerRoute", "check_settings": {"context_extensions": {"host": seed()}}},
        {"@type": f"{_TYPE}acme.v1.Filter", "license": seed(), "tenants": {seed(): 1}, "pin": 77665544},
        {
            "@type": f"{_TYPE}xds.type.v3.TypedStruct",
            "type_url": f"{_TYPE}acme.v1.Filter",
            "value": {seed(): {"a": seed(), "name": seed()}},
        },
        {
            "@type": f"{_TYPE}udpa.type.v1.TypedStruct",
            "type_url": f"{_HTTP}local_ratelimit.v3.LocalRateLimit",
            "value": {"stat_prefix": "kept", "response_headers_to_add": [header(seed)]},
        },
        {
            "@type": f"{_HTTP}wasm.v3.Wasm",
            "config": {"vm_config": {"code": {"remote": {"http_uri": {"uri": f"https://u:{seed()}@h/?t={seed()}"}}}}},
        },
        {
            "@type": f"{_HTTP}set_filter_state.v3.Config",
            "on_request_headers": [{"format_string": {"text_format_source": {"inline_string": f"x {seed()}"}}}],
        },
        {
            "@type": f"{_HTTP}rbac.v3.RBAC",
            "rules": {
                "policies": {
                    "p": {
                        "condition": {"call_expr": {"args": [{"const_expr": {"string_value": seed()}}]}},
                        "permissions": [{"header": {"name": "x-p", "string_match": {"contains": seed()}}}],
                        "principals": [
                            {
                                "metadata": {
                                    "filter": "acme",
                                    "path": [{"key": "k"}],
                                    "value": {"string_match": {"exact": seed()}},
                                }
                            }
                        ],
                    }
                }
            },
        },
    ]
    return [{"name": f"e{number}", "typed_config": config} for number, config in enumerate(configs)]


def manager(seed: Seeds) -> Json:
    """What an HttpConnectionManager has beside its filters."""
    lightstep = {"@type": f"{_TYPE}envoy.config.trace.v3.LightstepConfig", "access_token": {"inline_string": seed()}}
    expression = f"request.headers['x-api-key'] == '{seed()}' || request.path in ['{seed()}']"
    return {
        "@type": f"{_TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "http_filters": filters(seed),
        "local_reply_config": {
            "mappers": [
                {
                    "filter": {"header_filter": {"header": {"name": "x-z", "string_match": {"exact": seed()}}}},
                    "body": {"inline_string": seed()},
                    "body_format_override": {"text_format_source": {"inline_string": seed()}},
                }
            ],
            "body_format": {"json_format": {"a": seed()}},
        },
        "tracing": {
            "provider": {"typed_config": lightstep},
            "custom_tags": [
                {"tag": "a", "environment": {"name": "X", "default_value": seed()}},
                {"tag": "h", "request_header": {"name": "x", "default_value": seed()}},
            ],
        },
        "access_log": [
            {
                "filter": {
                    "extension_filter": {
                        "typed_config": {
                            "@type": f"{_TYPE}envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                            "expression": expression,
                        }
                    }
                }
            },
            {
                "typed_config": {
                    "@type": f"{_TYPE}envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
                    "body": {"string_value": seed()},
                    "attributes": {"values": [{"key": "a", "value": {"string_value": seed()}}]},
                }
            },
        ],
    }


def matcher(seed: Seeds) -> Json:
    """A generic matcher of a header."""
    of_header = {"@type": f"{_TYPE}envoy.type.matcher.v3.HttpRequestHeaderMatchInput", "header_name": "x-key"}
    one = {"input": {"typed_config": of_header}, "value_match": {"exact": seed()}}
    tree = {"input": {"typed_config": of_header}, "exact_match_map": {"map": {seed(): {"action": {"name": "a"}}}}}
    return {"matcher_list": {"matchers": [{"predicate": {"single_predicate": one}}]}, "matcher_tree": tree}


def cluster(seed: Seeds) -> Json:
    return {
        "name": "outbound|80||pay.shop.svc.cluster.local",
        "metadata": {"filter_metadata": {"istio": {"config": "/apis/kept"}, "acme": {seed(): {"license": seed()}}}},
        "alt_stat_name": f"https://u:{seed()}@h",
        "health_checks": [
            {"tcp_health_check": {"send": {"text": seed()}, "receive": [{"text": seed()}]}},
            {"grpc_health_check": {"initial_metadata": [header(seed)]}},
            {
                "custom_health_check": {
                    "typed_config": {"@type": f"{_TYPE}envoy.extensions.health_checkers.redis.v3.Redis", "key": seed()}
                }
            },
        ],
    }


def route(seed: Seeds) -> Json:
    return {
        "name": "81",
        "virtual_hosts": [
            {
                "name": "v",
                "matcher": matcher(seed),
                "routes": [
                    {
                        "match": {"prefix": "/", "cookies": [{"name": "sid", "string_match": {"exact": seed()}}]},
                        "metadata": {"filter_metadata": {"istio": {"config": "/apis/kept"}, "acme": {"k": seed()}}},
                        "route": {
                            "rate_limits": [{"actions": [{"generic_key": {"descriptor_value": seed()}}]}],
                            "retry_policy": {"retriable_headers": [{"name": "x-y", "string_match": {"exact": seed()}}]},
                        },
                        "typed_per_filter_config": {"x": {"@type": "t/acme.v1.Filter", "headers": {"x": seed()}}},
                    }
                ],
            }
        ],
    }


def bootstrap(seed: Seeds) -> Json:
    return {
        "layered_runtime": {"layers": [{"static_layer": {"license": seed(), "envoy.reloadable_features.x": "true"}}]},
        "bootstrap_extensions": [{"typed_config": {"@type": f"{_TYPE}acme.v1.Service", "license": seed()}}],
        "stats_sinks": [{"typed_config": {"@type": f"{_TYPE}acme.v1.Sink", "address": seed()}}],
    }


def extensions_dump(seed: Seeds) -> Json:
    prefix = f"{_TYPE}envoy.admin.v3."
    updated = {"version_info": "1", "last_updated": "2026-01-01T00:00:00.000Z"}
    listener = {"name": "virtualInbound", "filter_chains": [{"filters": [{"typed_config": manager(seed)}]}]}
    return {
        "configs": [
            {"@type": f"{prefix}BootstrapConfigDump", "bootstrap": bootstrap(seed)},
            {
                "@type": f"{prefix}ClustersConfigDump",
                "dynamic_active_clusters": [{**updated, "cluster": cluster(seed)}],
            },
            {
                "@type": f"{prefix}ListenersConfigDump",
                "dynamic_listeners": [{"name": "l", "active_state": {**updated, "listener": listener}}],
            },
            {
                "@type": f"{prefix}RoutesConfigDump",
                "dynamic_route_configs": [{**updated, "route_config": route(seed)}],
            },
        ]
    }
