"""What Envoy's and ztunnel's words mean: response flags, response_code_details, transport failures, clusters, codes.

The words are data files beside the model (`flags.toml`, `details.toml`, `transport.toml`, `ztunnel.toml`,
`words.toml`), in English and Korean. What they do not list gets an honest explanation by its grammar; nothing here
raises on any text.
"""

from __future__ import annotations

import re
import tomllib
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

from meshdoctor.model.accesslog import AccessLine, Detail, parse_details
from meshdoctor.model.accesslog_details import ERRNO, LONG_FLAGS, rbac_rule
from meshdoctor.model.names import parse_cluster_name
from meshdoctor.model.ztunnellog import ZtunnelLine

Language = Literal["en", "ko"]


class Explanation(msgspec.Struct, frozen=True):
    """One word of a log line in plain words, in one language."""

    subject: str  # flag, details, transport, cluster, code, ztunnel-flag or ztunnel-error
    text: str  # the word as logged
    name: str  # its long name, or the text again
    means: str
    answered: str = ""  # who answered the request
    next: str = ""  # where to look next
    code: str = ""  # the usual response code
    notes: tuple[str, ...] = ()  # what this very text says besides: the policy, the identity, the service
    causes: tuple[str, ...] = ()  # ids of the cause vocabulary, likeliest first
    known: bool = True  # False: not in the data files, explained by its grammar


