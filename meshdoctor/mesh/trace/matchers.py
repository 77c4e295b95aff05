"""Header and query-parameter matchers (envoy.config.route.v3.HeaderMatcher, QueryParameterMatcher)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from meshdoctor.mesh.trace.headers import GENERATED, Headers
from meshdoctor.mesh.trace.loose import message, text, whole
from meshdoctor.mesh.trace.request import wire
from meshdoctor.mesh.trace.strings import Answer, StringTest, any_of, literal_test, negate, regex_test, string_test

_DEPRECATED = {"exact_match": "exact", "prefix_match": "prefix", "suffix_match": "suffix", "contains_match": "contains"}


class HeaderTest(NamedTuple):
    """A test of the whole header map, and how a person would write it."""

    test: Callable[[Headers], Answer]
    text: str


class QueryTest(NamedTuple):
    """A test of the query parameters (first value of each name), and how a person would write it."""

    test: Callable[[dict[str, str]], Answer]
    text: str


def header_test(config: dict[str, Any]) -> HeaderTest:
    """One header matcher.

    A missing header matches only a "not present" test, unless `treat_missing_header_as_empty` compares it as "". Of a
    repeated header any single value is enough; inverted, none may match (Envoy 1.40, pull request 44819).
    """
    name = wire(str(config.get("name", ""))).lower()
    invert = bool(config.get("invert_match"))
    empty = bool(config.get("treat_missing_header_as_empty"))
    value = _value_test(config)
    if value is None:
        present = config.get("present_match", True) is not False

        def presence(headers: Headers) -> Answer:
            exists = name in headers.values or name in GENERATED
            if exists or empty:
                return present != invert
            return present == invert

        return HeaderTest(presence, f"{name} {'present' if present != invert else 'absent'}")

    def test(headers: Headers) -> Answer:
        values = headers.values.get(name)
        if values is None:
            if name in GENERATED:
                return None
            if not empty:
                return False
            values = [""]
        answer = value.test(values[0]) if len(values) == 1 else any_of([value.test(each) for each in values])
        return negate(answer) if invert else answer

    return HeaderTest(test, f"{name} {'not ' if invert else ''}{value.text}")


def _value_test(config: dict[str, Any]) -> StringTest | None:
    if "string_match" in config:
        return string_test(config["string_match"])
    for old, kind in _DEPRECATED.items():
        if old in config:
            return literal_test(kind, text(config[old]))
    if "safe_regex_match" in config:
        return regex_test(text(message(config["safe_regex_match"]).get("regex")))
    if "range_match" in config:
        return _range_test(message(config["range_match"]))
    known = {"name", "invert_match", "treat_missing_header_as_empty", "present_match"}
    unknown = next((key for key in config if key not in known), None)
    return StringTest(lambda _: None, f"a match of unknown kind {unknown}") if unknown else None


def _range_test(bounds: dict[str, Any]) -> StringTest:
    start, end = whole(bounds.get("start")), whole(bounds.get("end"))

    def test(given: str) -> Answer:
        number = given.strip()
        digits = number.removeprefix("-").removeprefix("+")
        return digits.isascii() and digits.isdigit() and start <= int(number[:20]) < end

    return StringTest(test, f"from {start} to below {end}")


def query_test(config: dict[str, Any]) -> QueryTest:
    """One query-parameter matcher; without a value it asks only whether the parameter is there."""
    name = wire(str(config.get("name", "")))
    if "string_match" in config:
        value = string_test(config["string_match"])

        def test(parameters: dict[str, str]) -> Answer:
            found = parameters.get(name)
            return False if found is None else value.test(found)

        return QueryTest(test, f"?{name}={value.text}")
    present = config.get("present_match", True) is not False
    return QueryTest(
        lambda parameters: (name in parameters) == present, f"?{name} {'present' if present else 'absent'}"
    )
