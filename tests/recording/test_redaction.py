"""Two hundred secrets in every place that a mesh can hold one, and none of them in the bundle."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest

from meshdoctor.model.decode import UnreadableError
from meshdoctor.recording.bundle.format import HELD
from meshdoctor.recording.bundle.reader import Bundle
from meshdoctor.recording.bundle.recorder import record_recording
from meshdoctor.recording.bundle.writer import BundleWriter
from meshdoctor.recording.opening import open_any
from meshdoctor.recording.redaction.answers import kept, redacted
from meshdoctor.recording.redaction.text import Redactor, leaks
from meshdoctor.recording.redaction.tree import clean
from tests.recording.seeded_envoy import Seeds
from tests.recording.seeded_mesh import fill
from tests.recordings import Recording, access_line


def everything(path: Path) -> str:
    """Every byte that a bundle holds, unpacked."""
    with Bundle(path) as bundle:
        texts = [json.dumps(bundle.manifest.redaction), bundle.manifest.source, bundle.manifest.note]
        for reference in bundle.manifest.snapshots:
            index = bundle.index(reference.id)
            texts.append(repr(index))
            texts += [bundle.body(entry).decode(errors="replace") for entry in index.entries if entry.status in HELD]
    return "\n".join(texts)


def test_none_of_two_hundred_secrets_is_in_the_bundle(tmp_path: Path) -> None:
    seed = Seeds()
    recording = Recording(tmp_path)
    fill(recording, seed)
    assert len(seed.given) >= 200
    path = tmp_path / "incident.mdb"
    source = f"admin (https://u:{seed()}@api.example.com:6443/?token={seed()})"
    with BundleWriter(path, now=lambda: 1_770_000_000.0, source=source) as writer:
        record_recording(writer, open_any([recording.write()]))
    text = everything(path)
    leaked = [secret for secret in seed.given if secret in text]
    encoded = [base64.b64encode(secret.encode()).decode().rstrip("=") for secret in seed.given]
    leaked += [secret for secret in encoded if secret in text]
    assert not leaked
    assert "77665544" not in text, "a number beneath somebody's own configuration"
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
    own = files["logs/shop/web-2/istio-proxy.log"]().decode().split("\n")
    assert '[2026-01-01T00:00:00.0Z] "GET /a HTTP/1.1" 503 UF "-" "-" cookie="-" 10.0.0.1:80' in own
    assert access_line(2).replace("agent/1", "-") in own, "a column too many is cut off"
    assert '"GET /items?<redacted> HTTP/1.1" 503 UF' in log[0]
    calls = files["logs/shop/web-1/app.log"]().decode().split("\n")
    assert calls[0] == calls[1] == ""
    assert json.loads(calls[2])["status"] == 503
    assert "kube/core/v1/secrets.json" not in files
    sent = json.loads(files["istiod/istiod-1/config_dump/shop/web-1.json"]())
    cluster = sent["configs"][1]["dynamicActiveClusters"][0]["cluster"]
    tls = cluster["transportSocket"]["typedConfig"]["commonTlsContext"]
    assert tls["tlsCertificates"][0]["certificateChain"] == {"inlineString": "PUBLIC-CHAIN"}
    assert tls["tlsCertificateSdsSecretConfigs"] == [{"name": "default", "sdsConfig": {"ads": {}}}]


def test_equal_secrets_get_equal_marks_within_one_bundle_only() -> None:
    one, other = Redactor(), Redactor()
    assert one.mark("hunter2", "x") == one.mark("hunter2", "x") != one.mark("hunter3", "x")
    assert one.mark("hunter2", "x") != other.mark("hunter2", "x")
    assert one.mark(one.mark("hunter2", "x"), "x") == one.mark("hunter2", "x"), "a mark is not marked again"


def test_what_does_not_decode_is_not_kept() -> None:
    with pytest.raises(UnreadableError):
        redacted("envoy/shop/web-1/config_dump.json", b'{"configs": [{"password": "hunter', Redactor())


def test_an_object_that_is_nested_too_deep_costs_itself_alone() -> None:
    deep = '{"a":' * 500 + "1" + "}" * 500
    named = '{"metadata":{"name":"%s","namespace":"shop"},"spec":{"configPatches":[{"patch":{"value":%s}}]}}'
    body = '{"items":[' + ",".join((named % ("deep", deep), named % ("flat", "{}"))) + "]}"
    found = redacted("kube/networking.istio.io/v1alpha3/envoyfilters.json", body.encode(), Redactor())
    assert found is not None
    lost, kept_one = json.loads(found)["items"]
    assert lost == "not kept: it did not decode"
    assert kept_one["metadata"]["name"] == "flat"


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
             "prefix_rewrite": "/token/", "headers": [{"name": ":path", "exact_match": "/items"},
             {"name": "x-user", "present_match": True}, {"name": "x-user", "safe_regex_match": {"regex": ".*"}}],
             "authorizationPolicies": ["shop/by-path"]}  # fmt: skip
    assert clean(value, Redactor()) == value


def test_a_matched_header_is_the_same_mark_in_a_policy_and_in_envoy() -> None:
    redactor = Redactor()
    policy = clean({"when": [{"key": "request.headers[x-user]", "values": ["canary", "can*", "*"]}]}, redactor)
    envoy = clean([{"header": {"name": "x-user", "string_match": {"exact": "canary"}}},
                   {"header": {"name": "x-user", "string_match": {"prefix": "can"}}}], redactor)  # fmt: skip
    exact, prefix, present = policy["when"][0]["values"]
    assert [one["header"]["string_match"] for one in envoy] == [{"exact": exact}, {"prefix": prefix.removesuffix("*")}]
    assert exact.startswith("<redacted:")
    assert prefix.endswith("*")
    assert present == "*"


def test_a_configuration_is_one_mark_in_both_spellings_of_protobuf() -> None:
    redactor = Redactor()
    envoy = {"configuration": {"@type": "t/google.protobuf.Struct", "value": {"max_size": 1, "a": {"b": 2.0}}}}
    istiod = {"configuration": {"@type": "t/google.protobuf.Struct", "value": {"maxSize": "1", "a": {"b": 2}}}}
    assert clean(envoy, redactor) == clean(istiod, redactor) != clean(envoy, Redactor())


@pytest.mark.parametrize(
    "text",
    [
        'secret "web-certificate" not found',
        "CASecret istio-ca-secret not found, will create one",
        "service-account token volume",
        "bypass=true, passthrough: 3",
        "http://cart:8080/users/@me",
        "ConnectionResetError(104, 'Connection reset by peer')",
        "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED",
        "Jwt verification fails",
    ],
)
def test_what_only_sounds_like_a_secret_stays(text: str) -> None:
    assert Redactor().text(text) == text


def test_a_last_look_finds_what_the_rules_missed() -> None:
    assert leaks(b'{"a":"-----BEGIN EC PRIVATE KEY-----\\nx"}')
    assert leaks(b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJl")
    assert not leaks(b'{"certificate_chain":"-----BEGIN CERTIFICATE-----"}')


@pytest.mark.parametrize(
    "unit", ["_", "-", "x-", "x-auth-", "token", "cookie", "a:", "a:b@", "a://", "--a", "session_"]
)
def test_a_hostile_line_takes_no_longer_than_it_is_long(unit: str) -> None:
    line = unit * (50_000 // len(unit)) + " password=x"
    began = time.process_time()
    assert Redactor().line(line) != line
    assert time.process_time() - began < 5
