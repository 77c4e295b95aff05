"""Label selectors."""

from __future__ import annotations

from collections.abc import Mapping

TLS_MODE = "security.istio.io/tlsMode"
"""The label that the injector writes; istiod believes it, not the containers (`pkg/config/constants`)."""


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether *labels* carry everything that *selector* asks for; an empty selector asks for nothing."""
    return all(labels.get(key) == value for key, value in selector.items())
