"""Whole diagnoses of incidents that look like another one: what dies on the way, in the application, in its sidecar."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdoctor.mesh.question import Question
from tests.envoy_dumps import certificates, cluster, config_dump, object_path, route, routes, tls_socket
from tests.kube_objects import container_status, deployment, event, istio, pod, service
from tests.moments import Json
from tests.probes.depot import (
    APP,
    CALLER,
    HOST,
    LEDGER,
    LEDGERS,
    OUTBOUND,
    OWNER,
    PICKER,
    PICKER_IP,
    RESET,
    SERVICE_IP,
    Depot,
    causes,
    ledgers,
    picker,
    sure,
)
from tests.recordings import access_line, call_line

SERVICE = "Service books/ledger"
CUT = "upstream_reset_after_response_started{connection_termination}"
REFUSED = "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
NO_PORT = (
    "upstream_reset_before_response_started{remote_connection_failure|"
    "immediate_connect_error:_Cannot_assign_requested_address|remote_address:10.40.2.7:9191}"
)
LEFT = "downstream_remote_disconnect"
QUESTION = Question("depot/picker", HOST, 8090, "/page")


def first(depot: Depot, *also: str) -> tuple[str, str]:
    """The first sure verdict with its object, the same with the question and without; *also* may be said too."""
    found = []
    for question in (QUESTION, None):
        said = sure(depot.diagnose(question))
        assert said, depot.diagnose(question).steps
        assert {verdict.cause for verdict in said[1:]} <= {said[0].cause, *also}, [verdict.cause for verdict in said]
        found.append((said[0].cause, str(said[0].resources[0])))
    assert found[0] == found[1]
    return found[0]


def silent_for(depot: Depot, rest: float, code: int, flags: str, details: str, duration: float) -> Depot:
    """Bursts of good requests, and after each rest one that never arrives."""
    local = f"{PICKER_IP}:47001"
    for number in range(6):
        begin = 20 + number * (rest + 10)
        depot.good(begin, begin + 0.5, begin + 1, upstream_local=local)
        depot.request(begin + 1 + rest, code, flags, details, upstream_local=local, duration=duration)
        local = f"{PICKER_IP}:{47002 + number}"
    return depot


@pytest.mark.parametrize(
    ("code", "flags", "details", "duration"),
    [(503, "UC", RESET, 1), (0, "DC", LEFT, 2000), (504, "UT", "response_timeout", 3000)],
)
def test_idle_flows_that_are_forgotten_soon(
    tmp_path: Path, code: int, flags: str, details: str, duration: float
) -> None:
    """A reset, the caller's own timeout or the route's: whatever ends it, the request never arrived."""
    depot = silent_for(Depot(tmp_path), 12, code, flags, details, duration)
    hasty = {"hosts": [HOST], "http": [{"timeout": "3s", "route": [{"destination": {"host": HOST}}]}]}
    depot.objects("VirtualService", istio("patience", "books", hasty))
    assert first(depot) == ("idle-flow-dropped", CALLER)


def test_a_client_gives_up_on_requests_that_arrive(tmp_path: Path) -> None:
    depot = Depot(tmp_path).good(*range(1, 20))
    for at in range(20, 40):
        depot.request(at, 0, "DC", LEFT, duration=500 + at % 3, server={})
    assert first(depot) == ("client-gave-up", CALLER)


def test_a_client_gives_up_on_requests_that_never_arrive(tmp_path: Path) -> None:
    depot = Depot(tmp_path).good(*range(1, 20))
    for at in range(20, 40):
        depot.request(at, 0, "DC", LEFT, duration=500)
    assert causes(depot.diagnose()) == []


def test_a_client_whose_certificate_expired(tmp_path: Path) -> None:
    """With TLS 1.3 the caller's log looks as after a crash."""
    depot = Depot(tmp_path).configured(transport_socket=tls_socket()).good(10, 20, 30)
    for at in range(70, 90):
        depot.request(at, 503, "UC", RESET, duration=3)
    depot.proxy(PICKER, certs=certificates("spiffe://cluster.local/ns/depot/sa/picker", "r1", until=60))
    depot.proxy(LEDGER, certs=certificates("spiffe://cluster.local/ns/books/sa/ledger", "r1"))
    assert first(depot) == ("certificate-expired", CALLER)


