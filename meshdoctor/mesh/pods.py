"""A name of `model.pods` for a module that still asks here."""

from __future__ import annotations

from meshdoctor.model.pods import PROXY_CONTAINER

__all__ = ["PROXY_CONTAINER"]
