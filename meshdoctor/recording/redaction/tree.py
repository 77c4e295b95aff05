"""Secrets in JSON by where they are: Envoy's answers, Istio's objects, the free-form parts of both.

The keys are those of Envoy 1.30 to 1.40 (envoy.config and envoy.extensions) and Istio 1.24 to 1.32; spelling does not
matter, snake_case and camelCase are one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec

from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.recording.importing.yaml_guard import load_documents
from meshdoctor.recording.redaction import headers, opaque
from meshdoctor.recording.redaction.formats import FORMAT_ONLY, clean_expression, clean_format, operators_only
from meshdoctor.recording.redaction.text import SENSITIVE, SENSITIVE_NAME, Redactor

ANNOTATIONS = re.compile(
    r"^(?:(?:[a-z0-9-]+\.)*istio\.io/(?!.*last-applied|overrides$|userVolume|proxyEnv|templates-).*|gateway\.[a-z0-9.]+/.*|prometheus\.io/.*"
    r"|kubectl\.kubernetes\.io/restartedAt|deployment\.kubernetes\.io/revision)$"
)
"""Annotations that stay. Not `last-applied-configuration`, nor `proxy.istio.io/overrides`, which is a container."""
PROXY_CONFIG_ANNOTATION = "proxy.istio.io/config"
VARIABLES = re.compile(
    r"^(?:ISTIO_META_[A-Z0-9_]+|PILOT_[A-Z0-9_]+|PROXY_CONFIG|TRUST_DOMAIN|EXIT_ON_ZERO_ACTIVE_CONNECTIONS|CA_ADDR"
    r"|POD_NAME|POD_NAMESPACE|INSTANCE_IP|SERVICE_ACCOUNT|HOST_IP|GOMAXPROCS|GOMEMLIMIT|ISTIO_CPU_LIMIT)$"
)
"""Environment variables whose value stays, unless their name says that it is a secret (`is_shown`)."""
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
    "fromcookies cookiename cookieconfigs outputclaimtoheaders stripquery authorizationpolicies authorizationpolicy",
)
"""Keys that only sound like a secret: names of secrets, rate limits, where a token is looked for."""
_NAMES = _words(
    "name atype typeurl filename path kind namespace clustername servicename ads provider",
    "apiconfigsource resourceapiversion transportapiversion",
)
"""Beneath a secret, what only names it."""
_HOT = _words(
    "inlinecode defaultsourcecode sourcecodes sourcecode initialmetadata users keyvalues",
    "queryparams queryparameters body literal configyaml customheaders additionalheaders environment rawvalue",
    "sessionticketkeys googlegrpccredentials channelcredentials callcredentials bodyformat bodyformatoverride",
    "send receive payload descriptorvalue contextextensions resourceattributes addedtlvs tagoverrides verificationkey",
    "stringkey",
    "xdsheaders caheaders auth",
)
"""Everything beneath these is redacted."""
_HOT_TEXTS = frozenset(("defaultvalue", "stringvalue"))
"""Redacted where they are texts; a fraction's default is a message."""
_WHOLE = frozenset(("configuration", "pluginconfig"))
"""What an extension is told in a language of its own: neither keys nor numbers of it stay."""
_METADATA = frozenset(("filtermetadata", "typedfiltermetadata"))
_INLINE = frozenset(("inlinestring", "inlinebytes", "inline"))
_PUBLIC_INLINE = frozenset(("certificatechain", "trustedca", "crl", "ocspstaple"))
_JWKS_PUBLIC = frozenset(("kty", "kid", "alg", "use", "n", "e", "crv", "x", "y", "key_ops"))
_PAIRS = frozenset(("set", "add", "env", "remove"))
_TLS_SECRETS = frozenset(("tlscertificate", "validationcontext"))
_FORMATS = frozenset(("accesslogformat", "text", "labels", "textformat", "textformatsource", "jsonformat"))
_FORMAT_HOLDERS = frozenset(("logformat", "accesslog"))
"""Where the format of an access log stands: in the mesh config, an extension provider, a log of a listener."""
_RUNTIME = ("envoy.", "overload.", "re2.", "upstream.", "health_check.")
_CLAIMS = ("istio_authn", "envoy.filters.http.jwt_authn")
_SENSITIVE_KEY = re.compile(SENSITIVE, re.IGNORECASE)


