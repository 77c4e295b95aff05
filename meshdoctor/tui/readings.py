"""The moments that can be compared, each read and diagnosed when it is first asked for; a few are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshdoctor.guide.comparison import Reading
    from meshdoctor.guide.diagnosis import Diagnosis
    from meshdoctor.guide.examination import Examination
    from meshdoctor.guide.walk import Step
    from meshdoctor.sources.recording import RecordingSource

KEPT = 4
"""Moments; a moment of a large mesh holds every proxy's configuration."""


class RecordedReadings:
    """The moments of a recording. For one thread at a time."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Reading] = OrderedDict()
        self._diagnosed: dict[str, Diagnosis] = {}

    def of(self, source: RecordingSource, moment: str) -> Reading:
        """The moment of this name; raises `UsageError` when there is none."""
        from meshdoctor.guide.comparison import read_moment

        at = source.at(moment)
        name = at.info.moment or at.info.name
        if name not in self._kept:
            self._kept[name] = read_moment(name, at.read, at.info)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return self._kept[name]

    def with_earlier(
        self,
        found: Diagnosis,
        source: RecordingSource,
        steps: Callable[[Examination], Iterator[Step]],
        reading: AbstractContextManager[object],
    ) -> Diagnosis:
        """*found* at the moment of *source*, with what was wrong at moments before it and is over.

        *steps* walks an examination and *reading* is held while the source is read: others may read in between.
        """
        from meshdoctor.guide.earlier import with_earlier
        from meshdoctor.guide.examination import Examination
        from meshdoctor.model.snapshot import Snapshot

        def examined(moment: str) -> Diagnosis:
            if moment not in self._diagnosed:
                with reading:
                    at = source.at(moment)
                    examination = Examination(at.read, Snapshot(at.info, {}), None)
                for _ in steps(examination):
                    continue
                with reading:
                    self._diagnosed[moment] = examination.diagnosis()
            return self._diagnosed[moment]

        before = [moment for moment in source.info.moments if moment < source.info.moment]
        return with_earlier(found, before, examined)


def first_pair(moments: tuple[str, ...], shown: str) -> tuple[str, str]:
    """What is compared when nobody chose: the first moment with the one that is *shown*, else with the last."""
    return (moments[0], shown) if shown in moments[1:] else (moments[0], moments[-1])


def stepped(moments: tuple[str, ...], moment: str, step: int, beyond: Callable[[str], bool]) -> str:
    """The moment *step* further than this one, over those that are *beyond*; the same where there is none."""
    place = moments.index(moment) + step
    while 0 <= place < len(moments) and beyond(moments[place]):
        place += step
    return moments[place] if 0 <= place < len(moments) else moment
