"""Which hosts a Gateway of Istio's takes, which pods it configures, and which VirtualServices are bound to it.

Rules of istiod 1.32: `pilot/pkg/model/push_context.go` (mergeGateways) and `gateway.go` (sanitizeServerHostNamespace);
only proxies of the type `router` are given Gateways (`pilot/pkg/xds`). The Gateways of the Gateway API are other
objects.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshdoctor.mesh.hosts import subset_of
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model.istio import Gateway, VirtualService
from meshdoctor.model.labels import selects
from meshdoctor.model.snapshot import PodRef


def serves(hosts: Iterable[str], host: str) -> bool:
    """Whether a server with *hosts* (`[namespace/]name`, `*` and `*.suffix` too) takes *host*; its case is ignored.

    The namespace says whose VirtualServices may be bound, nothing of the request.
    """
    asked = host.lower()
    return any(subset_of(asked, name.rpartition("/")[2].lower()) for name in hosts)


def takes(gateway: Gateway, host: str) -> bool:
    """Whether some server of *gateway* takes *host*."""
    return any(serves(server.hosts, host) for server in gateway.spec.servers)


def is_for(mesh: MeshIndex, gateway: Gateway, host: str) -> bool:
    """Whether *gateway* takes *host*, and somebody named it: in the Gateway itself, or in a VirtualService of it.

    A Gateway for `*` takes the name of anything in the world, which is no reason to think that it was asked.
    """
    named = (name for server in gateway.spec.servers for name in server.hosts)
    if serves((name for name in named if name.rpartition("/")[2] != "*"), host):
        return True
    written = (name for one in bound(mesh, gateway) for name in one.spec.hosts if name != "*")
    return takes(gateway, host) and serves(written, host)


def pods_of(mesh: MeshIndex, gateway: Gateway) -> tuple[PodRef, ...]:
    """The gateways' pods, of any namespace, that *gateway* configures; without a selector that is every gateway."""
    return tuple(ref for ref in mesh.pods if _configures(mesh, gateway, ref))


def gateways_of(mesh: MeshIndex, pod: PodRef) -> tuple[Gateway, ...]:
    """The Gateways that configure *pod*; none when its object was not read, or when it is no gateway."""
    found = mesh.objects("Gateway", Gateway) if pod in mesh.pods else ()
    return tuple(one for one in found if _configures(mesh, one, pod))


def _configures(mesh: MeshIndex, gateway: Gateway, pod: PodRef) -> bool:
    return selects(gateway.spec.selector, mesh.pods[pod].metadata.labels) and mesh.is_gateway(pod)


def bound(mesh: MeshIndex, *gateways: Gateway) -> tuple[VirtualService, ...]:
    """The VirtualServices that name one of *gateways*."""
    keys = {gateway.key for gateway in gateways}
    return tuple(
        found
        for found in mesh.objects("VirtualService", VirtualService)
        if any(gateway_key(name, found.namespace) in keys for name in found.spec.gateways)
    )


def gateway_key(name: str, namespace: str) -> str:
    """`namespace/name` of a gateway as a VirtualService of *namespace* writes it (resolveGatewayName).

    >>> gateway_key("front", "shop"), gateway_key("./front", "shop"), gateway_key("edge/front", "shop")
    ('shop/front', 'shop/front', 'edge/front')
    >>> gateway_key("front.edge.svc.cluster.local", "shop")
    'edge/front'
    """
    owner, slash, own = name.partition("/")
    if slash:
        return f"{namespace if owner == '.' else owner}/{own}"
    own, dot, rest = name.partition(".")
    return f"{rest.partition('.')[0] if dot else namespace}/{own}"
