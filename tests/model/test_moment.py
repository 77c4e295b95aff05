"""Times and durations as Kubernetes, Envoy, Istio and Go write them."""

from __future__ import annotations

from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.model.moment import clock, duration, rfc3339, unix


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:10Z", 10.0),
        ("1970-01-01T00:00:10.5Z", 10.5),
        ("1970-01-01T00:00:10.123456789Z", 10.123456),
        ("1970-01-01T00:00:10.1Z", 10.1),
        ("1970-01-01T09:00:10+09:00", 10.0),
        ("1970-01-01T00:00:10", 10.0),
        ("2026-03-03T09:00:00Z", 1772528400.0),
    ],
)
def test_rfc3339(text: str, seconds: float) -> None:
    assert unix(text) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    "text", [None, "", "yesterday", "2026-13-01T00:00:00Z", "2026-03-03T25:00:00Z", "\x1b", "0000-00-00"]
)
def test_what_is_no_time(text: str | None) -> None:
    assert unix(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0.0),
        ("0.5s", 0.5),
        ("10s", 10.0),
        ("1m30s", 90.0),
        ("1h", 3600.0),
        ("250ms", 0.25),
        ("5us", 5e-6),
        ("5µs", 5e-6),
        ("100ns", 1e-7),
        ("1h0m0.5s", 3600.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", [None, "", "5", "s", "5 s", "5d", "-", "1s!", "five seconds"])
def test_what_is_no_duration(text: str | None) -> None:
    assert duration(text) is None


@given(st.integers(0, 4_000_000_000))
def test_there_and_back(seconds: int) -> None:
    assert unix(rfc3339(seconds)) == seconds
    assert rfc3339(seconds)[11:19] == clock(seconds)


@given(st.text(max_size=30))
def test_no_text_raises(text: str) -> None:
    assert isfinite(unix(text) or 0.0)
    assert (duration(text) or 0.0) >= 0.0
