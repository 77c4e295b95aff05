"""An opened source with all that was found in it. All of it is slow and runs in a thread, never on the event loop.

    session = ExaminedSession("shop.tar.xz", lambda: RecordingSource.open(path))
    session.examination()      # in a thread: opens, reads and indexes once; later calls wait or return at once

A `MeshIndex` grows as more is read, so only one thread may work with it: whoever does holds `session.mesh()`. What
screens get from their threads (rows, diagnoses, cases) is immutable.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, cast

from meshdoctor.errors import MeshDoctorError, NothingMatches
from meshdoctor.tui.journal import Journal
from meshdoctor.tui.look import Look, Looking

if TYPE_CHECKING:
    from rich.text import Text

    from meshdoctor.guide.diagnosis import Diagnosis
    from meshdoctor.guide.examination import Examination
    from meshdoctor.guide.walk import Step
    from meshdoctor.mesh.index import MeshIndex
    from meshdoctor.mesh.overview import ProxyState
    from meshdoctor.mesh.question import Question
    from meshdoctor.model.snapshot import Fact, Missing, PodRef, Want
    from meshdoctor.present.words import Words
    from meshdoctor.sources.source import Source
    from meshdoctor.tui.router import Location

T = TypeVar("T")


class ExaminedSession:
    """What the application looks at: a source that is opened, read and indexed in a thread when a view first asks."""

    live = False
    """Whether there are ever news of it."""

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
        self.title = title
        self.source = kind
        self.captured = ""
        self._states: Sequence[Text] = ()
        self._failing: Text | None = None
        self.home = home
        self.asked = bool(client or target)
        self.failure: MeshDoctorError | None = None
        """Why nothing can be shown at all; the command says it when the application has left the terminal."""
        self.moments: tuple[str, ...] = ()
        """The moments that the source holds, oldest first, when it holds several; `moment` is the one in sight."""
        self.moment = ""
        self.generation = 0
        """Counts the changes of the moment: what was gathered before the last one is out of date."""
        self.looking = Looking()
        self.journal = Journal(self.clock)
        self._open = open_source
        self._client, self._target = client, target
        self._lock = threading.RLock()
        self._source: Source | None = None
        self._examination: Examination | None = None
        self._names: Mapping[str, Sequence[str]] = {}
        self._made: dict[object, object] = {}

    def names(self, route: str) -> Sequence[str]:
        """What the argument of *route* can be; nothing before the source was read."""
        return self._names.get(route, ())

    @property
    def key_scopes(self) -> tuple[str, ...]:
        """Whose keys work in every view, because of what the source is."""
        return ("moments",) if len(self.moments) > 1 else ()

    @property
    def counts(self) -> Sequence[Text]:
        """Whether requests fail now, as far as a diagnosis said so, and how the proxies are."""
        return self._states if self._failing is None else (self._failing, *self._states)

    def note(self, diagnosis: Diagnosis, words: Words, *, whole: bool) -> None:
        """Keep for every view's header whether requests fail; only of the *whole* mesh can it be said that none do."""
        from rich.text import Text

        from meshdoctor.guide.diagnosis import FAILING

        if diagnosis.now == FAILING:
            self._failing = Text(words("guide.now_failing"), "severity.high")
        elif whole:
            self._failing = None

    @property
    def elsewhere(self) -> str:
        """Where kubectl looks by now, when that is not what is shown; else empty."""
        return ""

    def freshness(
        self,
        words: Words,
        look: Look | None = None,
        reading_since: float | None = None,
        failing_since: float | None = None,
    ) -> str | Text:
        """When the facts of *look* were read, for the header; what is read or cannot be read since when."""
        if len(self.moments) > 1:
            number = self.moments.index(self.moment) + 1
            return words("shell.moment", number=number, count=len(self.moments), moment=self.moment)
        return words("shell.captured", when=self.captured) if self.captured else ""

    def clock(self) -> float:
        """Unix seconds, as every look is timed."""
        return time.time()

    changes = 0
    """Counts the news that came by themselves."""

    def refreshes(self, location: Location) -> bool:
        """Whether this view is kept up to date."""
        return False

    def due(self, location: Location, look: Look | None, changes: int, *, empty: bool) -> bool:
        """Whether a view that was gathered by *look* is to be gathered again; *empty*: it has nothing to show."""
        return False

    def follow(self, look: Look) -> None:
        """Have news told of what *look* used."""

    def check(self) -> None:
        """Try whether the source answers."""

    @property
    def troubled(self) -> bool:
        """Whether the source does not answer."""
        return False

    def close(self) -> None:
        """The application ends: whoever still reads is to stop."""

    # In a thread.

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
        return examination

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

    def _forget(self) -> None:
        self._examination = None
        self._made.clear()
        self._states = ()
        self._failing = None
        self.generation += 1

    def _learn_names(self, mesh: MeshIndex, examination: Examination | None = None) -> None:
        from meshdoctor.mesh.failing_flows import case_name
        from meshdoctor.model.kinds import BY_NAME

        inventory = mesh.inventory
        objects = [
            f"{kind} {one.namespace}/{one.name}" if one.namespace else f"{kind} {one.name}"
            for kind in inventory.kinds
            if kind in BY_NAME
            for one in mesh.objects(kind, BY_NAME[kind].struct)
        ]
        self._names = {
            "guide": [case_name(case) for case in (*examination.cases, *examination.traffic.cases)]
            if examination
            else [],
            "moment": self.moments,
            "proxy": [str(pod) for pod in inventory.proxies],
            "log": [f"{log.pod} {log.container}{' previous' if log.previous else ''}" for log in inventory.logs],
            "object": objects,
            **_mesh_names(mesh),
        }

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


def _mesh_names(mesh: MeshIndex) -> Mapping[str, Sequence[str]]:
    """Who calls and what is called, for commands that name both."""
    workloads = sorted({str(workload) for workload in mesh.workloads})
    services = sorted(
        (service.namespace, service.name, port.port)
        for service in mesh.services.values()
        for port in service.spec.ports
    )
    return {
        "workload": workloads,
        "client": [*sorted({name.partition("/")[0] for name in workloads}), *workloads],
        "host": [f"{name}.{namespace}:{port}" for namespace, name, port in services],
    }
