"""Every proxy that a source knows of, with its sync state: the facts of an index put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meshdoctor.mesh.connections import IstiodFacts
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.revisions import revisions
from meshdoctor.mesh.sync import ZTUNNEL, ProxySync, sync_status
from meshdoctor.model import wants as ask
from meshdoctor.model.istio import WorkloadEntry
from meshdoctor.model.kubernetes import Namespace, Pod, WebhookConfiguration
from meshdoctor.model.labels import REVISION
from meshdoctor.model.snapshot import Missing, Want

PROXY_OBJECTS: tuple[Want[Any], ...] = (
    ask.Contents(),
    *(ask.Objects(kind) for kind in ("Pod", "Namespace", "MutatingWebhookConfiguration", "WorkloadEntry")),
)
"""What `proxies` needs of the cluster's objects."""


def istiod_wants(inventory: ask.Inventory) -> tuple[Want[Any], ...]:
    """What `istiods` needs of each istiod."""
    return tuple(want for name in inventory.istiods for want in (ask.SyncStatus(name), ask.ControlPlaneVersion(name)))


def istiods(mesh: MeshIndex) -> list[IstiodFacts]:
    """Every istiod that the source has, with its answer or the reason why there is none."""
    pods = {pod.name: pod for pod in mesh.objects("Pod", Pod)}
    found = []
    for name in mesh.inventory.istiods:
        records = mesh.snapshot.get(ask.SyncStatus(name))
        version = mesh.snapshot.value(ask.ControlPlaneVersion(name)) or _image_version(pods.get(name))
        revision = pods[name].metadata.labels.get(REVISION, "") if name in pods else ""
        if isinstance(records, Missing):
            found.append(IstiodFacts(name, None, revision, version, str(records)))
        else:
            found.append(IstiodFacts(name, records.value, revision, version))
    return found


def _image_version(pod: Pod | None) -> str:
    """The tag of istiod's image, where its own word is not known; "" for a digest."""
    image = next((entry.image for entry in pod.spec.containers if entry.name == "discovery"), "") if pod else ""
    return "" if "@" in image else image.rpartition("/")[2].partition(":")[2]


def proxies(mesh: MeshIndex, now: float, known: Sequence[IstiodFacts] | None = None) -> tuple[ProxySync, ...]:
    """Every proxy by name; *now* in Unix seconds. *known*: the istiods to go by, all of the mesh without it."""
    inventory = mesh.inventory
    return sync_status(
        istiods(mesh) if known is None else known,
        mesh.objects("Pod", Pod),
        revisions(
            mesh.objects("MutatingWebhookConfiguration", WebhookConfiguration),
            mesh.objects("Namespace", Namespace),
            pods_known=mesh.known("Pod"),
        ),
        now,
        dict.fromkeys(inventory.proxies, "proxy") | dict.fromkeys(inventory.ztunnels, ZTUNNEL),
        mesh.objects("WorkloadEntry", WorkloadEntry),
    )
