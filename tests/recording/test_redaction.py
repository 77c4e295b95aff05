"""Two hundred secrets in every place that a mesh can hold one, and none of them in the bundle."""

from __future__ import annotations

import base64
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from meshdoctor.model.decode import UnreadableError
from meshdoctor.recording.bundle.reader import Bundle
from meshdoctor.recording.bundle.recorder import record_recording
from meshdoctor.recording.bundle.writer import BundleWriter
from meshdoctor.recording.opening import open_any
from meshdoctor.recording.redaction.answers import kept, redacted
from meshdoctor.recording.redaction.text import Redactor, leaks
from meshdoctor.recording.redaction.tree import clean
from tests.recordings import Recording, access_line

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


def meta(seed: Seeds, name: str) -> Json:
    return {"name": name, "namespace": "shop", "labels": {"app": name}, "annotations": {
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"env": seed()}),
        "example.com/api-key": seed(), "openshift.io/token-secret.value": seed(),
        "backup.velero.io/command": f"PGPASSWORD={seed()}", "sidecar.istio.io/status": f'{{"token":"{seed()}"}}'},
        "managedFields": [{"manager": seed("named")}]}  # fmt: skip


def pod_spec(seed: Seeds) -> Json:
    application = {
        "name": "app",
        "image": "app:1",
        "command": ["run", seed()],
        "args": ["--db", seed("url"), seed()],
        "env": [{"name": "DB_PASSWORD", "value": seed()}, {"name": "GREETING", "value": seed()}],
        "readinessProbe": {
            "httpGet": {
                "path": seed("query"),
                "port": 80,
                "httpHeaders": [{"name": "Authorization", "value": seed("bearer")}],
            }
        },
        "livenessProbe": {"exec": {"command": ["sh", "-c", f"curl -u admin:{seed()} localhost"]}},
        "lifecycle": {
            "preStop": {"exec": {"command": ["deregister", seed()]}},
            "postStart": {"httpGet": {"httpHeaders": [{"name": "x", "value": seed()}]}},
        },
        "resources": {"limits": {"cpu": "1"}},
    }
    proxy = {
        "name": "istio-proxy",
        "args": ["proxy", "sidecar", f"--token={seed()}"],
        "env": [{"name": "ISTIO_META_CLUSTER_ID", "value": "kept"}, {"name": "SECRET_TOKEN", "value": seed()}],
    }
    init = {"name": "setup", "env": [{"name": "KEY", "value": seed()}], "args": [seed()]}
    return {
        "containers": [application, proxy],
        "initContainers": [init],
        "serviceAccountName": "web",
        "imagePullSecrets": [{"name": seed()}],
        "volumes": [{"name": "v", "secret": {"secretName": seed()}}],
    }


