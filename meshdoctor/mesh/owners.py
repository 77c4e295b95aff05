"""Which workload owns a pod, told by owner references or, for a pod that is gone, by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.meta import Meta, OwnerReference
from meshdoctor.model.snapshot import PodRef

# NAME-<pod template hash>-<5 random characters> of a Deployment's pod; Kubernetes uses these letters only
# (k8s.io/apimachinery/pkg/util/rand), so that a name that merely ends in two words does not match.
_DEPLOYMENT_POD = re.compile(r"^(?P<name>.+)-[bcdfghjklmnpqrstvwxz2456789]{1,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$")
_HASH_LABEL = "pod-template-hash"


class Workload(NamedTuple):
    """What owns a pod: `str()` is `namespace/name`, as a question names it."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Owners:
    """Pods and ReplicaSets, asked who owns them."""

    def __init__(self, pods: Mapping[PodRef, k8s.Pod], replica_sets: Iterable[k8s.Workload]) -> None:
        self._pods = pods
        self._replica_sets = {PodRef(one.namespace, one.name): one for one in replica_sets}

    def of(self, ref: PodRef) -> Workload:
        """The workload of a pod, also of one that exists no more."""
        pod = self._pods.get(ref)
        owner = _controller(pod.metadata) if pod else None
        if pod is None or owner is None:
            return self._by_name(ref)
        if owner.kind == "ReplicaSet":
            replica_set = self._replica_sets.get(PodRef(ref.namespace, owner.name))
            above = _controller(replica_set.metadata) if replica_set else None
            if above:
                return Workload(above.kind, ref.namespace, above.name)
            template_hash = pod.metadata.labels.get(_HASH_LABEL, "")
            if template_hash and owner.name.endswith(f"-{template_hash}"):
                return Workload("Deployment", ref.namespace, owner.name.removesuffix(f"-{template_hash}"))
        return Workload(owner.kind, ref.namespace, owner.name)

    def _by_name(self, ref: PodRef) -> Workload:
        stem = ref.name.rpartition("-")[0]
        replica_set = self._replica_sets.get(PodRef(ref.namespace, stem))
        if replica_set:
            above = _controller(replica_set.metadata)
            return Workload(above.kind if above else "ReplicaSet", ref.namespace, above.name if above else stem)
        match = _DEPLOYMENT_POD.match(ref.name)
        return Workload("Deployment" if match else "Pod", ref.namespace, match["name"] if match else ref.name)


def _controller(metadata: Meta) -> OwnerReference | None:
    return next((owner for owner in metadata.owner_references if owner.controller), None)
