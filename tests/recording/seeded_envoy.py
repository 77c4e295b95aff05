"""Secrets in every place of an Envoy's configuration that can hold one."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

Json = dict[str, Any]


class Seeds:
    """Gives secrets out, each another one, in the forms that secrets have."""

    def __init__(self) -> None:
        self._number = itertools.count(1)
        self.given: list[str] = []

    def __call__(self, form: str = "plain") -> str:
        number = next(self._number)
        secret = f"hunter{number:04}zq{number * 7919 % 9973:04}"
        self.given.append(secret)
        encoded = base64.urlsafe_b64encode(f'{{"sub":"{secret}"}}'.encode()).decode().rstrip("=")
        forms = {
            "plain": secret,
            "bearer": f"Bearer {secret}",
            "basic": f"Basic {secret}",
            "jwt": f"eyJhbGciOiJIUzI1NiJ9.{secret}.{secret}",
            "url": f"postgres://admin:{secret}@db.shop:5432/orders",
            "query": f"/items?key={secret}&page=2",
            "pem": f"-----BEGIN RSA PRIVATE KEY-----\n{secret}\n-----END RSA PRIVATE KEY-----",
            "named": f"password={secret}",
            "json": encoded,
        }
        return forms[form]


def header(seed: Seeds, name: str = "x-key") -> Json:
    return {"header": {"key": name, "value": seed()}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def string_matches(seed: Seeds) -> list[Json]:
    return [
        {"name": "authorization", "string_match": {"exact": seed("bearer")}},
        {"name": "cookie", "string_match": {"prefix": seed()}},
        {"name": "x-api-key", "string_match": {"safe_regex": {"regex": seed()}}},
        {"name": "x-auth-token", "exact_match": seed()},
        {"name": "x-csrf", "contains_match": seed()},
        {"name": "x-partner", "string_match": {"suffix": seed()}},
    ]


def http_filters(seed: Seeds) -> list[Json]:
    lua = {
        "@type": "t/envoy.extensions.filters.http.lua.v3.Lua",
        "inline_code": f"local k = '{seed()}'",
        "default_source_code": {"inline_string": seed()},
        "source_codes": {"a": {"inline_string": seed()}},
    }
    wasm = {
        "@type": "t/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "configuration": {"@type": "t/google.protobuf.StringValue", "value": seed()},
            "vm_config": {
                "configuration": {"value": seed()},
                "environment_variables": {"key_values": {"API": seed(), "B": seed()}},
            },
        },
    }
    jwt = {
        "@type": "t/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": {
            "oct": {"local_jwks": {"inline_string": json.dumps({"keys": [{"kty": "oct", "k": seed(), "kid": "1"}]})}},
            "rsa": {
                "local_jwks": {
                    "inline_string": json.dumps(
                        {
                            "keys": [
                                {
                                    "kty": "RSA",
                                    "n": "public-modulus",
                                    "e": "AQAB",
                                    "d": seed(),
                                    "p": seed(),
                                    "q": seed(),
                                }
                            ]
                        }
                    )
                }
            },
            "broken": {"local_jwks": {"inline_string": seed()}},
        },
    }
    oauth = {
        "@type": "t/envoy.extensions.filters.http.oauth2.v3.OAuth2",
        "config": {
            "credentials": {
                "client_id": seed(),
                "token_secret": {"name": "token", "inline_string": seed()},
                "hmac_secret": {"name": "hmac", "inline_bytes": base64.b64encode(seed().encode()).decode()},
            }
        },
    }
    basic = {
        "@type": "t/envoy.extensions.filters.http.basic_auth.v3.BasicAuth",
        "users": {"inline_string": f"user:{{SHA}}{seed()}"},
    }
    authz = {
        "@type": "t/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "grpc_service": {
            "initial_metadata": [{"key": "x-a", "value": seed()}, {"key": "b", "value": seed()}],
            "google_grpc": {
                "channel_credentials": {"ssl_credentials": {"private_key": {"inline_string": seed("pem")}}},
                "call_credentials": [{"access_token": seed()}, {"google_refresh_token": seed()}],
            },
        },
        "http_service": {
            "server_uri": {"uri": f"http://u:{seed()}@authz/check?token={seed()}"},
            "authorization_request": {"headers_to_add": [{"key": "x-s", "value": seed()}]},
        },
    }
    rbac = {
        "@type": "t/envoy.extensions.filters.http.rbac.v3.RBAC",
        "rules": {"policies": {"p": {"principals": [{"header": entry} for entry in string_matches(seed)]}}},
    }
    injector = {
        "@type": "t/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
        "credential": {"typed_config": {"credential": {"inline_string": seed()}, "header": "x"}},
    }
    return [{"name": f"f{number}", "typed_config": found} for number, found in
            enumerate((lua, wasm, jwt, oauth, basic, authz, rbac, injector))]  # fmt: skip


def config_dump(seed: Seeds) -> Json:
    node = {"id": "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local", "cluster": "web.shop", "metadata": {
        "NAME": "web-1", "LABELS": {"app": "web"}, "DB_PASSWORD": seed(), "SOMETHING": seed(),
        "ANNOTATIONS": {"kubectl.kubernetes.io/last-applied-configuration": seed(), "vault.hashicorp.com/x": seed(),
                        "sidecar.istio.io/inject": "true"},
        "PROXY_CONFIG": {"proxyMetadata": {"STRIPE": seed(), "ISTIO_META_X": "kept"},
                         "environmentVariables": {"A": seed()},
                         "tracing": {"lightstep": {"accessToken": seed()}, "customTags": {"t": {"literal": {
                             "value": seed()}}}}}}}  # fmt: skip
    bootstrap = {"node": node, "static_resources": {"clusters": [{"name": "zipkin"}]},
                 "tracing": {"http": {"typed_config": {"access_token_file": "/tok", "access_token": {
                     "inline_string": seed()}, "secret_token": seed()}}},
                 "layered_runtime": {"layers": [{"static_layer": {"api_key": seed()}}]}}  # fmt: skip
    cluster = {
        "name": "outbound|80||cart.shop.svc.cluster.local",
        "transport_socket": {
            "typed_config": {
                "common_tls_context": {
                    "tls_certificates": [
                        {
                            "private_key": {"inline_bytes": seed()},
                            "password": {"inline_string": seed()},
                            "certificate_chain": {"inline_string": "PUBLIC-CHAIN"},
                        }
                    ],
                    "tls_certificate_sds_secret_configs": [{"name": "default", "sds_config": {"ads": {}}}],
                },
                "session_ticket_keys": {"keys": [{"inline_bytes": seed()}]},
            }
        },
        "health_checks": [{"http_health_check": {"path": seed("query"), "request_headers_to_add": [header(seed)]}}],
        "typed_extension_protocol_options": {
            "up": {"auth": {"redis_password": seed(), "auth_username": seed("named")}}
        },
    }
    route = {
        "name": "80",
        "virtual_hosts": [
            {
                "name": "v",
                "domains": ["*"],
                "request_headers_to_add": [header(seed)],
                "response_headers_to_add": [header(seed, "set-cookie")],
                "routes": [
                    {
                        "match": {
                            "prefix": "/",
                            "headers": string_matches(seed),
                            "query_parameters": [{"name": "key", "string_match": {"exact": seed()}}],
                        },
                        "direct_response": {"status": 200, "body": {"inline_string": seed()}},
                        "redirect": {"path_redirect": seed("query")},
                        "request_headers_to_add": [header(seed), {"header": {"key": "x-raw", "raw_value": seed()}}],
                        "typed_per_filter_config": {"lua": {"source_code": {"inline_string": seed()}}},
                    },
                    {
                        "match": {"prefix": "/b"},
                        "route": {"cluster": "c", "hash_policy": [{"cookie": {"name": "sticky"}}]},
                    },
                ],
            }
        ],
        "response_headers_to_add": [header(seed, "www-authenticate")],
    }
    listener = {
        "name": "virtualInbound",
        "filter_chains": [
            {
                "filters": [
                    {
                        "typed_config": {
                            "http_filters": http_filters(seed),
                            "access_log": [
                                {
                                    "typed_config": {
                                        "log_format": {
                                            "text_format_source": {"inline_string": "%START_TIME% %REQ(:PATH)%\n"},
                                            "json_format": {"auth": "%REQ(AUTHORIZATION)%"},
                                        },
                                        "additional_request_headers_to_log": ["x"],
                                    }
                                },
                                {"typed_config": {"custom_tags": [{"tag": "t", "literal": {"value": seed()}}]}},
                            ],
                        }
                    }
                ]
            }
        ],
    }
    secret = {
        "name": "default",
        "secret": {
            "name": "default",
            "tls_certificate": {
                "certificate_chain": {"inline_bytes": "UFVCTElD"},
                "private_key": {"inline_bytes": seed()},
            },
        },
    }
    generic = {
        "name": "generic",
        "secret": {
            "name": "generic",
            "generic_secret": {"secret": {"inline_string": seed()}},
            "session_ticket_keys": {"keys": [{"inline_string": seed()}]},
        },
    }
    prefix = "type.googleapis.com/envoy.admin.v3."
    updated = {"version_info": "1", "last_updated": "2026-01-01T00:00:00.000Z"}
    return {"configs": [
        {"@type": f"{prefix}BootstrapConfigDump", "bootstrap": bootstrap},
        {"@type": f"{prefix}ClustersConfigDump", "dynamic_active_clusters": [{**updated, "cluster": cluster}]},
        {"@type": f"{prefix}ListenersConfigDump", "dynamic_listeners": [
            {"name": "virtualInbound", "active_state": {**updated, "listener": listener}}]},
        {"@type": f"{prefix}RoutesConfigDump", "dynamic_route_configs": [{**updated, "route_config": route}]},
        {"@type": f"{prefix}SecretsConfigDump", "dynamic_active_secrets": [secret, generic]},
        {"@type": f"{prefix}EcdsConfigDump", "ecds_filters": [{"ecds_filter": {"typed_config": {
            "configuration": {"value": seed()}}}}]},
    ]}  # fmt: skip
