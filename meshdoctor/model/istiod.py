"""istiod's debug answers: sync status, its registry, the mesh config (pilot/pkg/xds/debug.go, 1.24 to 1.32)."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.model.text import visible_line

TYPE_PREFIX = "type.googleapis.com/"


def parse_istiod_version(body: bytes) -> str:
    """`/version` (plain text `VERSION-COMMIT-STATUS`, pkg/version/version.go) as VERSION, made visible."""
    text = visible_line(body.decode(errors="replace").strip().strip('"'))
    head, *rest = text.rsplit("-", 2)
    return head if len(rest) == 2 else text


class ResourceSync(msgspec.Struct, frozen=True, rename="camel"):
    """One xDS type of one proxy: what was sent and acknowledged last (nonces), when, and the last error (NACK)."""

    sent: str = ""
    acked: str = ""
    sent_time: str | None = None
    acked_time: str | None = None
    last_error: str = msgspec.field(default="", name="lastError")
    error: str = ""
    told: bool = True
    """False where only the subscription is known: what istioctl prints from 1.27 on has no states."""


class SyncRecord(msgspec.Struct, frozen=True):
    """One proxy in `/debug/syncz`; the flat fields are those of istiod before 1.28, `resources` the newer ones."""

    proxy: str = ""
    cluster_id: str = ""
    proxy_type: str = ""
    istio_version: str = ""
    cluster_sent: str = ""
    cluster_acked: str = ""
    listener_sent: str = ""
    listener_acked: str = ""
    route_sent: str = ""
    route_acked: str = ""
    endpoint_sent: str = ""
    endpoint_acked: str = ""
    extensionconfig_sent: str = ""
    extensionconfig_acked: str = ""
    resources: dict[str, ResourceSync] = {}

    @property
    def pod(self) -> str:
        """The pod name of `NAME.NAMESPACE`."""
        return self.proxy.rpartition(".")[0]

    @property
    def namespace(self) -> str:
        return self.proxy.rpartition(".")[2]


class RegistryPort(msgspec.Struct, frozen=True):
    name: str = ""
    port: int = 0
    protocol: str = ""


class RegistryService(msgspec.Struct, frozen=True, rename="camel"):
    """One service that istiod knows (`/debug/registryz`)."""

    hostname: str = ""
    ports: list[RegistryPort] | None = None
    attributes: dict[str, Any] = msgspec.field(default_factory=dict, name="Attributes")
    cluster_vips: dict[str, Any] = msgspec.field(default_factory=dict, name="clusterVIPs")
    default_address: str = ""


class MeshConfig(msgspec.Struct, frozen=True, rename="camel"):
    """The mesh config in force (`/debug/mesh`, or the ConfigMap `istio`), with Istio's defaults (1.32)."""

    root_namespace: str = "istio-system"
    trust_domain: str = "cluster.local"
    trust_domain_aliases: list[str] = []
    enable_auto_mtls: bool = True
    access_log_file: str = ""
    access_log_encoding: str = "TEXT"
    access_log_format: str = ""
    connect_timeout: str = "10s"
    outbound_traffic_policy: dict[str, Any] = {}
    default_service_export_to: list[str] = msgspec.field(default_factory=lambda: ["*"])
    default_destination_rule_export_to: list[str] = msgspec.field(default_factory=lambda: ["*"])
    default_virtual_service_export_to: list[str] = msgspec.field(default_factory=lambda: ["*"])
    default_config: dict[str, Any] = {}
    extension_providers: list[dict[str, Any]] = []
    default_http_retry_policy: dict[str, Any] | None = None
    protocol_detection_timeout: str = "0s"
    mesh_mtls: dict[str, Any] | None = msgspec.field(default=None, name="meshMTLS")
