"""What an access-log format says about its lines: Envoy's command operators, compiled to a regular expression.

The operators are those of Envoy 1.40 (`source/common/formatter`). Envoy does not escape quotes in text formats, so a
pattern must say which fields a client can fill with anything (path, user agent, any header) and which are strict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

# Istio's default text format (pilot/pkg/model/telemetry_logging.go), the same since 1.9 but for UPSTREAM_CLUSTER_RAW.
_HEAD = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
)
_SIZES = "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
_CALLER = '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"'
_HOPS = (
    " %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS%"
    " %REQUESTED_SERVER_NAME% %ROUTE_NAME%"
)
_REASON = '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" '
DEFAULT_TEXT_FORMATS: tuple[str, ...] = (
    f"{_HEAD}%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% {_REASON}{_SIZES}{_CALLER}{_HOPS}",  # Istio 1.9
    f"{_HEAD}%RESPONSE_CODE_DETAILS% {_REASON}{_SIZES}{_CALLER}{_HOPS}",  # without termination details
    f'{_HEAD}"%DYNAMIC_METADATA(istio.mixer:status)%" {_REASON}{_SIZES}{_CALLER}{_HOPS}',  # Istio 1.1 to 1.8
    f"{_HEAD}{_REASON}{_SIZES}{_CALLER}{_HOPS}",
    f"{_HEAD}{_SIZES}{_CALLER}",  # Envoy's own default
)

# Fields of AccessLine by operator; by header for REQ and RESP.
_OPERATORS = {
    "START_TIME": "start",
    "PROTOCOL": "protocol",
    "RESPONSE_CODE": "code",
    "RESPONSE_FLAGS": "flags",
    "RESPONSE_FLAGS_LONG": "flags",
    "RESPONSE_CODE_DETAILS": "details",
    "CONNECTION_TERMINATION_DETAILS": "termination",
    "UPSTREAM_TRANSPORT_FAILURE_REASON": "transport_failure",
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON": "downstream_transport_failure",
    "BYTES_RECEIVED": "bytes_received",
    "BYTES_SENT": "bytes_sent",
    "DURATION": "duration",
    "UPSTREAM_HOST": "upstream_host",
    "UPSTREAM_CLUSTER": "upstream_cluster",
    "UPSTREAM_CLUSTER_RAW": "upstream_cluster",
    "UPSTREAM_LOCAL_ADDRESS": "upstream_local_address",
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": "attempt_count",
    "DOWNSTREAM_LOCAL_ADDRESS": "downstream_local_address",
    "DOWNSTREAM_REMOTE_ADDRESS": "downstream_remote_address",
    "REQUESTED_SERVER_NAME": "requested_server_name",
    "ROUTE_NAME": "route_name",
    "GRPC_STATUS": "grpc_status",
    "GRPC_STATUS_NUMBER": "grpc_status",
    "PATH": "path",
}
_HEADERS = {
    ":method": "method",
    ":path": "path",
    "x-envoy-original-path": "path",
    "x-envoy-upstream-service-time": "upstream_service_time",
    "x-forwarded-for": "x_forwarded_for",
    "user-agent": "user_agent",
    "x-request-id": "request_id",
    ":authority": "authority",
    "host": "authority",
    "grpc-status": "grpc_status",
}
# Keys that other formats use for the same thing.
_ALIASES = {
    "start": "start_time timestamp @timestamp time ts",
    "method": "request_method http_method req_method",
    "path": "request_path url_path uri url",
    "code": "response_code status status_code http_status response_status",
    "flags": "response_flags response_flag response_flags_long",
    "details": "response_code_details response_details",
    "termination": "connection_termination_details",
    "transport_failure": "upstream_transport_failure_reason",
    "downstream_transport_failure": "downstream_transport_failure_reason",
    "bytes_received": "request_bytes request_size",
    "bytes_sent": "response_bytes response_size",
    "duration": "duration_ms request_duration total_duration",
    "upstream_service_time": "x_envoy_upstream_service_time",
    "x_forwarded_for": "forwarded_for xff",
    "request_id": "x_request_id",
    "authority": "host request_host",
    "upstream_cluster": "upstream_cluster_raw upstream_cluster_name",
    "requested_server_name": "sni",
    "grpc_status": "grpc_status_number grpc_response_status response_grpc_status",
    "attempt_count": "upstream_request_attempt_count",
}
FIELDS: tuple[str, ...] = tuple(dict.fromkeys([*_OPERATORS.values(), *_HEADERS.values()]))
_FIELD_OF_KEY = {field: field for field in FIELDS} | {
    alias: field for field, aliases in _ALIASES.items() for alias in aliases.split()
}

_OPERATOR = re.compile(r"%(?:%|(?P<name>[A-Z][A-Z0-9_]*)(?:\((?P<argument>.*?)\))?(?::[0-9]+)?%)")
# Operators whose value a client or an application can fill with anything, or that hold JSON.
_FREE = frozenset(
    {
        *("REQ", "RESP", "TRAILER", "REQ_WITHOUT_QUERY", "PATH", "CEL", "LOCAL_REPLY_BODY", "DOWNSTREAM_PEER_SUBJECT"),
        *("DYNAMIC_METADATA", "UPSTREAM_METADATA", "CLUSTER_METADATA", "FILTER_STATE"),
        "CONNECTION_TERMINATION_DETAILS",
    }
)
_STRICT_HEADERS = frozenset({"method", "upstream_service_time", "authority", "request_id", "grpc_status"})
_NUMBERS = frozenset({"code", "bytes_received", "bytes_sent", "duration", "attempt_count"})
# Envoys before 1.15 printed spaces inside the brackets of the details; a quote begins the next field of an old format.
_DETAILS = r"(?!\")(?:[^ {(]*(?:\{.*?\}|\(.*?\))?(?=[^\w.{(]|$)|[^ ]*)"


class LogFormat(msgspec.Struct, frozen=True):
    """A compiled access-log format; matches nothing when its source has no operator."""

    source: str
    pattern: re.Pattern[str] | None = None  # for text; one group for each name in `fields`
    fields: tuple[str, ...] = ()
    keys: dict[str, str] = {}  # for JSON: key (nested ones joined by ".") -> field of AccessLine, "" for none

    @property
    def tells_outcome(self) -> bool:
        """False when neither response code nor flags are in the format: then a line cannot say that it failed."""
        return bool({"code", "flags"} & {*self.fields, *self.keys.values()})


def compile_format(source: str | Mapping[str, Any]) -> LogFormat:
    """Compile `accessLogFormat` or a provider's `logFormat` of the mesh config, or `log_format` of a listener.

    A text that is a JSON object serves both encodings: its lines may be JSON, or JSON-like text with bare quotes in it.
    Never raises; a text without operators gives a format that matches nothing.
    """
    if isinstance(source, str):
        text = source.strip("\r\n")
        pattern, fields = _compile_text(text)
        return LogFormat(source, pattern, fields, _compile_json(text))
    document: Any = source
    if isinstance(source, Mapping) and len(source) == 1:  # the mesh config's logFormat
        document = source.get("text", source.get("labels", source))
    for wrapper in ("text_format_source", "text_format", "inline_string", "json_format"):
        if isinstance(document, Mapping) and wrapper in document:
            document = document[wrapper]
    if isinstance(document, str):
        return compile_format(document)
    return LogFormat(repr(source), keys=_flat_keys(document) if isinstance(document, Mapping) else {})


def _compile_json(text: str) -> dict[str, str]:
    if not text.lstrip().startswith("{"):
        return {}
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return {}
    return _flat_keys(document) if isinstance(document, dict) else {}


def _flat_keys(document: Mapping[str, Any]) -> dict[str, str]:
    """Key -> field for a JSON format; a value that is not exactly one operator tells nothing (field "")."""
    keys: dict[str, str] = {}
    waiting: list[tuple[str, Any]] = [(str(key), value) for key, value in document.items()]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{key}.{name}", inner) for name, inner in value.items()]
            continue
        match = _OPERATOR.fullmatch(value) if isinstance(value, str) else None
        keys[key] = (_field(match) or "") if match else ""
    return keys if any(keys.values()) else {}


def _field(match: re.Match[str]) -> str | None:
    name, argument = match["name"], (match["argument"] or "").lower()
    if name in ("REQ", "RESP", "TRAILER", "REQ_WITHOUT_QUERY"):
        return next((_HEADERS[header] for header in argument.split("?") if header in _HEADERS), None)
    return _OPERATORS.get(name)


def _compile_text(text: str) -> tuple[re.Pattern[str] | None, tuple[str, ...]]:
    operators = [match for match in _OPERATOR.finditer(text) if match["name"]]
    if not operators:
        return None, ()
    free = [index for index, match in enumerate(operators) if _is_free(match)]
    last_free = free[-1] if free else -1
    pieces: list[str] = []
    fields: list[str] = []
    position, open_group, index = 0, False, 0
    for match in _OPERATOR.finditer(text):
        pieces.append(re.escape(text[position : match.start()]))
        position = match.end()
        if not match["name"]:
            pieces.append("%")
            continue
        if index in free:
            # A free field ends at the first place where everything up to the next free field fits; an atomic group
            # then keeps that decision, so that a hostile line costs no more than a length times a field count.
            pieces.append((")" if open_group else "") + ("(?>" if index != last_free else ""))
            open_group = index != last_free
        field = _field(match)
        expression = _expression(match, field, text, index == last_free, index == len(operators) - 1)
        pieces.append(f"({expression})" if field else f"(?:{expression})")
        if field:
            fields.append(field)
        index += 1
    pieces.append(re.escape(text[position:]) + (")" if open_group else ""))
    return re.compile("".join(pieces), re.DOTALL), tuple(fields)


def _is_free(match: re.Match[str]) -> bool:
    return match["name"] in _FREE and _field(match) not in _STRICT_HEADERS


def _expression(match: re.Match[str], field: str | None, text: str, last_free: bool, last: bool) -> str:
    before, after = text[: match.start()], text[match.end() :]
    quoted = before.endswith('"') and after.startswith('"')
    if _is_free(match):
        return ".*" if last_free else ".*?"
    if field in _NUMBERS:
        return "[0-9]+|-|"
    if match["name"] == "RESPONSE_CODE_DETAILS":
        return ".*?" if match["argument"] else r'[^"]*' if quoted else _DETAILS
    if match["name"] == "START_TIME":
        return r"[^\]]*" if after.startswith("]") else r'[^"]*' if quoted else ".+?"
    if quoted:
        return '[^"]*'
    if last and not after.strip():
        return ".*"
    if after[:1] in ('"', ",", ";", "]", "}", ")", "|", "\t"):
        return f"[^ {re.escape(after[0])}]*"
    return "[^ ]*"


def json_fields(keys: tuple[str, ...], formats: tuple[LogFormat, ...]) -> tuple[tuple[str, str], ...] | None:
    """Which keys of a JSON line hold which field; None when these are not the keys of an access log.

    A given format decides; else the names that Istio and common custom formats use. Lines of an application that also
    logs `status` and `path` are told apart by a field that only Envoy has.
    """
    for known in formats:
        if known.keys and len(keys) > 1 and known.keys.keys() >= set(keys):
            return tuple((key, known.keys[key]) for key in keys if known.keys[key])
    names = [(key, _FIELD_OF_KEY.get(_plain(key))) for key in keys]
    pairs = tuple((key, field) for key, field in names if field)
    found = {field for _, field in pairs}
    if {"scope", "msg"} <= set(keys) or not _ENVOY_ONLY & found or not {"code", "flags"} & found:
        return None
    return pairs


_ENVOY_ONLY = frozenset({"flags", "details", "upstream_host", "upstream_cluster", "downstream_remote_address"})


def _plain(key: str) -> str:
    """`responseCode`, `%RESPONSE_CODE%` and `response-code` are all `response_code`."""
    name = key.rsplit(".", 1)[-1].strip("% ")
    if not name.isupper():
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return name.lower().replace("-", "_").replace(" ", "_")