# -- rollouts


def stopping(depot: Depot, at: float) -> Depot:
    name = LEDGER.partition("/")[2]
    return depot.objects("Event", event("Pod", "books", name, "Killing", "Stopping container server", at))


@pytest.mark.parametrize("server", [None, {"flags": "UC", "details": CUT}])
@pytest.mark.parametrize("ends", [1, 5, 30])
def test_streams_that_a_rollout_cuts(tmp_path: Path, server: Json | None, ends: float) -> None:
    """At once, by the sidecar's drain or at the end of the grace period: what breaks is always the stream."""
    depot = stopping(Depot(tmp_path).good(10, 20), 100)
    for lasted in (20, 35, 48):
        depot.request(100 + ends - lasted, 200, "UC", CUT, duration=lasted * 1000, server=server)
    assert first(depot) == ("long-stream-cut-by-rollout", OWNER)


def connected(depot: Depot, begin: float, end: float, told: float) -> Depot:
    """A TCP connection of the caller's, whose line looks well, and what the caller itself says of it."""
    line = access_line(begin, 0, details="-", method="-", path="-", protocol="-", duration=(end - begin) * 1000,
                       cluster=OUTBOUND, upstream=f"{LEDGERS[LEDGER]}:9191", local=f"{SERVICE_IP}:8090")  # fmt: skip
    depot.log(PICKER, "istio-proxy", line)
    call = call_line(told, "tcp://ledger.books:8090", 0, "connection reset by peer", (end - begin) * 1000)
    return depot.log(PICKER, "server", call)


@pytest.mark.parametrize("at_end", [False, True])
def test_long_tcp_connections_that_a_rollout_cuts(tmp_path: Path, at_end: bool) -> None:
    """Envoy's line of such a connection has no flag: whoever closed it, it was closed."""
    depot = stopping(Depot(tmp_path), 100)
    for begin in (40, 60, 75):
        connected(depot, begin, 104, 104 if at_end else begin)
    assert first(depot) == ("long-stream-cut-by-rollout", OWNER)


def test_tcp_connections_that_end_at_other_times(tmp_path: Path) -> None:
    """Long before the stop, long after the grace period, and short ones, are not the rollout's."""
    depot = stopping(Depot(tmp_path), 100)
    for begin, end in ((40, 80), (100, 190), (102, 104)):
        connected(depot, begin, end, begin)
    assert "long-stream-cut-by-rollout" not in causes(depot.diagnose())


def scaled(message: str, at: float) -> Json:
    return event("Deployment", "books", "ledger", "ScalingReplicaSet", message, at)


@pytest.mark.parametrize(("again", "cause"), [("6c8f5d7b9c", "no-endpoints"), ("b5c7d", "no-ready-pod-in-rollout")])
def test_a_deployment_that_was_scaled_to_zero_for_a_while(tmp_path: Path, again: str, cause: str) -> None:
    depot = Depot(tmp_path, servers=ledgers(created=140, ready_at=150)).good(*range(80, 99), *range(151, 190))
    old = "ledger-6c8f5d7b9c-q9w8x"
    depot.objects("Event", event("Pod", "books", old, "Killing", "Stopping container server", 100))
    depot.objects("Event", scaled("Scaled down replica set ledger-6c8f5d7b9c from 1 to 0", 100))
    depot.objects("Event", scaled(f"Scaled up replica set ledger-{again} from 0 to 2", 140))
    for at in range(101, 149):
        depot.request(at, 503, "UH", "no_healthy_upstream", upstream="-")
    assert first(depot) == (cause, OWNER)


def test_readiness_that_came_back(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=ledgers(ready_at=150)).good(*range(80, 99), *range(151, 190))
    for ref in LEDGERS:
        name = ref.partition("/")[2]
        failed = "Readiness probe failed: HTTP probe failed with statuscode: 500"
        depot.objects("Event", event("Pod", "books", name, "Unhealthy", failed, 100))
    for at in range(101, 149):
        depot.request(at, 503, "UH", "no_healthy_upstream", upstream="-")
    assert first(depot) == ("endpoints-not-ready", OWNER)


# -- applications and sidecars that end


