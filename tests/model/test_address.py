from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.model.envoy.address import Address, InternalAddress, split_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1:80", ("10.0.0.1", 80)),
        ("10.0.0.1", ("10.0.0.1", 0)),
        ("[fd00::7]:8080", ("fd00::7", 8080)),
        ("[fd00::7]", ("fd00::7", 0)),
        ("fd00::7", ("fd00::7", 0)),
        ("waypoint.shop:15008", ("waypoint.shop", 15008)),
        ("envoy://connect_originate/10.0.0.1:80", ("10.0.0.1", 80)),
        ("envoy://connect_originate/[fd00::7]:80", ("fd00::7", 80)),
        ("envoy://main_internal/", ("", 0)),
        ("envoy://main_internal/some_id", ("", 0)),
        ("/etc/istio/proxy/SDS", ("", 0)),
        ("/var/run/app.sock:1", ("", 0)),
        ("@abstract", ("", 0)),
        ("-", ("", 0)),
        ("", ("", 0)),
        (None, ("", 0)),
        ("10.0.0.1:http", ("10.0.0.1", 0)),
        ("10.0.0.1:\u00b2", ("10.0.0.1", 0)),
        ("10.0.0.1:" + "9" * 5000, ("10.0.0.1", 0)),
    ],
)
def test_addresses_as_proxies_log_them(text: str | None, address: tuple[str, int]) -> None:
    assert split_address(text) == address


@given(st.text(max_size=60))
def test_any_text_gives_something(text: str) -> None:
    host, port = split_address(text)
    assert port >= 0 and len(host) <= len(text)


def test_where_a_tunnelled_endpoint_ends() -> None:
    inner = InternalAddress("connect_originate", "[fd00::7]:8080")
    assert Address(envoy_internal_address=inner).endpoint_ip == "fd00::7"
