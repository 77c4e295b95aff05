"""Configuration that is somebody else's program: kept is that it is there, and a mark that says whether it changed.

Names of Envoy's extensions are those of Envoy 1.40 (envoy.extensions) and of what Istio 1.24 to 1.32 sends.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from meshdoctor.recording.redaction.headers import plain_key
from meshdoctor.recording.redaction.text import Redactor

HIDDEN = "redacted"
"""The one key of what stands in the place of a configuration."""
_READ = re.compile(
    r"(?:envoy\.(?:admin|config|api|data|type|service)\..*"
    r"|envoy\.extensions\.(?!filters\.|wasm\.|tracers\.|health_checkers\.|access_loggers\.fluentd|private_key_providers"
    r"|grpc_service\.|http\.(?:injected_credentials|custom_response|early_header_mutation)).*"
    r"|envoy\.extensions\.filters\.(?:listener|udp)\..*"
    r"|envoy\.extensions\.filters\.network\.(?:http_connection_manager|tcp_proxy|rbac|sni_cluster|sni_dynamic_forward_proxy"
    r"|connection_limit|local_ratelimit|ratelimit|set_filter_state|direct_response|ext_authz|zookeeper_proxy|mongo_proxy"
    r"|redis_proxy|echo)\..*"
    r"|envoy\.extensions\.filters\.http\.(?:router|rbac|jwt_authn|cors|fault|grpc_stats|grpc_web|grpc_http1_bridge"
    r"|alpn|compressor|decompressor|local_ratelimit|ratelimit|ext_authz|health_check|set_filter_state|stateful_session"
    r"|buffer|upstream_codec|dynamic_forward_proxy|original_src|csrf|rate_limit_quota|bandwidth_limit"
    r"|admission_control|adaptive_concurrency|on_demand|grpc_json_transcoder|ip_tagging|tap)\..*"
    r"|(?:io\.)?istio\..*|envoy\.tcp\..*|envoy\.(?:transport|http|network)\..*|stats\.PluginConfig|xds\..*|udpa\..*"
    r"|google\.protobuf\.(?:Any|Duration|[A-Z]\w*Value(?<!StringValue)(?<!BytesValue)))"
)
"""Types whose fields are looked at one by one, because questions are asked of them."""
_WRAPPERS = ("xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct")
_KNOWN_METADATA = frozenset(("istio", "envoy.lb", "envoy.transport_socket_match", "envoy.transport_socket_matches"))
_DURATION = re.compile(r"\d{1,12}(?:\.\d{1,9})?s")
_FIELD = re.compile(r"@?[a-z][A-Za-z]*(?:_[a-z]+)*\d?")
_TYPES = frozenset(("atype", "typeurl"))
_TYPE = re.compile(rb'"(?:@type|type_?[uU]rl)":\s*"([^"\\]*)"')
_METADATA = re.compile(rb'"(?:typed_?[fF]ilter_?[mM]etadata|filter_?[mM]etadata)":')
_OF_ISTIO = re.compile(
    rb'"filter_?[mM]etadata":\s*\{\s*"(?:istio|envoy\.lb|envoy\.transport_socket_match)":'
    rb"\s*\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}\s*\}"
)


def is_foreign(kind: str) -> bool:
    """Whether a message of the type *kind* is opaque: no question is asked of its fields."""
    return not _READ.fullmatch(kind.rpartition("/")[2])


def foreign(value: dict[str, Any]) -> bool:
    """Whether *value* is a message of such a type, or a TypedStruct around one."""
    kind = value.get("@type")
    if not isinstance(kind, str):
        return False
    if kind.rpartition("/")[2] in _WRAPPERS:
        inner = value.get("type_url", value.get("typeUrl"))
        return not isinstance(inner, str) or is_foreign(inner)
    return is_foreign(kind)


def may_be_foreign(body: bytes) -> bool:
    """Whether anything in *body* is such a message, or metadata of somebody other than Istio: then it is walked."""
    if any(is_foreign(kind.decode(errors="replace")) for kind in set(_TYPE.findall(body))):
        return True
    return len(_METADATA.findall(body)) != len(_OF_ISTIO.findall(body))


def whole(value: Any, redactor: Redactor) -> Any:
    """One mark in the place of *value*, of whatever shape; its type stays, and that it is a message or a list."""
    if isinstance(value, dict):
        kept = {name: entry for name, entry in value.items() if plain_key(name) in _TYPES}
        rest = {name: entry for name, entry in value.items() if name not in kept}
        if set(rest) == {HIDDEN} or not rest:
            return value
        return {**kept, HIDDEN: redactor.mark(_canonical(rest), "configuration")}
    if isinstance(value, str):
        return redactor.mark(value, "configuration")
    if value in (None, [], True, False):
        return value
    return [whole_text(value, redactor)] if isinstance(value, list) else whole_text(value, redactor)


def whole_text(value: Any, redactor: Redactor) -> str:
    """One mark for a list or a number."""
    return redactor.mark(_canonical(value), "configuration")


def fields_only(value: Any, redactor: Redactor, key: str = "") -> Any:
    """An opaque message: the names of its fields stay, as two spellings of one message are compared by them.

    A key that is no name of a field is one of a map, and as secret as a value. `[redacted]` is Envoy's own.
    """
    if isinstance(value, dict):
        found = {}
        for name, entry in value.items():
            shown = name if _FIELD.fullmatch(name) else redactor.mark(name, "configuration")
            if plain_key(name) == "value" and "@type" in value:
                found[shown] = whole(entry, redactor)  # a plain struct, all of whose keys are somebody's
            else:
                found[shown] = fields_only(entry, redactor, plain_key(name))
        return found
    if isinstance(value, list):
        return [fields_only(entry, redactor, key) for entry in value]
    if isinstance(value, str):
        if key in _TYPES or value == "[redacted]" or _DURATION.fullmatch(value):
            return redactor.text(value)
        return redactor.mark(value, "configuration")
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= 100_000:
        return redactor.mark(str(value), "configuration")
    return value


def known_metadata(value: dict[str, Any], redactor: Redactor) -> tuple[dict[str, Any], dict[str, Any]]:
    """`filter_metadata`: what Istio and its load balancing say, and marks for what everybody else does."""
    known = {name: entry for name, entry in value.items() if name in _KNOWN_METADATA}
    return known, {name: whole(entry, redactor) for name, entry in value.items() if name not in known}


def _canonical(value: Any) -> str:
    return msgspec.json.encode(_uniform(value), order="sorted").decode()


def _uniform(value: Any) -> Any:
    """One form for what protobuf's JSON spells in two: a number and its text, 1 and 1.0, two cases of a key."""
    if isinstance(value, dict):
        return {plain_key(str(name)): _uniform(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_uniform(entry) for entry in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(int(value)) if value == int(value) else str(value)
    return value
