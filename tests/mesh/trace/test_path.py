from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.mesh.trace.path import (
    PathOptions,
    RefusedPathError,
    canonical,
    merge_slashes,
    normalize,
    query_parameters,
    without_query,
)
from meshdoctor.model.envoy.listener import HttpConnectionManager


def options(slashes: str = "KEEP_UNCHANGED", merge: bool = False, normal: bool = True) -> PathOptions:
    return PathOptions(
        HttpConnectionManager(normalize_path=normal, merge_slashes=merge, path_with_escaped_slashes_action=slashes)
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/../../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/a/%2e%2E/b", "/b"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a/...", "/a/..."),
        ("/a..", "/a.."),
        ("/a\\b", "/a/b"),
        ("/%61pi", "/api"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a%zz", "/a%zz"),
        ("/a%2", "/a%2"),
        ("/a b", "/a%20b"),
        ("/a%20b", "/a%20b"),
        ("//", "//"),
    ],
)
def test_canonical_form(raw: str, expected: str) -> None:
    assert canonical(raw) == expected


def test_only_the_path_is_normalized_not_the_query() -> None:
    assert normalize("/a/../b?x=/../y", options()) == "/b?x=/../y"
    assert normalize("/a/../b", options(normal=False)) == "/a/../b"


@pytest.mark.parametrize("path", ["/a%00", "/a#frag"])
def test_refused_paths(path: str) -> None:
    with pytest.raises(RefusedPathError):
        normalize(path, options())


def test_escaped_slashes() -> None:
    assert normalize("/a%2Fb%5Cc", options("UNESCAPE_AND_FORWARD")) == "/a/b/c"
    with pytest.raises(RefusedPathError) as refused:
        normalize("/a%2Fb", options("UNESCAPE_AND_REDIRECT"))
    assert refused.value.redirect == "/a/b"
    with pytest.raises(RefusedPathError) as refused:
        normalize("/a%2Fb", options("REJECT_REQUEST"))
    assert refused.value.redirect == ""


def test_slashes_are_merged_last() -> None:
    assert normalize("/a//b/", options(merge=True)) == "/a/b/"
    assert normalize("/a/%2F/b", options("UNESCAPE_AND_FORWARD", merge=True)) == "/a/b"
    assert merge_slashes("//") == "//"


def test_query_parameters_are_taken_as_they_stand() -> None:
    assert query_parameters("/a?x=1&x=2&y&Z=%20&=e&") == {"x": "1", "y": "", "Z": "%20", "": "e"}
    assert query_parameters("/a") == {}
    assert without_query("/a?b#c") == "/a"


@given(st.text("/.%2eEfFaA\\?#0", max_size=30))
def test_the_canonical_form_is_final(tail: str) -> None:
    try:
        once = canonical("/" + tail)
    except RefusedPathError:
        return
    assert once.startswith("/")
    # What is decoded once may form a new escape (%%32e), which Envoy does not decode again either: only dots must hold.
    assert "/../" not in once and "/./" not in once
