"""A proxy's own certificate, from an Envoy that lists more than one."""

from __future__ import annotations

from typing import Any

from msgspec import convert

from meshdoctor.mesh.identity import MAX_ROOTS, Identity, identity_of, spiffe
from meshdoctor.mesh.trace.facts import Facts
from meshdoctor.model.envoy.admin import Certificates
from meshdoctor.model.moment import unix
from meshdoctor.model.snapshot import Snapshot, SourceInfo

OLD, NEW = "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"
WORKLOAD = spiffe("td", "a", "b")


def entry(until: str, *roots: str, uri: str = WORKLOAD) -> dict[str, Any]:
    leaf = {"subject_alt_names": [{"uri": uri}], "valid_from": "2026-01-01T00:00:00Z", "expiration_time": until}
    return {"ca_cert": [{"serial_number": root} for root in roots], "cert_chain": [leaf] if until else []}


def of(*entries: dict[str, Any]) -> Identity | None:
    return identity_of(convert({"certificates": entries}, Certificates))


def test_the_workload_certificate_is_the_one_with_a_spiffe_id() -> None:
    own = of({"cert_chain": [{"subject_alt_names": [{"dns": "edge"}]}]}, entry(OLD, "aa"))
    assert own is not None
    assert (own.spiffe, own.roots) == ("spiffe://td/ns/a/sa/b", frozenset({"aa"}))
    assert own.valid_from is not None
    assert own.holds_at(own.valid_from)
    assert not own.holds_at(own.valid_from - 1)
    assert not own.holds_at(own.valid_from + 86400)
    assert of() is None
    assert of({"cert_chain": [], "ca_cert": [{"serial_number": "aa"}]}) is None


def test_of_a_certificate_that_was_rotated_the_latest_is_in_use() -> None:
    for entries in ((entry(OLD, "aa"), entry(NEW, "bb")), (entry(NEW, "bb"), entry(OLD, "aa"))):
        own = of(*entries)
        assert own is not None
        assert own.expires == unix(NEW)
        assert own.roots == {"aa", "bb"}, "a connection of the old context still lives"


def test_public_roots_are_no_roots_of_the_mesh() -> None:
    public = entry("", *(f"9{number}" for number in range(140)))
    own = of(entry(NEW, "aa"), public, entry("", "c0"))
    assert own is not None
    assert own.roots == {"aa"}
    apart = of(entry(NEW), entry("", "aa"), public)
    assert apart is not None
    assert apart.roots == {"aa"}, "the root stands in an entry of its own"
    bundle = of(entry(NEW, *(f"9{number}" for number in range(MAX_ROOTS + 1))))
    assert bundle is not None
    assert bundle.roots == frozenset(), "not known"


def test_a_trace_judges_certificates_by_when_the_facts_had_been_read() -> None:
    """As the table of mutual TLS does: a certificate that ran out while they were read is of no use."""
    assert Facts(Snapshot(SourceInfo("recording", "r", 1.0, 2.0), {})).now == 2.0
