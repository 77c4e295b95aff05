from __future__ import annotations

import json

import pytest

from meshdoctor.mesh.ages import human_duration
from meshdoctor.mesh.discovery import discovery_response, in_namespace, istiod_facts
from meshdoctor.mesh.revisions import injected_revision, release, revisions
from meshdoctor.mesh.sync import (
    CONNECTED,
    DISCONNECTED,
    ERROR,
    IGNORED,
    NEVER_CONNECTED,
    NO_ISTIOD,
    NOT_SENT,
    STALE,
    SYNCED,
    UNKNOWN,
    IstiodFacts,
    ProxySync,
    connected_proxies,
    rejection,
    sync_status,
    type_states,
)
from meshdoctor.model.discovery import TYPE_URLS, read_responses
from meshdoctor.model.istiod import ResourceSync, SyncRecord, parse_istiod_version
from meshdoctor.model.kubernetes import (
    Container,
    ContainerState,
    ContainerStatus,
    Namespace,
    Pod,
    PodSpec,
    PodStatus,
    StateDetail,
    WebhookConfiguration,
)
from meshdoctor.model.meta import Meta
from meshdoctor.model.moment import unix
from meshdoctor.model.snapshot import PodRef
from meshdoctor.present.sync_tables import istioctl_table, istioctl_verbose_table, short_table, why

SENT = "2026-11-23T10:00:00Z"
NOW = (unix(SENT) or 0) + 40
OK = ResourceSync("n", "n", SENT)


def record(proxy: str = "web.shop", version: str = "1.29.0", **types: ResourceSync) -> SyncRecord:
    return typed(proxy, types or {"CDS": OK}, version)


def typed(proxy: str, types: dict[str, ResourceSync], version: str = "1.29.0") -> SyncRecord:
    resources = {TYPE_URLS[name]: entry for name, entry in types.items()}
    return SyncRecord(proxy, "Kubernetes", "sidecar", version, resources=resources)


def istiod(*records: SyncRecord, name: str = "istiod-a", revision: str = "default") -> IstiodFacts:
    return IstiodFacts(name, records, revision, "1.29.1")


def pod(
    name: str = "web",
    kind: str = "sidecar",
    *,
    ready: bool = True,
    waiting: str = "",
    phase: str = "Running",
    revision: str = "default",
    labels: dict[str, str] | None = None,
) -> Pod:
    state = ContainerState(waiting=StateDetail(reason=waiting) if waiting else None)
    annotations = {"sidecar.istio.io/status": json.dumps({"revision": revision})} if revision else {}
    return Pod(
        metadata=Meta(name=name, namespace="shop", labels=labels or {}, annotations=annotations),
        spec=PodSpec(containers=[Container(name="istio-proxy", args=["proxy", kind])]),
        status=PodStatus(phase=phase, container_statuses=[ContainerStatus("istio-proxy", ready, state=state)]),
    )


def status(istiods: list[IstiodFacts], *pods: Pod, **labels: dict[str, str]) -> dict[str, ProxySync]:
    namespaces = [Namespace(metadata=Meta(name=name, labels=found)) for name, found in labels.items()]
    return {proxy.name: proxy for proxy in sync_status(istiods, pods, revisions([], namespaces), NOW)}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (OK, SYNCED),
        (ResourceSync("n", "m", SENT), STALE),
        (ResourceSync("", "", None), NOT_SENT),
        (ResourceSync("n", "n", SENT, last_error="no"), ERROR),
    ],
)
def test_state_of_a_type(entry: ResourceSync, expected: str) -> None:
    (found,) = type_states(record(CDS=entry), NOW)
    assert found.status == expected
    assert found.age == (40 if entry.sent_time else None)


def test_flat_fields_of_an_old_istiod() -> None:
    old = SyncRecord("web.shop", istio_version="1.22.0", cluster_sent="a", cluster_acked="a", route_sent="b")
    assert [(entry.name, entry.status) for entry in type_states(old, NOW)] == [("CDS", SYNCED), ("RDS", STALE)]


