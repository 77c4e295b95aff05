"""Secrets in texts that some program wrote: logs, messages of events and states, configuration inside a string."""

from __future__ import annotations

import json

from tests.recording.seeded_envoy import Seeds
from tests.recordings import Recording, access_line

REQUEST = "11111111-2222-3333-4444-555555555555"
FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% "%REQ(COOKIE)%"'
    ' "%REQ(X-API-KEY)%" cookie="%REQ(COOKIE)%" %UPSTREAM_HOST%'
)


def sayings(seed: Seeds) -> list[str]:
    """A line for each way in which programs print secrets."""
    return [
        f"sent Authorization: Bearer {seed()}",
        f"sent authorization=Basic {seed()}",
        f'Proxy-Authorization: Digest username="u", response="{seed()}"',
        f"authorization: token {seed()}",
        f"X-Authorization: {seed()} {seed()}",
        f'"Authorization: Bearer {seed()}" was refused',
        f"used eyJ{seed()}",
        f"Cookie: theme=dark; sid={seed()}; x={seed()}",
        f"Set-Cookie: a=b; session={seed()}",
        f'password: "a {seed()} c"',
        f'{{"password":"aa\\"{seed()}","n":1}}',
        f'{{\\"password\\":\\"{seed()}\\"}}',
        f"mysql://root:a@{seed()}@db/orders",
        f"amqp://u:a/{seed()}@mq",
        f"root:{seed()}@tcp(db:3306)/orders",
        f"Server=db;Pwd={seed()};",
        f"db_pwd={seed()} PGPASS={seed()}",
        f"run --password {seed()} --api-key={seed()}",
        f'exec: ["app","--db-password","{seed()}"]',
        f"curl -u admin:{seed()} localhost",
        f"the password is {seed()}",
        f"https://blob/x?sv=1&sig={seed()}",
        f"sig={seed()} signature: {seed()}",
        f"AKIAABCDEFGHIJKLMNOP/{seed()}",
        f"token '{seed()}'",
        f"'cookie', 'sid={seed()}'",
        f"'x-partner', '{seed()}'",
        f"license={seed()} account_key={seed()}",
    ]


def fill_texts(recording: Recording, seed: Seeds) -> None:
    recording.log(
        "shop/web-2",
        "app",
        *(json.dumps({"ts": 1, "url": "http://cart/", "status": 503, "error": said}) for said in sayings(seed)),
        *(json.dumps({"ts": 1, "url": "http://cart/", "status": 503, "msg": said}) for said in sayings(seed)),
        json.dumps({"ts": 1, "url": "http://cart/", "status": 500, "body": json.dumps({"card": seed()})}),
        json.dumps({"ts": 1, "url": "http://cart/", "status": 500, "body": f"no healthy upstream {seed()}"}),
    )
    time = "2026-01-01T00:00:00.0Z"
    line = access_line(2)
    recording.log(
        "shop/web-2",
        "istio-proxy",
        *(f"{time}\twarn\tenvoy http\t{said}" for said in sayings(seed)),
        *(json.dumps({"level": "debug", "time": time, "scope": "envoy", "msg": said}) for said in sayings(seed)),
        f"{time}\tinfo\tenvoy lua\tscript log: {seed()}",
        f"{time}\tinfo\tenvoy wasm\twasm log plugin: {seed()}",
        f'{time}\tinfo\tApply proxy config from env {{"proxyMetadata":{{"VAULT_AUTH":"{seed()}"}}}}',
        f'{line} "sid={seed()}" "{seed()}"',
        f"{line} {seed()}",
        line.replace('"-" "agent/1"', f'"{seed()}" "agent {seed()}"').replace(REQUEST, "chosen"),
        f"{time} stdout F {line.replace('agent/1', f'agent {seed()}')}",
        f'[{time}] "GET /a HTTP/1.1" 503 UF "sid={seed()}" "{seed()}" cookie="{seed()}" 10.0.0.1:80',
        f'[{time}] "GET /a HTTP/1.1" 503 UF unknown "{seed()}"',
        f"{time} GET /a 200 {seed()}",
    )
    pod = {"name": "web-2", "namespace": "shop"}
    proxy_config = f"proxyMetadata:\n  VAULT_AUTH: {seed()}\ntracing:\n  lightstep: {{accessToken: {seed()}}}\n"
    variable = json.dumps({"proxyMetadata": {"VAULT_AUTH": seed()}})
    overrides = json.dumps({"containers": [{"env": [{"name": "K", "value": seed()}]}]})
    recording.objects(
        "Pod",
        {
            "metadata": {
                **pod,
                "annotations": {"proxy.istio.io/config": proxy_config, "proxy.istio.io/overrides": overrides},
            },
            "spec": {
                "containers": [
                    {
                        "name": "istio-proxy",
                        "args": ["proxy", "--domain", "kept", "--x", seed()],
                        "env": [
                            {"name": "PROXY_CONFIG", "value": variable},
                            {"name": "ISTIO_META_API_KEY", "value": seed()},
                        ],
                    }
                ]
            },
            "status": {
                "message": f"evicted {seed()}",
                "conditions": [{"type": "acme.com/Gate", "status": "False", "message": seed()}],
                "containerStatuses": [
                    {
                        "name": "app",
                        "state": {"waiting": {"reason": "StartError", "message": f"exec {seed()}"}},
                        "lastState": {"terminated": {"exitCode": 1, "message": f"user=admin\npanic: {seed()}"}},
                    }
                ],
            },
        },
    )
    recording.objects(
        "Pod",
        {"metadata": {"name": "w", "namespace": "shop", "annotations": {"proxy.istio.io/config": f"[a: {seed()}"}}},
    )
    messages = {
        "Unhealthy": f"Readiness probe failed: {seed()}",
        "FailedPostStartHook": f"Exec lifecycle hook ([run {seed()}]) failed - error: x, message: {seed()}",
        "FailedPreStopHook": f"PreStopHook failed: {seed()}",
        "Failed": f'Error: failed to create task: exec: "{seed()}": not found',
        "Synced": f"an operator says {seed()}",
    }
    for number, (reason, message) in enumerate(messages.items()):
        recording.objects(
            "Event", {"metadata": {"name": f"e{number}", "namespace": "shop"}, "reason": reason, "message": message}
        )
    for number, said in enumerate(sayings(seed)):
        recording.objects(
            "Event", {"metadata": {"name": f"s{number}", "namespace": "shop"}, "reason": "FailedMount", "message": said}
        )