def unready(tmp_path: Path, *statuses: Json) -> Depot:
    depot = Depot(tmp_path, servers=ledgers(ready=False, statuses=list(statuses)))
    for at in range(100, 130):
        depot.request(at, 503, "UH", "no_healthy_upstream", upstream="-")
    return depot


def test_a_sidecar_that_is_killed_again_and_again(tmp_path: Path) -> None:
    dead = container_status("istio-proxy", False, (110, 137, "OOMKilled"), False, "CrashLoopBackOff")
    assert first(unready(tmp_path, container_status("server"), dead)) == ("proxy-overloaded", OWNER)


def test_an_old_crash_is_not_why_pods_are_unready(tmp_path: Path) -> None:
    server = container_status("server", False, (-9000, 1, "Error"))
    depot = unready(tmp_path, server, container_status("istio-proxy"))
    assert first(depot) == ("endpoints-not-ready", OWNER)


def test_a_crash_loop(tmp_path: Path) -> None:
    server = container_status("server", False, (-9000, 1, "Error"), False, "CrashLoopBackOff")
    depot = unready(tmp_path, server, container_status("istio-proxy"))
    assert first(depot) == ("app-crashed", OWNER)


def test_pods_that_were_never_scheduled(tmp_path: Path) -> None:
    pods = ledgers(ready=False, statuses=[])
    for one in pods:
        one["status"] |= {"podIP": "", "podIPs": [], "phase": "Pending"}
    depot = Depot(tmp_path, servers=pods)
    name = LEDGER.partition("/")[2]
    depot.objects("Event", event("Pod", "books", name, "FailedScheduling", "0/3 nodes are available", 90))
    for at in range(100, 130):
        depot.request(at, 503, "UH", "no_healthy_upstream", upstream="-")
    assert first(depot) == ("no-endpoints", OWNER)


@pytest.mark.parametrize("sidecar", [True, False])
def test_refusals_after_every_crash(tmp_path: Path, sidecar: bool) -> None:
    """Kubernetes remembers the last end of a container only; the refusals after earlier ones are of the same kind."""
    statuses = [container_status("server", last_end=(160, 1, "Error")), container_status("istio-proxy")]
    depot = Depot(tmp_path, servers=ledgers(sidecar=sidecar, statuses=statuses[: 1 + sidecar]))
    for crash in (60, 110, 160):
        depot.good(*range(crash - 30, crash - 20))
        for at in (crash + 1, crash + 4, crash + 8):
            if sidecar:
                depot.request(at, 503, server={"flags": "UF,URX", "details": REFUSED})
            else:
                depot.request(at, 503, "UF,URX", REFUSED)
    for at in range(200, 210):
        depot.request(at, server={} if sidecar else None)
    if not sidecar:
        depot.drop("logs/books")
    assert first(depot) == ("app-crashed", OWNER)


