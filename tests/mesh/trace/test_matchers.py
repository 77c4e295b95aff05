from __future__ import annotations

from typing import Any

import pytest

from meshdoctor.mesh.trace.headers import Headers
from meshdoctor.mesh.trace.matchers import header_test, query_test
from meshdoctor.mesh.trace.strings import Answer, all_of, any_of, negate, string_test


@pytest.mark.parametrize(
    ("config", "text", "answer"),
    [
        ({"exact": "Ab"}, "Ab", True),
        ({"exact": "Ab"}, "ab", False),
        ({"exact": "Ab", "ignore_case": True}, "aB", True),
        ({"prefix": "a"}, "abc", True),
        ({"suffix": "C", "ignore_case": True}, "abc", True),
        ({"contains": "b"}, "abc", True),
        ({"safe_regex": {"regex": "a.c"}}, "abc", True),
        ({"safe_regex": {"regex": "b"}}, "abc", False),
        ({"safe_regex": {"regex": "(?=a)"}}, "abc", None),
        ({"custom": {"name": "x"}}, "abc", None),
        ({"exact": "<redacted:0123456789ab>"}, "abc", None),
        ({"prefix": "<redacted:0123456789ab>", "ignore_case": True}, "abc", None),
        ({"safe_regex": {"regex": "<redacted:0123456789ab>"}}, "abc", None),
        ({}, "abc", None),
    ],
)
def test_string_matchers(config: dict[str, Any], text: str, answer: Answer) -> None:
    assert string_test(config).test(text) is answer


def headers(*pairs: tuple[str, str], http2: bool = False) -> Headers:
    return Headers(pairs, http2)


@pytest.mark.parametrize(
    ("config", "answers"),
    [
        # answers for: absent, "v1", "v2", "v1" and "v2" in two lines
        ({"present_match": True}, (False, True, True, True)),
        ({"present_match": True, "invert_match": True}, (True, False, False, False)),
        ({"present_match": False}, (True, False, False, False)),
        ({"string_match": {"exact": "v1"}}, (False, True, False, True)),
        ({"string_match": {"exact": "v1"}, "invert_match": True}, (False, False, True, False)),
        (
            {"string_match": {"exact": "v1"}, "invert_match": True, "treat_missing_header_as_empty": True},
            (True, False, True, False),
        ),
        ({"exact_match": "v1"}, (False, True, False, True)),
        ({"safe_regex_match": {"regex": "v."}}, (False, True, True, True)),
        ({"string_match": {"custom": {}}}, (False, None, None, None)),
        ({"odd_match": 1}, (False, None, None, None)),
    ],
)
def test_header_matchers(config: dict[str, Any], answers: tuple[Answer, ...]) -> None:
    test = header_test({"name": "X-Version", **config}).test
    sent = (headers(), headers(("x-version", "v1")), headers(("X-VERSION", " v2 ")))
    twice = headers(("x-version", "v1"), ("x-version", "v2"))
    assert tuple(test(each) for each in (*sent, twice)) == answers


def test_a_range_is_half_open_and_wants_a_number() -> None:
    test = header_test({"name": "n", "range_match": {"start": -1, "end": 10}}).test
    assert [test(headers(("n", text))) for text in ("-1", "9", "10", "x", "9.0")] == [True, True, False, False, False]


def test_headers_that_envoy_keeps_in_one_slot_are_joined() -> None:
    assert headers(("user-agent", "a"), ("user-agent", ""), ("user-agent", "b")).all("user-agent") == ["a,b"]
    assert headers(("cookie", "a"), ("cookie", "b")).all("cookie") == ["a", "b"]
    assert headers(("cookie", ""), ("cookie", "a"), ("cookie", "b"), http2=True).all("cookie") == ["a; b"]


def test_a_generated_header_is_there_with_an_unknown_value() -> None:
    assert header_test({"name": "x-request-id", "present_match": True}).test(headers()) is True
    assert header_test({"name": "x-request-id", "string_match": {"exact": "1"}}).test(headers()) is None


def test_grpc_is_told_by_the_content_type() -> None:
    kinds = {"application/grpc": True, "application/grpc+proto": True, "application/grpc-web": False, "text/x": False}
    assert {kind: headers(("content-type", kind)).grpc for kind in kinds} == kinds


def test_query_matchers() -> None:
    assert query_test({"name": "x", "string_match": {"exact": ""}}).test({"x": ""}) is True
    assert query_test({"name": "x", "string_match": {"exact": ""}}).test({"X": ""}) is False
    assert query_test({"name": "x", "present_match": True}).test({}) is False
    assert query_test({"name": "x"}).test({"x": "1"}) is True


def test_three_valued_logic() -> None:
    assert (any_of([False, None]), any_of([None, True]), any_of([])) == (None, True, False)
    assert (all_of([True, None]), all_of([None, False]), all_of([])) == (None, False, True)
    assert (negate(None), negate(False), negate(True)) == (None, True, False)
