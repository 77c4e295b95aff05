"""A recording may hold anything: whatever stands in the configuration, the trace says something and does not break."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import operator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from meshdoctor.mesh.trace.explain import trace
from meshdoctor.mesh.trace.proxy import Proxy
from meshdoctor.mesh.trace.request import ClientHello, Request
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.config_dump import decode_config_dump
from meshdoctor.present.trace import trace_lines
from tests.mesh.trace.dumps import (
    HTTP_INSPECTOR,
    TLS_INSPECTOR,
    cluster,
    dump,
    endpoints,
    host,
    http_chain,
    istio,
    listener,
    rbac,
    routes,
    tcp_chain,
    to,
    upstream_tls,
    with_tls,
)

_JWT = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
_FAULT = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"


def _everything() -> dict[str, Any]:
    """One dump with every kind of message that the trace reads as plain JSON."""
    claim = {"filter": "envoy.filters.http.jwt_authn", "path": [{"key": "payload"}, {"key": "x"}]}
    policy = {
        "permissions": [
            {"and_rules": {"rules": [{"url_path": {"path": {"prefix": "/"}}}, {"destination_port": 80}]}},
            {"not_rule": {"header": {"name": "x", "range_match": {"start": 1, "end": 2}}}},
            {"uri_template": {"typed_config": {"path_template": "/a/{*}"}}},
        ],
        "principals": [
            {"or_ids": {"ids": [{"direct_remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}]}},
            {"metadata": {**claim, "value": {"or_match": {"value_matchers": [{"string_match": {"exact": "y"}}]}}}},
            {"authenticated": {"principal_name": {"safe_regex": {"regex": "x"}}}},
        ],
    }
    requires = {"requires_any": {"requirements": [{"provider_name": "p"}, {"allow_missing": {}}]}}
    jwt = {
        "@type": _JWT,
        "providers": {"p": {"issuer": "i"}},
        "rules": [{"match": {"prefix": "/"}, "requires": requires}],
    }
    abort = {"http_status": 418, "percentage": {"numerator": 10}}
    fault = {"envoy.filters.http.fault": {"@type": _FAULT, "abort": abort, "delay": {"percentage": {"numerator": 1}}}}
    match = {
        "prefix": "/a",
        "headers": [{"name": "x", "string_match": {"exact": "1"}}],
        "query_parameters": [{"name": "x", "string_match": {"safe_regex": {"regex": "1"}}}],
        "runtime_fraction": {"default_value": {"numerator": 1}},
    }
    source = istio("virtual-service", "x", "y")
    rewrite: dict[str, Any] = {"regex_rewrite": {"pattern": {"regex": "a"}, "substitution": "b"}, "timeout": "1s"}
    table = routes(
        "80",
        host(
            "all",
            ["*"],
            {
                **to("a", match, **rewrite),
                "typed_per_filter_config": fault,
                "metadata": source,
            },
            {"match": {"path": "/r"}, "redirect": {"regex_rewrite": {"pattern": {"regex": "r"}}, "port_redirect": 1}},
            {"match": {"path": "/d"}, "direct_response": {"status": 418}},
            to("a", None),
        ),
    )
    filters = [{"name": "envoy.filters.http.jwt_authn", "typed_config": jwt}, rbac("DENY", one=policy)]
    off = {"or_match": {"rules": [{"destination_port_range": {"start": 1, "end": 2}}]}}
    chains = [
        with_tls(http_chain(table, {"transport_protocol": "tls"}), ["h2"]),
        http_chain(table, None, "plain", filters, normalize_path=True),
    ]
    outer = listener(
        "x",
        "0.0.0.0",
        80,
        *chains,
        listener_filters=[{**TLS_INSPECTOR, "filter_disabled": off}, HTTP_INSPECTOR],
        default_filter_chain=tcp_chain("a", before=[rbac("ALLOW", network=True, one=policy)]),
    )
    target = {
        **cluster("a", common_lb_config={"healthy_panic_threshold": {"value": 1}}),
        "transport_socket": upstream_tls("x", alpn=("h2",)),
    }
    made = dump([outer], [], [target], [endpoints("a", "10.0.0.1:1", labels={"tlsMode": "istio"})])
    return {"configs": [json.loads(bytes(raw)) for raws in made.sections.values() for raw in raws]}


EVERYTHING = _everything()


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in items for place in _places(each, (*path, key)))]


PLACES = [place for place in _places(EVERYTHING) if len(place) > 3]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2**70),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.sampled_from([[], {}, [None], {"a": None}, [[]], "NaN", "-1", "(?=x)", "::1", {"numerator": "x"}]),
)
REQUESTS = (
    Request("gateway", "10.0.0.9", 80, "10.0.0.8", authority="a", path="/a/b?x=1", headers=(("x", "1"),)),
    Request("gateway", "10.0.0.9", 80, "10.0.0.8", authority="a", path="/r"),
    Request(
        "gateway", "10.0.0.9", 80, "10.0.0.8", authority="a", path="/d", tls=ClientHello("a", ("h2",)), version="2"
    ),
    Request("gateway", "10.0.0.9", 80, "10.0.0.8", version=""),
    Request("gateway", "10.0.0.9", 80, authority="a", headers=(("authorization", "Bearer a.e30.c"),), identity=None),
)


@settings(max_examples=400)
@given(st.lists(st.tuples(st.sampled_from(PLACES), JUNK), min_size=1, max_size=4))
def test_no_configuration_breaks_it(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    body = copy.deepcopy(EVERYTHING)
    for place, junk in changes:
        with contextlib.suppress(LookupError, TypeError):  # an earlier change may have taken the place away
            functools.reduce(operator.getitem, place[:-1], body)[place[-1]] = copy.deepcopy(junk)
    try:
        proxy = Proxy(decode_config_dump(json.dumps(body).encode()))
    except UnreadableError:
        return
    for request in REQUESTS:
        found = trace(proxy, request)
        assert found.hops
        assert all(len(line) <= 80 for line in trace_lines(found))
