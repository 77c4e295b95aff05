"""How long a request may take and how often it is tried: the route's timeouts and retries in words."""

from __future__ import annotations

from meshdoctor.model.envoy.route import RouteAction
from meshdoctor.model.moment import duration

DEFAULT_TIMEOUT = "15s"
"""Envoy's route timeout where none is set; istiod writes 0s (no limit) unless the VirtualService sets one."""


def budget(action: RouteAction) -> list[str]:
    """What the route allows: the whole time with all tries, the time of one try, and the tries."""
    found = []
    whole = duration(action.timeout or DEFAULT_TIMEOUT)
    if whole:
        found.append(f"must be done within {whole:g} s with all tries, else 504 UT")
    retry = action.retry_policy
    if retry is not None and retry.retry_on:
        tries = 1 + (retry.num_retries if retry.num_retries is not None else 1)
        single = duration(retry.per_try_timeout)
        each = f", each within {single:g} s" if single else ""
        found.append(f"up to {tries} tries{each} (again on {retry.retry_on.replace(',', ', ')})")
    if idle := duration(action.idle_timeout):
        found.append(f"a stream may be silent for {idle:g} s")
    return found
