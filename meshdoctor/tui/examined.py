"""An opened source with all that was found in it. All of it is slow and runs in a thread, never on the event loop.

    session = ExaminedSession("shop.tar.xz", lambda: RecordingSource.open(path))
    session.examination()      # in a thread: opens, reads and indexes once; later calls wait or return at once

A `MeshIndex` grows as more is read, so only one thread may work with it: whoever does holds `session.mesh()`. What
screens get from their threads (rows, diagnoses, cases) is immutable.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, cast

from meshdoctor.errors import MeshDoctorError, NothingMatches, UsageError
from meshdoctor.tui.glance import Glance
from meshdoctor.tui.journal import note_unread
from meshdoctor.tui.look import Looking
from meshdoctor.tui.readings import RecordedReadings

if TYPE_CHECKING:
    from meshdoctor.guide.comparison import Reading
    from meshdoctor.guide.diagnosis import Diagnosis
    from meshdoctor.guide.examination import Examination
    from meshdoctor.guide.walk import Step
    from meshdoctor.mesh.index import MeshIndex
    from meshdoctor.mesh.overview import ProxyState
    from meshdoctor.mesh.question import Question
    from meshdoctor.model.snapshot import Fact, Missing, PodRef, Want
    from meshdoctor.present.words import Words
    from meshdoctor.sources.source import Source

T = TypeVar("T")


class ExaminedSession(Glance):
    """What the application looks at: a source that is opened, read and indexed in a thread when a view first asks."""

    def __init__(
        self,
        title: str,
        open_source: Callable[[], Source],
        *,
        client: str = "",
        target: str = "",
        kind: str = "recording",
        home: str = "guide",
    ) -> None:
        """*client* and *target* are the question (`--from`, `--to`); empty to look for failing traffic."""
        super().__init__(title, kind, home, asked=bool(client or target))
        self.generation = 0
        """Counts the changes of the moment: what was gathered before the last one is out of date."""
        self.looking = Looking()
        self._open = open_source
        self._client, self._target = client, target
        self._lock = threading.RLock()
        self._source: Source | None = None
        self._examination: Examination | None = None
        self._made: dict[object, object] = {}
        self._readings = RecordedReadings()

    def check(self) -> None:
        """Try whether the source answers."""

    def examination(self) -> Examination:
        """The source's examination, made once.

        Raises:
            MeshDoctorError: the source cannot be opened, or the question names nothing in it; kept as `failure`.
        """
        with self._lock:
            if self._examination is None:
                try:
                    self._examination = self._examine()
                except MeshDoctorError as error:
                    if not self.generation:  # at another moment it could be shown
                        self.failure = error
                    raise
            return self._examination

    def _examine(self) -> Examination:
        from meshdoctor.guide.examination import Examination
        from meshdoctor.mesh.question import parse_question
        from meshdoctor.model.snapshot import Snapshot

        if self._source is None:
            self._source = self._open()
        source = self._source
        self.moments, self.moment = source.info.moments, source.info.moment
        finished = source.info.finished_at
        self.captured = datetime.fromtimestamp(finished, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if finished else ""
        question: Question | None = parse_question(self._client, self._target)
        examination = Examination(source.read, Snapshot(source.info, {}), question)
        self._learn_names(examination.mesh, examination)
        self._note_unreadable(examination.mesh.snapshot.missing().values())
        return examination

    def _note_unreadable(self, missing: Iterable[Missing]) -> None:
        """What the recorder itself could not read is no trouble of this session; what is damaged is."""
        note_unread(self.journal, (fact for fact in missing if fact.reason == "unreadable"))

    def move(self, moment: str) -> None:
        """To another of the source's moments; every view gathers anew.

        Raises:
            UsageError: it is no time, or before the first moment.
        """
        from meshdoctor.sources.recording import RecordingSource

        with self._lock:
            if isinstance(self._source, RecordingSource):
                self._source = self._source.at(moment)
                self.moment = self._source.info.moment
                self._forget()

    def comparable(self, *, now: bool = False) -> tuple[str, ...]:
        """The names of the moments that can be compared, oldest first; *now*: the present is to be among them.

        Raises:
            UsageError: there are not two of them.
        """
        self.examination()
        if len(self.moments) < 2:
            raise UsageError("the recording holds just one moment", "`meshdoctor compare` takes two recordings")
        return self.moments

    def reading(self, moment: str) -> Reading:
        """All of one moment, to be compared.

        Raises:
            UsageError: it is no time, or before the first moment.
        """
        from meshdoctor.sources.recording import RecordingSource

        self.comparable()
        with self._lock:
            assert isinstance(self._source, RecordingSource)
            return self._readings.of(self._source, moment)

    def _forget(self) -> None:
        self._examination = None
        self._made.clear()
        self._states = ()
        self._failing = None
        self.judged = False
        self.generation += 1

    def _learn_names(self, mesh: MeshIndex, examination: Examination | None = None) -> None:
        from meshdoctor.tui.knownnames import known_names

        self._names = {"moment": self.moments, **known_names(mesh, examination)}

    @property
    def now(self) -> float:
        """The moment that ages count from: when the source was read, Unix seconds."""
        finished = self._source.info.finished_at if self._source else None
        return finished or time.time()

    @contextmanager
    def mesh(self, wants: Iterable[Want[Any]] = ()) -> Iterator[MeshIndex]:
        """The index, with *wants* read, for this thread alone."""
        with self._lock:
            mesh = self.examination().mesh
            lacking = mesh.snapshot.lacks(wants)
            if lacking and self._source:
                mesh.extend(self._source.read(lacking, mesh.snapshot))
                found = mesh.snapshot.missing()
                self._note_unreadable(found[want] for want in lacking if want in found)
            yield mesh

    def answer(self, want: Want[T]) -> Fact[T] | Missing:
        """The source's answer to *want* alone, without what a view of the mesh needs besides."""
        with self.mesh([want]) as mesh:
            return mesh.snapshot.get(want)

    def once(self, key: object, make: Callable[[], T]) -> T:
        """What *make* makes of the source (the rows of a large table, say), made for the first view that asks."""
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            return cast("T", self._made[key])

    def has_made(self, key: object) -> bool:
        """Whether `once` would return at once."""
        return key in self._made

    def of_case(self, name: str) -> Examination:
        """An examination of the flow that *name* names ("ns/client host:port"); of all of them when it is empty.

        Each call gives another one: the steps that one view takes are none of another's.

        Raises:
            NothingMatches: no failing flow is called so.
        """
        from meshdoctor.mesh.failing_flows import case_name

        with self._lock:
            whole = self.examination()
            if not name:
                return whole.of(whole.cases)
            cases = {case_name(case): case for case in (*whole.traffic.cases, *whole.cases)}
            if name not in cases:
                raise NothingMatches(f"no failing flow {name}", tuple(get_close_matches(name, cases, n=1, cutoff=0.3)))
            return whole.of((cases[name],))

    def steps(self, examination: Examination) -> Iterator[Step]:
        """The steps of *examination*; other threads may read between two of them."""
        steps = examination.steps()
        while True:
            with self._lock:
                step = next(steps, None)
            if step is None:
                return
            yield step

    def with_earlier(self, found: Diagnosis) -> Diagnosis:
        """*found*, with what was wrong at earlier moments of the recording and is over, as `diagnose` tells it."""
        from meshdoctor.sources.recording import RecordingSource

        source = self._source
        if not isinstance(source, RecordingSource) or not source.info.moments:
            return found
        return self._readings.with_earlier(found, source, self.steps, self._lock)

    def judge(self, words: Words, is_left: Callable[[], bool]) -> None:
        """Walk the flowchart for the header, unless a view has done so; *is_left*: whether nobody needs it any more.

        Raises:
            MeshDoctorError: the source cannot be examined.
        """
        generation = self.generation
        examination = self.of_case("")
        if not examination.cases and not examination.traffic.seen:
            self.judged = True  # nobody saw a request; what else a diagnosis tells of dumps alone takes long
            return
        for _ in self.steps(examination):
            if self.judged or generation != self.generation or is_left():
                return
        with self._lock:
            found = examination.diagnosis()
            if generation == self.generation:
                self.note(found, words, whole=True)

    def spared(self, mesh: MeshIndex, wants: Iterable[Want[Any]], client: str, target: str = "") -> list[Want[Any]]:
        """*wants* for a view of *client* (namespace or workload) and *target*; not of all pods of a large cluster."""
        return list(wants)

    def overview(self, words: Words, in_sight: Sequence[PodRef] | None = None) -> tuple[ProxyState, ...]:
        """Every proxy, problems first; the header's counts are theirs from then on.

        *in_sight*: the proxies of which more is shown than istiod knows; for where asking all would be too much.
        """
        from meshdoctor.mesh.overview import OVERVIEW_OBJECTS, overview, overview_wants
        from meshdoctor.present.mesh_rows import state_counts

        with self._lock:
            with self.mesh(OVERVIEW_OBJECTS) as mesh:
                wants = overview_wants(mesh.inventory)
            with self.mesh(wants) as mesh:
                found = overview(mesh, self.now)
        self._states = state_counts(found, words)
        return found

    def pod(self, name: str) -> PodRef:
        """The pod of a proxy by its name; of a workload the first one.

        Raises:
            NothingMatches: nothing was recorded of such a proxy.
        """
        return self.pods(name)[0]

    def pods(self, name: str) -> tuple[PodRef, ...]:
        """The pods with a proxy that *name* means: the pod `namespace/name`, or a workload's as `mesh.named` reads it.

        Raises:
            NothingMatches: nothing was recorded of such a proxy.
        """
        from meshdoctor.mesh.named import named, near_names
        from meshdoctor.model import wants as ask
        from meshdoctor.model.snapshot import PodRef

        namespace, _, pod = name.partition("/")
        ref = PodRef(namespace, pod)
        with self._lock, self.mesh([ask.Contents()]) as mesh:
            known = mesh.inventory.proxies
        if ref in known:
            return (ref,)
        kinds = ("Pod", "ReplicaSet", "Service")
        with self._lock, self.mesh([ask.Objects(kind) for kind in kinds]) as mesh:
            refs = tuple(sorted({ref for one in named(mesh, name) for ref in one.pods if ref in known}, key=str))
            near = near_names(mesh, name) if not refs else ()
        if not refs:
            raise NothingMatches(self._no_proxy(name), near)
        return refs

    def _no_proxy(self, name: str) -> str:
        return f"nothing was recorded of a proxy {name}"