def fill(recording: Recording, seed: Seeds) -> None:
    status = {
        "phase": "Running",
        "message": seed("named"),
        "containerStatuses": [
            {"name": "app", "state": {"terminated": {"exitCode": 1, "message": f"cannot use {seed('bearer')}"}}}
        ],
    }
    recording.objects("Pod", {"metadata": meta(seed, "web-1"), "spec": pod_spec(seed), "status": status})
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"):
        template = {"metadata": meta(seed, "web"), "spec": pod_spec(seed)}
        recording.objects(kind, {"metadata": meta(seed, "web"), "spec": {"template": template}})
    recording.objects("Event", {"metadata": meta(seed, "e"), "message": f"pull of https://u:{seed()}@reg/x failed"})
    recording.objects(
        "ConfigMap",
        {
            "metadata": {"name": "istio", "namespace": "istio-system"},
            "data": {
                "mesh": f"accessLogFile: /dev/stdout\ndefaultConfig:\n  proxyMetadata:\n    K: {seed()}\n",
                "x": seed(),
            },
        },
    )
    recording.objects(
        "ConfigMap", {"metadata": meta(seed, "settings"), "data": {"k": seed()}, "binaryData": {"b": seed()}}
    )
    recording.objects(
        "Secret" if False else "ServiceAccount", {"metadata": meta(seed, "web"), "secrets": [{"name": seed()}]}
    )
    recording.objects(
        "EnvoyFilter",
        {
            "metadata": meta(seed, "ef"),
            "spec": {
                "configPatches": [
                    {
                        "patch": {
                            "value": {"name": "lua", "typed_config": {"inlineCode": seed(), "inline_code": seed()}}
                        }
                    },
                    {
                        "patch": {
                            "value": {"request_headers_to_add": [header(seed)], "http_filters": http_filters(seed)}
                        }
                    },
                ]
            },
        },
    )
    recording.objects(
        "WasmPlugin",
        {
            "metadata": meta(seed, "wp"),
            "spec": {
                "url": f"oci://u:{seed()}@reg/x",
                "pluginConfig": {"key": seed(), "deep": {"list": [seed()]}},
                "vmConfig": {"env": [{"name": "API", "value": seed()}]},
            },
        },
    )
    recording.objects(
        "Telemetry",
        {"metadata": meta(seed, "t"), "spec": {"tracing": [{"customTags": {"k": {"literal": {"value": seed()}}}}]}},
    )
    recording.objects("ProxyConfig", {"metadata": meta(seed, "pc"), "spec": {"environmentVariables": {"K": seed()}}})
    recording.objects(
        "RequestAuthentication",
        {
            "metadata": meta(seed, "ra"),
            "spec": {
                "jwtRules": [
                    {"issuer": "i", "jwks": json.dumps({"keys": [{"kty": "oct", "k": seed()}]})},
                    {"issuer": "j", "jwksUri": f"https://u:{seed()}@idp/jwks?key={seed()}"},
                ]
            },
        },
    )
    recording.objects(
        "AuthorizationPolicy",
        {
            "metadata": meta(seed, "ap"),
            "spec": {
                "rules": [{"when": [{"key": "request.headers[x-api-key]", "values": [seed()], "notValues": [seed()]}]}]
            },
        },
    )
    recording.objects(
        "VirtualService",
        {
            "metadata": meta(seed, "vs"),
            "spec": {
                "hosts": ["cart"],
                "http": [
                    {
                        "match": [
                            {
                                "headers": {"authorization": {"exact": seed("bearer")}, "cookie": {"regex": seed()}},
                                "queryParams": {"key": {"exact": seed()}},
                            }
                        ],
                        "headers": {"request": {"set": {"x-key": seed()}}},
                        "directResponse": {"status": 200, "body": {"string": seed()}},
                        "route": [{"destination": {"host": "cart"}, "headers": {"request": {"add": {"x": seed()}}}}],
                    }
                ],
            },
        },
    )
    recording.objects(
        "HTTPRoute",
        {
            "metadata": meta(seed, "hr"),
            "spec": {
                "rules": [
                    {
                        "matches": [
                            {
                                "headers": [{"name": "authorization", "value": seed()}],
                                "queryParams": [{"name": "k", "value": seed()}],
                            }
                        ],
                        "filters": [
                            {
                                "requestHeaderModifier": {
                                    "set": [{"name": "x", "value": seed()}],
                                    "add": [{"name": "y", "value": seed()}],
                                }
                            }
                        ],
                    }
                ]
            },
        },
    )
    recording.objects(
        "DestinationRule",
        {
            "metadata": meta(seed, "dr"),
            "spec": {
                "host": "cart",
                "trafficPolicy": {
                    "loadBalancer": {"consistentHash": {"httpCookie": {"name": "c"}}},
                    "tls": {"mode": "SIMPLE", "privateKey": seed()},
                },
            },
        },
    )
    recording.put("kube/core/v1/secrets.json", {"items": [{"metadata": meta(seed, "s"), "data": {"p": seed()}}]})
    recording.put("kube/acme.example.com/v1/widgets.json", {"items": [{"spec": {"password": seed()}}]})
    recording.put("prometheus/query.json", {"data": [seed()]})
    recording.put("notes/todo.txt", f"the password is {seed()}")
    recording.proxy(
        "shop/web-1",
        config_dump=config_dump(seed),
        server_info={
            "state": "LIVE",
            "command_line_options": {"config_yaml": f"admin: {seed()}"},
            "node": {"id": "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local", "metadata": {"X": seed()}},
        },
        certs={"certificates": [], "private": seed()},
        clusters={"cluster_statuses": [{"name": "c", "secret": seed()}]},
        memory={"x": seed()},
    )
    recording.put(
        "envoy/shop/web-1/stats.prom", f'# {seed()}\nup{{token="{seed()}"}} 1\nrequests{{url="{seed("url")}"}} 2\n'
    )
    recording.put("ztunnel/istio-system/z-1/config_dump.json", {"workloads": [], "config": {"auth_token": seed()}})
    recording.put(
        "istiod/istiod-1/syncz.json",
        [{"proxy": "web-1.shop", "resources": {"t": {"lastError": seed("named")}}, "extra": seed()}],
    )
    recording.put(
        "istiod/istiod-1/mesh.json",
        {
            "rootNamespace": "istio-system",
            "extensionProviders": [
                {
                    "name": "x",
                    "envoyExtAuthzHttp": {
                        "headersToUpstreamOnAllow": ["a"],
                        "includeAdditionalHeadersInCheck": {"x-secret": seed()},
                    },
                },
                {"opentelemetry": {"http": {"headers": [{"name": "authorization", "value": seed("bearer")}]}}},
            ],
            "defaultConfig": {"proxyMetadata": {"K": seed()}},
            "ca": {"token": seed()},
        },
    )
    recording.put(
        "istiod/istiod-1/configz.json",
        [
            {
                "apiVersion": "extensions.istio.io/v1alpha1",
                "kind": "WasmPlugin",
                "metadata": meta(seed, "x"),
                "spec": {"pluginConfig": {"a": seed()}},
            },
            {"kind": "Secret", "data": {"a": seed()}},
        ],
    )
    recording.put("istiod/istiod-1/registryz.json", [{"hostname": "a", "Attributes": {"password": seed()}}])
    recording.log("shop/web-1", "istio-proxy",
                  access_line(1, 503, "UF", path=seed("query"), request_id="11111111-2222-3333-4444-555555555555"),
                  access_line(2).replace("agent/1", f"agent {seed()}").replace(
                      '"-" "-" ', '"11111111-2222-3333-4444-555555555555" "-" ', 1),
                  json.dumps({"start_time": "2026-01-01T00:00:00Z", "path": seed("query"), "response_code": 200,
                              "authorization": seed(), "user_agent": seed(), "cookie": seed()}),
                  f"2026-01-01T00:00:00.0Z\twarn\tfailed to fetch with {seed('bearer')}",
                  f"2026-01-01T00:00:00.0Z\tinfo\tusing {seed('jwt')} and {seed('url')}",
                  f"stray line {seed()}")  # fmt: skip
    recording.log(
        "istio-system/istiod-1",
        "discovery",
        f"2026-01-01T00:00:00.0Z\tinfo\ttoken={seed()} {seed('pem')}".replace("\n", " "),
    )
    recording.log("shop/web-1", "app", f"started with key {seed()}", json.dumps({"msg": seed()}), json.dumps(
        {"ts": 1, "url": f"http://cart/{seed('query')}", "status": 503, "error": f"refused {seed('named')}",
         "headers": {"authorization": seed()}, "token": seed()}))  # fmt: skip
    recording.manifest["note"] = f"recorded with {seed('bearer')}"
    recording.manifest["errors"] = [{"file": "kube/core/v1/nodes.json", "error": f"401 for {seed('bearer')}"}]


