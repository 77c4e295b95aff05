"""A name of `model.labels` for a module that still asks here."""

from __future__ import annotations

from meshdoctor.model.labels import selects

__all__ = ["selects"]
