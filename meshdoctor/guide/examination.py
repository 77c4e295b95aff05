"""One examination of a mesh: read the traffic, make the cases, walk the flowchart for each, conclude."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from functools import cached_property
from typing import Any

from msgspec.structs import replace

from meshdoctor.guide.diagnosis import Diagnosis, NotChecked, Witness, conclude
from meshdoctor.guide.standing import empty_clusters
from meshdoctor.guide.walk import Reader, Step, walk
from meshdoctor.mesh.ambient import is_ztunnel
from meshdoctor.mesh.case import Case, requests
from meshdoctor.mesh.flows import Flows
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.logs import access_logs
from meshdoctor.mesh.question import Question, cases_of
from meshdoctor.mesh.quoting import counted
from meshdoctor.mesh.sample import sample
from meshdoctor.model import wants as ask
from meshdoctor.model.kinds import KINDS
from meshdoctor.model.pods import PROXY_CONTAINER
from meshdoctor.model.snapshot import Snapshot, Want


def _log(mesh: MeshIndex, log: ask.LogRef) -> Want[Any]:
    """What a container's log is read as: a ztunnel's container is called istio-proxy too, and writes its own format."""
    if log.container != PROXY_CONTAINER:
        return ask.ApplicationLog(log)
    return ask.ZtunnelAccessLog(log) if is_ztunnel(mesh, log.pod) else ask.AccessLog(log)


class Examination:
    """Reads through *read* (a source's `read`) what is wanted, when it is wanted; `steps` runs the flowchart.

    *most* pods are looked at before anything is known of the failure, where a source cannot read them all in time; a
    probe reads what else it wants. Raises `NothingMatches` when *question* names nothing in the source.
    """

    def __init__(
        self, read: Reader, snapshot: Snapshot, question: Question | None = None, *, most: int | None = None
    ) -> None:
        self._read = read
        self.question = question
        snapshot = read([ask.Contents(), ask.Mesh(), *(ask.Objects(kind.name) for kind in KINDS)], snapshot)
        inventory = snapshot.value(ask.Contents()) or ask.Inventory()
        self.mesh = MeshIndex(snapshot)
        self.sample = sample(self.mesh, question, most) if most else None
        """The pods that were looked at; None: all."""
        proxies = [pod for pod in inventory.proxies if self.sample is None or pod in self.sample]
        wants: list[Want[Any]] = [ask.SyncStatus(istiod) for istiod in inventory.istiods]
        wants += [ask.ProxyServerInfo(pod) for pod in proxies]
        wants += [_log(self.mesh, log) for log in inventory.logs if self.sample is None or log.pod in self.sample]
        self.mesh.extend(read(wants, snapshot))
        # Counters are asked for only where no log speaks: a proxy's admin endpoint is not to be kept busy.
        quiet = [pod for pod in proxies if not any(fact.value.lines for _, fact in access_logs(self.mesh, pod))]
        counters: list[Want[Any]] = [want for pod in quiet for want in (ask.ProxyClusters(pod), ask.ProxyMetrics(pod))]
        self.mesh.extend(read(counters, self.mesh.snapshot))
        self.traffic = self.mesh.derived(Flows)
        self.taken: list[Step] = []

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """The cases of the question, or every flow that fails."""
        return cases_of(self.mesh, self.question) if self.question else self.traffic.cases

    def of(self, cases: Iterable[Case]) -> Examination:
        """The same facts, for these cases only; the steps of the two are apart."""
        found = copy(self)
        found.__dict__["cases"] = tuple(cases)  # in the place of the cached property
        found.taken = []
        return found

    def steps(self) -> Iterator[Step]:
        """Every step of every case as it is taken; they are kept for `diagnosis`."""
        self.taken = []
        for case in self.cases:
            for step in walk(case, self.mesh, self._read):
                self.taken.append(step)
                yield step

    def diagnosis(self) -> Diagnosis:
        """What the steps taken so far amount to."""
        standing = () if self.traffic.seen else empty_clusters(self.mesh, self._read)
        found = conclude(self.mesh.snapshot, self.question, self.cases, self.taken, self.witness)
        besides = (*standing, *self._not_sampled())
        return replace(found, not_checked=(*besides, *found.not_checked)) if besides else found

    def _not_sampled(self) -> Iterator[NotChecked]:
        if self.sample is not None:
            why = f"read of {len(self.sample):,} pods, some of each workload: name who is meant with --from and --to"
            yield NotChecked("logs", why)

    @cached_property
    def witness(self) -> Witness:
        """What the traffic says of what was asked: of the question's flows, or of all of them."""
        seen = [one for case in self.cases for one in case.seen] if self.question else self.traffic.seen
        asked = {id(one) for one in seen}
        others = [case for case in self.traffic.cases if not any(id(one) in asked for one in case.seen)]
        elsewhere = [f"{case.client or 'somebody'} -> {case.destination}" for case in others] if self.question else []
        return Witness(requests(one for one in seen if not one.failed), self.unseen, tuple(dict.fromkeys(elsewhere)))

    @cached_property
    def unseen(self) -> tuple[str, ...]:
        """The sources of traffic that were not there, or told nothing."""
        seen = self.traffic.seen
        found = [f"{kind}s" for kind in ("Pod", "Service") if not self.mesh.known(kind)]
        if not any(entry.access or entry.tunnel for entry in seen) and not self.mesh.inventory.ztunnels:
            found.append("access logs of the proxies")
        if not any(entry.call for entry in seen):
            found.append("what the applications saw of their own calls")
        if self.sample is not None and self.question is None:
            found.append(f"the logs of all but {len(self.sample):,} pods")
        cut = self.mesh.snapshot.cut_files()
        if cut:
            found.append(f"the older lines of {counted(len(cut), 'log')}")
        return tuple(found)
