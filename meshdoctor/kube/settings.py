"""Every timeout, limit and interval of reading a cluster, in one place; durations are seconds."""

from __future__ import annotations

import msgspec


class Timeouts(msgspec.Struct, frozen=True):
    """How long to wait for each kind of answer, in seconds."""

    connect: float = 10.0
    read: float = 30.0
    write: float = 30.0
    exec_plugin: float = 60.0
    """An exec plugin may open a browser or ask for a code; kubectl waits for ever."""
    watch: float = 300.0
    """How long one watch request stays open before it is renewed."""


class Retry(msgspec.Struct, frozen=True):
    """Backoff with full jitter: the n-th wait is drawn from 0 to min(cap, base * 2**n)."""

    attempts: int = 5
    unreachable_attempts: int = 2
    """Of these, how many may end without any answer: each of them can take a whole timeout."""
    base: float = 0.5
    cap: float = 15.0


class FanOut(msgspec.Struct, frozen=True):
    """Reading many pods at once. Long-running requests bypass the API server's own fairness, so politeness is ours."""

    start: int = 8
    least: int = 2
    most: int = 32
    per_node: int = 2
    deadline: float = 15.0
    """The longest that a small answer of one pod may take."""
    dump_deadline: float = 60.0
    """The longest that a whole dump, or one part of it, may take: a proxy's main thread may be busy for seconds."""
    patience: float = 0.5
    """After this long a pod's place is given to the next one; the pod itself is still waited for."""
    straggler_floor: float = 1.5
    """When others have answered, a pod that is silent is given up after this long or ten times what they took."""
    dump_straggler_floor: float = 3.0
    """The same where a proxy may be busy with a dump that somebody else asked for."""
    parked: int = 128
    """How many pods may be waited for without a place."""
    node_breaker: int = 3
    """A node whose pods all failed this many times in a row is asked no more."""
    new_per_second: float = 100.0
    """New pods begun per second, on average."""


class Settings(msgspec.Struct, frozen=True):
    """Settings of every read."""

    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    fan_out: FanOut = FanOut()
    page: int = 500
    """Objects per page of a list."""
    refresh: float = 10.0
    """How often live tables refresh where the API has no watch."""
    admin_port: int = 0
    """Of every Envoy and ztunnel; 0: the one that its pod says."""
    connections: int = 8
    """Connections to the API server for lists and logs; port-forwards have their own."""
