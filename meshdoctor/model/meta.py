"""What every object of a cluster's API has (meta/v1), whoever defines its kind."""

from __future__ import annotations

import msgspec


class Fields(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Base of every object struct: camelCase on the wire, immutable, unknown fields left out."""


class OwnerReference(Fields, frozen=True):
    kind: str = ""
    name: str = ""
    controller: bool = False


class ManagedField(Fields, frozen=True):
    manager: str = ""
    operation: str = ""
    time: str | None = None
    subresource: str = ""


class Meta(Fields, frozen=True):
    """metadata of any object; times are RFC 3339 text."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    owner_references: list[OwnerReference] = []
    managed_fields: list[ManagedField] = []
    generation: int = 0
    resource_version: str = ""


class Object(Fields, frozen=True):
    """What every object has."""

    api_version: str = ""
    kind: str = ""
    metadata: Meta = Meta()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def key(self) -> str:
        """`namespace/name`, or the bare name of an object without a namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name
