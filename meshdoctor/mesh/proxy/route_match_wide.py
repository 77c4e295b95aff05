"""What a route asks of a request: path, headers, query and the rest (envoy.config.route.v3.RouteMatch, 1.40)."""

from __future__ import annotations

from typing import Any

from meshdoctor.mesh.proxy.route import RouteMatch, describe_match

_FORMS = {"exact": "={}", "prefix": "={}*", "suffix": "=*{}", "contains": "=*{}*"}
_DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
_ANY_CASE = " (any case)"
ALL = "100%"


class WideMatch(RouteMatch, gc=False):
    connect_matcher: dict[str, Any] | None = None
    path_match_policy: dict[str, Any] | None = None
    case_sensitive: bool | None = None
    headers: list[dict[str, Any]] = []
    query_parameters: list[dict[str, Any]] = []
    cookies: list[dict[str, Any]] = []
    runtime_fraction: dict[str, Any] | None = None
    grpc: dict[str, Any] | None = None
    tls_context: dict[str, Any] | None = None
    dynamic_metadata: list[dict[str, Any]] = []
    filter_state: list[dict[str, Any]] = []


def match_text(match: WideMatch | None) -> str:
    """`/cart* (any case) :method=GET no x-debug ?page 10% of requests`."""
    if match is None:
        return ""
    parts = [_path(match)]
    parts += [_named(header, str(header.get("name", ""))) for header in match.headers]
    parts += [_named(parameter, f"?{parameter.get('name', '')}") for parameter in match.query_parameters]
    parts += [_named(cookie, f"cookie {cookie.get('name', '')}") for cookie in match.cookies]
    if match.grpc is not None:
        parts.append("gRPC")
    if match.tls_context is not None:
        states = [f"{'' if wanted else 'not '}{state}" for state, wanted in match.tls_context.items()]
        parts.append(f"client certificate {'/'.join(states)}".rstrip())
    parts += [f"metadata of {entry.get('filter', '')}" for entry in match.dynamic_metadata]
    parts += [f"filter state {entry.get('key', '')}" for entry in match.filter_state]
    if match.runtime_fraction is not None and (share := percent(match.runtime_fraction)) != ALL:
        parts.append(f"{share} of requests")
    return " ".join(part for part in parts if part)


def _path(match: WideMatch) -> str:
    if match.connect_matcher is not None:
        return "CONNECT"
    if match.path_match_policy is not None:
        config = match.path_match_policy.get("typed_config")
        template = config.get("path_template") if isinstance(config, dict) else None
        return f"template {template or match.path_match_policy.get('name', '')}"
    # A regular expression says by itself what it thinks of capitals.
    return describe_match(match) + (_ANY_CASE if match.case_sensitive is False and match.safe_regex is None else "")


def _named(matcher: dict[str, Any], name: str) -> str:
    """One matcher of a header, parameter or cookie. Inverted, a value must be another one; presence is absence."""
    value = _value(matcher)
    inverted = bool(matcher.get("invert_match"))
    if value:
        return f"{'not ' if inverted else ''}{name}{value}"
    present = matcher.get("present_match", True) is not False
    return name if present != inverted else f"no {name}"


def _value(matcher: dict[str, Any]) -> str:
    """What the value must be; "" where only presence is asked for."""
    text = matcher.get("string_match")
    if isinstance(text, dict):
        return _text(text) + (_ANY_CASE if text.get("ignore_case") and "safe_regex" not in text else "")
    old = {key.removesuffix("_match"): value for key, value in matcher.items() if key.endswith("_match")}
    if isinstance(bounds := old.get("range"), dict):
        return f"=[{bounds.get('start', 0)},{bounds.get('end', 0)})"
    return _text({key: value for key, value in old.items() if key in _FORMS or key == "safe_regex"})


def _text(matcher: dict[str, Any]) -> str:
    for key, form in _FORMS.items():
        if key in matcher:
            return form.format(matcher[key])
    if isinstance(regex := matcher.get("safe_regex"), dict):
        return f"~{regex.get('regex', '')}"
    custom = matcher.get("custom")
    return f" by {custom.get('name', '')}" if isinstance(custom, dict) else ""


def percent(runtime: dict[str, Any]) -> str:
    """A RuntimeFractionalPercent's default as `10%`, and the key at run time that may have another value."""
    fraction = runtime.get("default_value")
    fraction = fraction if isinstance(fraction, dict) else {}
    numerator = fraction.get("numerator", 0)
    whole = _DENOMINATORS.get(str(fraction.get("denominator", "HUNDRED")), 100)
    share = f"{100 * numerator / whole:g}%" if isinstance(numerator, int) else "?%"
    return f"{share} (runtime {runtime['runtime_key']})" if runtime.get("runtime_key") else share