def everything(path: Path) -> str:
    """Every byte that a bundle holds, unpacked."""
    with Bundle(path) as bundle:
        texts = [json.dumps(bundle.manifest.redaction), bundle.manifest.source, bundle.manifest.note]
        for reference in bundle.manifest.snapshots:
            index = bundle.index(reference.id)
            texts.append(repr(index))
            texts += [bundle.body(entry).decode(errors="replace") for entry in index.entries if entry.status == "ok"]
    return "\n".join(texts)


def test_none_of_two_hundred_secrets_is_in_the_bundle(tmp_path: Path) -> None:
    seed = Seeds()
    recording = Recording(tmp_path)
    fill(recording, seed)
    assert len(seed.given) >= 200
    path = tmp_path / "incident.mdb"
    with BundleWriter(path, now=lambda: 1_770_000_000.0) as writer:
        record_recording(writer, open_any([recording.write()]))
    text = everything(path)
    leaked = [secret for secret in seed.given if secret in text]
    encoded = [base64.b64encode(secret.encode()).decode().rstrip("=") for secret in seed.given]
    leaked += [secret for secret in encoded if secret in text]
    assert not leaked
    assert not [secret for secret in seed.given if secret.encode() in path.read_bytes()]


def test_what_questions_are_asked_of_stays(tmp_path: Path) -> None:
    seed = Seeds()
    recording = Recording(tmp_path)
    fill(recording, seed)
    path = tmp_path / "incident.mdb"
    with BundleWriter(path, now=lambda: 1_770_000_000.0) as writer:
        record_recording(writer, open_any([recording.write()]))
    files = open_any([path]).files
    pod = json.loads(files["kube/core/v1/pods.json"]())["items"][0]
    assert pod["metadata"]["labels"] == {"app": "web-1"}
    assert "sidecar.istio.io/status" in pod["metadata"]["annotations"]
    variables = {entry["name"]: entry.get("value") for entry in pod["spec"]["containers"][1]["env"]}
    assert variables == {"ISTIO_META_CLUSTER_ID": "kept", "SECRET_TOKEN": None}
    dump = json.loads(files["envoy/shop/web-1/config_dump.json"]())
    assert dump["configs"][0]["bootstrap"]["node"]["metadata"]["LABELS"] == {"app": "web"}
    cluster = dump["configs"][1]["dynamic_active_clusters"][0]
    assert cluster["last_updated"] == "2026-01-01T00:00:00.000Z"
    tls = cluster["cluster"]["transport_socket"]["typed_config"]["common_tls_context"]
    assert tls["tls_certificates"][0]["certificate_chain"] == {"inline_string": "PUBLIC-CHAIN"}
    assert tls["tls_certificate_sds_secret_configs"] == [{"name": "default", "sds_config": {"ads": {}}}]
    listener = dump["configs"][2]["dynamic_listeners"][0]["active_state"]["listener"]
    filters = listener["filter_chains"][0]["filters"][0]["typed_config"]
    jwks = filters["http_filters"][2]["typed_config"]["providers"]["rsa"]["local_jwks"]["inline_string"]
    assert json.loads(jwks) == {"keys": [{"kty": "RSA", "n": "public-modulus", "e": "AQAB"}]}
    assert filters["access_log"][0]["typed_config"]["log_format"]["text_format_source"]["inline_string"].startswith(
        "%START"
    )
    log = files["logs/shop/web-1/istio-proxy.log"]().decode().split("\n")
    assert len(log) == 7, "every line keeps its number"
    assert '"GET /items?<redacted> HTTP/1.1" 503 UF' in log[0]
    calls = files["logs/shop/web-1/app.log"]().decode().split("\n")
    assert calls[0] == calls[1] == ""
    assert json.loads(calls[2])["status"] == 503
    assert "kube/core/v1/secrets.json" not in files


