"""Staying up to date: list once, then watch, and begin again when the position is lost.

A watch gives no answer to "is it still true?", so every loss of it is told (`Lost`) and the caller shows the age of
what it has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import httpx
import msgspec

from meshdoctor.kube.answers import error_of, reachable
from meshdoctor.kube.client import KubeClient, Listing
from meshdoctor.kube.errors import Busy, ClusterError, Expired, Unauthorized, Unreachable
from meshdoctor.kube.retry import Sleep, backoff

T = TypeVar("T")
_LINE_LIMIT = 16 << 20


class Listed(msgspec.Struct, Generic[T], frozen=True):
    """The whole state: everything known before is replaced by *items*."""

    items: tuple[T, ...]


class Changed(msgspec.Struct, frozen=True):
    """One object was ADDED, MODIFIED or DELETED; *object* is its JSON."""

    type: str
    object: msgspec.Raw


class Lost(msgspec.Struct, frozen=True):
    """Nothing is heard at the moment; tried again in *again_in* seconds."""

    error: ClusterError
    again_in: float


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""


class _Version(msgspec.Struct, frozen=True):
    metadata: _Meta = _Meta()
    code: int = 0
    message: str = ""


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


async def follow(
    client: KubeClient,
    path: str,
    decode: Callable[[bytes], Iterable[T]],
    *,
    params: Mapping[str, str] | None = None,
    sleep: Sleep | None = None,
    start: Listing[T] | None = None,
) -> AsyncIterator[Listed[T] | Changed | Lost]:
    """The objects under *path*, for ever: `Listed` first, `Changed` as they change, `Lost` while nothing is heard.

    *start* is a list that was read already: a large one need not be read twice.
    Ends only by cancellation or an error that waiting does not mend (403, 404, a refused path).
    """
    import anyio

    wait = sleep or anyio.sleep
    failures = 0
    version = start.resource_version if start else ""
    if start:
        yield Listed(start.items)
        start = None  # it need not be kept
    while True:
        try:
            if not version:
                listing = await client.list_all(path, decode, params=params)
                version, failures = listing.resource_version, 0
                yield Listed(listing.items)
            async for event in _watch_once(client, path, version, params):
                failures = 0
                if isinstance(event, Changed):
                    yield event
                else:
                    version = event
        except Expired:
            version = ""  # 410: what was missed can only be had by listing again
            failures += 1
            if failures > 1:
                await wait(backoff(client.settings.retry, failures))
        except (Busy, Unreachable, Unauthorized) as error:
            failures += 1
            again = backoff(client.settings.retry, failures)
            yield Lost(error, again)
            await wait(again)


async def _watch_once(
    client: KubeClient, path: str, version: str, params: Mapping[str, str] | None
) -> AsyncIterator[Changed | str]:
    """One watch request: changes, and (as text) each new resourceVersion, bookmarks included."""
    timeouts = client.settings.timeouts
    asked: dict[str, Any] = {
        **(params or {}),
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": version,
        "timeoutSeconds": int(timeouts.watch),
    }
    # The server ends the watch after timeoutSeconds; silence for much longer means that the connection is dead.
    quiet = httpx.Timeout(timeouts.watch + timeouts.read, connect=timeouts.connect, pool=None)
    with reachable(f"watch {path}"):
        async with client.connection.reads.stream("GET", path, params=asked, timeout=quiet) as response:
            if response.status_code != 200:
                raise error_of(response.status_code, response.headers, await response.aread(), path, watch=True)
            async for line in _lines(response):
                event = _decode(line, path, _Event)
                told = _decode(bytes(event.object), path, _Version)
                if event.type == "ERROR":
                    raise error_of(told.code or 500, httpx.Headers(), bytes(event.object), path, watch=True)
                if event.type != "BOOKMARK":
                    yield Changed(event.type, event.object)
                if told.metadata.resource_version:
                    yield told.metadata.resource_version


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in response.aiter_bytes():
        rest += chunk
        *lines, rest = rest.split(b"\n")
        for line in lines:
            if line.strip():
                yield line
        if len(rest) > _LINE_LIMIT:
            raise Unreachable("a watch event is larger than 16 MiB", "list instead")


def _decode(body: bytes, path: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreachable(f"watch {path}: an event is no JSON", "the stream was cut; watching again") from None
