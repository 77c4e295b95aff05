"""Authorization as Envoy decides it: every policy of an RBAC filter, three-valued, with the reason.

Source: envoy.config.rbac.v3 and Envoy 1.40's source/extensions/filters/common/rbac. What cannot be known here (a
token's claims that were not given, an unknown kind) answers "cannot be said", never yes or no.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from meshdoctor.mesh.trace.headers import Headers
from meshdoctor.mesh.trace.jwt import Claims, metadata_answer
from meshdoctor.mesh.trace.loose import message, messages, text, whole
from meshdoctor.mesh.trace.matchers import header_test
from meshdoctor.mesh.trace.network import inside
from meshdoctor.mesh.trace.outcome import Outcome, Source
from meshdoctor.mesh.trace.path import without_query
from meshdoctor.mesh.trace.regex import compile_regex
from meshdoctor.mesh.trace.strings import Answer, all_of, any_of, negate, string_test
from meshdoctor.model.accesslog_details import rbac_rule
from meshdoctor.model.envoy.any import EnvoyFact, typed
from meshdoctor.model.envoy.listener import Filter

PRINCIPAL_KEYS = ("io.istio.peer_principal", "io.istio.local_principal")


class Policy(EnvoyFact, frozen=True):
    permissions: list[dict[str, Any]] = []
    principals: list[dict[str, Any]] = []
    condition: dict[str, Any] | None = None
    checked_condition: dict[str, Any] | None = None


class Rules(EnvoyFact, frozen=True):
    action: str = "ALLOW"
    policies: dict[str, Policy] = {}


class Rbac(EnvoyFact, frozen=True):
    """envoy.extensions.filters.{http,network}.rbac.v3.RBAC; without *rules* it only watches (dry run)."""

    rules: Rules | None = None
    matcher: dict[str, Any] | None = None
    shadow_rules: Rules | None = None


class Caller(NamedTuple):
    """What the filter knows of a request; *headers* None on a plain TCP connection."""

    ip: str
    port: int
    source_ip: str
    identity: str | None
    """The SPIFFE name of the peer's certificate, "" without one, None when it is not known."""
    sni: str = ""
    headers: Headers | None = None
    claims: Claims | None = None
    """Of the request's token: None when it carries one that could not be read."""


class Judged(NamedTuple):
    """One policy and whether it holds for the caller, with the test that decided."""

    policy: str
    holds: Answer
    reason: str


class Verdict(NamedTuple):
    """Whether the filter lets the request pass (None: cannot be said), and what each policy said."""

    passes: Answer
    action: str
    decided_by: str
    judged: tuple[Judged, ...]


def rbac_of(entry: Filter) -> Rbac | None:
    """The RBAC configuration of a network or HTTP filter; None for any other filter."""
    return typed(entry.typed_config, Rbac, "rbac.v3.RBAC")


def judge(rbac: Rbac, caller: Caller) -> Verdict:
    """ALLOW passes what some policy matches, DENY what none does; an ALLOW without policies admits nobody."""
    if rbac.rules is None:
        return Verdict(None if rbac.matcher else True, "", "an unknown matcher" if rbac.matcher else "", ())
    rules = rbac.rules
    judged = tuple(_policy(name, policy, caller) for name, policy in sorted(rules.policies.items()))
    matched = any_of([entry.holds for entry in judged])
    decisive = next((entry.policy for entry in judged if entry.holds), "none")
    if rules.action == "LOG":
        return Verdict(True, "LOG", "", judged)
    return Verdict(matched if rules.action == "ALLOW" else negate(matched), rules.action, decisive, judged)


def refusal(verdict: Verdict, tcp: bool) -> Outcome:
    """What Envoy logs for a denied request or connection."""
    matched = verdict.decided_by if verdict.action == "DENY" else "none"
    details = f"rbac_access_denied_matched_policy[{matched}]"
    if verdict.action == "DENY":
        source = policy_source(verdict.decided_by)
        why, fix = f"{source or matched} denies it", "change that policy, or the request"
    elif verdict.judged:
        why, fix = "ALLOW policies apply, and none of them matches", "add a rule that admits this caller and request"
    else:
        why, fix = "an ALLOW policy without rules for this traffic admits nobody", "give the policy rules that match"
    if tcp:
        fix += "; rules about HTTP never match on a TCP port"
        return Outcome("tcp", None, "", details, why=why, fix=fix)
    return Outcome("http", 403, "", details, why=why, fix=fix)


def policy_source(policy: str) -> Source | None:
    """The AuthorizationPolicy behind istiod's name for one of its rules."""
    found = rbac_rule(policy)
    return Source("AuthorizationPolicy", found.namespace, found.policy) if found else None


def _policy(name: str, policy: Policy, caller: Caller) -> Judged:
    reasons: list[str] = []
    permission = any_of([_permission(rule, caller, reasons) for rule in policy.permissions])
    principal = any_of([_principal(rule, caller, reasons) for rule in policy.principals])
    holds = all_of([permission, principal])
    if holds and (policy.condition or policy.checked_condition):
        return Judged(name, None, "it has a CEL condition")
    if holds:
        return Judged(name, True, "matches")
    return Judged(name, holds, "; ".join(dict.fromkeys(reasons)) or "does not match")


def _permission(rule: dict[str, Any], caller: Caller, reasons: list[str]) -> Answer:
    kind, value = _only(rule)
    if kind == "and_rules":
        return all_of([_permission(each, caller, reasons) for each in messages(value.get("rules"))])
    if kind == "or_rules":
        return _any(messages(value.get("rules")), lambda each, said: _permission(each, caller, said), reasons)
    if kind == "not_rule":
        return _said(negate(_permission(value, caller, [])), f"not ({_short(value)}) does not hold", reasons)
    return _said(_permission_fact(kind, value, caller), f"{_short(rule)} does not hold", reasons)