def test_refusals_now_and_then_are_no_wrong_port(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    for at in range(100, 130):
        depot.request(at, 503, server={"flags": "UF", "details": REFUSED}) if at % 7 == 0 else depot.good(at)
    assert causes(depot.diagnose()) == []


def test_an_application_that_exits_well_in_the_middle_of_requests(tmp_path: Path) -> None:
    statuses = [container_status("server", last_end=(101, 0, "Completed")), container_status("istio-proxy")]
    depot = Depot(tmp_path, servers=ledgers(statuses=statuses)).good(*range(50, 100))
    for at in (100.2, 100.4, 100.6):
        depot.request(at, 503, server={"flags": "UC", "details": RESET})
    assert first(depot.good(*range(110, 115))) == ("app-crashed", OWNER)


def test_a_race_with_an_application_without_sidecar(tmp_path: Path) -> None:
    """No sidecar at the server: the caller's own proxy uses the connection that the application closes."""
    depot = Depot(tmp_path, servers=ledgers(sidecar=False))
    for number in range(20):
        local = f"{PICKER_IP}:{48000 + number}"
        depot.request(10 * number, upstream_local=local)
        if number % 4 == 0:
            depot.request(10 * number + 5, 503, "UC", RESET, duration=1, upstream_local=local)
        else:
            depot.request(10 * number + 4, upstream_local=local)
    assert first(depot) == ("keepalive-race", OWNER)


@pytest.mark.parametrize("limit", [700, 30_000])
def test_a_timeout_of_the_applications_own(tmp_path: Path, limit: float) -> None:
    depot = Depot(tmp_path).good(*range(50, 70))
    for at in range(100, 106):
        depot.request(at, 503, duration=limit + at % 4, server={"flags": "UC", "details": RESET})
    assert first(depot) == ("app-closes-at-own-timeout", OWNER)


@pytest.mark.parametrize("side", ["caller", "server"])
def test_local_ports_that_ran_out(tmp_path: Path, side: str) -> None:
    depot = Depot(tmp_path).good(*range(50, 90))
    for at in range(100, 120):
        if side == "caller":
            depot.request(at, 503, "UF,URX", NO_PORT)
        else:
            depot.request(at, 503, server={"flags": "UF,URX", "details": NO_PORT})
    assert first(depot) == ("local-resource-exhausted", CALLER if side == "caller" else OWNER)


# -- proxies that are behind


def istiods(ready: bool) -> list[Json]:
    return [pod("istiod-6f7c9d8b5c-q2w4x", "mesh", "10.40.9.9", {"app": "istiod"}, sidecar=False, ready=ready)]


@pytest.mark.parametrize("down", [True, False])
def test_ready_pods_that_the_proxy_does_not_know(tmp_path: Path, down: bool) -> None:
    depot = Depot(tmp_path).objects("Pod", *istiods(not down))
    depot.objects("Deployment", deployment("istiod", "mesh", {"app": "istiod"}))
    depot.syncz(*([] if down else LEDGERS))
    for at in range(100, 130):
        depot.request(at, 503, "UH", "no_healthy_upstream", upstream="-")
    expected = ("control-plane-down", "Deployment mesh/istiod") if down else ("proxy-stale", CALLER)
    assert first(depot) == expected


# -- limits of proxies


@pytest.mark.parametrize("where", ["caller", "server"])
@pytest.mark.parametrize(
    ("flags", "details", "patch"),
    [
        ("SI", "stream_idle_timeout", {"stream_idle_timeout": "2s"}),
        ("-", "max_duration_timeout", {"max_stream_duration": {"max_stream_duration": "2s"}}),
    ],
)
def test_a_stream_that_a_proxy_ends(tmp_path: Path, where: str, flags: str, details: str, patch: Json) -> None:
    depot = Depot(tmp_path).good(*range(50, 90))
    for at in range(100, 110):
        if where == "caller":
            depot.request(at, 504, flags, details, duration=2001)
        else:
            depot.request(at, 504, duration=2001, server={"flags": flags, "details": details})
    spec = {"configPatches": [{"applyTo": "NETWORK_FILTER", "patch": {"operation": "MERGE", "value": patch}}]}
    namespace = "depot" if where == "caller" else "books"
    depot.objects("EnvoyFilter", istio("restless", namespace, spec))
    assert first(depot) == ("proxy-idle-timeout", f"EnvoyFilter {namespace}/restless")


# -- TLS to the outside


def outside(depot: Depot, reason: str) -> Depot:
    """A host of a ServiceEntry, behind which a pod without sidecar stands."""
    name = "outbound|443||rates.example.org"
    owner = object_path("destination-rule", "depot", "rates")
    entry = {"hosts": ["rates.example.org"], "ports": [{"number": 443, "name": "https", "protocol": "HTTPS"}]}
    depot.objects("ServiceEntry", istio("rates", "depot", entry))
    tls = {"host": "rates.example.org", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}}
    depot.objects("DestinationRule", istio("rates", "depot", tls))
    depot.objects("Pod", pod("rates-0", "elsewhere", "10.40.7.7", {"app": "rates"}, sidecar=False))
    dump = config_dump(
        clusters=[cluster(name, "STRICT_DNS", transport_socket=tls_socket(""), metadata=owner)],
        route_configs=[routes("443", ["rates.example.org"], route(name))],
    )
    depot.proxy(PICKER, config_dump=dump)
    detail = f"upstream_reset_before_response_started{{remote_connection_failure|TLS_error:|{reason}:TLS_error_end}}"
    for at in range(100, 110):
        depot.request(at, 503, "UF,URX", detail, cluster=name, upstream="10.40.7.7:443", local="240.240.0.9:443",
                      authority="rates.example.org", failure=f"TLS_error:|{reason}:TLS_error_end")  # fmt: skip
    return depot


