"""Secrets in JSON by where they are: Envoy's answers, Istio's objects, the free-form parts of both.

The keys are those of Envoy 1.30 to 1.40 (envoy.config and envoy.extensions) and Istio 1.24 to 1.32; spelling does not
matter, snake_case and camelCase are one.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

import msgspec

from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.recording.redaction.text import SENSITIVE, SENSITIVE_NAME, Redactor

ANNOTATIONS = re.compile(
    r"^(?:(?:[a-z0-9-]+\.)*istio\.io/(?!.*last-applied).*|gateway\.[a-z0-9.]+/.*|prometheus\.io/.*"
    r"|kubectl\.kubernetes\.io/restartedAt|deployment\.kubernetes\.io/revision)$"
)
"""Annotations that stay; `last-applied-configuration` above all does not."""
VARIABLES = re.compile(
    r"^(?:ISTIO_META_[A-Z0-9_]+|PILOT_[A-Z0-9_]+|PROXY_CONFIG|TRUST_DOMAIN|EXIT_ON_ZERO_ACTIVE_CONNECTIONS|CA_ADDR"
    r"|POD_NAME|POD_NAMESPACE|INSTANCE_IP|SERVICE_ACCOUNT|HOST_IP|GOMAXPROCS|GOMEMLIMIT|ISTIO_CPU_LIMIT)$"
)
"""Environment variables whose value stays."""
_NODE_METADATA = re.compile(
    r"^(?:NAME|NAMESPACE|LABELS|ANNOTATIONS|CLUSTER_ID|MESH_ID|NETWORK|OWNER|WORKLOAD_NAME|SERVICE_ACCOUNT|GENERATOR"
    r"|NODE_NAME|INTERCEPTION_MODE|INSTANCE_IPS|APP_CONTAINERS|POD_PORTS|PILOT_SAN|PROXY_CONFIG|DNS_CAPTURE|DNS_AUTO_ALLOCATE"
    r"|ISTIO_(?:VERSION|PROXY_SHA|PROXY_VERSION|META_[A-Z_]+)|ENVOY_[A-Z_]+_PORT|ROUTER_MODE|HTTP10|UNPRIVILEGED_POD"
    r"|STS_PORT|IDLE_TIMEOUT|PLATFORM_METADATA|XDS_ROOT_CERT|OUTLIER_LOG_PATH)$"
)


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


_KEEP = _words(
    "sdsconfig tlscertificatesdssecretconfigs validationcontextsdssecretconfig combinedvalidationcontext",
    "secretname secretnames secretconfig credentialname credentialnames clustercredentials",
    "staticsecrets dynamicactivesecrets dynamicwarmingsecrets",
    "tokenbucket maxtokens tokensperfill forwardoriginaltoken automountserviceaccounttoken usetokens",
    "fromcookies cookiename cookieconfigs outputclaimtoheaders stripquery",
)
"""Keys that only sound like a secret: names of secrets, rate limits, where a token is looked for."""
_NAMES = _words(
    "name atype typeurl filename path kind namespace clustername servicename ads provider",
    "apiconfigsource resourceapiversion transportapiversion",
)
"""Beneath a secret, what only names it."""
_HOT = _words(
    "inlinecode defaultsourcecode sourcecodes sourcecode configuration pluginconfig initialmetadata users keyvalues",
    "queryparams queryparameters body literal configyaml customheaders additionalheaders environment rawvalue",
    "sessionticketkeys googlegrpccredentials channelcredentials callcredentials",
)
"""Everything beneath these is redacted."""
_INLINE = frozenset(("inlinestring", "inlinebytes", "inline"))
_PUBLIC_INLINE = frozenset(("certificatechain", "trustedca", "textformatsource", "crl", "ocspstaple", "bodyformat"))
_JWKS_PUBLIC = frozenset(("kty", "kid", "alg", "use", "n", "e", "crv", "x", "y", "key_ops"))
_PAIRS = frozenset(("set", "add", "headers", "httpheaders", "env", "remove"))
_TLS_SECRETS = frozenset(("tlscertificate", "validationcontext"))
_FORMAT_ONLY = re.compile(r"(?:%[A-Z_]+(?:\([^)]*\))?(?::\d+)?%|[\s,;:/-])*")
_SENSITIVE_KEY = re.compile(SENSITIVE, re.IGNORECASE)

# An element of a dump in whose bytes none of this is found comes out of the walk as it went in, and is not walked.
_SUSPECT = (
    rb"(?i:pass(?:word|wd|phrase|code)|secret|token|credential|api[_-]?key|(?:private|access|session|encryption)[_-]?key"
    rb"|hmac|authorization|authentication[_-]?key|cookie|bearer|jwt|jwks|x-auth|x-amz|csrf|xsrf|\"sid\"|\"session\""
    rb"|inline_?(?:string|bytes|code)|\"inline\"|source_?codes?|configuration\"|plugin_?config|initial_?metadata|\"users"
    rb"|key_?values|environment|proxy_?metadata|query_?param|\"body|literal|config_?yaml|custom_?headers"
    rb"|additional_?headers|ticket_?keys|raw_?value|annotations|\"node\"|headers?_?to_?add|\"header\"|\"key\""
    rb"|\"(?:set|add|headers|httpheaders|env|remove)\")"
    rb"|eyJ|PRIVATE KEY|Basic |Digest |Negotiate |ApiKey |://[^\"/]*@|[?&][^\"\s]*=|AKIA|ASIA|gh[opsur]_|xox[abprs]-"
    rb"|sk_live_|sk_test_|AIza|glpat-"
)


@cache
def _suspect() -> Any:
    # A DFA: Python's engine takes 20 times as long for the same expression, and dumps are large.
    import re2  # type: ignore[import-untyped]

    return re2.compile(_SUSPECT)


def suspect(body: bytes) -> bool:
    """Whether anything in *body* could be a secret, or the place of one."""
    return _suspect().search(body) is not None


@lru_cache(maxsize=4096)
def _plain(key: str) -> str:
    return key.replace("_", "").replace("-", "").replace("@", "a").lower()


def clean(value: Any, redactor: Redactor, key: str = "") -> Any:
    """*value* (decoded JSON) without secrets; *key* is the normalised key that holds it."""
    if isinstance(value, dict):
        return _clean_dict(value, redactor, key)
    if isinstance(value, list):
        return [clean(entry, redactor, key) for entry in value]
    if isinstance(value, str):
        return redactor.url(value)
    return value


def _clean_dict(value: dict[str, Any], redactor: Redactor, key: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    hidden = _hidden_by_name(value, key)
    for name, entry in value.items():
        plain = _plain(name)
        if plain == "annotations" and isinstance(entry, dict):
            found[name] = kept_annotations(entry, redactor)
        elif key == "node" and plain == "metadata" and isinstance(entry, dict):
            kept = {field: inner for field, inner in entry.items() if _NODE_METADATA.match(field)}
            redactor.counts["node metadata"] += len(entry) - len(kept)
            found[name] = clean(kept, redactor, "nodemetadata")
        elif plain in ("environmentvariables", "proxymetadata") and isinstance(entry, dict):
            found[name] = {
                field: inner if VARIABLES.match(field) else _hide(inner, redactor, "environment")
                for field, inner in entry.items()
            }
        elif plain in _INLINE and isinstance(entry, str):
            found[name] = _inline(entry, redactor, key)
        elif plain == "jwks" and isinstance(entry, str):
            found[name] = _jwks(entry, redactor)
        elif plain in hidden:
            found[name] = _hide(entry, redactor, f"value beside {key or 'a name'}")
        elif plain in _HOT:
            found[name] = _hide(entry, redactor, plain)
        elif plain not in _KEEP and _SENSITIVE_KEY.search(name) and not _is_tls_secret(plain, entry):
            found[name] = _hide(entry, redactor, "named secret")
        else:
            found[name] = clean(entry, redactor, plain)
    return found


def _is_tls_secret(plain: str, entry: Any) -> bool:
    """`secret` of a SecretsConfigDump holds certificates, whose keys Envoy has redacted, and which are walked."""
    return plain == "secret" and isinstance(entry, dict) and bool(_TLS_SECRETS & {_plain(name) for name in entry})


def _hidden_by_name(value: dict[str, Any], key: str) -> frozenset[str]:
    """Which of the keys of a pair (name and value, in the spellings of headers, parameters, variables) are hidden."""
    keys = {_plain(name): entry for name, entry in value.items()}
    if isinstance(keys.get("key"), str):
        if isinstance(keys.get("values"), list):  # a condition of an AuthorizationPolicy
            return frozenset(("values", "notvalues")) if SENSITIVE_NAME.search(keys["key"]) else frozenset()
        if isinstance(keys.get("value"), str):
            return frozenset() if _FORMAT_ONLY.fullmatch(keys["value"]) else frozenset(("value",))
    name = keys.get("name")
    if not isinstance(name, str):
        return frozenset()
    if key in _PAIRS and isinstance(keys.get("value"), str):
        shown = bool(VARIABLES.match(name)) if key == "env" else key == "headers" and not SENSITIVE_NAME.search(name)
        return frozenset() if shown else frozenset(("value",))
    matched = {plain for plain in keys if plain.endswith(("match", "exact", "prefix", "suffix", "regex"))}
    return frozenset(matched) if matched and SENSITIVE_NAME.search(name) else frozenset()


def _hide(value: Any, redactor: Redactor, rule: str) -> Any:
    """Every text beneath is replaced; what only names the secret stays."""
    if isinstance(value, str):
        return redactor.mark(value, rule)
    if isinstance(value, list):
        return [_hide(entry, redactor, rule) for entry in value]
    if isinstance(value, dict):
        return {
            name: redactor.text(entry)
            if _plain(name) in _NAMES and isinstance(entry, str)
            else clean(entry, redactor, _plain(name))
            if _plain(name) in _KEEP
            else _hide(entry, redactor, rule)
            for name, entry in value.items()
        }
    return value


def kept_annotations(value: dict[str, Any], redactor: Redactor) -> dict[str, Any]:
    """Those of Istio and the few others that questions are asked of."""
    kept = {name: entry for name, entry in value.items() if ANNOTATIONS.match(name)}
    redactor.counts["annotation"] += len(value) - len(kept)
    return {name: redactor.text(entry) if isinstance(entry, str) else entry for name, entry in kept.items()}


def _inline(value: str, redactor: Redactor, key: str) -> str:
    if key in _PUBLIC_INLINE:
        return redactor.text(value)
    return _jwks(value, redactor) if key == "localjwks" else redactor.mark(value, "inline data")


def _jwks(value: str, redactor: Redactor) -> str:
    """The public half of a key set; symmetric keys and private exponents are left out."""
    try:
        keys = decode_json(value.encode(), dict[str, Any]).get("keys")
    except UnreadableError:
        return redactor.mark(value, "jwks")
    public = [
        {name: entry for name, entry in found.items() if name in _JWKS_PUBLIC and isinstance(entry, str | list)}
        for found in (keys if isinstance(keys, list) else ())
        if isinstance(found, dict) and found.get("kty") in ("RSA", "EC", "OKP")
    ]
    redactor.counts["jwks"] += 1
    return msgspec.json.encode({"keys": public}).decode()
