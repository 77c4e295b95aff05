"""String matchers (envoy.type.matcher.v3.StringMatcher) as functions that answer yes, no or "cannot be said"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from meshdoctor.mesh.trace.loose import message, text
from meshdoctor.mesh.trace.regex import compile_regex
from meshdoctor.mesh.trace.request import wire

Answer = bool | None
"""True, False, or None: an unknown kind of match, so it may match."""


_HIDDEN = "<redacted"
"""How the mark begins that a redacted recording has in the place of a value."""


class StringTest(NamedTuple):
    """A test of one string, and how a person would write it."""

    test: Callable[[str], Answer]
    text: str


def string_test(found: Any) -> StringTest:
    """The matcher of a StringMatcher message; a kind that is not known answers None for every string."""
    config = message(found)
    fold = bool(config.get("ignore_case"))
    for kind in ("exact", "prefix", "suffix", "contains"):
        if kind in config:
            return literal_test(kind, text(config[kind]), fold)
    if "safe_regex" in config:
        return regex_test(text(message(config["safe_regex"]).get("regex")))
    kind = next(iter(config), "nothing")
    return StringTest(_unknown, f"a match of unknown kind {kind}")


def literal_test(kind: str, value: str, fold: bool = False) -> StringTest:
    """`exact`, `prefix`, `suffix` or `contains`; *fold* ignores the case of ASCII letters, as Envoy does."""
    if value.startswith(_HIDDEN):
        return StringTest(_unknown, "a value that was redacted")
    wanted = wire(value).lower() if fold else wire(value)
    compare = _COMPARE[kind]
    suffix = " (any case)" if fold else ""
    if fold:
        return StringTest(lambda given: compare(given.lower(), wanted), f"{_WORDS[kind]}{value!r}{suffix}")
    return StringTest(lambda given: compare(given, wanted), f"{_WORDS[kind]}{value!r}")


def regex_test(pattern: str) -> StringTest:
    """The whole string must match; compiled at the first use."""
    if pattern.startswith(_HIDDEN):
        return StringTest(_unknown, "a regex that was redacted")

    def test(given: str) -> Answer:
        return compile_regex(pattern).matches(given)

    return StringTest(test, f"regex {pattern!r}")


def _unknown(_: str) -> Answer:
    return None


_WORDS = {"exact": "", "prefix": "prefix ", "suffix": "suffix ", "contains": "containing "}
_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "exact": str.__eq__,
    "prefix": str.startswith,
    "suffix": str.endswith,
    "contains": str.__contains__,
}


def negate(answer: Answer) -> Answer:
    """Three-valued NOT."""
    return None if answer is None else not answer


def any_of(answers: list[Answer]) -> Answer:
    """Three-valued OR; False for none."""
    if True in answers:
        return True
    return None if None in answers else False


def all_of(answers: list[Answer]) -> Answer:
    """Three-valued AND; True for none."""
    if False in answers:
        return False
    return None if None in answers else True