@pytest.mark.parametrize(
    "reason",
    [
        "268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER",
        "268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:"
        "_certificate_verification_error_at_depth_0:_unable_to_get_local_issuer_certificate",
    ],
)
def test_tls_origination_towards_an_outside_pod(tmp_path: Path, reason: str) -> None:
    said = sure(outside(Depot(tmp_path), reason).diagnose())
    assert [verdict.cause for verdict in said] == ["tls-origination-wrong"]
    assert str(said[0].resources[0]) == "DestinationRule depot/rates"


def test_noise_beside_a_fault(tmp_path: Path) -> None:
    """One NC, one hang-up and failing probes of earlier pods are nobody's fault."""
    depot = Depot(tmp_path).good(*range(1, 200, 3))
    depot.request(30, 503, "NC", "cluster_not_found", cluster="-", upstream="-")
    depot.request(40, 0, "DC", LEFT, duration=77)
    depot.objects(
        "Event", event("Pod", "books", "ledger-6c8f5d7b9c-old1x", "Unhealthy", "Readiness probe failed", -300)
    )
    assert causes(depot.diagnose()) == []
    depot.objects("Service", service("other", "books", "10.96.44.9", [(80, "http", 80)], APP))
    for at in range(201, 230):
        depot.request(at, 503, server={})
    assert causes(depot.diagnose()) == ["app-returned-error"]


# -- chains


@pytest.mark.parametrize("asked", [None, QUESTION])
def test_an_error_that_is_only_passed_on(tmp_path: Path, asked: Question | None) -> None:
    """The ledger answers 500 because its own calls find no endpoint: the cause is there."""
    depot = Depot(tmp_path).good(*range(50, 90))
    depot.objects("Service", service("vault", "books", "10.96.44.9", [(80, "http", 80)], {"app": "vault"}))
    for at in range(100, 120):
        depot.request(at, 500, duration=40, server={})
        line = access_line(at + 0.01, 503, "UH", "no_healthy_upstream", request_id=f"v-{at}", authority="vault",
                           cluster="outbound|80||vault.books.svc.cluster.local", local="10.96.44.9:80",
                           remote="10.40.2.7:50000", duration=1)  # fmt: skip
        depot.log(LEDGER, "istio-proxy", line)
    assert [(one.cause, str(one.resources[0])) for one in sure(depot.diagnose(asked))] == [
        ("no-endpoints", "Service books/vault")
    ]


def test_pods_of_a_rollout_that_left_no_log(tmp_path: Path) -> None:
    """Only the caller's line and the body, which the server's sidecar wrote, are left."""
    gone, ip = "ledger-6c8f5d7b9c-h7j2k", "10.40.2.44"
    depot = Depot(tmp_path).good(*range(50, 90))
    for reason, message in (("Unhealthy", f'Get "http://{ip}:9191/": EOF'), ("Killing", "Stopping container server")):
        depot.objects("Event", event("Pod", "books", gone, reason, message, 100))
    body = "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
    for at in (100.2, 100.4, 100.6, 100.8):
        depot.request(at, 503, to=ip, duration=300).call(at, 503, body)
    assert first(depot) == ("app-closes-on-sigterm", OWNER)


@pytest.mark.parametrize("native", [False, True])
def test_the_last_calls_of_a_pod_and_a_native_sidecar(tmp_path: Path, native: bool) -> None:
    depot = Depot(tmp_path, client=picker(stopped=100, grace=60, native=native)).good(50, 60)
    for at in (106, 107, 108):
        depot.call(at)
    assert causes(depot.diagnose()) == ([] if native else ["sidecar-exits-before-app"])


@pytest.mark.parametrize("native", [False, True])
def test_an_init_container_whose_calls_the_cni_redirects(tmp_path: Path, native: bool) -> None:
    """istio-cni redirects init containers too, to a sidecar that does not run yet."""
    depot = Depot(tmp_path, client=picker(init=["fetch"], native=native, ready=False, statuses=[]))
    for at in range(100, 110):
        depot.log(PICKER, "fetch", call_line(at, "http://ledger.books:8090/page", 0, "Connection refused"))
    assert first(depot) == ("init-container-needs-network", CALLER)
