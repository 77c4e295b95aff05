"""Whatever the objects say, the answers hang together."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshdoctor.mesh.mtls import outcome as outcomes
from meshdoctor.mesh.mtls.matrix import all_columns, matrix
from meshdoctor.mesh.mtls.patterns import pattern_of
from meshdoctor.mesh.mtls.silent import silent
from tests.mesh.mtls_world import BARE_SERVER, HOST, SERVER, Json, pod, policy, rule, service, thing, world

MODES = st.sampled_from(("STRICT", "PERMISSIVE", "DISABLE", "UNSET", "NONSENSE"))
TLS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"mode": st.sampled_from(("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"))},
    optional={
        "sni": st.just("x.example"),
        "credentialName": st.sampled_from(("c", "configmap://c")),
        "clientCertificate": st.just("/c"),
        "privateKey": st.just("/k"),
        "subjectAltNames": st.just(["spiffe://td/ns/a/sa/b"]),
        "insecureSkipVerify": st.booleans(),
    },
)
SETTINGS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {}, optional={"tls": TLS, "loadBalancer": st.sampled_from(({"simple": "PASSTHROUGH"}, {"simple": "RANDOM"}, {}))}
)
PORT = st.builds(lambda number, own: {"port": {"number": number}, **own}, st.sampled_from((80, 8080, 0)), SETTINGS)
TRAFFIC = st.builds(lambda own, ports: {**own, "portLevelSettings": ports}, SETTINGS, st.lists(PORT, max_size=2))
SUBSETS = st.lists(st.fixed_dictionaries({"name": st.just("v1")}, optional={"trafficPolicy": TRAFFIC}), max_size=1)
SPACES = st.sampled_from(("cli", "srv", "istio-system", "other"))
SELECTORS = st.sampled_from(({"app": "s"}, {"app": "c"}, {}))
RULES = st.builds(
    lambda name, space, host, traffic, subsets: rule(name, space, host=host, trafficPolicy=traffic, subsets=subsets),
    st.sampled_from(("a", "b")),
    SPACES,
    st.sampled_from((HOST, "s", "*", "*.local", "", ".", "*.")),
    TRAFFIC,
    SUBSETS,
)
POLICIES = st.builds(
    lambda name, space, mode, selector, ports: policy(
        mode, name, space, selector={"matchLabels": selector}, portLevelMtls=ports
    ),
    st.sampled_from(("a", "b")),
    SPACES,
    MODES,
    SELECTORS,
    st.dictionaries(
        st.sampled_from(("8080", "80", "x", "")), st.fixed_dictionaries({}, optional={"mode": MODES}), max_size=2
    ),
)
SIDECARS = st.builds(
    lambda space, hosts, selector, ports: thing(
        "Sidecar",
        "s",
        space,
        {
            "egress": [{"hosts": hosts}],
            "workloadSelector": {"labels": selector},
            "ingress": [
                {"port": {"number": number, "protocol": "HTTPS"}, "tls": {"mode": "SIMPLE"}} for number in ports
            ],
        },
    ),
    SPACES,
    st.lists(st.sampled_from(("*/*", "./*", "~/*", "srv/s", "a/b/c", "")), max_size=2),
    SELECTORS,
    st.lists(st.sampled_from((8080, 9999)), max_size=1),
)
WORLDS = st.lists(st.one_of(RULES, POLICIES, SIDECARS), max_size=6)
AMBIENT = pod("s-3", "srv", "10.1.0.3", proxy="", annotations={"ambient.istio.io/redirection": "enabled"})


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(WORLDS, st.booleans(), st.booleans(), st.sampled_from(("http", "tcp", "grpc", "")))
def test_answers_hang_together(found: list[Json], headless: bool, auto: bool, port_name: str) -> None:
    own = service(port_name=port_name, clusterIP="None" if headless else "10.96.0.1")
    gateway = pod("gw-1", "istio-system", "10.9.0.1", proxy="router")
    mesh = {"enableAutoMtls": auto}
    mtls = world(gateway, *found, own=own, servers=(SERVER, BARE_SERVER, AMBIENT), mesh=mesh)
    table = matrix(mtls, {key: [peer] for key, peer in mtls.objects.peers.items()}, all_columns(mtls))
    for cell in table.cells.values():
        tls = cell.tls
        assert tls.reasons
        assert tls.tls != "auto" or tls.cluster_type != "ORIGINAL_DST"
        assert not (tls.tls == "plaintext" and (tls.sni or tls.alpn or tls.sans))
        assert tls.tls not in ("auto", "mtls-istio") or tls.sni
        for pair in cell.pairs:
            assert (pattern_of(pair) is not None) == pair.fails == (pair.outcome in outcomes.FAILURES)
            assert pair.endpoint.reason
            if pair.server is not None and not pair.server.ambient:
                assert pair.outcome == outcomes.outcome(pair.endpoint.tls, pair.server)
                assert pair.server.reason
    for subset in ("v1", "v2"):
        assert mtls.client_tls("cli/c-1", HOST, 80, subset).subset == subset
    assert all(entry.objects for entry in silent(mtls))
