"""Every kind that is read: where the API serves it and which struct decodes it."""

from __future__ import annotations

from typing import NamedTuple

from meshdoctor.model import istio, kubernetes
from meshdoctor.model.meta import Object


class Kind(NamedTuple):
    """One kind: API *group* ("" is core), newest *version* read, plural *resource*, and the *struct* of an object."""

    name: str
    group: str
    version: str
    resource: str
    struct: type[Object]
    namespaced: bool = True

    @property
    def file(self) -> str:
        """The file of a recording that lists the objects of this version (`kube/apps/v1/deployments.json`)."""
        return f"{ROOM}{self.group or 'core'}/{self.version}/{self.resource}.json"


ROOM = "kube/"
"""Where a recording has the lists of objects."""
_K, _I, _G = kubernetes, istio, istio.GenericObject
KINDS: tuple[Kind, ...] = (
    Kind("Pod", "", "v1", "pods", _K.Pod),
    Kind("Service", "", "v1", "services", _K.Service),
    Kind("Event", "", "v1", "events", _K.Event),
    Kind("Node", "", "v1", "nodes", _K.Node, False),
    Kind("Namespace", "", "v1", "namespaces", _K.Namespace, False),
    Kind("ConfigMap", "", "v1", "configmaps", _K.ConfigMap),
    Kind("ServiceAccount", "", "v1", "serviceaccounts", _K.ServiceAccount),
    Kind("EndpointSlice", "discovery.k8s.io", "v1", "endpointslices", _K.EndpointSlice),
    Kind("Deployment", "apps", "v1", "deployments", _K.Workload),
    Kind("ReplicaSet", "apps", "v1", "replicasets", _K.Workload),
    Kind("StatefulSet", "apps", "v1", "statefulsets", _K.Workload),
    Kind("DaemonSet", "apps", "v1", "daemonsets", _K.Workload),
    Kind("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies", _K.NetworkPolicy),
    Kind(
        "MutatingWebhookConfiguration",
        "admissionregistration.k8s.io",
        "v1",
        "mutatingwebhookconfigurations",
        _K.WebhookConfiguration,
        False,
    ),
    Kind("VirtualService", "networking.istio.io", "v1", "virtualservices", _I.VirtualService),
    Kind("DestinationRule", "networking.istio.io", "v1", "destinationrules", _I.DestinationRule),
    Kind("Gateway", "networking.istio.io", "v1", "gateways", _I.Gateway),
    Kind("ServiceEntry", "networking.istio.io", "v1", "serviceentries", _I.ServiceEntry),
    Kind("WorkloadEntry", "networking.istio.io", "v1", "workloadentries", _I.WorkloadEntry),
    Kind("Sidecar", "networking.istio.io", "v1", "sidecars", _I.Sidecar),
    Kind("EnvoyFilter", "networking.istio.io", "v1alpha3", "envoyfilters", _G),
    Kind("ProxyConfig", "networking.istio.io", "v1beta1", "proxyconfigs", _G),
    Kind("PeerAuthentication", "security.istio.io", "v1", "peerauthentications", _I.PeerAuthentication),
    Kind("AuthorizationPolicy", "security.istio.io", "v1", "authorizationpolicies", _I.AuthorizationPolicy),
    Kind("RequestAuthentication", "security.istio.io", "v1", "requestauthentications", _I.RequestAuthentication),
    Kind("Telemetry", "telemetry.istio.io", "v1", "telemetries", _G),
    Kind("WasmPlugin", "extensions.istio.io", "v1alpha1", "wasmplugins", _G),
    Kind("K8sGateway", "gateway.networking.k8s.io", "v1", "gateways", _G),
    Kind("HTTPRoute", "gateway.networking.k8s.io", "v1", "httproutes", _G),
    Kind("GRPCRoute", "gateway.networking.k8s.io", "v1", "grpcroutes", _G),
)
BY_NAME = {kind.name: kind for kind in KINDS}
_BY_PLACE = {(kind.group or "core", f"{kind.resource}.json"): kind for kind in KINDS}


def kind_of_file(file: str) -> Kind | None:
    """The kind whose objects *file* of a recording lists, in any version or without one; None where it is no list that
    is read.
    """
    if not file.startswith(ROOM):
        return None
    _, group, *version, resource = file.split("/") if file.count("/") > 1 else ("", "", "")
    return _BY_PLACE.get((group, resource)) if len(version) < 2 else None
