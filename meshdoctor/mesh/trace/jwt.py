"""JWT authentication: which token a request needs, and what of the one it has can be judged without its key.

Source: Envoy 1.40, envoy.extensions.filters.http.jwt_authn.v3. Signatures are not checked here.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, NamedTuple

from meshdoctor.mesh.trace.headers import Headers
from meshdoctor.mesh.trace.loose import message, messages
from meshdoctor.mesh.trace.outcome import Outcome
from meshdoctor.mesh.trace.route import View, matches, rule_of
from meshdoctor.mesh.trace.strings import Answer, any_of, negate, string_test
from meshdoctor.model.decode import UnreadableError, convert
from meshdoctor.model.envoy.any import EnvoyFact, typed
from meshdoctor.model.envoy.listener import Filter
from meshdoctor.model.envoy.route import Route

Claims = dict[str, Any]


class Provider(EnvoyFact, frozen=True):
    issuer: str = ""
    audiences: list[str] = []
    from_headers: list[dict[str, Any]] = []
    from_params: list[str] = []
    clock_skew_seconds: int = 60


class JwtAuthentication(EnvoyFact, frozen=True):
    """envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication."""

    providers: dict[str, Provider] = {}
    rules: list[dict[str, Any]] = []
    bypass_cors_preflight: bool = False


class Token(NamedTuple):
    """A token of the request: its claims, None when it is not a readable JWT."""

    text: str
    claims: Claims | None


class Authenticated(NamedTuple):
    """*passes* None: only the signature decides; *details* what Envoy logs for a refusal; *claims* for RBAC."""

    passes: Answer
    details: str
    why: str
    claims: Claims | None


def jwt_of(entry: Filter) -> JwtAuthentication | None:
    return typed(entry.typed_config, JwtAuthentication, "JwtAuthentication")


def authenticate(config: JwtAuthentication, view: View, now: float | None) -> Authenticated:
    """The first rule that matches the request decides; *now* in Unix seconds judges `exp` (None: not judged)."""
    headers = view.headers
    preflight = view.method == "OPTIONS" and headers.first("origin") and headers.first("access-control-request-method")
    if config.bypass_cors_preflight and preflight:
        return Authenticated(True, "", "a CORS preflight needs no token", {})
    for rule in config.rules:
        try:
            route = convert({"match": message(rule.get("match"))}, Route)
        except UnreadableError:
            return Authenticated(None, "", "a rule of unknown shape", {})
        if matches(rule_of(route), view).answer is not False:
            requirement = rule.get("requires")
            if not requirement:
                break
            return _required(message(requirement), config, view, now)
    return Authenticated(True, "", "no token is asked for", {})


def refusal(found: Authenticated) -> Outcome:
    fix = "send a valid token, or change the RequestAuthentication"
    return Outcome("http", 401, "", f"jwt_authn_access_denied{{{found.details}}}", why=found.why, fix=fix)


def _required(requirement: dict[str, Any], config: JwtAuthentication, view: View, now: float | None) -> Authenticated:
    kind, value = next(iter(requirement.items()), ("", None))
    if kind in ("requires_any", "requires_all"):
        return _combined(kind, messages(message(value).get("requirements")), config, view, now)
    if kind == "allow_missing":
        found = any(_tokens(provider, view.headers, view.query) for provider in config.providers.values())
        missing = "a token is there, so it must be valid" if found else "no token, and none is needed"
        return Authenticated(not found, "Jwt_verification_fails" if found else "", missing, {})
    if kind == "allow_missing_or_failed":
        return Authenticated(True, "", "a missing or bad token is accepted", {})
    name = str(value if kind == "provider_name" else message(value).get("provider_name", ""))
    provider = config.providers.get(name)
    if provider is None:
        return Authenticated(None, "", f"provider {name or kind} is not known", None)
    return _judged(provider, view, now)


def _combined(
    kind: str, requirements: list[dict[str, Any]], config: JwtAuthentication, view: View, now: float | None
) -> Authenticated:
    answers = [_required(each, config, view, now) for each in requirements]
    if kind == "requires_any":
        passing = next((answer for answer in answers if answer.passes), None)
        open_ = next((answer for answer in answers if answer.passes is None), None)
    else:
        passing = None if any(answer.passes is not True for answer in answers) else answers[0] if answers else None
        open_ = None
        if not any(answer.passes is False for answer in answers):
            open_ = next((answer for answer in answers if answer.passes is None), None)
    refused = next((answer for answer in answers if answer.passes is False), None)
    return passing or open_ or refused or Authenticated(True, "", "no token is asked for", {})


def _judged(provider: Provider, view: View, now: float | None) -> Authenticated:
    tokens = _tokens(provider, view.headers, view.query)
    if not tokens:
        return Authenticated(False, "Jwt_is_missing", "no token was sent", {})
    token = tokens[0]
    if token.claims is None:
        details = "Jwt_is_not_in_the_form_of_Header.Payload.Signature_with_two_dots_and_3_sections"
        return Authenticated(False, details, "the token is not a JWT", {})
    issuer = str(token.claims.get("iss", ""))
    if provider.issuer and issuer != provider.issuer:
        why = f"the token is of {issuer or 'no issuer'}, not of {provider.issuer}"
        return Authenticated(False, "Jwt_issuer_is_not_configured", why, {})
    expiry = token.claims.get("exp")
    if now is not None and isinstance(expiry, (int, float)) and now > expiry + provider.clock_skew_seconds:
        return Authenticated(False, "Jwt_is_expired", f"the token expired {now - expiry:.0f} s before", {})
    audiences = token.claims.get("aud", [])
    held = {audiences} if isinstance(audiences, str) else set(map(str, audiences))
    if provider.audiences and not held & set(provider.audiences):
        return Authenticated(False, "Audiences_in_Jwt_are_not_allowed", "the token is for another audience", {})
    return Authenticated(None, "", "the token looks right; its signature is not checked here", token.claims)


def _tokens(provider: Provider, headers: Headers, query: dict[str, str]) -> list[Token]:
    """The tokens where the provider looks: its headers and parameters, else `Authorization` and `access_token`."""
    found: list[str] = []
    places = provider.from_headers
    if not places and not provider.from_params:
        places = [{"name": "authorization", "value_prefix": "Bearer "}]
        found += [query["access_token"]] if "access_token" in query else []
    for place in places:
        prefix = str(place.get("value_prefix", ""))
        for value in headers.all(str(place.get("name", "")).lower()):
            _, mark, rest = value.partition(prefix) if prefix else ("", "x", value)
            found += [rest.strip()] if mark else []
    found += [query[name] for name in provider.from_params if name in query]
    return [Token(text, decode(text)) for text in found]


def decode(token: str) -> Claims | None:
    """The claims of a JWT, unverified; None when it has not the form of one."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    body = parts[1] + "=" * (-len(parts[1]) % 4)
    try:
        claims = json.loads(base64.urlsafe_b64decode(body))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def metadata_answer(matcher: dict[str, Any], claims: Claims | None) -> Answer:
    """An RBAC match on what the JWT filter wrote (`payload` and the claim's path); None when claims are not known."""
    if matcher.get("filter") not in ("envoy.filters.http.jwt_authn", "istio_authn"):
        return None
    if claims is None:
        return None
    names = [str(step.get("key", "")) for step in messages(matcher.get("path"))]
    value: Any = claims
    for name in names[1:] if names[:1] in (["payload"], ["request.auth.claims"]) else names:
        value = value.get(name) if isinstance(value, dict) else None
    if names and names[0] == "request.auth.principal":
        value = f"{claims['iss']}/{claims['sub']}" if {"iss", "sub"} <= set(claims) else None
    answer = _value(message(matcher.get("value")), value)
    return negate(answer) if matcher.get("invert") else answer


def _value(test: dict[str, Any], value: Any) -> Answer:
    kind, wanted = next(iter(test.items()), ("", None))
    if kind == "or_match":
        return any_of([_value(each, value) for each in messages(message(wanted).get("value_matchers"))])
    if kind == "list_match":
        items = value.split(" ") if isinstance(value, str) else value if isinstance(value, list) else []
        return any_of([_value(message(message(wanted).get("one_of")), item) for item in items])
    if kind == "string_match":
        return string_test(wanted).test(value) if isinstance(value, str) else False
    if kind == "present_match":
        return (value is not None) == bool(wanted)
    if kind == "bool_match":
        return value is bool(wanted)
    if kind == "null_match":
        return value is None
    return None
