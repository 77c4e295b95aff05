"""Journeys through a world, asked until nothing is lacking."""

from __future__ import annotations

from typing import Any

from meshdoctor.mesh.trace.journey import journey
from meshdoctor.mesh.trace.outcome import Trace
from meshdoctor.mesh.trace.question import TraceQuestion
from meshdoctor.present.trace import trace_lines
from tests.mesh.trace.meshes import World


def follow(world: World, **question: Any) -> Trace:
    asked = TraceQuestion(**{"namespace": "shop", "client": "web", "host": "cart", "path": "/items", **question})
    snapshot = world.empty
    for _ in range(10):
        found, lacking = journey(snapshot, asked)
        if not lacking:
            assert all(len(line) <= 80 for line in trace_lines(found))
            return found
        snapshot = world.read(lacking, snapshot)
    raise AssertionError("the journey never had enough")


def ending(found: Trace) -> tuple[str, str, bool]:
    return found.outcome.flags, found.hops[-1].step, found.failing
