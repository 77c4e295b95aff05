"""istiod's answer over xDS, by the one decoder that the table and the importer use."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from meshdoctor.mesh.discovery import istiod_facts
from meshdoctor.mesh.sync_types import type_states
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.discovery import CLIENT_CONFIG, TYPE_URLS, read_responses, sync_records
from meshdoctor.model.istiod import SyncRecord
from meshdoctor.recording.importing.sync_status import sync_json, sync_table

CDS, LDS, EDS, RDS, NDS = (TYPE_URLS[name] for name in ("CDS", "LDS", "EDS", "RDS", "NDS"))


def response(*configs: dict[str, Any], key: str = "genericXdsConfigs", **client: Any) -> dict[str, Any]:
    node = {"id": "web.shop", "metadata": {"CLUSTER_ID": "Kubernetes", "ISTIO_VERSION": "1.29.0"}}
    identifier = json.dumps({"Component": "istiod", "ID": "istiod-1", "Info": {"version": "1.29.1"}})
    return {
        "resources": [{"@type": CLIENT_CONFIG, "node": node, key: list(configs), **client}],
        "controlPlane": {"identifier": identifier},
    }


def told(records: Any) -> dict[str, tuple[str, str]]:
    return {one.name: (one.status, one.error) for record in records for one in type_states(record, 0.0)}


def both(answer: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """What the table shows and what the importer keeps of it, which must be the same."""
    body = json.dumps(answer)
    facts = [istiod_facts(one) for one in read_responses(body)]
    (name, kept), *rest = sync_json(body.encode()).items()
    assert not rest
    assert [one.name for one in facts] == [name]
    shown = told(facts[0].records)
    assert told(msgspec.json.decode(kept, type=list[SyncRecord])) == shown
    return shown


def test_table_and_importer_tell_the_same_of_every_state() -> None:
    states = {CDS: "SYNCED", LDS: "STALE", EDS: "ERROR", RDS: "NOT_SENT", NDS: "UNKNOWN"}
    configs = [{"typeUrl": url, "configStatus": state} for url, state in states.items()]
    assert both(response(*configs)) == {
        "CDS": ("SYNCED", ""),
        "LDS": ("STALE", ""),
        "EDS": ("ERROR", "rejected"),
        "RDS": ("NOT SENT", ""),
    }
    why = {"typeUrl": CDS, "configStatus": "ERROR", "errorState": {"details": "bad"}}
    assert both(response(why)) == {"CDS": ("ERROR", "bad")}


def test_each_type_had_a_field_of_its_own_before_istio_1_14() -> None:
    configs = {"status": "SYNCED", "clusterConfig": {}}, {"status": "STALE", "routeConfig": {}}, {"status": "SYNCED"}
    assert both(response(*configs, key="xdsConfig")) == {"CDS": ("SYNCED", ""), "RDS": ("STALE", "")}


def test_a_proxy_by_the_id_that_envoy_has() -> None:
    (record,) = sync_records(response(node={"id": "sidecar~10.0.0.1~web.shop~shop.svc.cluster.local"}))
    assert (record.pod, record.namespace) == ("web", "shop")


@pytest.mark.parametrize(
    "odd", [{"node": 7}, {"node": {"id": 7}}, {"@type": "x/y.Other"}, {"node": {"id": "a.b", "metadata": []}}]
)
def test_what_is_no_proxy_is_left_out_and_no_error(odd: dict[str, Any]) -> None:
    assert len(list(sync_records(response(**odd)))) == ("metadata" in str(odd))
    assert list(sync_records([odd])) == []


def test_answers_of_several_istiods_stand_one_after_the_other() -> None:
    other = response({"typeUrl": CDS, "configStatus": "SYNCED"})
    other["controlPlane"]["identifier"] = json.dumps({"ID": "istiod-2"})
    body = json.dumps(response(), indent=2) + "\n" + json.dumps(other)
    assert set(sync_json(body.encode())) == {"istiod-1", "istiod-2"}


def test_text_of_a_cluster_is_made_visible_and_half_a_character_is_no_text() -> None:
    (answer,) = read_responses('{"versionInfo": "a\\u001b[2J"}')
    assert answer == {"versionInfo": "a␛[2J"}
    with pytest.raises(UnreadableError):
        read_responses('{"versionInfo": "\\ud800"}')


TABLE = """\
NAME          CLUSTER        CDS        LDS         EDS          RDS         ISTIOD       VERSION
web.shop      Kubernetes     ERROR      IGNORED     NOT SENT     SYNCED      istiod-1     1.24.0
"""


def test_the_table_has_errors_without_a_text_and_types_that_are_ignored() -> None:
    kept = sync_table(TABLE.encode())["istiod-1"]
    assert told(msgspec.json.decode(kept, type=list[SyncRecord])) == {
        "CDS": ("ERROR", "rejected"),
        "EDS": ("NOT SENT", ""),
        "RDS": ("SYNCED", ""),
    }
