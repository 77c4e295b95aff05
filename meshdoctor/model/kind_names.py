"""What people call a kind: as kubectl takes it, in singular, plural or short, in any case."""

from __future__ import annotations

from meshdoctor.model.kinds import KINDS, Kind

# Kubernetes 1.37 (`kubectl api-resources`), Istio 1.32 (manifests/charts/base/files/crd-all.gen.yaml).
_SHORT = {
    "Pod": ("po",),
    "Service": ("svc",),
    "Event": ("ev",),
    "Node": ("no",),
    "Namespace": ("ns",),
    "ConfigMap": ("cm",),
    "ServiceAccount": ("sa",),
    "Deployment": ("deploy",),
    "ReplicaSet": ("rs",),
    "StatefulSet": ("sts",),
    "DaemonSet": ("ds",),
    "NetworkPolicy": ("netpol",),
    "VirtualService": ("vs",),
    "DestinationRule": ("dr",),
    "Gateway": ("gw",),
    "ServiceEntry": ("se",),
    "WorkloadEntry": ("we",),
    "PeerAuthentication": ("pa",),
    "AuthorizationPolicy": ("ap",),
    "RequestAuthentication": ("ra",),
    "Telemetry": ("telemetry",),
    "K8sGateway": ("gtw",),
}


def kind_called(text: str) -> Kind | None:
    """The kind that *text* names; of two groups with one name the first of `KINDS`."""
    wanted = text.casefold()
    for kind in KINDS:
        if wanted in (kind.name.casefold(), kind.resource, *_SHORT.get(kind.name, ())):
            return kind
    return None
