"""What the proxies hold and did against what the objects say, on snapshots made here."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.mtls.findings import findings
from meshdoctor.mesh.mtls.patterns import Disagreement, Pattern
from meshdoctor.mesh.mtls.view import MtlsView, object_wants, proxy_wants
from meshdoctor.mesh.objects import KINDS
from meshdoctor.model import wants as ask
from meshdoctor.model.accesslog import parse_access_log
from meshdoctor.model.decode import convert
from meshdoctor.model.envoy.admin import Certificates
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.istiod import MeshConfig
from meshdoctor.model.kinds import BY_NAME
from meshdoctor.model.snapshot import Fact, Missing, Origin, PodRef, Snapshot, SourceInfo, Want
from tests.mesh.mtls_world import CLIENT, HOST, SERVER, Json, endpoints, pod, policy, rule, service
from tests.mesh.test_mtls_configured import chain, downstream, dump, endpoint, upstream

NOW = 1767225600.0  # 2026-01-01T00:00:00Z
BASE = (service(), endpoints([SERVER]), SERVER, CLIENT)
HERE = Origin("made here", NOW)
S, C = PodRef("srv", "s-1"), PodRef("cli", "c-1")


def look(
    *found: Json,
    dumps: dict[PodRef, ConfigDump] | None = None,
    certificates: dict[PodRef, Json] | None = None,
    logs: dict[PodRef, str] | None = None,
    missing: tuple[str, ...] = (),
) -> MtlsView:
    by_kind: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    for item in found:
        by_kind[item["kind"]].append(convert(item, BY_NAME[item["kind"]].struct))
    facts: dict[Want[Any], Fact[Any] | Missing] = {
        ask.Objects(kind): Missing("forbidden") if kind in missing else Fact(tuple(items), HERE)
        for kind, items in by_kind.items()
    }
    refs = {pod: ask.LogRef(pod, "istio-proxy") for pod in logs or {}}
    proxies = (*(dumps or {}), *(certificates or {}))
    facts[ask.Mesh()] = Fact(MeshConfig(), HERE)
    facts[ask.Contents()] = Fact(ask.Inventory(proxies=proxies, logs=tuple(refs.values())), HERE)
    facts.update({ask.ProxyConfig(own): Fact(held, HERE) for own, held in (dumps or {}).items()})
    for own, body in (certificates or {}).items():
        facts[ask.ProxyCertificates(own)] = Fact(convert({"certificates": [body]}, Certificates), HERE)
    for own, text in (logs or {}).items():
        facts[ask.AccessLog(refs[own])] = Fact(parse_access_log(text), HERE)
    info = SourceInfo("recording", "made here", NOW - 10, NOW)
    return MtlsView(MeshIndex(Snapshot(info, facts)))


def found(view: MtlsView) -> list[Disagreement]:
    return list(findings(view, view.whole()))


def certificate(
    root: str, spiffe: str = "spiffe://cluster.local/ns/srv/sa/s", expires: str = "2026-01-02T00:00:00Z"
) -> Json:
    own = {
        "subject_alt_names": [{"uri": spiffe}],
        "valid_from": "2025-12-31T00:00:00Z",
        "expiration_time": expires,
    }
    return {"ca_cert": [{"serial_number": root}], "cert_chain": [own]}


def test_a_proxy_that_accepts_something_else_than_declared_has_drifted() -> None:
    held = dump([chain(8080, "raw_buffer"), chain(0, "tls", downstream()), chain(0, "raw_buffer")])
    view = look(*BASE, policy("STRICT"), dumps={S: held})
    (own,) = found(view)
    assert (own.pattern, own.client, own.objects) == (
        Pattern.DRIFT,
        "srv/s-1",
        ("Pod srv/s-1", "PeerAuthentication srv/p"),
    )
    assert own.says.startswith("port 8080 of srv/s-1 is DISABLE in the proxy, STRICT by the objects")


def test_a_proxy_that_sends_something_else_than_declared_has_drifted() -> None:
    stale = dump(clusters=[{"name": f"outbound|80||{HOST}", "transport_socket": upstream()}])
    (own,) = found(look(*BASE, rule(tls="DISABLE"), dumps={C: stale}))
    assert own.pattern is Pattern.DRIFT
    assert own.says.startswith(f"cli/c-1 holds mtls-istio for {HOST}:80, the objects say plaintext")
    assert own.seen is None


def test_an_endpoint_that_is_marked_otherwise_has_drifted() -> None:
    matches = [
        {"name": "istio", "match": {"tlsMode": "istio"}, "transport_socket": upstream()},
        {"name": "off", "match": {}, "transport_socket": {"name": "raw"}},
    ]
    group = {"endpoints": [{"lb_endpoints": [endpoint("10.1.0.1"), endpoint("10.9.9.9")]}]}
    cluster = {"name": f"outbound|80||{HOST}", "transport_socket_matches": matches, "load_assignment": group}
    (own,) = found(look(*BASE, dumps={C: dump(clusters=[cluster])}))
    assert own.says.startswith("cli/c-1 holds plaintext for srv/s-1:8080, the objects say mtls-istio")


def test_what_agrees_is_no_drift() -> None:
    held = dump(
        [
            chain(8080, "tls", downstream()),
            chain(8080, "raw_buffer"),
            chain(0, "tls", downstream()),
            chain(0, "raw_buffer"),
        ]
    )
    assert found(look(*BASE, dumps={S: held})) == []


def test_m11_roots_that_have_nothing_in_common() -> None:
    apart = look(*BASE, certificates={S: certificate("aa"), C: certificate("bb")})
    (own,) = found(apart)
    assert (own.pattern, own.objects) == (Pattern.M11, ("Pod cli/c-1", "Pod srv/s-1"))
    rotating = {**certificate("bb"), "ca_cert": [{"serial_number": "aa"}, {"serial_number": "bb"}]}
    assert found(look(*BASE, certificates={S: certificate("aa"), C: rotating})) == []
    unknown = {**certificate("bb"), "ca_cert": []}
    assert found(look(*BASE, certificates={S: certificate("aa"), C: unknown})) == []


def test_a_certificate_out_of_its_time() -> None:
    (own,) = found(look(*BASE, certificates={S: certificate("aa", expires="2025-12-31T23:59:59Z")}))
    assert (own.pattern, own.objects) == (Pattern.EXPIRED, ("Pod srv/s-1",))
    assert "was not valid at 2026-01-01T00:00:00Z (bound 2025-12-31T23:59:59Z)" in own.says


def test_an_identity_that_the_client_does_not_accept() -> None:
    tls = {"mode": "ISTIO_MUTUAL", "subjectAltNames": ["spiffe://cluster.local/ns/srv/sa/other"]}
    every = found(look(*BASE, rule(trafficPolicy={"tls": tls})))
    assert {own.pattern for own in every} == {Pattern.IDENTITY}
    assert {own.client for own in every} == {"cli/c-1", "srv/s-1"}
    assert every[0].objects == ("DestinationRule srv/r",)


REFUSED = (
    '[2026-01-01T00:00:09.000Z] "- - -" 0 NR filter_chain_not_found - "-" 0 0 0 - "-" "-" "-" "-" "-" - - '
    "10.1.0.1:8080 {client}:4711 {sni} -\n"
)
PASSED = (
    '[2026-01-01T00:00:09.000Z] "- - -" 0 UR - - "-" 0 0 5 - "-" "-" "-" "-" "10.1.0.1:8080" PassthroughCluster '
    "10.2.0.1:1 10.1.0.1:8080 10.2.0.1:2 - -\n"
)


def refused(client: str, sni: str = "-") -> dict[PodRef, str]:
    return {S: REFUSED.format(client=client, sni=sni)}


def test_a_call_by_address_past_the_services() -> None:
    (own,) = found(look(*BASE, policy("STRICT"), logs={**refused("10.2.0.1"), C: PASSED}))
    assert (own.pattern, own.client, own.server, own.seen) == (Pattern.PAST, "cli/c-1", "srv/s-1:8080", 1)


def test_tls_of_the_applications_own() -> None:
    (own,) = found(look(*BASE, logs=refused("10.2.0.1", "s.example")))
    assert (own.pattern, own.objects) == (Pattern.APPTLS, ("Pod cli/c-1", "Pod srv/s-1"))


def test_a_refusal_that_nothing_explains_and_one_of_a_stranger() -> None:
    (own,) = found(look(*BASE, policy("STRICT"), logs=refused("10.2.0.1")))
    assert own.pattern is Pattern.UNEXPLAINED
    (other,) = found(look(*BASE, policy("STRICT"), logs=refused("192.0.2.1")))
    assert (other.pattern, other.client) == (Pattern.M7, "192.0.2.1")


def test_kinds_that_could_not_be_read_are_said() -> None:
    view = look(*BASE, missing=("PeerAuthentication",))
    assert view.missing == ("PeerAuthentication: forbidden",)
    assert view.objects.missing == ("PeerAuthentication",)


def test_what_is_asked_of_a_source() -> None:
    asked = object_wants()
    assert ask.Objects("PeerAuthentication") in asked
    view = look(*BASE, certificates={S: certificate("aa")}, logs={S: ""})
    assert set(proxy_wants(view.index)) == {
        ask.ProxyConfig(S),
        ask.ProxyCertificates(S),
        ask.AccessLog(ask.LogRef(S, "istio-proxy")),
    }
    assert msgspec.json.encode([own._asdict() | {"pattern": own.pattern.name} for own in found(view)]) == b"[]"


def test_rows_are_workloads_and_others_only_on_demand() -> None:
    view = look(*BASE, pod("b-1", "cli", "10.2.0.7", proxy=""))
    assert list(view.rows()) == ["cli/c-1", "srv/s-1"]
    assert list(view.rows("cli/b-1")) == ["cli/b-1"]
    assert list(view.rows("cli")) == ["cli/c-1"]
