"""The messages of envoy.admin.v3.ConfigDump, Envoy 1.30 to 1.40, with what is read of them.

Lists and resources stay raw JSON: one that cannot be decoded must not take the others with it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.model.envoy.any import EnvoyFact


class ErrorState(EnvoyFact, frozen=True):
    """A rejected update (NACK): what Envoy was sent last, when, and why it refused it."""

    details: str = ""
    last_update_attempt: str | None = None
    version_info: str = ""


class Secret(EnvoyFact, frozen=True):
    """A TLS secret without key material; chains are base64 PEM (`inline_bytes`) or file names."""

    name: str = ""
    tls_certificate: dict[str, Any] | None = None
    validation_context: dict[str, Any] | None = None


class Bootstrap(EnvoyFact, frozen=True):
    node: dict[str, Any] = {}
    static_resources: dict[str, Any] = {}
    stats_config: dict[str, Any] = {}
    admin: dict[str, Any] = {}
    overload_manager: dict[str, Any] = {}


class EcdsFilter(EnvoyFact, frozen=True):
    name: str = ""
    typed_config: msgspec.Raw = msgspec.Raw()


class Entry(EnvoyFact, frozen=True):
    """The union of the admin API's wrappers of one resource."""

    name: str = ""
    version_info: str = ""
    last_updated: str | None = None
    error_state: ErrorState | None = None
    client_status: str = ""
    cluster: msgspec.Raw = msgspec.Raw()
    listener: msgspec.Raw = msgspec.Raw()
    route_config: msgspec.Raw = msgspec.Raw()
    endpoint_config: msgspec.Raw = msgspec.Raw()
    secret: msgspec.Raw = msgspec.Raw()
    ecds_filter: msgspec.Raw = msgspec.Raw()


class Section(EnvoyFact, frozen=True):
    """The union of the admin API's section messages."""

    version_info: str = ""
    static_clusters: list[msgspec.Raw] = []
    dynamic_active_clusters: list[msgspec.Raw] = []
    dynamic_warming_clusters: list[msgspec.Raw] = []
    static_listeners: list[msgspec.Raw] = []
    dynamic_listeners: list[msgspec.Raw] = []
    static_route_configs: list[msgspec.Raw] = []
    dynamic_route_configs: list[msgspec.Raw] = []
    static_endpoint_configs: list[msgspec.Raw] = []
    dynamic_endpoint_configs: list[msgspec.Raw] = []
    static_secrets: list[msgspec.Raw] = []
    dynamic_active_secrets: list[msgspec.Raw] = []
    dynamic_warming_secrets: list[msgspec.Raw] = []
    ecds_filters: list[msgspec.Raw] = []
    bootstrap: msgspec.Raw = msgspec.Raw()


LISTS = tuple(field.name for field in msgspec.structs.fields(Section) if field.type == list[msgspec.Raw])
"""The fields of a section that hold resources."""


class DynamicListener(EnvoyFact, frozen=True):
    name: str = ""
    active_state: Entry | None = None
    warming_state: Entry | None = None
    draining_state: Entry | None = None
    error_state: ErrorState | None = None
    client_status: str = ""
