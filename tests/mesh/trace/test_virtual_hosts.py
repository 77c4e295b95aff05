"""What Envoy refuses before it routes, and which virtual host takes a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.mesh.trace.explain import trace
from meshdoctor.mesh.trace.request import ClientHello, Request
from meshdoctor.mesh.trace.vhost import Domains
from meshdoctor.mesh.trace.walk import walk
from tests.mesh.trace.dumps import get, host, one_route_table, to
from tests.mesh.trace.walks import ANY, outcome

# -- before routing


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (get(), (None, "", "via_upstream")),
        (get(version="1.0"), (426, "DPE", "low_version")),
        (get(None), (400, "", "missing_host_header")),
        (get(""), (None, "", "via_upstream")),
        (get("a/b"), (400, "DPE", "http.invalid_authority")),
        (get("user@a.test"), (None, "", "via_upstream")),
        (get(path="x"), (400, "DPE", "http1.codec_error")),
        (get(path="*"), (400, "DPE", "http1.invalid_url")),
        (get(path="*", method="OPTIONS"), (404, "", "absolute_path_rejected")),
        (get(path="/%00"), (400, "", "path_normalization_failed")),
        (get(path="/é"), (400, "DPE", "http1.codec_error")),
        (get(path="ftp://a.test/"), (400, "DPE", "http1.invalid_scheme")),
        (get(method="get"), (400, "DPE", "http1.codec_error")),
        (get(tls=ClientHello()), (400, "DPE", "http1.codec_error")),
        (get(version=""), (400, "DPE", "http1.codec_error")),
        (get(payload=b"\x00\x01"), (400, "DPE", "http1.codec_error")),
        (get(version="2"), (None, "", "via_upstream")),
        (get("", version="2"), (0, "DPE", "http2.invalid.header.field")),
        (get(None, version="2"), (0, "DPE", "http2.violation.of.messaging.rule")),
        (get(path="x", version="2"), (0, "DPE", "http2.violation.of.messaging.rule")),
        (get(headers=(("connection", "close"),), version="2"), (0, "DPE", "http2.invalid.header.field")),
    ],
)
def test_what_envoy_refuses_before_routing(request_: Request, expected: tuple[int | None, str, str]) -> None:
    assert outcome(ANY, request_) == expected


def test_grpc_gets_200_for_envoys_own_answers() -> None:
    grpc = (("content-type", "application/grpc"),)
    empty = one_route_table(host("none", ["other.test"], to("a")))
    assert outcome(empty, get(headers=grpc)) == (200, "NR", "route_not_found")
    assert outcome(ANY, get(None, headers=grpc)) == (200, "", "missing_host_header")
    assert outcome(ANY, get(version="1.0", headers=grpc)) == (426, "DPE", "low_version")


def test_an_absolute_target_replaces_the_host() -> None:
    proxy = one_route_table(host("x", ["x.test"], to("a")), host("y", ["y.test"], to("b")))
    assert walk(proxy, get("x.test", "http://Y.test:81/p")).main.cluster == "b"


# -- virtual hosts


def place(*domains: str, asked: str, ignore_port: bool = True) -> int | None:
    return Domains(((name, number) for number, name in enumerate(domains)), ignore_port).find(asked)[0]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("a.test", 0),
        ("A.TEST:8080", 0),
        ("a.test:", 0),
        ("x.a.test", 1),
        ("y.x.a.test", 1),
        (".a.test", 2),
        ("b.test", 2),
        ("a.example", 3),
        ("nobody", 4),
        ("[::1]:80", 5),
    ],
)
def test_virtual_hosts(asked: str, expected: int) -> None:
    assert place("a.test", "*.a.test", "*.test", "a.*", "*", "[::1]", asked=asked) == expected


def test_ports_count_unless_they_are_ignored() -> None:
    assert place("a.test", "a.test:81", asked="a.test:81", ignore_port=False) == 1
    assert place("a.test", asked="a.test:82", ignore_port=False) is None


@given(st.lists(st.sampled_from(["*", "*.b", "*.a.b", "*b", "a.*", "a.b*", "a.b", "c.a.b"]), unique=True))
def test_the_longest_name_wins(names: list[str]) -> None:
    for asked in ("a.b", "c.a.b", "d.c.a.b", "a.x", "x"):
        exact = [name for name in names if name == asked]
        suffix = [name for name in names if name[0] == "*" and name != "*" and asked.endswith(name[1:])]
        prefix = [name for name in names if name.endswith("*") and name != "*" and asked.startswith(name[:-1])]
        suffix = [name for name in suffix if len(name) - 1 < len(asked)]
        prefix = [name for name in prefix if len(name) - 1 < len(asked)]
        groups = (exact, sorted(suffix, key=len)[-1:], sorted(prefix, key=len)[-1:], ["*"] if "*" in names else [])
        expected = next((group[0] for group in groups if group), None)
        found = place(*names, asked=asked)
        assert (None if found is None else names[found]) == expected


def test_an_unknown_host_is_told_its_likely_names() -> None:
    proxy = one_route_table(host("shop", ["shop.pay.svc.cluster.local"], to("a")), host("allow_any", ["*"], to("b")))
    hop = next(hop for hop in trace(proxy, get("shop.pau")).hops if hop.step == "virtual host")
    assert hop.others == (("shop.pay.svc.cluster.local", "another name"),)
    assert "knows no such host" in hop.notes[0]