def test_equal_secrets_get_equal_marks_within_one_bundle_only() -> None:
    one, other = Redactor(), Redactor()
    assert one.mark("hunter2", "x") == one.mark("hunter2", "x") != one.mark("hunter3", "x")
    assert one.mark("hunter2", "x") != other.mark("hunter2", "x")
    assert one.mark(one.mark("hunter2", "x"), "x") == one.mark("hunter2", "x"), "a mark is not marked again"


def test_what_does_not_decode_is_not_kept() -> None:
    with pytest.raises(UnreadableError):
        redacted("envoy/shop/web-1/config_dump.json", b'{"configs": [{"password": "hunter', Redactor())


@pytest.mark.parametrize(
    "file",
    [
        "kube/core/v1/secrets.json",
        "kube/acme.example.com/v1/widgets.json",
        "notes.txt",
        "istiod/x/adsz.json",
        "envoy/a/b",
    ],
)
def test_a_file_that_no_rule_knows_is_not_kept(file: str) -> None:
    assert not kept(file)
    assert redacted(file, b"{}", Redactor()) is None


def test_names_of_secrets_and_rate_limits_are_no_secrets() -> None:
    value = {"credentialName": "gateway-cert", "token_bucket": {"max_tokens": 5, "fill_interval": "60s"},
             "prefix_rewrite": "/token/", "headers": [{"name": "x-user", "exact_match": "canary"}]}  # fmt: skip
    assert clean(value, Redactor()) == value


def test_a_last_look_finds_what_the_rules_missed() -> None:
    assert leaks(b'{"a":"-----BEGIN EC PRIVATE KEY-----\\nx"}')
    assert leaks(b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJl")
    assert not leaks(b'{"certificate_chain":"-----BEGIN CERTIFICATE-----"}')
