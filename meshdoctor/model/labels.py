"""Labels and annotations that more than one module reads (istio.io/api/label and annotation, 1.32), and selectors."""

from __future__ import annotations

from collections.abc import Mapping

REVISION = "istio.io/rev"
"""The revision that a namespace or pod asks for, and the one that an istiod or webhook is of."""
DATAPLANE_MODE = "istio.io/dataplane-mode"
"""`ambient` or `none`, of a namespace or pod."""
REDIRECTION = "ambient.istio.io/redirection"
"""The annotation by which istio-cni says that a pod's traffic goes through ztunnel."""
INJECTION = "istio-injection"
"""`enabled` or `disabled`, of a namespace."""
INJECT = "sidecar.istio.io/inject"
"""`true` or `false`, of a pod."""
TLS_MODE = "security.istio.io/tlsMode"
"""The label that the injector writes; istiod believes it, not the containers (`pkg/config/constants`)."""
GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
"""The Gateway (Gateway API) that a pod was deployed for, waypoints among them."""
USE_WAYPOINT = "istio.io/use-waypoint"
"""The waypoint of a Service, pod or namespace; `none` opts out."""
USE_WAYPOINT_NAMESPACE = "istio.io/use-waypoint-namespace"
ISTIOD = {"app": "istiod"}
"""The labels of istiod's pods, of any revision (manifests/charts/istio-control)."""


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether *labels* carry everything that *selector* asks for; an empty selector asks for nothing: it takes all.

    So the selectors of Istio's objects and `metav1.LabelSelector` are read.
    """
    return selector.items() <= labels.items()


def selects_some(selector: Mapping[str, str] | None, labels: Mapping[str, str]) -> bool:
    """As `selects`, but an empty selector takes nothing: so a Kubernetes Service's is read."""
    return bool(selector) and selects(selector or {}, labels)
