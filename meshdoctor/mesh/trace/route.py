"""Which route of a virtual host takes a request: the first whose path, headers and parameters all match.

Source: Envoy 1.40, config_impl.cc (RouteEntryImplBase::matchRoute and its kinds). An unknown kind of match answers
"may match": the walk goes on and names every route that could take the request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from meshdoctor.mesh.trace.headers import Headers
from meshdoctor.mesh.trace.loose import message, number, text
from meshdoctor.mesh.trace.matchers import HeaderTest, QueryTest, header_test, query_test
from meshdoctor.mesh.trace.path import query_parameters, without_query
from meshdoctor.mesh.trace.regex import compile_regex
from meshdoctor.mesh.trace.request import wire
from meshdoctor.mesh.trace.strings import Answer
from meshdoctor.model.envoy.route import Route, RouteMatch

PathTest = Callable[[str], Answer]


class View:
    """A decoded request as routes look at it; the parameters are read only when a route asks."""

    __slots__ = ("_query", "headers", "method", "path", "sanitized")

    def __init__(self, method: str, path: str, headers: Headers) -> None:
        self.method = method
        self.path = path
        self.sanitized = without_query(path)
        self.headers = headers
        self._query: dict[str, str] | None = None

    @property
    def query(self) -> dict[str, str]:
        if self._query is None:
            self._query = query_parameters(self.path)
        return self._query


class Rule(NamedTuple):
    """A route's match, ready to test; *share* is the fraction of requests it takes (1 unless a runtime fraction)."""

    path: PathTest
    text: str
    headers: tuple[HeaderTest, ...]
    query: tuple[QueryTest, ...]
    grpc: bool
    connect: bool
    share: float
    odd: str


class Match(NamedTuple):
    """The answer of one rule and, unless it is yes, which test decided."""

    answer: Answer
    reason: str = ""


def rule_of(route: Route) -> Rule:
    """The match of *route*, compiled."""
    match = route.match
    test, told = path_test(match)
    return Rule(
        test,
        told,
        tuple(header_test(config) for config in match.headers),
        tuple(query_test(config) for config in match.query_parameters),
        match.grpc is not None,
        match.connect_matcher is not None,
        _share(match.runtime_fraction),
        _odd(match),
    )


def matches(rule: Rule, view: View) -> Match:
    """Whether the rule takes the request. A runtime fraction below 1 answers "may"."""
    path = _connect(rule, view) if view.method == "CONNECT" or rule.connect else rule.path(view.sanitized)
    if path is False:
        return Match(False, f"path is not {rule.text}")
    unknown = "" if path is not None else f"{rule.text} cannot be judged"
    if rule.grpc and not view.headers.grpc:
        return Match(False, "not gRPC")
    for test in rule.headers:
        answer = test.test(view.headers)
        if answer is False:
            return Match(False, f"header {test.text} does not hold")
        if answer is None:
            unknown = unknown or f"header {test.text} cannot be judged"
    for parameter in rule.query:
        answer = parameter.test(view.query)
        if answer is False:
            return Match(False, f"parameter {parameter.text} does not hold")
        if answer is None:
            unknown = unknown or f"parameter {parameter.text} cannot be judged"
    if rule.odd:
        unknown = unknown or rule.odd
    if rule.share <= 0:
        return Match(False, "its runtime fraction is 0")
    if rule.share < 1:
        unknown = unknown or f"it takes {rule.share:.4%} of requests"
    return Match(None, unknown) if unknown else Match(True)


def _connect(rule: Rule, view: View) -> Answer:
    if rule.connect:
        return view.method == "CONNECT"
    # A CONNECT without a path is seen by connect matchers only (supportsPathlessHeaders).
    return rule.path(view.sanitized) if view.path else False


def path_test(match: RouteMatch) -> tuple[PathTest, str]:
    """What tests the path of a request (as `wire` makes it, without its query), and the words for it."""
    fold = match.case_sensitive is False
    note = " (any case)" if fold else ""
    if match.prefix is not None:
        return _prefix(match.prefix, fold), f"prefix {match.prefix}{note}"
    if match.path is not None:
        wanted = wire(match.path)
        if fold:
            lower = wanted.lower()
            return lambda path: path.lower() == lower, f"{match.path}{note}"
        return lambda path: path == wanted, match.path
    if match.path_separated_prefix is not None:
        return _segments(match.path_separated_prefix, fold), f"segments {match.path_separated_prefix}{note}"
    if match.safe_regex is not None:
        pattern = text(match.safe_regex.get("regex"))
        return lambda path: compile_regex(pattern).matches(path), f"regex {pattern}"
    if match.connect_matcher is not None:
        return lambda _: True, "CONNECT"
    return lambda _: None, "a path match of unknown kind"


def _prefix(prefix: str, fold: bool) -> PathTest:
    wanted = wire(prefix)
    if wanted == "/":
        return lambda path: path.startswith("/")
    if fold:
        lower = wanted.lower()
        return lambda path: path[: len(lower)].lower() == lower
    return lambda path: path.startswith(wanted)


def _segments(prefix: str, fold: bool) -> PathTest:
    wanted = wire(prefix).lower() if fold else wire(prefix)
    size = len(wanted)

    def test(path: str) -> Answer:
        head = path[:size].lower() if fold else path[:size]
        return head == wanted and (len(path) == size or path[size] == "/")

    return test


_DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}


def fraction(found: Any) -> float:
    """An envoy.type.v3.FractionalPercent as a number from 0 to 1."""
    percent = message(found)
    return number(percent.get("numerator")) / _DENOMINATORS.get(str(percent.get("denominator", "HUNDRED")), 100)


def _share(runtime: dict[str, Any] | None) -> float:
    return 1.0 if runtime is None else min(1.0, fraction(runtime.get("default_value")))


def _odd(match: RouteMatch) -> str:
    if match.dynamic_metadata:
        return "it asks for dynamic metadata"
    if match.tls_context:
        return "it asks for a client certificate's state"
    return "it asks for filter state" if match.filter_state else ""