@cache
def _data(name: str) -> dict[str, Any]:
    return tomllib.loads(files("meshdoctor.model").joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def _say(entry: dict[str, Any], key: str, language: Language) -> str:
    texts = entry.get(key, {})
    if isinstance(texts, str):
        return texts  # the same in every language
    return str(texts.get(language) or texts.get("en") or "")


def _note(name: str, language: Language, **values: object) -> str:
    return _fill(_say(_data("words")["note"], name, language), values)


def _fill(template: str, values: dict[str, object]) -> str:
    """Put *values* into `{name}`, once: braces in a value, which a cluster chose, stay text."""
    return re.sub(r"\{(\w+)\}", lambda match: str(values.get(match[1], match[0])), template)


def _explanation(
    subject: str, text: str, entry: dict[str, Any], language: Language, *, name: str = "", known: bool = True
) -> Explanation:
    return Explanation(
        subject=subject,
        text=text,
        name=name or entry.get("long", text),
        means=_say(entry, "means", language),
        answered=_say(_data("words")["who"], entry["who"], language)
        if entry.get("who", "unknown") != "unknown"
        else "",
        next=_say(entry, "next", language),
        code=_say(entry, "code", language),
        causes=tuple(entry.get("causes", ())),
        known=known,
    )


def label(name: str, language: Language = "en", **values: object) -> str:
    """A heading or summary sentence of words.toml, with *values* put in."""
    return _fill(_say(_data("words")["label"], name, language), values)


def skipped_words(kind: str, language: Language = "en") -> str:
    """What a kind of skipped line (`ParsedLog.skipped`) is called."""
    return _say(_data("words")["skipped"], kind, language) or kind


def is_flag(text: str) -> bool:
    """Whether *text* is one of Envoy's response flags, short or long (`UF`, `UpstreamConnectionFailure`, `-`)."""
    return text in _data("flags") or text in LONG_FLAGS


def explain_flag(text: str, language: Language = "en") -> Explanation:
    """A response flag, short or long; `-` is the absence of one."""
    short = LONG_FLAGS.get(text, text)
    entry = _data("flags").get(short)
    if entry is not None:
        return _explanation("flag", short, entry, language)
    return _explanation("flag", text, _data("words")["unknown"]["flag"], language, known=False)


def explain_details(text: str, language: Language = "en") -> Explanation:
    """A response_code_details or connection termination detail; its transport reason is a word of its own."""
    detail = parse_details(text)
    kind, reason = detail.kind, detail.reason
    table = _data("details")
    if reason == "connection_failure" and kind.startswith("upstream_reset"):
        reason = "remote_connection_failure"  # the name before Envoy 1.27
    notes: list[str] = []
    entry, known = None, True
    if reason is not None:
        entry = table.get(f"{kind}/{reason.replace(' ', '_')}")
        policy = _policy(detail)
        if policy is not None:
            notes.append(_note("policy", language, **policy))
        elif entry is None:
            notes.append(_note("reason", language, reason=_readable(reason)))
    entry = entry or (table.get(kind) if not kind.endswith("*") else None)
    if entry is None:
        known = False
        families = (key for key in table if key.endswith("*") and kind.startswith(key[:-1]))
        entry = table[max(families, key=len)]
        if reason is None and kind:
            notes.append(_note("reason", language, reason=_readable(kind)))
    found = _explanation("details", text, entry, language, known=known)
    return msgspec.structs.replace(found, notes=tuple(notes))


def _readable(text: str) -> str:
    return text.replace("_", " ").replace("|", ": ").strip()


def _policy(detail: Detail) -> dict[str, str] | None:
    """The AuthorizationPolicy that an RBAC detail names."""
    rule = rbac_rule(detail.reason or "") if detail.kind.startswith("rbac_") else None
    return rule._asdict() if rule else None


_IDENTITY = re.compile(r"SANs_are_\[(?P<identity>[^\]]*)\]")


def explain_transport(text: str, language: Language = "en") -> Explanation:
    """A transport failure reason: of the TCP connection or of the TLS handshake."""
    plain = text.strip().replace(" ", "_")
    errno = re.search(r"connect_error:_([0-9]+)", plain)
    if errno is not None:  # the table of words has the name only
        plain += ":" + ERRNO.get(errno[1], "")
    notes: list[str] = []
    identity = _IDENTITY.search(plain)
    if identity is not None:
        notes.append(_note("identity", language, identity=identity["identity"]))
    for entry in _data("transport")["reason"]:
        if all(word in plain for word in entry["contains"]):
            notes.append(_note("complains", language, side=_say(_data("words")["side"], entry["side"], language)))
            found = _explanation("transport", text, entry, language)
            return msgspec.structs.replace(found, notes=tuple(notes))
    found = _explanation("transport", text, _data("words")["unknown"]["transport"], language, known=False)
    return msgspec.structs.replace(found, notes=(*notes, _note("reason", language, reason=_readable(plain))))


def explain_cluster(text: str, language: Language = "en") -> Explanation:
    """An Envoy cluster by its name: direction, port, subset and host, or one of Istio's own."""
    name = parse_cluster_name(text)
    table = _data("words")["cluster"]
    key = name.name if name.name in table else name.direction or ""
    if name.name.startswith("InboundPassthroughCluster"):
        key = "InboundPassthroughCluster"
    known = key in table and key != "*"
    notes: list[str] = []
    if name.direction is not None and name.host:
        form = "subset" if name.subset else "service"
        notes.append(_note(form, language, host=name.host, port=name.port or "?", subset=name.subset))
    elif name.direction is not None:
        notes.append(_note("port", language, port=name.port or "?"))
    found = _explanation("cluster", name.name, table[key if known else "*"], language, known=known)
    return msgspec.structs.replace(found, notes=tuple(notes))


def explain_code(code: int, language: Language = "en") -> Explanation:
    """An HTTP response code as it stands in an access log; 0 is "no response"."""
    table = _data("words")["code"]
    entry = table.get(str(code)) or table.get(f"{code // 100}xx")
    if entry is not None:
        return _explanation("code", str(code), entry, language)
    return _explanation("code", str(code), table["other"], language, known=False)


def is_details(text: str) -> bool:
    """Whether *text* is a response_code_details whose kind is listed."""
    kind = parse_details(text).kind
    return bool(kind) and not kind.endswith("*") and kind in _data("details")


def near_details(text: str) -> tuple[str, ...]:
    """Listed details that *text* may be a slip of the pen for; () when it is a word of its own."""
    kind = parse_details(text).kind
    return tuple(
        get_close_matches(kind, [name for name in _data("details") if not name.endswith("*")], n=2, cutoff=0.85)
    )


def is_ztunnel_flag(text: str) -> bool:
    """Whether *text* is one of ztunnel's response flags (metrics `istio_tcp_*`)."""
    return text in _data("ztunnel")["flag"]


def explain_ztunnel_flag(text: str, language: Language = "en") -> Explanation:
    """A response flag of ztunnel's metrics."""
    entry = _data("ztunnel")["flag"].get(text)
    if entry is None:
        return _explanation("ztunnel-flag", text, _data("words")["unknown"]["ztunnel"], language, known=False)
    return _explanation("ztunnel-flag", text, {"who": "ztunnel", **entry}, language)


def explain_ztunnel_error(text: str, language: Language = "en") -> Explanation:
    """The error of a ztunnel access-log line."""
    for entry in _data("ztunnel")["error"]:
        if all(word in text for word in entry["contains"]):
            return _explanation("ztunnel-error", text, {"who": "ztunnel", **entry}, language)
    return _explanation("ztunnel-error", text, _data("words")["unknown"]["ztunnel"], language, known=False)


def explain_line(line: AccessLine, language: Language = "en") -> tuple[Explanation, ...]:
    """What there is to say of one access-log line: the deciding flag first, from the general to the particular."""
    primary = line.primary_flag
    flags = sorted(line.flags, key=lambda flag: flag != primary) or ["-"]
    found = [explain_flag(flag, language) for flag in flags]
    if line.details is not None:
        details = explain_details(line.details, language)
        if line.details == "via_upstream" and primary is None and _inbound(line):
            note = _note("application", language, code=line.code)
            look = _note("application_log", language)
            details = msgspec.structs.replace(details, notes=(note,), next=look)
        found.append(details)
    if line.termination:
        found.append(explain_details(line.termination, language))
    transport = line.transport_failure or (parse_details(line.details).transport if line.details else None)
    if transport:
        found.append(explain_transport(transport, language))
    if line.downstream_transport_failure:
        found.append(explain_transport(line.downstream_transport_failure, language))
    if line.upstream_cluster:
        found.append(explain_cluster(line.upstream_cluster, language))
    return tuple(found)


def _inbound(line: AccessLine) -> bool:
    return line.upstream_cluster is not None and parse_cluster_name(line.upstream_cluster).inbound


def explain_ztunnel_line(line: ZtunnelLine, language: Language = "en") -> tuple[Explanation, ...]:
    """What there is to say of one ztunnel line: its error, if it has one."""
    return (explain_ztunnel_error(line.error, language),) if line.error is not None else ()
