"""Which revision of Istio a pod was injected by, and which one its namespace asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from meshdoctor.model.kubernetes import Namespace, Pod, WebhookConfiguration
from meshdoctor.model.labels import INJECTION, REVISION

TAG = "istio.io/tag"
_STATUS = "sidecar.istio.io/status"
_RELEASE = re.compile(r"(\d+)\.(\d+)")


class Revisions(NamedTuple):
    """Revision tags and what namespaces ask for; *pods_known* is False when the pods could not be read."""

    tags: Mapping[str, str] = {}
    namespaces: Mapping[str, Mapping[str, str]] = {}
    pods_known: bool = True
    external: bool = False
    """Whether an istiod outside the cluster injects: its webhook is called by URL, not by Service."""

    def resolve(self, name: str) -> str:
        """The revision that a tag stands for; a name that is no tag is a revision."""
        return self.tags.get(name, name)

    def wanted(self, pod: Pod) -> str:
        """The revision or tag that pod and namespace ask for; "" when nothing asks for injection."""
        labels = self.namespaces.get(pod.namespace, {})
        if labels.get(INJECTION) == "enabled":  # it wins over the namespace's revision label
            return "default"
        return pod.metadata.labels.get(REVISION) or labels.get(REVISION, "")


def revisions(
    webhooks: Iterable[WebhookConfiguration], namespaces: Iterable[Namespace], *, pods_known: bool = True
) -> Revisions:
    """Tags are injection webhooks with the label `istio.io/tag` (operator/cmd, tag set)."""
    tags = {}
    external = False
    for webhook in webhooks:
        labels = webhook.metadata.labels
        by_url = any((entry.get("clientConfig") or {}).get("url") for entry in webhook.webhooks)
        external = external or (by_url and REVISION in labels)
        if labels.get(TAG) and labels.get(REVISION):
            tags[labels[TAG]] = labels[REVISION]
    return Revisions(tags, {entry.name: entry.metadata.labels for entry in namespaces}, pods_known, external)


def injected_revision(pod: Pod) -> str:
    """The revision whose webhook added the proxy, from the annotations that it leaves; "" when it left none."""
    status = pod.metadata.annotations.get(_STATUS, "")
    try:
        found = json.loads(status).get("revision") if status else ""
    except (ValueError, AttributeError):
        found = ""
    return str(found or pod.metadata.annotations.get(REVISION, ""))


def release(version: str) -> tuple[int, int] | None:
    """`(1, 29)` of `1.29.0-alpha`; None when it is no version."""
    match = _RELEASE.match(version)
    return (int(match[1]), int(match[2])) if match else None
