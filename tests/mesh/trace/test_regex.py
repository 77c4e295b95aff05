from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.mesh.trace.regex import compile_regex


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"/v[0-9]+\z", "/v12"),
        (r"[[:alpha:]]+", "abc"),
        (r"\pL+", "été".encode().decode("latin-1")),
        (r"(?P<name>a|b)+", "abab"),
        (r"(?U)a+", "aaa"),
        (r"(?i)SHOP", "shop"),
        (r"\Q.*\E", ".*"),
        (r".*\C", "a"),
    ],
)
def test_what_re2_takes(pattern: str, text: str) -> None:
    assert compile_regex(pattern).matches(text) is True
    assert compile_regex(pattern).problem == ""


@pytest.mark.parametrize("pattern", [r"(?=a)a", r"(?<!a)b", r"(a)\1", r"a**", r"(", r"a{1001}", r"(?P=name)"])
def test_what_re2_refuses_cannot_be_judged(pattern: str) -> None:
    found = compile_regex(pattern)
    assert found.matches("a") is None
    assert found.problem
    assert found.replace_all("a", "b") == "a"


def test_the_whole_text_must_match() -> None:
    assert compile_regex("/api").matches("/api/v1") is False
    assert compile_regex("a|ab").matches("ab") is True
    # A dot is no newline, and a lone byte is no character of UTF-8.
    assert compile_regex(".*").matches("a\nb") is False
    assert compile_regex(".").matches("\xe9") is False


def test_no_backtracking() -> None:
    # Python's re would need 2**5000 steps for these.
    text = "a" * 5000 + "!"
    assert compile_regex("(a+)+b").matches(text) is False
    assert compile_regex("(a|a)*b").matches(text) is False
    assert compile_regex("(a?){1000}a").matches("a" * 1000) is True


def test_replacement() -> None:
    rewrite = compile_regex("/([a-z]+)/(.*)")
    assert rewrite.replace_all("/shop/x/y", r"/rx/\2/\1") == "/rx/x/y/shop"
    assert rewrite.replace_all("/shop/x", r"\3") == "/shop/x"
    assert rewrite.replace_all("/shop/x", r"\q") == "/shop/x"
    assert compile_regex("b*").replace_all("aba", "-") == "-a-a-"


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_pattern_and_no_text_breaks_it(pattern: str, text: str) -> None:
    assert compile_regex(pattern).matches(text) in (True, False, None)