def test_main_types_come_first_and_ignored_ones_are_named() -> None:
    proxy = status([istiod(record(ECDS=OK, RDS=OK, LDS=OK, CDS=OK))], pod())["web.shop"]
    assert [entry.name for entry in proxy.types] == ["CDS", "LDS", "RDS", "ECDS"]
    assert proxy.of_type("EDS").status == IGNORED
    assert proxy.word == SYNCED


@pytest.mark.parametrize(
    ("istiods", "made", "state"),
    [
        ([], pod(), NO_ISTIOD),
        ([IstiodFacts("istiod-a", None, why="forbidden")], pod(), UNKNOWN),
        ([istiod()], pod(ready=True), DISCONNECTED),
        ([istiod()], pod(ready=False, waiting="CrashLoopBackOff"), NEVER_CONNECTED),
        ([istiod(record())], pod(), CONNECTED),
        ([istiod(), istiod(record(), name="istiod-b")], pod(), CONNECTED),
    ],
)
def test_every_pod_with_a_proxy_has_a_state(istiods: list[IstiodFacts], made: Pod, state: str) -> None:
    proxy = status(istiods, made)["web.shop"]
    assert proxy.state == state
    assert proxy.problem is (state != CONNECTED)
    assert bool(why(proxy)) is (state != CONNECTED)


def test_no_istiod_is_said_only_where_the_pods_are_known() -> None:
    ready = Pod(
        metadata=Meta(name="istiod-a", namespace="istio-system"),
        status=PodStatus(container_statuses=[ContainerStatus("discovery", True)]),
    )
    assert status([], pod(), ready)["web.shop"].state == UNKNOWN
    recorded = {PodRef("shop", "web"): "proxy"}
    (proxy,) = sync_status([], [], revisions([], [], pods_known=False), NOW, recorded)
    assert (proxy.name, proxy.kind, proxy.state) == ("web.shop", "proxy", UNKNOWN)
    (lost,) = sync_status([istiod()], [], revisions([], [], pods_known=False), NOW, recorded)
    assert lost.state == DISCONNECTED


def test_pods_without_a_proxy_and_finished_ones_are_left_out() -> None:
    plain = Pod(metadata=Meta(name="db", namespace="shop"), spec=PodSpec(containers=[Container(name="app")]))
    assert status([istiod()], plain, pod("done", phase="Succeeded")) == {}


def test_kinds() -> None:
    pods = (pod("s"), pod("g", "router"), pod("w", "waypoint"), pod("z", "ztunnel"))
    assert {name: proxy.kind for name, proxy in status([istiod()], *pods).items()} == {
        "s.shop": "sidecar",
        "g.shop": "gateway",
        "w.shop": "waypoint",
        "z.shop": "ztunnel",
    }


def test_a_proxy_at_two_istiods_counts_once_with_the_newer_send() -> None:
    newer = ResourceSync("n", "n", "2026-11-23T10:00:30Z")
    found = status([istiod(record(CDS=OK)), istiod(record(CDS=newer), name="istiod-b")], pod())
    assert found["web.shop"].istiod == "istiod-b"
    assert found["web.shop"].notes == ("also connected to istiod-a",)


def test_istioctl_shows_each_connection() -> None:
    found = connected_proxies([istiod(record()), istiod(record(), SyncRecord("istioctl.x"), name="istiod-b")], NOW)
    assert [(proxy.name, proxy.istiod, proxy.kind) for proxy in found] == [
        ("web.shop", "istiod-a", "sidecar"),
        ("web.shop", "istiod-b", "sidecar"),
    ]


def test_a_fresh_send_is_in_flight_and_an_old_one_is_stale() -> None:
    late, fresh = ResourceSync("n", "m", SENT), ResourceSync("n", "m", "2026-11-23T10:00:30Z")
    assert status([istiod(record(CDS=late))], pod())["web.shop"].word == STALE
    assert status([istiod(record(CDS=fresh))], pod())["web.shop"].word == SYNCED


def test_wrong_revision_and_version_skew() -> None:
    proxy = status([istiod(record(version="1.27.3"), revision="canary")], pod(), shop={"istio.io/rev": "canary"})[
        "web.shop"
    ]
    assert proxy.notes == (
        "wrong revision: injected by default, connected to canary",
        "wrong revision: its namespace wants canary, it was injected by default; restart it",
        "version skew: proxy 1.27.3, istiod 1.29.1",
    )


