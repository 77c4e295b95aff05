"""Pods' lives, also of those that are gone: from objects, events and logs."""

from __future__ import annotations

from pathlib import Path

from meshdoctor.mesh.lifecycle import DEFAULT_GRACE, Lives, PodLife
from meshdoctor.model.snapshot import PodRef
from tests.kube_objects import container_status, deployment, event, pod
from tests.moments import START
from tests.probes.depot import APP, LEDGER, LEDGER_IP, LEDGERS, Depot, ledgers
from tests.recordings import access_line

NAME = LEDGER.partition("/")[2]
GONE = "ledger-5b9d8c6f7d-k2j8h"


def life(depot: Depot, name: str = NAME) -> PodLife:
    return Lives(depot.examination().mesh).by_ref[PodRef("books", name)]


def about(name: str, reason: str, message: str, at: float) -> dict[str, object]:
    return event("Pod", "books", name, reason, message, at)


def test_a_pod_that_runs(tmp_path: Path) -> None:
    found = life(Depot(tmp_path, servers=ledgers(created=-500, ready_at=-490)))
    assert (found.exists, found.created, found.ready) == (True, START - 500, START - 490)
    assert (found.stopped, found.exits, found.grace) == (None, (), 30.0)
    assert found.addresses == {LEDGER_IP}
    assert str(found.workload) == "books/ledger"


def test_the_deletion_time_is_the_end_of_the_grace_period(tmp_path: Path) -> None:
    found = life(Depot(tmp_path, servers=ledgers(stopped=100, grace=45)))
    assert (found.stopped, found.grace) == (START + 100, 45.0)
    assert found.is_stopping(START + 100) and not found.is_stopping(START + 99)


def test_a_deleted_pod_by_its_events(tmp_path: Path) -> None:
    depot = Depot(tmp_path).objects(
        "Event",
        about(GONE, "Scheduled", "Successfully assigned books/…", -900),
        about(GONE, "Unhealthy", 'Readiness probe failed: Get "http://10.40.2.66:9191/ready": EOF', -890),
        about(GONE, "Killing", "Stopping container server", 100),
        about(GONE, "Killing", "Stopping container istio-proxy", 101),
        about(GONE, "FailedPreStopHook", "PreStopHook failed", 102),
    )
    found = life(depot, GONE)
    assert (found.exists, found.created, found.stopped) == (False, START - 900, START + 100)
    assert found.addresses == {"10.40.2.66"}
    assert found.pre_stop_failed == START + 102
    assert str(found.workload) == "books/ledger"
    assert found.grace == DEFAULT_GRACE


def test_the_grace_period_of_a_deleted_pod_is_its_templates(tmp_path: Path) -> None:
    depot = Depot(tmp_path).drop(r"kube/apps/v1/deployments")
    depot.objects("Deployment", deployment("ledger", "books", APP, grace=77))
    depot.objects("Event", about(GONE, "Killing", "Stopping container server", 100))
    assert life(depot, GONE).grace == 77.0


def test_a_deleted_pods_address_in_its_own_log(tmp_path: Path) -> None:
    depot = Depot(tmp_path).objects("Event", about(GONE, "Killing", "Stopping container server", 100))
    line = access_line(50, cluster="inbound|9191||", local="10.40.2.66:9191", remote="10.40.1.5:1")
    assert life(depot.log(f"books/{GONE}", "istio-proxy", line), GONE).addresses == {"10.40.2.66"}


def test_a_restart_is_no_stop(tmp_path: Path) -> None:
    depot = Depot(tmp_path).objects(
        "Event", about(NAME, "Killing", "Container server failed liveness probe, will be restarted", 100)
    )
    assert life(depot).stopped is None


def test_crashes(tmp_path: Path) -> None:
    statuses = [
        container_status("server", last_end=(50, 137, "OOMKilled")),
        container_status("istio-proxy", last_end=(51, 1, "Error")),
    ]
    found = life(Depot(tmp_path, servers=ledgers(statuses=statuses)))
    assert [(exit.container, exit.at, exit.code) for exit in found.exits] == [
        ("server", START + 50, 137),
        ("istio-proxy", START + 51, 1),
    ]
    assert [exit.container for exit in found.crashes()] == ["server"]


def test_an_end_that_was_asked_for_is_no_crash(tmp_path: Path) -> None:
    clean = [container_status("server", last_end=(130, 0, "Completed"))]
    assert life(Depot(tmp_path / "clean", servers=ledgers(statuses=clean, stopped=100))).crashes() == ()
    killed = [container_status("server", last_end=(130, 137, "Error"))]
    assert life(Depot(tmp_path / "killed", servers=ledgers(statuses=killed, stopped=100))).crashes() == ()
    before = [container_status("server", last_end=(50, 137, "Error"))]
    assert len(life(Depot(tmp_path / "before", servers=ledgers(statuses=before, stopped=100))).crashes()) == 1


def test_a_server_that_ends_well_and_is_restarted_was_not_done(tmp_path: Path) -> None:
    ended = [container_status("server", last_end=(50, 0, "Completed"))]
    assert len(life(Depot(tmp_path, servers=ledgers(statuses=ended))).crashes()) == 1


def test_an_address_belongs_to_the_pod_that_had_it_then(tmp_path: Path) -> None:
    old = pod("ledger-old", "books", "10.40.2.50", APP, created=0)
    new = pod("ledger-new", "books", "10.40.2.50", APP, created=200)
    lives = Lives(Depot(tmp_path, servers=[new, old]).examination().mesh)

    def owner(at: float | None) -> str:
        found = lives.of_address("10.40.2.50", None if at is None else START + at)
        return found.ref.name if found else ""

    assert [owner(at) for at in (-10, 10, 199, 200, 500, None)] == [
        "", "ledger-old", "ledger-old", "ledger-new", "ledger-new", "ledger-new",
    ]  # fmt: skip
    assert lives.of_address("10.9.9.9", START) is None


def test_all_lives_of_a_workload(tmp_path: Path) -> None:
    depot = Depot(tmp_path).objects("Event", about(GONE, "Killing", "Stopping container server", 100))
    mesh = depot.examination().mesh
    found = Lives(mesh).of_workload(mesh.workload(PodRef("books", NAME)))
    assert {one.ref.name for one in found} == {GONE, *(ref.partition("/")[2] for ref in LEDGERS)}
