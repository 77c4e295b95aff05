"""What a walk through a proxy comes to, in the few words that tests compare."""

from __future__ import annotations

from typing import Any

from meshdoctor.mesh.trace.proxy import Proxy
from meshdoctor.mesh.trace.request import Request
from meshdoctor.mesh.trace.walk import walk
from tests.mesh.trace.dumps import host, one_route_table, to


def action(**route: Any) -> Proxy:
    return one_route_table(host("all", ["*"], {"match": {"prefix": "/"}, **route}))


def outcome(proxy: Proxy, request: Request) -> tuple[int | None, str, str]:
    found = walk(proxy, request).main.outcome
    return found.code, found.flags, found.details


def taken(proxy: Proxy, request: Request) -> int | None:
    return walk(proxy, request).route


ANY = one_route_table(host("all", ["*"], to("a")))
