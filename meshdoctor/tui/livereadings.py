"""The moments of a cluster that can be compared: those of a recording that is under way, else what was read before.

A recording holds every proxy's configuration, a reading only what views asked for. The two are never mixed: what is
recorded is redacted, so that it would differ from what was read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from meshdoctor.errors import SourceError, UsageError
from meshdoctor.guide.comparison import Reading
from meshdoctor.mesh.comparison import wanted
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model import wants as ask
from meshdoctor.model.moment import rfc3339
from meshdoctor.model.snapshot import Fact, Snapshot, Want
from meshdoctor.tui.livefacts import OBJECTS, LiveFacts
from meshdoctor.tui.look import Look
from meshdoctor.tui.readings import RecordedReadings

if TYPE_CHECKING:
    from meshdoctor.guide.diagnosis import Diagnosis
    from meshdoctor.sources.recording import RecordingSource

KEPT = 6
"""Readings: the first of the session, and the latest. Of a large mesh they share the objects that did not change."""
AT_ONCE = 60.0
"""Seconds within which a proxy's configuration was read for it to belong to a reading."""
NEW = 5.0
"""Seconds for which a reading is now."""


class Recording(Protocol):
    """A file that is being written in the background, or was."""

    file: Path
    moments: int
    problem: str

    @property
    def is_running(self) -> bool:
        """Whether more moments will come."""

    @property
    def names(self) -> tuple[str, ...]:
        """The moments that are finished, oldest first."""

    def source(self) -> RecordingSource:
        """The finished moments. Raises RecordingError when the file cannot be read."""

    def stop(self, *, at_once: bool = False) -> None:
        """Finish the file."""


class _Kept(NamedTuple):
    at: float
    name: str
    snapshot: Snapshot
    diagnosis: Diagnosis | None


class LiveReadings:
    """For one thread at a time; `names` for any."""

    def __init__(self, facts: LiveFacts, clock: Callable[[], float], trouble: Callable[[], str]) -> None:
        """*trouble* says why the cluster does not answer; empty while it does."""
        self._facts = facts
        self._clock = clock
        self._trouble = trouble
        self.recording: Recording | None = None
        """What is recorded, or was recorded last, of the cluster that is looked at."""
        self._recorded = RecordedReadings()
        self._kept: tuple[_Kept, ...] = ()

    def forget(self) -> None:
        """Another cluster is looked at."""
        self.recording, self._recorded, self._kept = None, RecordedReadings(), ()

    @property
    def names(self) -> tuple[str, ...]:
        """The moments that there are, oldest first."""
        recorded = self.recording.names if self.recording else ()
        return recorded if len(recorded) > 1 else tuple(one.name for one in self._kept)

    def comparable(self, *, now: bool, renew: bool) -> tuple[str, ...]:
        """`names`; *now*: the present among them; *renew*: however short ago it was read.

        Raises:
            SourceError: the cluster cannot be read.
            UsageError: nothing was read before.
        """
        if not (self.recording and len(self.recording.names) > 1):
            newest = self._kept[-1].at if self._kept else float("-inf")
            if renew or (now and self._clock() - newest > NEW):
                self._take()
        if len(self.names) < 2:
            raise UsageError("this is the first reading", "r reads again and compares; R records all of the mesh")
        return self.names

    def _take(self) -> None:
        look = Look(self._clock(), renew=True)
        mesh = self._facts.mesh(OBJECTS, look)
        syncs = [want for want in wanted(mesh) if isinstance(want, ask.SyncStatus)]
        mesh = self._facts.mesh(syncs, look)
        if trouble := self._trouble():
            raise SourceError(trouble)
        self.keep(look.begun, mesh.snapshot)

    def keep(self, at: float, snapshot: Snapshot, diagnosis: Diagnosis | None = None) -> None:
        """What was read at the time *at* (Unix seconds); the same time again takes the place of the first."""
        name = rfc3339(at)
        earlier = tuple(one for one in self._kept if one.name != name)
        facts = _compared(snapshot, at, earlier[-1].snapshot if earlier else None)
        kept = (*earlier, _Kept(at, name, Snapshot(snapshot.info, facts), diagnosis))
        kept = tuple(sorted(kept, key=lambda one: one.at))
        self._kept = (kept[0], *kept[-KEPT + 1 :]) if len(kept) > KEPT else kept

    def of(self, moment: str) -> Reading:
        """One of `names`; raises `UsageError` when there is none of this name."""
        if self.recording is not None and len(self.recording.names) > 1:
            return self._recorded.of(self.recording.source(), moment)
        found = next((one for one in self._kept if one.name == moment), None)
        if found is None:
            raise UsageError(f"nothing was read at {moment}", "Tab completes the times")
        return Reading(found.name, MeshIndex(found.snapshot), found.diagnosis)


def _compared(snapshot: Snapshot, at: float, before: Snapshot | None) -> dict[Want[Any], Any]:
    """The facts of *snapshot* that are compared; objects that are as they were *before* are kept once."""
    facts: dict[Want[Any], Any] = {}
    for want in snapshot.wants():
        fact = snapshot.get(want)
        if isinstance(want, ask.ProxyConfig):
            # An older one would say that nothing changed since, and nobody looked.
            if isinstance(fact, Fact) and fact.origin.read_at is not None and abs(fact.origin.read_at - at) <= AT_ONCE:
                facts[want] = fact
        elif isinstance(want, ask.Objects) and isinstance(fact, Fact):
            facts[want] = fact._replace(value=_shared(fact.value, before.value(want) if before else None))
        elif isinstance(want, ask.Contents | ask.Objects | ask.SyncStatus):
            facts[want] = fact
    return facts


def _shared(new: Sequence[Any], old: Sequence[Any] | None) -> tuple[Any, ...]:
    known = {one.key: one for one in old or ()}
    return tuple(known[one.key] if known.get(one.key) == one else one for one in new)
