"""A recording with secrets in every file that a recorder of everything would make."""

from __future__ import annotations

import json

from meshdoctor.mesh.proxy.protojson import to_protojson
from tests.recording.seeded_envoy import Json, Seeds, config_dump, header, http_filters
from tests.recording.seeded_extensions import extensions_dump, filters
from tests.recording.seeded_texts import FORMAT, fill_texts
from tests.recordings import Recording, access_line


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
    recording.objects("ServiceAccount", {"metadata": meta(seed, "web"), "secrets": [{"name": seed()}]})
    recording.objects(
        "EnvoyFilter",
        {
            "metadata": meta(seed, "ef"),
            "spec": {
                "configPatches": [
                    *({"patch": {"value": one}} for one in filters(seed)),
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
                "pluginConfig": {
                    "key": seed(),
                    "deep": {"list": [seed()], "name": seed(), "kind": seed()},
                    seed(): "tenant",
                    "pin": 77665544,
                },
                "vmConfig": {"env": [{"name": "API", "value": seed()}]},
            },
        },
    )
    recording.objects(
        "Telemetry",
        {
            "metadata": meta(seed, "t"),
            "spec": {
                "tracing": [
                    {
                        "customTags": {
                            "k": {"literal": {"value": seed()}},
                            "h": {"header": {"name": "x", "defaultValue": seed()}},
                        }
                    }
                ],
                "accessLogging": [{"filter": {"expression": f"request.headers['x-key'] == '{seed()}'"}}],
            },
        },
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
                "rules": [
                    {
                        "when": [
                            {"key": "request.headers[x-api-key]", "values": [seed()], "notValues": [seed()]},
                            {"key": "request.headers[x-partner]", "values": [f"{seed()}*"], "notValues": [seed()]},
                        ]
                    }
                ]
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
                                "headers": {
                                    "authorization": {"exact": seed("bearer")},
                                    "cookie": {"regex": seed()},
                                    "x-partner": {"exact": seed()},
                                },
                                "withoutHeaders": {"x-partner": {"prefix": seed()}},
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
                                "headers": [
                                    {"name": "authorization", "value": seed()},
                                    {"name": "x-partner", "type": "Exact", "value": seed()},
                                ],
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
    ztunnel = {
        "auth_token": seed(),
        "xdsHeaders": {"vec": [["x-a", seed()]]},
        "auth": {"Static": seed()},
        "proxyMetadata": {"A": seed()},
    }
    policies = ["shop/by-path"]
    recording.put(
        "ztunnel/istio-system/z-1/config_dump.json",
        {"workloads": [{"name": "web-1", "authorizationPolicies": policies}], "config": ztunnel},
    )
    recording.put(
        "istiod/istiod-1/syncz.json",
        [{"proxy": "web-1.shop", "resources": {"t": {"lastError": seed("named")}}, "extra": seed()}],
    )
    recording.put(
        "istiod/istiod-1/mesh.json",
        {
            "rootNamespace": "istio-system",
            "accessLogFormat": FORMAT,
            "extensionProviders": [
                {
                    "name": "x",
                    "envoyExtAuthzHttp": {
                        "headersToUpstreamOnAllow": ["a"],
                        "includeAdditionalHeadersInCheck": {"x-secret": seed(), "x-shared-auth": seed()},
                    },
                },
                {
                    "opentelemetry": {
                        "http": {
                            "headers": [
                                {"name": "authorization", "value": seed("bearer")},
                                {"name": "api-auth", "value": seed()},
                            ]
                        }
                    }
                },
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
    # As Go's protojson prints the same messages, with secrets of its own.
    sent = {"configs": [{"@type": one["@type"], **to_protojson(one)} for one in config_dump(seed)["configs"]]}
    recording.put("istiod/istiod-1/config_dump/shop/web-1.json", sent)
    recording.proxy("shop/web-2", config_dump=extensions_dump(seed))
    sent = {"configs": [{"@type": one["@type"], **to_protojson(one)} for one in extensions_dump(seed)["configs"]]}
    recording.put("istiod/istiod-1/config_dump/shop/web-2.json", sent)
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
    fill_texts(recording, seed)
    recording.manifest["note"] = f"recorded with {seed('bearer')}"
    recording.manifest["errors"] = [{"file": "kube/core/v1/nodes.json", "error": f"401 for {seed('bearer')}"}]
