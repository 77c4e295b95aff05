from __future__ import annotations

import pytest

from meshdoctor.mesh.mtls.outcome import outcome
from meshdoctor.mesh.mtls.server import ServerMode

PLAIN, MTLS, SIMPLE, CUSTOM = "plaintext", "mtls-istio", "tls-simple", "mtls-custom"


@pytest.mark.parametrize(
    ("tls", "mode", "protocol", "expected"),
    [
        (PLAIN, "STRICT", "http", "fail-plaintext-to-strict"),
        (PLAIN, "PERMISSIVE", "http", "ok-plaintext"),
        (PLAIN, "NONE", "auto", "ok-plaintext"),
        (PLAIN, "CUSTOM_SIMPLE", "http", "fail-other"),
        (MTLS, "STRICT", "tcp", "ok-mtls"),
        (MTLS, "PERMISSIVE", "http", "ok-mtls"),
        (MTLS, "DISABLE", "tcp", "fail-mtls-to-plaintext"),
        (MTLS, "NONE", "auto", "fail-mtls-to-plaintext"),
        (MTLS, "CUSTOM_MUTUAL", "http", "fail-other"),
        (SIMPLE, "STRICT", "tcp", "fail-other"),
        (SIMPLE, "PERMISSIVE", "http", "fail-other"),
        (SIMPLE, "PERMISSIVE", "auto", "ok-tls"),
        (SIMPLE, "DISABLE", "http", "fail-other"),
        (SIMPLE, "DISABLE", "tcp", "ok-tls"),
        (SIMPLE, "NONE", "auto", "ok-tls"),
        (SIMPLE, "CUSTOM_SIMPLE", "http", "ok-tls"),
        (SIMPLE, "CUSTOM_MUTUAL", "http", "fail-other"),
        (CUSTOM, "CUSTOM_MUTUAL", "http", "ok-tls"),
        (CUSTOM, "GATEWAY", "auto", "external"),
    ],
)
def test_what_becomes_of_a_connection(tls: str, mode: str, protocol: str, expected: str) -> None:
    assert outcome(tls, ServerMode(mode, protocol, True, "")) == expected
