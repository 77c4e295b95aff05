"""The indexes: whose pod, whose address, which Service a name or an address is, who serves a port."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.logs import logged_addresses
from meshdoctor.mesh.owners import Workload
from meshdoctor.model.pods import has_sidecar, is_ready
from meshdoctor.model.snapshot import PodRef, Snapshot, SourceInfo
from tests.envoy_dumps import server_info
from tests.kube_objects import event, pod, service
from tests.moments import Json
from tests.probes.depot import LEDGER, LEDGER_IP, PICKER, PICKER_IP, SERVICE_IP, Depot, ledgers
from tests.recordings import access_line


def index(depot: Depot) -> MeshIndex:
    return depot.examination().mesh


def ref(text: str) -> PodRef:
    namespace, _, name = text.partition("/")
    return PodRef(namespace, name)


def owned(name: str, kind: str, owner: str, **labels: str) -> Json:
    return pod(name, "depot", "10.40.9.1", labels, owner_kind=kind, replica_set=owner)


@pytest.mark.parametrize(
    ("found", "workload"),
    [
        (owned("shelf-0", "StatefulSet", "shelf"), Workload("StatefulSet", "depot", "shelf")),
        (owned("agent-x7k2p", "DaemonSet", "agent"), Workload("DaemonSet", "depot", "agent")),
        (owned("count-29-abcde", "Job", "count-29"), Workload("Job", "depot", "count-29")),
        (owned("solo", "", ""), Workload("Pod", "depot", "solo")),
        # The ReplicaSet object is not there: the template hash in its name tells the Deployment.
        (
            owned("lost-6d4cf56db6-abcde", "ReplicaSet", "lost-6d4cf56db6", **{"pod-template-hash": "6d4cf56db6"}),
            Workload("Deployment", "depot", "lost"),
        ),
        (owned("bare-rs-abcde", "ReplicaSet", "bare-rs"), Workload("ReplicaSet", "depot", "bare-rs")),
    ],
)
def test_the_workload_of_a_pod(tmp_path: Path, found: Json, workload: Workload) -> None:
    depot = Depot(tmp_path).objects("Pod", found)
    assert index(depot).workload(PodRef("depot", found["metadata"]["name"])) == workload


def test_a_replica_sets_deployment(tmp_path: Path) -> None:
    assert index(Depot(tmp_path)).workload(ref(PICKER)) == Workload("Deployment", "depot", "picker")


@pytest.mark.parametrize(
    ("name", "workload"),
    [
        ("ledger-6c8f5d7b9c-zzzzz", "Deployment books/ledger"),
        ("index-card-5b9d8c6f7d-k2j8h", "Deployment books/index-card"),
        ("shelf-0", "Pod books/shelf-0"),
        ("my-own-thing", "Pod books/my-own-thing"),
        ("front-desk-admin", "Pod books/front-desk-admin"),
    ],
)
def test_the_workload_of_a_pod_that_is_gone(tmp_path: Path, name: str, workload: str) -> None:
    found = index(Depot(tmp_path)).workload(PodRef("books", name))
    assert f"{found.kind} {found}" == workload


def test_workloads_of_pods_of_which_only_a_log_is_left(tmp_path: Path) -> None:
    depot = Depot(tmp_path).log("books/ledger-5b9d8c6f7d-k2j8h", "istio-proxy", access_line(1))
    pods = index(depot).workloads[Workload("Deployment", "books", "ledger")]
    assert PodRef("books", "ledger-5b9d8c6f7d-k2j8h") in pods
    assert len(pods) == 3


def test_addresses(tmp_path: Path) -> None:
    finished = pod("count-abcde", "depot", LEDGER_IP)
    finished["status"]["phase"] = "Succeeded"
    host = pod("agent", "depot", "192.0.2.4", host_network=True)
    mesh = index(Depot(tmp_path, servers=[finished, *ledgers()]).objects("Pod", host))
    assert (mesh.pod_by_ip(PICKER_IP) or pytest.fail()).name == PICKER.partition("/")[2]
    assert (mesh.pod_by_ip(LEDGER_IP) or pytest.fail()).key == LEDGER, "a finished pod's address has a new owner"
    assert mesh.pod_by_ip("192.0.2.4") is None, "the address of a pod on the host's network is the node's"
    assert mesh.pod_by_ip("") is None
    assert mesh.pod_by_ip("10.9.9.9") is None


@pytest.mark.parametrize(
    ("host", "namespace", "found"),
    [
        ("ledger", "books", True),
        ("ledger", "depot", False),
        ("ledger.books", "depot", True),
        ("ledger.books.svc", "", True),
        ("ledger.books.svc.cluster.local", "", True),
        ("ledger.books.svc.cluster.local.", "", True),
        ("ledger.books.example.org", "", False),
        ("ledger.depot.svc.cluster.local", "", False),
        ("", "books", False),
        (SERVICE_IP, "books", False),
    ],
)
def test_a_service_by_host(tmp_path: Path, host: str, namespace: str, found: bool) -> None:
    service = index(Depot(tmp_path)).service_by_host(host, namespace)
    assert (service is not None and service.key == "books/ledger") is found


def test_a_service_by_address(tmp_path: Path) -> None:
    depot = Depot(tmp_path).objects("Service", service("headless", "books", "None", [(80, "http", 80)]))
    mesh = index(depot)
    assert (mesh.service_by_ip(SERVICE_IP) or pytest.fail()).key == "books/ledger"
    assert mesh.service_by_ip("None") is None


def test_selected_pods_and_slices(tmp_path: Path) -> None:
    depot = Depot(tmp_path).objects("Pod", pod("ledger-9", "depot", "10.40.9.9", {"app": "ledger"}))
    depot.objects("Service", service("none", "books", "10.96.1.1", [(80, "http", 80)], None))
    mesh = index(depot)
    assert {found.namespace for found in mesh.selected_pods(mesh.services["books", "ledger"])} == {"books"}
    assert mesh.selected_pods(mesh.services["books", "none"]) == (), "no selector selects nothing"
    assert len(mesh.slices(mesh.services["books", "ledger"])) == 1


def test_served_ports(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=ledgers(ports=[("pages", 7070), 9191]))
    two: list[tuple[int, str, int | str]] = [(80, "http", "pages"), (81, "x", 9191)]
    depot.objects("Service", service("named", "books", "10.96.1.1", two, {"app": "ledger"}))
    depot.objects("Service", service("same", "books", "10.96.1.2", [(7070, "http", 0)], {"app": "ledger"}))
    depot.objects("Service", service("other", "books", "10.96.1.3", [(80, "http", 7070)], {"app": "folio"}))
    mesh = index(depot)
    served = {(found.name, port) for found, port in mesh.served_ports(ref(LEDGER), 7070)}
    assert served == {("named", 80), ("same", 7070)}
    assert {(found.name, port) for found, port in mesh.served_ports(ref(LEDGER), 9191)} == {
        ("ledger", 8090),
        ("named", 81),
    }


def test_a_named_port_of_another_protocol_or_of_a_native_sidecar(tmp_path: Path) -> None:
    found = pod("dns-1", "depot", "10.40.9.8", {"app": "dns"})
    found["spec"]["containers"][0]["ports"] = [
        {"name": "dns", "containerPort": 5353, "protocol": "TCP"},
        {"name": "dns", "containerPort": 53, "protocol": "UDP"},
    ]
    found["spec"]["initContainers"] = [
        {"name": "cache", "restartPolicy": "Always", "ports": [{"name": "cache", "containerPort": 6379}]}
    ]
    depot = Depot(tmp_path).objects("Pod", found)
    ports: list[tuple[int, str, int | str]] = [(53, "tcp", "dns"), (6379, "tcp-cache", "cache")]
    depot.objects("Service", service("dns", "depot", "10.96.1.8", ports, {"app": "dns"}))
    mesh = index(depot)
    served = {number: mesh.served_ports(PodRef("depot", "dns-1"), number) for number in (53, 5353, 6379)}
    assert {number: [port for _, port in found] for number, found in served.items()} == {
        53: [],
        5353: [53],
        6379: [6379],
    }


def test_served_ports_of_a_pod_that_is_gone_come_from_its_template(tmp_path: Path) -> None:
    mesh = index(Depot(tmp_path))
    gone = PodRef("books", "ledger-6c8f5d7b9c-zzzzz")
    assert [(found.name, port) for found, port in mesh.served_ports(gone, 9191)] == [("ledger", 8090)]
    assert mesh.served_ports(PodRef("books", "nobody"), 9191) == ()


def test_a_gateway_by_its_node_or_by_its_arguments(tmp_path: Path) -> None:
    depot = Depot(tmp_path).proxy(PICKER, server_info=server_info("router"))
    depot.objects("Pod", pod("door", "edge", "10.40.7.7", gateway=True))
    mesh = index(depot)
    assert mesh.is_gateway(ref(PICKER))
    assert mesh.is_gateway(PodRef("edge", "door"))
    assert not mesh.is_gateway(ref(LEDGER))
    assert not mesh.is_gateway(PodRef("edge", "nobody"))


def test_a_pods_own_addresses_in_its_log(tmp_path: Path) -> None:
    depot = Depot(tmp_path).good(1, 2)
    assert logged_addresses(index(depot), ref(LEDGER)) == {LEDGER_IP}
    assert logged_addresses(index(depot), ref(PICKER)) == {"10.40.1.5"}


def test_events_in_order(tmp_path: Path) -> None:
    name = LEDGER.partition("/")[2]
    depot = Depot(tmp_path).objects(
        "Event", *(event("Pod", "books", name, reason, "", at) for reason, at in (("Late", 9), ("Early", -9)))
    )
    assert [found.reason for found in index(depot).events("Pod", "books", name)] == ["Early", "Late"]


def test_sidecars_and_readiness(tmp_path: Path) -> None:
    mesh = index(
        Depot(tmp_path).objects(
            "Pod",
            pod("native", "depot", "1.1.1.1", native=True),
            pod("bare", "depot", "1.1.1.2", sidecar=False, ready=False),
        )
    )
    native, bare = mesh.pods[PodRef("depot", "native")], mesh.pods[PodRef("depot", "bare")]
    assert has_sidecar(native) and is_ready(native)
    assert not has_sidecar(bare) and not is_ready(bare)


def test_what_was_not_read_is_empty_and_not_known() -> None:
    mesh = MeshIndex(Snapshot(SourceInfo("recording", "nothing"), {}))
    assert not mesh.known("Pod") and not mesh.pods and not mesh.workloads
    assert mesh.workload(PodRef("a", "b")) == Workload("Pod", "a", "b")


def test_derived_views_are_built_once(tmp_path: Path) -> None:
    mesh = index(Depot(tmp_path))
    built: list[MeshIndex] = []

    def build(one: MeshIndex) -> int:
        built.append(one)
        return 7

    assert mesh.derived(build) + mesh.derived(build) == 14
    assert built == [mesh]