def _permission_fact(kind: str, value: Any, caller: Caller) -> Answer:
    if kind == "any":
        return bool(value)
    if kind in ("header", "url_path", "uri_template"):
        return _http_fact(kind, value, caller)
    if kind == "destination_ip":
        return inside(caller.ip, value)
    if kind == "destination_port":
        return caller.port == whole(value)
    if kind == "destination_port_range":
        return whole(value.get("start")) <= caller.port < whole(value.get("end"))
    if kind == "requested_server_name":
        return string_test(value).test(caller.sni)
    if kind == "metadata":
        return metadata_answer(value, caller.claims)
    return None


def _principal(rule: dict[str, Any], caller: Caller, reasons: list[str]) -> Answer:
    kind, value = _only(rule)
    if kind == "and_ids":
        return all_of([_principal(each, caller, reasons) for each in messages(value.get("ids"))])
    if kind == "or_ids":
        return _any(messages(value.get("ids")), lambda each, said: _principal(each, caller, said), reasons)
    if kind == "not_id":
        return _said(negate(_principal(value, caller, [])), f"not ({_short(value)}) does not hold", reasons)
    who = "a caller without certificate" if caller.identity == "" else str(caller.identity)
    reason = f"{_short(rule)} does not hold"
    if kind in ("authenticated", "filter_state"):
        reason = f"the caller is {who}, not {_short(rule)}"
    return _said(_principal_fact(kind, value, caller), reason, reasons)


def _principal_fact(kind: str, value: Any, caller: Caller) -> Answer:
    if kind == "any":
        return bool(value)
    if kind == "authenticated":
        return _identity(value.get("principal_name"), caller)
    if kind == "filter_state" and value.get("key") in PRINCIPAL_KEYS[:1]:
        return _identity(value.get("string_match"), caller)
    if kind in ("header", "url_path"):
        return _http_fact(kind, value, caller)
    if kind in ("source_ip", "direct_remote_ip"):
        return inside(caller.source_ip, value)
    if kind == "remote_ip":
        # The original client of x-forwarded-for, when the proxy trusts it: only the direct peer is certain.
        forwarded = caller.headers is not None and bool(caller.headers.all("x-forwarded-for"))
        return None if forwarded else inside(caller.source_ip, value)
    if kind == "metadata":
        return metadata_answer(value, caller.claims)
    return None


def _identity(matcher: Any, caller: Caller) -> Answer:
    if caller.identity == "":
        return False
    if matcher is None:
        return None if caller.identity is None else True
    if caller.identity is None:
        return None
    return string_test(matcher).test(caller.identity)


def _http_fact(kind: str, value: Any, caller: Caller) -> Answer:
    if caller.headers is None:
        # istiod drops HTTP rules from TCP filters; Envoy's network filter has no headers to match.
        return False
    if kind == "header":
        return header_test(value).test(caller.headers)
    path = caller.headers.first(":path")
    if kind == "uri_template":
        return _template(text(message(value.get("typed_config")).get("path_template")), without_query(path))
    return string_test(value.get("path")).test(without_query(path))


def _template(template: str, path: str) -> Answer:
    """A URI template of Envoy: `*` one segment, `**` any rest, `{name}` or `{name=pattern}` a variable."""
    if not template:
        return None
    pattern = ""
    for part in re.split(r"(\*\*|\*|\{[^}]*\})", template):
        inner = _variable(part[1:-1]) if part.startswith("{") else part
        if inner == "**":
            pattern += r"[a-zA-Z0-9\-._~%!$&'()+,;:@=/]*"
        elif inner == "*":
            pattern += r"[a-zA-Z0-9\-._~%!$&'()+,;:@=]+"
        else:
            pattern += re.escape(inner)
    return compile_regex(pattern).matches(path)


def _variable(part: str) -> str:
    """The pattern of a variable `name=pattern`; Istio's own `{*}` and `{**}` stand for themselves."""
    name, _, pattern = part.partition("=")
    return pattern or (name if name in ("*", "**") else "*")


def _only(rule: dict[str, Any]) -> tuple[str, Any]:
    """The one field of a oneof message; a message of a broken shape counts as an unknown kind."""
    kind, value = next(iter(rule.items()), ("", None))
    wants_message = kind not in ("any", "destination_port")
    return (kind, value) if isinstance(value, dict) or not wants_message else ("", {})


def _any(rules: list[dict[str, Any]], test: Any, reasons: list[str]) -> Answer:
    """OR: its parts' reasons matter only when none of them holds."""
    said: list[str] = []
    answer = any_of([test(rule, said) for rule in rules])
    if answer is not True:
        reasons += said
    return answer


def _said(answer: Answer, reason: str, reasons: list[str]) -> Answer:
    if answer is False:
        reasons.append(reason)
    elif answer is None:
        reasons.append(reason.replace("does not hold", "cannot be judged"))
    return answer


def _short(rule: Any) -> str:
    """A rule in few words: its deepest names and values."""
    if isinstance(rule, dict):
        words = [_short(value) if key in _PLAIN else f"{key} {_short(value)}" for key, value in rule.items()]
        return " ".join(word for word in words if word)
    if isinstance(rule, list):
        return " or ".join(_short(each) for each in rule)
    return str(rule)


_PLAIN = frozenset(
    {"and_rules", "or_rules", "rules", "and_ids", "or_ids", "ids", "string_match", "exact", "name", "principal_name"}
    | {"authenticated", "path", "url_path", "filter_state", "key", "safe_regex", "regex", "header"}
)