def test_a_tag_is_the_revision_that_it_stands_for() -> None:
    labels = {"istio.io/tag": "default", "istio.io/rev": "1-29"}
    known = revisions(
        [WebhookConfiguration(metadata=Meta(name="tag", labels=labels))],
        [Namespace(metadata=Meta(name="shop", labels={"istio-injection": "enabled"}))],
    )
    (proxy,) = sync_status([istiod(record(), revision="1-29")], [pod(revision="1-29")], known, NOW)
    assert proxy.notes == ()


def test_a_connection_without_a_pod_is_shown_and_other_clients_are_not() -> None:
    found = status([istiod(record("gone.shop"), SyncRecord("istioctl.x"))], pod())
    assert set(found) == {"gone.shop", "web.shop"}
    assert found["gone.shop"].notes == ("no such pod: it left, or it is a virtual machine",)


def test_a_rejection_without_the_resource_that_was_rejected() -> None:
    text = (
        'goo.gle/debugonly\nname: "outbound|80||a"\ntype: EDS\nmetadata {\n}\n: Proto constraint validation failed (x)'
    )
    assert rejection(text) == "outbound|80||a: Proto constraint validation failed (x)"
    assert rejection("Error adding\n listener") == "Error adding listener"


def test_tables() -> None:
    entries = {"CDS": ResourceSync("n", "m", SENT, last_error="bad"), "LDS": OK, "ECDS": ResourceSync()}
    proxies = tuple(status([istiod(typed("web.shop", entries))], pod(), pod("lost", ready=False)).values())
    assert list(istioctl_table(proxies).rows) == [("web.shop", "Kubernetes", "istiod-a", "1.29.0", "3 (CDS,LDS,ECDS)")]
    verbose = istioctl_verbose_table(proxies)
    assert verbose.header == ("NAME", "CLUSTER", "CDS", "ECDS", "EDS", "LDS", "RDS", "ISTIOD", "VERSION")
    assert verbose.rows[0][2:7] == ("ERROR (40s)", "NOT SENT", "IGNORED", "SYNCED (40s)", "IGNORED")
    assert [row[:3] for row in short_table(proxies).rows] == [
        ("lost.shop", "sidecar", "NEVER CONNECTED"),
        ("web.shop", "sidecar", "ERROR"),
    ]


def test_both_wire_forms_say_the_same() -> None:
    entries = {"CDS": ResourceSync("n", "m", SENT, last_error="bad"), "LDS": OK, "RDS": ResourceSync()}
    response = discovery_response(istiod(typed("web.shop", entries)), NOW)
    facts = istiod_facts(json.loads(json.dumps(response)))
    assert (facts.name, facts.version) == ("istiod-a", "1.29.1")
    (one,) = facts.records or ()
    assert [(e.name, e.status, e.error) for e in type_states(one, NOW)] == [
        ("CDS", ERROR, "bad"),
        ("LDS", SYNCED, ""),
        ("RDS", NOT_SENT, ""),
    ]
    assert in_namespace(response, "other")["resources"] == []
    assert len(read_responses(json.dumps(response) + "\n" + json.dumps(response))) == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (600, "10m"), (10_799, "179m"), (10_800, "3h"),
        (11_220, "3h7m"), (28_800, "8h"), (172_799, "47h"), (172_800, "2d"), (176_400, "2d1h"), (691_200, "8d"),
        (63_072_000, "2y"), (63_158_400, "2y1d"), (252_288_000, "8y"), (-1, "0s"), (-5, "<invalid>"),
    ],
)  # fmt: skip
def test_ages(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_versions() -> None:
    assert parse_istiod_version(b"1.29.0-abcdef-Clean\n") == "1.29.0"
    assert parse_istiod_version(b"1.32-alpha-unknown-Clean") == "1.32-alpha"
    assert release("1.29.0") == (1, 29)
    assert release("unknown") is None
    assert injected_revision(pod(revision="")) == ""
