"""Response flags, response_code_details and transport failure reasons of Envoy: their grammar, without their meaning.

Grammar of the details (Envoy 1.40, `source/common/stream_info` and `source/common/router`): `name`, `name{reason}`,
`name{reason|transport_failure_reason}`, `name[...]`, `name(...)`. Whitespace is printed as `_`; Envoys before 1.15
printed spaces and separated the transport failure reason by a comma.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

# Which flag names the cause when several are set; their order in the log means nothing.
FLAG_PRIORITY: tuple[str, ...] = (
    *("UF", "UC", "UH", "UO", "NC", "NR", "UT", "UPE", "UR", "SI", "UMSDR", "DF", "OM", "DO", "UDO", "UAEX", "RL"),
    *("RLSE", "FI", "LH", "NFCF", "IH", "DPE", "LR", "DC", "DR", "DT"),
)
# Flags that only add a circumstance to another one: retries used up, a delay injected, an answer from a cache.
MODIFIER_FLAGS: frozenset[str] = frozenset({"URX", "DI", "RFCF"})

# %RESPONSE_FLAGS_LONG% of Envoy 1.40.
LONG_FLAGS: dict[str, str] = {
    "FailedLocalHealthCheck": "LH",
    "NoHealthyUpstream": "UH",
    "UpstreamRequestTimeout": "UT",
    "LocalReset": "LR",
    "UpstreamRemoteReset": "UR",
    "UpstreamConnectionFailure": "UF",
    "UpstreamConnectionTermination": "UC",
    "UpstreamOverflow": "UO",
    "NoRouteFound": "NR",
    "DelayInjected": "DI",
    "FaultInjected": "FI",
    "RateLimited": "RL",
    "UnauthorizedExternalService": "UAEX",
    "RateLimitServiceError": "RLSE",
    "DownstreamConnectionTermination": "DC",
    "UpstreamRetryLimitExceeded": "URX",
    "StreamIdleTimeout": "SI",
    "InvalidEnvoyRequestHeaders": "IH",
    "DownstreamProtocolError": "DPE",
    "UpstreamMaxStreamDurationReached": "UMSDR",
    "ResponseFromCacheFilter": "RFCF",
    "NoFilterConfigFound": "NFCF",
    "DurationTimeout": "DT",
    "UpstreamProtocolError": "UPE",
    "NoClusterFound": "NC",
    "OverloadManagerTerminated": "OM",
    "DnsResolutionFailed": "DF",
    "DropOverload": "DO",
    "DownstreamRemoteReset": "DR",
    "UnconditionalDropOverload": "UDO",
}


def parse_flags(text: str) -> tuple[str, ...]:
    """The short names in `URX,UF` or `UpstreamConnectionFailure`, in the order logged; `()` for `-` or nothing."""
    if text in ("-", ""):
        return ()
    names = (name.strip() for name in text.split(","))
    return tuple(LONG_FLAGS.get(name, name) for name in names if name and name != "-")


def primary_flag(flags: tuple[str, ...]) -> str | None:
    """The flag that names the cause; None when there is none or only modifiers (`URX` on `via_upstream`).

    A flag that this list does not know (an extension registered it) counts when no known flag is there.
    """
    for flag in FLAG_PRIORITY:
        if flag in flags:
            return flag
    return next((flag for flag in flags if flag not in MODIFIER_FLAGS), None)


class Detail(msgspec.Struct, frozen=True):
    """A parsed response_code_details: `kind{reason|transport}`."""

    kind: str  # "" when Envoy logged an empty string (NFCF)
    reason: str | None = None  # what stands in the brackets, up to the first "|"
    transport: str | None = None  # the transport failure reason after it


_DETAIL = re.compile(r"(?P<kind>[A-Za-z0-9_.]+)[{\[(](?P<argument>.*)[}\])]", re.DOTALL)
# The separators of old Envoys: "{connection failure,TLS error: …}".
_OLD_SEPARATOR = re.compile(r"(connection[ _](?:failure|termination)),(.+)", re.DOTALL)


def parse_details(text: str) -> Detail:
    """Take response_code_details apart; text outside the grammar is kept whole as `kind`. Never raises."""
    text = text.strip()
    match = _DETAIL.fullmatch(text)
    if match is None:
        return Detail(text.replace(" ", "_"))
    kind, argument = match["kind"], match["argument"]
    if not kind.startswith("upstream_reset"):
        return Detail(kind, argument)
    reason, bar, transport = argument.partition("|")
    if not bar and (old := _OLD_SEPARATOR.fullmatch(argument)):
        reason, transport = old[1], old[2]
    return Detail(kind, reason.replace(" ", "_"), transport.replace(" ", "_") or None)


class RbacRule(NamedTuple):
    """A rule of an AuthorizationPolicy, *rule* its number in it."""

    namespace: str
    policy: str
    rule: str


_RULE = re.compile(r"ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\]")


def rbac_rule(text: str) -> RbacRule | None:
    """The rule that *text* names as istiod writes it, `ns[NAMESPACE]-policy[NAME]-rule[N]`; None when it names none.

    Source: Istio 1.32, `pilot/pkg/security/authz/builder` and `trustdomain`; words may stand before and after it
    (`istio-ext-authz-…`, `…-deny-due-to-bad-CUSTOM-action`).
    """
    match = _RULE.search(text)
    return RbacRule(*match.groups()) if match else None


ERRNO = {
    "99": "Cannot_assign_requested_address",
    "101": "Network_is_unreachable",
    "104": "Connection_reset_by_peer",
    "110": "Connection_timed_out",
    "111": "Connection_refused",
    "113": "No_route_to_host",
    "22": "Invalid_argument",
    "24": "Too_many_open_files",
}
"""errno of Linux, as Envoys before 1.24 printed it: delayed_connect_error:_111."""


class TransportFailure(msgspec.Struct, frozen=True):
    """A parsed upstream_transport_failure_reason."""

    kind: str  # "TLS_error", "delayed_connect_error", "immediate_connect_error" or the first word
    reason: str  # "WRONG_VERSION_NUMBER", "Connection_refused", "CERTIFICATE_VERIFY_FAILED", …
    detail: str = ""  # what follows: the verification error, the address


_TLS = re.compile(r"[0-9a-fA-F]+:(?P<library>[^:|]*):OPENSSL_internal:(?P<reason>[^:|]*)(?::(?P<detail>.*))?")


def parse_transport_failure(text: str) -> TransportFailure:
    """Take a transport failure reason apart; a number of errno becomes its name. Never raises."""
    text = text.strip().replace(" ", "_").removesuffix(":TLS_error_end")
    if text.startswith("TLS_error"):
        match = _TLS.search(text)
        if match:
            detail = (match["detail"] or "").split("|")[0].removesuffix(":TLS_error_end")
            return TransportFailure("TLS_error", match["reason"], detail)
        return TransportFailure("TLS_error", text.removeprefix("TLS_error").strip(":_|"))
    kind, _, rest = text.partition(":")
    reason, _, detail = rest.lstrip("_").partition("|")
    return TransportFailure(kind, ERRNO.get(reason, reason), detail)
