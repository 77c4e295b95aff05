"""Wants that pods answer: each pod is visited once for everything that is wanted of it, many pods at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec

from meshdoctor.kube.connection import Connection
from meshdoctor.kube.envoy_admin import SIZE_TARGETS, read_clusters, read_config_dump
from meshdoctor.kube.errors import ClusterError, Forbidden
from meshdoctor.kube.exec_fallback import exec_get
from meshdoctor.kube.fanout import Heard, Job, Unread, fan_out
from meshdoctor.kube.podhttp import PodHttp, PodVisit
from meshdoctor.kube.reads import AdminRead, admin_read
from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import Fact, Missing, PodRef, Want
from meshdoctor.sources.live_files import PROXY_FILES, sent_file
from meshdoctor.sources.live_lists import missing
from meshdoctor.sources.live_pods import (
    MeshPods,
    admin_port,
    is_sidecar,
    memory_limit,
    monitoring_port,
    not_started,
    why_not_asked,
)

Answers = dict[Want[Any], Fact[Any] | Missing]
Decode = Callable[[Want[Any], str, bytes], Fact[Any] | Missing]

_OF_ISTIOD = ask.SyncStatus | ask.Registry | ask.ControlPlaneVersion | ask.SentConfig


def place(want: Any, pods: MeshPods) -> PodRef:
    """The pod that answers *want*."""
    if isinstance(want, _OF_ISTIOD):
        pod = pods.istiods.get(want.istiod)
        return PodRef(pod.namespace, pod.name) if pod else PodRef("", want.istiod)
    return cast(PodRef, want.pod)


class PodVisits:
    """Visits pods through port-forward, or by exec where that alone is allowed."""

    def __init__(self, connection: Connection, *, allow_exec: bool, decode: Decode) -> None:
        self._connection = connection
        self._pods = PodHttp(connection)
        self._allow_exec = allow_exec
        self._decode = decode

    async def mesh_config(self, pods: MeshPods) -> bytes | ClusterError:
        """`/debug/mesh` of the first istiod that answers; all have the same."""
        none = f"no istiod is known: pods were listed {pods.part}" if pods.part else "no istiod is running"
        problem = ClusterError(none, "see the pods with the label app=istiod")
        for pod in pods.istiods.values():
            try:
                async with self._pods.visit(PodRef(pod.namespace, pod.name)) as visit:
                    deadline = self._connection.settings.fan_out.deadline
                    return await self._istiod(visit, "/debug/mesh", deadline, monitoring_port(pod))
            except ClusterError as error:
                problem = error
        return problem

    async def read(self, by_pod: dict[PodRef, list[Want[Any]]], pods: MeshPods, answers: Answers) -> None:
        """Everything in *by_pod*, into *answers*."""
        jobs = []
        small = quick = True
        for ref, wants in by_pod.items():
            pod = pods.all.get(ref)
            if pod is None:
                answers.update(dict.fromkeys(wants, pods.absent(ref)))
                continue
            if (ref in pods.proxies or ref in pods.ztunnels) and (why := not_started(pod)):
                reads = ((want, self._admin_read(want, pods)) for want in wants)
                answers.update({want: Missing("failed", why, _file(read, ref) if read else "") for want, read in reads})
                continue
            jobs.append(Job(ref, pod.spec.node_name))
            small = small and all(self._is_small(want, pods) for want in wants)
            quick = quick and self._answers_at_once(wants[0], pods)

        async def visit(ref: PodRef, heard: Heard) -> None:
            async with self._pods.visit(ref) as opened:
                for want in by_pod[ref]:
                    await self._ask(want, opened, pods, answers, heard)

        limits = self._connection.settings.fan_out
        if not small:
            deadline = max(limits.deadline, 2 * limits.dump_deadline)
            floor = limits.dump_straggler_floor if quick else deadline
            limits = msgspec.structs.replace(limits, deadline=deadline, straggler_floor=floor)
        for result in await fan_out(jobs, visit, limits):
            if isinstance(result, Unread):
                reason = "failed" if result.reason in ("busy", "node") else result.reason
                for want in by_pod[result.pod]:
                    answers.setdefault(want, Missing(reason, result.detail))

    def _is_small(self, want: Want[Any], pods: MeshPods) -> bool:
        read = self._admin_read(want, pods)
        return isinstance(want, ask.SyncStatus | ask.ControlPlaneVersion) or (read is not None and read.small)

    def _answers_at_once(self, want: Want[Any], pods: MeshPods) -> bool:
        """Whether the first answer to *want* is a small one: what is read in parts is asked for its size before."""
        read = self._admin_read(want, pods)
        return self._is_small(want, pods) or (read is not None and read.parts and read.role == "envoy")

    def _admin_read(self, want: Any, pods: MeshPods) -> AdminRead | None:
        file = want.file if isinstance(want, ask.ProxyBody) else PROXY_FILES.get(type(want), "")
        pod = getattr(want, "pod", None)
        return admin_read("ztunnel" if pod in pods.ztunnels else "envoy", file)

    async def _ask(self, want: Any, visit: PodVisit, pods: MeshPods, answers: Answers, heard: Heard) -> None:
        """One want of one pod. Raises ClusterError when nothing else of the pod can be read either."""
        pod = visit.pod
        if isinstance(want, _OF_ISTIOD):
            await self._ask_istiod(want, visit, pods, answers)
            heard()
            return
        read = self._admin_read(want, pods)
        if read is None:
            answers[want] = Missing("not recorded", "this file is not read of a live proxy")
            return
        file = _file(read, pod)
        limits = self._connection.settings.fan_out
        port = self._connection.settings.admin_port or (admin_port(pods.all[pod]) if read.role == "envoy" else None)

        by_exec = False

        async def get(target: str) -> bytes:
            body = await get_either_way(target)
            heard()
            return body

        async def get_either_way(target: str) -> bytes:
            nonlocal by_exec
            # How large a proxy is, it tells at once: one that is stuck is not waited for as for a dump.
            small = read.small or target.startswith(SIZE_TARGETS)
            deadline = limits.deadline if small else limits.dump_deadline
            if not by_exec:
                try:
                    return await visit.get(read.role, target, deadline=deadline, port=port, statuses=read.statuses)
                except Forbidden:
                    if not self._allow_exec or read.role != "envoy":
                        raise
                    by_exec = True  # the parts of a big answer need not be refused one by one
            return await exec_get(self._connection, pod, target, deadline=deadline, statuses=read.statuses)

        try:
            if read.parts and read.role == "envoy":
                whole = read_clusters if read.file == "clusters.json" else read_config_dump
                body = await whole(get, memory_limit(pods.all[pod]))
            else:
                body = await get(read.target)
        except ClusterError as error:
            answers[want] = missing(error, file)
            if answers[want].reason in ("forbidden", "not logged in", "timeout", "no such pod"):  # type: ignore[union-attr]
                raise
            return
        answers[want] = self._decode(want, file, body)

    async def _ask_istiod(self, want: Any, visit: PodVisit, pods: MeshPods, answers: Answers) -> None:
        path = {ask.SyncStatus: "debug/syncz", ask.Registry: "debug/registryz"}.get(type(want), "version")
        pod = pods.istiods.get(visit.pod.name)
        file = f"istiod/{visit.pod.name}/{path.removeprefix('debug/')}.json"
        if pod is None:
            answers[want] = Missing("no such pod", f"{visit.pod} is no running istiod", file)
            return
        deadline = self._connection.settings.fan_out.deadline
        query = ""
        if isinstance(want, ask.SentConfig):
            path = "debug/config_dump"
            file = sent_file(visit.pod.name, want.pod)
            asked = pods.all.get(want.pod)
            if asked is None or not is_sidecar(asked):
                # istiod 1.27.1 gave gateways redacted keys after it was asked about them (istio#57789).
                answers[want] = Missing("not asked for", "istiod is asked this about sidecars only", file)
                return
            others = (f"{ref.name}.{ref.namespace}" for ref in pods.proxies)
            if why := why_not_asked(f"{want.pod.name}.{want.pod.namespace}", others):
                answers[want] = Missing("not asked for", why, file)
                return
            query = f"?proxyID={want.pod.name}.{want.pod.namespace}&include_eds=true"
            deadline = self._connection.settings.fan_out.dump_deadline
        try:
            body = await self._istiod(visit, f"/{path}{query}", deadline, monitoring_port(pod))
        except ClusterError as error:
            answers[want] = missing(error, file)
            return
        answers[want] = self._decode(want, file, body)

    async def _istiod(self, visit: PodVisit, target: str, deadline: float, port: int) -> bytes:
        """GET of an istiod; by exec where port-forward is forbidden and exec allowed. Raises ClusterError."""
        try:
            return await visit.get("istiod", target, deadline=deadline, port=port)
        except Forbidden:
            if not self._allow_exec:
                raise
            return await exec_get(self._connection, visit.pod, target, deadline=deadline, role="istiod")


def _file(read: AdminRead, pod: PodRef) -> str:
    """The name that its answer has in a recording."""
    return f"{'ztunnel' if read.role == 'ztunnel' else 'envoy'}/{pod.namespace}/{pod.name}/{read.file}"
