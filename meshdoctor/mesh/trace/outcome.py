"""How a request ends, and the answer of a trace."""

from __future__ import annotations

import msgspec


class Outcome(msgspec.Struct, frozen=True):
    """What Envoy logs: *code* (None when the upstream decides), *flags* joined by commas, *details* as logged.

    *layer* is `http`, `tcp`, or `none` for a connection that ends before any request; *why* says it in words and *fix*
    what to change.
    """

    layer: str = "http"
    code: int | None = None
    flags: str = ""
    details: str = ""
    location: str = ""
    why: str = ""
    fix: str = ""

    @property
    def failing(self) -> bool:
        """Whether the caller would call this a failure that the mesh makes (a redirect or a chosen answer is none)."""
        if self.flags or self.layer == "none" or self.details.startswith("rbac_access_denied"):
            return True
        return self.code is not None and self.code >= 400


class Source(msgspec.Struct, frozen=True):
    """The Istio object that a piece of configuration comes from: `VirtualService shop/reviews`."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class Hop(msgspec.Struct, frozen=True):
    """One step: what was *chosen*, *why*, what else could have matched (*others*: name and reason), and its *sources*.

    *verdict* is `ok`, `fails`, `may match` (an unknown kind of match is involved) or `may fail`.
    """

    where: str
    step: str
    chosen: str
    why: str = ""
    others: tuple[tuple[str, str], ...] = ()
    sources: tuple[Source, ...] = ()
    verdict: str = "ok"
    notes: tuple[str, ...] = ()


class LoggedFailure(msgspec.Struct, frozen=True):
    """Equal failures as one *side* (`client`, `server`, `gateway`, `application`, `ztunnel`) logged them."""

    count: int
    side: str
    code: int
    flags: tuple[str, ...]
    details: str


class Logged(msgspec.Struct, frozen=True):
    """What the logs hold of the flow: how many requests failed and went well, between which times (Unix seconds).

    *over*: only good answers came since. *others* counts failures of requests with another path or method.
    """

    failures: int
    good: int
    first: float | None
    last: float | None
    over: bool
    kinds: tuple[LoggedFailure, ...]
    others: int = 0


class Trace(msgspec.Struct, frozen=True):
    """The hops of a request in order, how it ends, whether that is a failure, and what the logs say (None: nothing)."""

    hops: tuple[Hop, ...]
    outcome: Outcome
    failing: bool
    logged: Logged | None = None

    @property
    def verdict(self) -> str:
        """How the request ends, in the words of `Hop.verdict`: no surer than its hops and the logs allow."""
        if self.failing:
            likely = any(hop.verdict == "may fail" for hop in self.hops)
            return "may fail" if likely and not any(hop.verdict == "fails" for hop in self.hops) else "fails"
        return "may match" if self.contradicted or any(hop.verdict == "may match" for hop in self.hops) else "ok"

    @property
    def contradicted(self) -> bool:
        """Whether nothing that was followed fails the request, and the logs show that it fails nevertheless."""
        return not self.failing and self.logged is not None and bool(self.logged.failures) and not self.logged.over


MAX_OTHERS = 8
"""How many rejected candidates a hop names; the rest is counted."""


def some(pairs: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The first candidates, and how many more there are."""
    if len(pairs) <= MAX_OTHERS:
        return tuple(pairs)
    return (*pairs[:MAX_OTHERS], (f"{len(pairs) - MAX_OTHERS} more", "not listed here"))


_KINDS = {
    "virtual-service": "VirtualService",
    "destination-rule": "DestinationRule",
    "gateway": "Gateway",
    "sidecar": "Sidecar",
    "envoy-filter": "EnvoyFilter",
    "service-entry": "ServiceEntry",
    "authorization-policy": "AuthorizationPolicy",
    "peer-authentication": "PeerAuthentication",
    "request-authentication": "RequestAuthentication",
}


def source_of(config: str) -> Source | None:
    """The object of istiod's metadata `/apis/GROUP/VERSION/namespaces/NS/KIND/NAME`; None when it names none."""
    parts = config.split("/")
    if len(parts) != 8 or parts[4] != "namespaces":
        return None
    return Source(_KINDS.get(parts[6], parts[6]), parts[5], parts[7])
