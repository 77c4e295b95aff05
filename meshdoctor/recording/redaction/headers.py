"""Headers: the values of those that carry no secret stay, those of all others become marks wherever they are matched.

A match that is a mark still compares with the same match elsewhere: equal values have equal marks within one bundle.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshdoctor.recording.redaction.text import Redactor

HARMLESS = re.compile(
    r"^(?::(?:authority|path|method|scheme|status|protocol)|host|content-(?:type|length|encoding)|accept(?:-[a-z]+)?"
    r"|grpc-(?:status|timeout|encoding|accept-encoding)|x-envoy-(?!auth|peer-metadata)[a-z0-9-]+|te|upgrade|connection"
    r"|transfer-encoding|x-forwarded-(?:proto|port)|x-b3-sampled|user-agent|server|vary|access-control-[a-z-]+)$",
    re.IGNORECASE,
)
"""Headers that routing and answers depend on, and that are no place for a secret."""
PLACES = frozenset(
    ("header", "headers", "withoutheaders", "httpheaders", "retriableheaders", "retriablerequestheaders")
)
"""Keys beneath which one header stands, a list of them, or a map from their names."""
_MATCHERS = frozenset(
    [
        *("value", "exact", "prefix", "suffix", "contains", "regex", "saferegex", "stringmatch", "exactmatch"),
        *("prefixmatch", "suffixmatch", "containsmatch", "regexmatch", "saferegexmatch"),
    ]
)
_BESIDE = frozenset(
    ("name", "presentmatch", "invertmatch", "rangematch", "treatmissingheaderasempty", "type", "envname")
)
_ANYTHING = re.compile(r"[.*+?^$()|]*")
_INPUTS = ("HeaderMatchInput", "QueryParamMatchInput", "TrailerMatchInput")
_CONDITION = re.compile(r"request\.headers\[(?P<name>[^\]]*)\]")


def plain_key(key: str) -> str:
    """snake_case and camelCase are one."""
    return key.replace("_", "").replace("-", "").replace("@", "a").lower()


def is_map(key: str) -> bool:
    """Whether a dict beneath *key* maps headers' names to values; ext_authz has a map of its own name."""
    return key in ("headers", "withoutheaders") or key.endswith("headersincheck")


def matched_header(value: dict[str, Any]) -> str | None:
    """The name of the one header that *value* tells the value of, or matches; None when it is something else."""
    name = value.get("name")
    if not isinstance(name, str):
        return None
    keys = {plain_key(key) for key in value}
    return name if keys & _MATCHERS or keys <= _BESIDE else None


def is_match(key: str) -> bool:
    """Whether what stands beneath *key* is compared with a header's value."""
    return plain_key(key) in _MATCHERS


def without_values(value: Any, redactor: Redactor) -> Any:
    """A header's value or match, whose texts are marks; a pattern that says nothing stays."""
    if isinstance(value, str):
        return value if _ANYTHING.fullmatch(value) else redactor.mark(value, "header")
    if isinstance(value, list):
        return [without_values(entry, redactor) for entry in value]
    if isinstance(value, dict):
        return {name: without_values(entry, redactor) for name, entry in value.items()}
    return value


def condition_header(key: str) -> str | None:
    """The header that a condition of an AuthorizationPolicy is about; None when it is about something else."""
    match = _CONDITION.fullmatch(key)
    return match["name"] if match else None


def without_condition(values: Any, redactor: Redactor) -> Any:
    """The values of a condition; the asterisk of a prefix or suffix stays, as the mark is that of Envoy's match."""
    if not isinstance(values, list):
        return without_values(values, redactor)
    found = []
    for value in values:
        if not isinstance(value, str) or not value.strip("*"):
            found.append(value)
            continue
        inner = value.strip("*")
        before, _, after = value.partition(inner)
        found.append(before + redactor.mark(inner, "header") + after)
    return found


def matched_input(value: dict[str, Any]) -> bool:
    """Whether *value* compares a header or query parameter in a generic matcher (xds.type.matcher.v3.Matcher)."""
    config = value.get("input", {})
    config = config.get("typed_config", config.get("typedConfig", {})) if isinstance(config, dict) else {}
    kind = str(config.get("@type", "")) if isinstance(config, dict) else ""
    name = str(config.get("header_name", config.get("headerName", ""))) if isinstance(config, dict) else ""
    return kind.endswith(_INPUTS) and not HARMLESS.match(name)


def without_keys(value: Any, redactor: Redactor) -> Any:
    """The map of a generic matcher, whose keys are what is compared; what follows from each is as it was."""
    if not isinstance(value, dict) or not isinstance(value.get("map"), dict):
        return value
    return {**value, "map": {redactor.mark(name, "header"): entry for name, entry in value["map"].items()}}