@lru_cache(maxsize=4096)
def _plain(key: str) -> str:
    return headers.plain_key(key)


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
    if opaque.foreign(value):
        found: dict[str, Any] = opaque.fields_only(value, redactor)
        return found
    if key in headers.PLACES or headers.is_map(key):
        return _headers(value, redactor, key)
    return _fields(value, redactor, key)


def _headers(value: dict[str, Any], redactor: Redactor, key: str) -> dict[str, Any]:
    """A header and its value or match, or a map from names of headers to those."""
    name = headers.matched_header(value)
    if name is not None:
        shown = headers.HARMLESS.match(name)
        return {
            field: headers.without_values(entry, redactor)
            if headers.is_match(field) and not shown
            else clean(entry, redactor, _plain(field))
            for field, entry in value.items()
        }
    if not headers.is_map(key):
        return _fields(value, redactor, key)
    found: dict[str, Any] = {}
    for header, entry in value.items():
        matched = isinstance(entry, dict) and any(headers.is_match(field) for field in entry)
        if headers.HARMLESS.match(header) or not (matched or isinstance(entry, str)):
            found[header] = clean(entry, redactor, _plain(header))
        else:
            found[header] = headers.without_values(entry, redactor)
    return found


def _fields(value: dict[str, Any], redactor: Redactor, key: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    hidden = _hidden_by_name(value, key)
    compared = "input" in value and headers.matched_input(value)
    for name, entry in value.items():
        plain = _plain(name)
        if compared and plain == "valuematch":
            found[name] = headers.without_values(entry, redactor)
        elif compared and plain.endswith("matchmap"):
            found[name] = clean(headers.without_keys(entry, redactor), redactor, plain)
        elif plain == "annotations" and isinstance(entry, dict):
            found[name] = kept_annotations(entry, redactor)
        elif key == "node" and plain == "metadata" and isinstance(entry, dict):
            kept = {field: inner for field, inner in entry.items() if _NODE_METADATA.match(field)}
            redactor.counts["node metadata"] += len(entry) - len(kept)
            found[name] = clean(kept, redactor, "nodemetadata")
        elif plain == "proxyconfig" and isinstance(entry, str):
            found[name] = clean_proxy_config(entry, redactor)
        elif plain in ("environmentvariables", "proxymetadata") and isinstance(entry, dict):
            found[name] = {
                field: clean(inner, redactor) if is_shown(field) else _hide(inner, redactor, "environment")
                for field, inner in entry.items()
            }
        elif plain in _FORMATS and (plain == "accesslogformat" or key in _FORMAT_HOLDERS):
            found[name] = clean_format(entry, redactor, learn=True)
        elif plain in _METADATA and isinstance(entry, dict):
            known, others = opaque.known_metadata(entry, redactor)
            found[name] = {**clean(known, redactor, plain), **others}
        elif plain in _INLINE and isinstance(entry, str):
            found[name] = _inline(entry, redactor, key)
        elif plain == "jwks" and isinstance(entry, str):
            found[name] = _jwks(entry, redactor)
        elif plain in hidden:
            found[name] = _hide_value(entry, redactor, f"value beside {key or 'a name'}")
        elif plain in ("set", "add") and isinstance(entry, dict):
            found[name] = headers.without_values(entry, redactor)
        elif plain == "expression" and isinstance(entry, str):
            found[name] = clean_expression(entry, redactor)
        elif plain == "formatstring":
            found[name] = operators_only(entry, redactor)
        elif plain == "staticlayer" and isinstance(entry, dict):
            found[name] = {
                field: inner if field.startswith(_RUNTIME) else opaque.whole(inner, redactor)
                for field, inner in entry.items()
            }
        elif plain == "options" and key == "tls" and isinstance(entry, dict):
            found[name] = {
                field: inner if "istio.io/" in field else opaque.whole(inner, redactor)
                for field, inner in entry.items()
            }
        elif plain == "value" and _of_other_metadata(value):
            found[name] = headers.without_values(entry, redactor)
        elif plain in _WHOLE:
            found[name] = opaque.whole(entry, redactor)
        elif plain in _HOT or (plain in _HOT_TEXTS and isinstance(entry, str)):
            found[name] = _hide(entry, redactor, plain)
        elif plain not in _KEEP and _SENSITIVE_KEY.search(name) and not _is_tls_secret(plain, entry):
            found[name] = _hide_number(entry, redactor) or _hide(entry, redactor, "named secret")
        else:
            found[name] = clean(entry, redactor, plain)
    return found


def _of_other_metadata(value: dict[str, Any]) -> bool:
    """Whether *value* matches metadata that a filter of somebody else has set; a token's claims are Istio's."""
    kind = value.get("filter")
    return isinstance(kind, str) and isinstance(value.get("path"), list) and kind not in _CLAIMS


def is_shown(variable: str) -> bool:
    """Whether the value of an environment variable stays."""
    return bool(VARIABLES.match(variable)) and not SENSITIVE_NAME.search(variable)


def clean_proxy_config(text: str, redactor: Redactor) -> str:
    """A ProxyConfig that stands in a text, as YAML or JSON; a mark when it is neither."""
    try:
        found = next(load_documents(text.encode()), None)
        if isinstance(found, dict):
            return msgspec.json.encode(clean(found, redactor, "proxyconfig")).decode()
    except (UnreadableError, UnicodeEncodeError, TypeError):
        pass
    return redactor.mark(text, "proxy config")


def _is_tls_secret(plain: str, entry: Any) -> bool:
    """`secret` of a SecretsConfigDump holds certificates, whose keys Envoy has redacted, and which are walked."""
    return plain == "secret" and isinstance(entry, dict) and bool(_TLS_SECRETS & {_plain(name) for name in entry})


def _hidden_by_name(value: dict[str, Any], key: str) -> frozenset[str]:
    """Which of the keys of a pair (name and value, in the spellings of headers, parameters, variables) are hidden."""
    keys = {_plain(name): entry for name, entry in value.items()}
    if isinstance(keys.get("key"), str):
        if isinstance(keys.get("values"), list) or isinstance(keys.get("notvalues"), list):  # of an AuthorizationPolicy
            header = headers.condition_header(keys["key"])
            other = SENSITIVE_NAME.search(keys["key"]) or keys["key"].startswith("experimental.")
            shown = not other if header is None else headers.HARMLESS.match(header)
            return frozenset() if shown else frozenset(("values", "notvalues"))
        if isinstance(keys.get("value"), str):
            return frozenset() if FORMAT_ONLY.fullmatch(keys["value"]) else frozenset(("value",))
    name = keys.get("name")
    if not isinstance(name, str):
        return frozenset()
    if key in _PAIRS and isinstance(keys.get("value"), str):
        return frozenset() if key == "env" and is_shown(name) else frozenset(("value",))
    matched = {plain for plain in keys if plain.endswith(("match", "exact", "prefix", "suffix", "regex"))}
    return frozenset(matched) if matched and SENSITIVE_NAME.search(name) else frozenset()


def _hide_value(entry: Any, redactor: Redactor, rule: str) -> Any:
    return headers.without_condition(entry, redactor) if isinstance(entry, list) else _hide(entry, redactor, rule)


def _hide_number(value: Any, redactor: Redactor) -> str | None:
    """A number that is a secret by the name of its key: a PIN."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return redactor.mark(str(value), "named secret") if number else None


def _hide(value: Any, redactor: Redactor, rule: str) -> Any:
    """Every text beneath is replaced; what only names the secret stays."""
    if isinstance(value, str):
        return value if value == "[redacted]" else redactor.mark(value, rule)
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
    return {name: _annotation(name, entry, redactor) for name, entry in kept.items()}


def _annotation(name: str, entry: Any, redactor: Redactor) -> Any:
    if not isinstance(entry, str):
        return entry
    return clean_proxy_config(entry, redactor) if name == PROXY_CONFIG_ANNOTATION else redactor.text(entry)


def _inline(value: str, redactor: Redactor, key: str) -> str:
    if key == "textformatsource":
        redactor.learn_format(kept := clean_format(value, redactor))
        return str(kept)
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
