"""Objects of one kind kept up to date by a watch: the whole list again after changes, and word when it is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import anyio
import msgspec

from meshdoctor.kube.client import KubeClient, Listing
from meshdoctor.kube.discovery import Discovery
from meshdoctor.kube.errors import ClusterError
from meshdoctor.kube.watch import Changed, Listed, follow
from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.model.kinds import Kind
from meshdoctor.model.meta import Object
from meshdoctor.sources.live_lists import decode_page

GATHERED = 0.5
"""Seconds for which changes are gathered and then told at once: a rollout of a large cluster brings hundreds a second,
and each telling hands over the whole list."""


class Watched(NamedTuple):
    """The objects as last heard of; *lost* says why nothing is heard now, "" while all is well."""

    kind: str
    objects: tuple[Object, ...]
    heard_at: float
    lost: str = ""
    problems: tuple[str, ...] = ()
    """Objects that are there and could not be decoded, one line each."""


class _Name(msgspec.Struct, frozen=True):
    name: str = ""
    namespace: str = ""


class _Named(msgspec.Struct, frozen=True):
    metadata: _Name


async def watch_kind(
    client: KubeClient,
    discovery: Discovery,
    kind: Kind,
    tell: Callable[[Watched], None],
    now: Callable[[], float],
    *,
    start: Listing[Any] | None = None,
    gathered: float = GATHERED,
) -> None:
    """Call *tell* with every new state of *kind*, until cancelled; ends by itself when it is forbidden or not served.

    *start* is what was listed already. What changes within *gathered* seconds is one new state. The last objects are
    told again with `lost` when nothing is heard, so that they can stay on a screen with their age.
    """
    known: dict[tuple[str, str], Object] = {}
    fresh: list[str] = []
    listed: tuple[str, ...] = ()
    broken: dict[tuple[str, str], str] = {}
    heard = now()
    untold = False

    def say(lost: str = "") -> None:
        nonlocal untold
        untold = False
        tell(Watched(kind.name, tuple(known.values()), heard, lost, (*listed, *broken.values())))

    async def say_soon() -> None:
        await anyio.sleep(gathered)
        if untold:
            say()

    try:
        path = await discovery.path(kind)
        if path is None:
            say()
            return
        async with anyio.create_task_group() as group:
            async for event in follow(client, path, lambda body: decode_page(body, kind, fresh), start=start):
                if isinstance(event, Listed):
                    known = {(item.namespace, item.name): item for item in event.items}
                    listed = tuple(fresh)
                    fresh.clear()
                    broken = {}
                    heard = now()
                    say()
                elif isinstance(event, Changed):
                    _apply(known, broken, kind, event)
                    heard = now()
                    if not untold:
                        untold = True
                        group.start_soon(say_soon)
                else:
                    say(str(event.error))
    except* ClusterError as errors:
        say(str(errors.exceptions[0]))


def _apply(
    known: dict[tuple[str, str], Object], broken: dict[tuple[str, str], str], kind: Kind, event: Changed
) -> None:
    """Takes a change into *known*; what cannot be decoded must not stay as it was before, and goes to *broken*."""
    why = ""
    try:
        item = decode_json(bytes(event.object), kind.struct)
        place = item.namespace, item.name
    except UnreadableError as error:
        why = str(error)
        try:
            meta = msgspec.json.decode(event.object, type=_Named).metadata
            place = meta.namespace, meta.name
        except msgspec.DecodeError:
            place = "", ""  # it does not even name itself
    known.pop(place, None)
    broken.pop(place, None)
    if event.type == "DELETED":
        return
    if why:
        broken[place] = f"{'/'.join(filter(None, place)) or 'an object without a name'}: {why}"
    else:
        known[place] = item
