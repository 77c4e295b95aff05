"""Names of `model.pods` for modules that still ask here."""

from __future__ import annotations

from meshdoctor.model.pods import PROXY_CONTAINER, has_proxy, is_native_sidecar, is_ready

__all__ = ["PROXY_CONTAINER", "has_sidecar", "is_native_sidecar", "is_ready"]

has_sidecar = has_proxy
