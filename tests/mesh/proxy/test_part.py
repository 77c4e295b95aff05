from __future__ import annotations

import json

import pytest

from meshdoctor.mesh.proxy.bootstrap import bootstrap_table
from meshdoctor.mesh.proxy.cluster import ClusterFilter, cluster_table
from meshdoctor.mesh.proxy.ecds import ecds_resource
from meshdoctor.mesh.proxy.eds import eds_resources, eds_table, what_is_missing
from meshdoctor.mesh.proxy.endpoint import ClusterHosts, EndpointFilter, endpoint_table
from meshdoctor.mesh.proxy.endpoint_wide import wide_eds
from meshdoctor.mesh.proxy.listener import ListenerFilter, listener_table
from meshdoctor.mesh.proxy.listener_wide import wide_listeners
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.sections import find_sections
from tests.mesh.proxy.dumps import clusters, dump, listeners, read, socket, tcp


def test_null_is_not_set_as_in_protojson() -> None:
    sections = read(
        BootstrapConfigDump={"bootstrap": {"node": {"metadata": None, "user_agent_build_version": None}}},
        ClustersConfigDump=clusters({"name": "a", "metadata": None, "type": None}, static_clusters=None),
        ListenersConfigDump=listeners({"name": "l", "address": socket("1.1.1.1", 80), "filter_chains": None}),
    )
    assert list(bootstrap_table(sections).rows) == [("Envoy Version:", "0.0.0")]
    assert list(cluster_table(sections, ClusterFilter()).rows) == [("a", "-", "-", "-", "STATIC", "")]
    assert list(listener_table(sections, ListenerFilter(), verbose=False).rows) == [("1.1.1.1", "80", "UNKNOWN")]
    assert sections.problems == []


def test_beside_nulls_a_broken_entry_is_still_named() -> None:
    sections = read(ClustersConfigDump=clusters({"name": "a", "metadata": None}, {"name": 7}, static_clusters=None))
    assert [row[0] for row in cluster_table(sections, ClusterFilter()).rows] == ["a"]
    assert sections.problems == [
        "ClustersConfigDump.dynamic_active_clusters[1]: Expected `str`, got `int` - at `$.cluster.name`"
    ]


def test_half_of_a_utf16_pair_does_not_lose_its_entry() -> None:
    body = dump(ClustersConfigDump=clusters({"name": "HALF"}, {"name": "\U0001f600"}))
    sections = find_sections(body.replace(b"HALF", rb"a\ud800\udc00b\udfff"))
    assert [row[0] for row in cluster_table(sections, ClusterFilter()).rows] == ["a\U00010000b\ufffd", "\U0001f600"]
    assert sections.problems == ["ClustersConfigDump: halves of UTF-16 pairs are shown as \ufffd"]


def test_a_dump_without_endpoints_says_how_to_get_them() -> None:
    sections = read(ClustersConfigDump=clusters({"name": "a"}))
    assert list(eds_table(sections, EndpointFilter()).rows) == []
    assert list(wide_eds(sections, EndpointFilter()).rows) == []
    assert "include_eds" in what_is_missing(sections)
    assert not what_is_missing(read(EndpointsConfigDump={}))


HOSTS = {
    "clusterStatuses": [
        {"name": "a", "hostStatuses": [{"address": {"socketAddress": {"address": "1.1.1.1", "portValue": 80}}}]}
    ]
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_hosts_in_protojsons_spelling_and_any_encoding(encoding: str) -> None:
    answer = ClusterHosts(json.dumps(HOSTS, indent=1).encode(encoding))
    assert list(endpoint_table(answer, EndpointFilter()).rows) == [("1.1.1.1:80", "UNKNOWN", "OK", "a")]
    assert answer.problems == []


def test_an_answer_that_is_no_list_of_hosts_is_quoted() -> None:
    with pytest.raises(UnreadableError, match="it begins with: upstream connect error"):
        ClusterHosts(b"upstream connect error or disconnect")


def test_a_broken_assignment_does_not_hide_the_others_as_json() -> None:
    fine = {"cluster_name": "b", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket("1.1.1.1", 80)}}]}]}
    broken = {"cluster_name": "a", "endpoints": [{"locality": 7}]}
    empty = {"cluster_name": "c", "endpoints": None}
    entries = [{"endpoint_config": each} for each in (broken, fine, empty)]
    sections = read(EndpointsConfigDump={"dynamic_endpoint_configs": entries})
    assert eds_resources(sections, EndpointFilter()) == [fine]
    assert [problem.split(":")[1] for problem in sections.problems] == [" a"]


def test_broken_ecds_filters_are_left_out_as_json() -> None:
    fine = {"ecds_filter": {"name": "a"}}
    sections = read(EcdsConfigDump={"ecds_filters": [fine, {"ecds_filter": {"name": "BROKEN"}}]})
    (part,) = sections.parts["EcdsConfigDump"]
    sections.parts["EcdsConfigDump"] = (bytes(part).replace(b'"BROKEN"', b'"BROKEN'),)
    assert ecds_resource(sections) == {"ecds_filters": [fine]}
    assert sections.problems
    assert ecds_resource(read(EcdsConfigDump={"ecds_filters": None})) == {}


def test_a_filter_with_bytes_that_are_no_text_still_leads_somewhere() -> None:
    chain = {"filters": [tcp(cluster="outbound|80||a", stat_prefix="BYTES")]}
    body = dump(
        ListenersConfigDump=listeners({"name": "l", "address": socket("1.1.1.1", 80), "filter_chains": [chain]})
    )
    sections = find_sections(body.replace(b"BYTES", b"\xff\xfe"))
    table = listener_table(sections, ListenerFilter())
    assert [row[3] for row in table.rows] == ["Cluster: outbound|80||a"]
    assert [row[7] for row in wide_listeners(sections, ListenerFilter()).rows] == ["Cluster: outbound|80||a"]
