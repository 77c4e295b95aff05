"""A large mesh that changes, as an API server in a process of its own: pods, two istiods, every proxy's admin port.

    python -m benchmarks.busy_mesh COUNT

Prints one line of JSON (the kubeconfig) when it listens. Each line of JSON on its standard input is an order, answered
by one line: `{"do": "rate", "events": 100}` replaces pods so that so many watch events come each second (each replaced
pod is four of them, as in a rollout), `{"do": "told"}` gives what was asked since the last time, `{"do": "state"}` what
there is; `{"do": "disturb", "what": …}` makes trouble. It ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

from benchmarks.mesh_objects import (
    admin_answer,
    istiod_pod,
    leaving,
    moment,
    namespace,
    replica_set,
    service,
    sidecar,
    sync_record,
)
from tests.live.apiserver import ApiServer, Fault, Objects, running_api_server
from tests.live.apiserver.pods import Dial
from tests.live.pod_servers import Serve, answering, hanging, running_pod_servers

PODS = "/api/v1/pods"
HANG_EVERY = 25
"""Of so many pods one has an admin port that never answers."""
SERVICES = 400
ISTIODS = 2
EVENTS_A_POD = 4
STARTS, STOPS = 2.0, 1.0
"""Seconds from a pod to its connection, and from the end of the connection to that of the pod."""


class Mesh:
    """The mesh and its API server. Changes come from one thread."""

    def __init__(self, count: int, *, kept_changes: int = 5_000) -> None:
        self.objects = Objects(kept_changes)
        self.count = count
        self._next = count
        self._generation = 0
        self._oldest = 0
        self._starting: deque[tuple[float, int, dict[str, Any]]] = deque()
        self._stopping: deque[tuple[float, dict[str, Any]]] = deque()
        self._records: tuple[dict[str, bytes], ...] = tuple({} for _ in range(ISTIODS))
        now = moment(time.time() - 86_400)
        self._pods = {number: sidecar(number, now) for number in range(count)}
        for pod in self._pods.values():
            self._connect(pod)  # of each istiod every other proxy
        add = self.objects.add
        add(PODS, "Pod", [*self._pods.values(), *map(istiod_pod, self.istiods)])
        names = sorted({pod["metadata"]["namespace"] for pod in self._pods.values()} | {"istio-system"})
        add("/api/v1/namespaces", "Namespace", [namespace(name) for name in names])
        add("/api/v1/services", "Service", [service(number) for number in range(min(SERVICES, count))])
        add("/apis/apps/v1/replicasets", "ReplicaSet", [replica_set(number) for number in range(min(SERVICES, count))])
        add("/apis/discovery.k8s.io/v1/endpointslices", "EndpointSlice", self._slices())
        webhook = {"metadata": {"name": "istio-sidecar-injector", "labels": {"istio.io/rev": "default"}}}
        path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
        add(path, "MutatingWebhookConfiguration", [webhook], namespaced=False)
        for group, resource, kind in (
            ("networking.istio.io/v1", "virtualservices", "VirtualService"),
            ("networking.istio.io/v1", "destinationrules", "DestinationRule"),
            ("security.istio.io/v1", "peerauthentications", "PeerAuthentication"),
        ):
            add(f"/apis/{group}/{resource}", kind, [])

    def _slices(self) -> list[dict[str, Any]]:
        slices = []
        for index in range(min(SERVICES, self.count)):
            owned = [pod for number, pod in self._pods.items() if number % SERVICES == index]
            ends = [{"addresses": [pod["status"]["podIP"]], "conditions": {"ready": True}} for pod in owned]
            name = f"service-{index:03d}"
            meta = {"name": f"{name}-x", "namespace": f"team-{index % 40:02d}"}
            meta["labels"] = {"kubernetes.io/service-name": name}  # type: ignore[assignment]
            slices.append({"metadata": meta, "endpoints": ends, "ports": [{"port": 8080}]})
        return slices

    def _connect(self, pod: dict[str, Any]) -> None:
        meta = pod["metadata"]
        self._records_of(meta["name"])[f"{meta['namespace']}/{meta['name']}"] = sync_record(
            meta["name"], meta["namespace"]
        )

    def _records_of(self, name: str) -> dict[str, bytes]:
        return self._records[int(name.rpartition("-")[2]) % ISTIODS]

    def replace_one(self) -> None:
        """The oldest pod is replaced, as a rollout does it: each call brings four events, of up to three pods."""
        now = time.time()
        new = sidecar(self._next, moment(now))
        waiting = {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]}
        self.objects.change("ADDED", PODS, {**new, "status": waiting})
        self._starting.append((now + STARTS, self._next, new))
        self._next += 1
        self._go_on(now)

    def finish(self) -> None:
        """Whatever was begun comes to its end."""
        self._go_on(float("inf"))

    def _go_on(self, now: float) -> None:
        while self._starting and self._starting[0][0] <= now:
            _, number, started = self._starting.popleft()
            self._connect(started)
            self._pods[number] = started
            self.objects.change("MODIFIED", PODS, started)
            old = self._pods.pop(self._oldest)
            self._oldest += 1
            self.objects.change("MODIFIED", PODS, leaving(old, time.time()))
            self._stopping.append((now + STOPS, old))
            meta = old["metadata"]
            self._records_of(meta["name"]).pop(f"{meta['namespace']}/{meta['name']}")
        while self._stopping and self._stopping[0][0] <= now:
            self.objects.change("DELETED", PODS, self._stopping.popleft()[1])

    @property
    def istiods(self) -> list[str]:
        """The names of the istiods that run; a restart gives them others."""
        return [f"istiod-7c9d8f6b5-{self._generation:04d}{index}" for index in range(ISTIODS)]

    def restart_istiods(self) -> None:
        """Each istiod goes and another one comes."""
        for name in self.istiods:
            self.objects.change("DELETED", PODS, istiod_pod(name))
        self._generation += 1
        for name in self.istiods:
            self.objects.change("ADDED", PODS, istiod_pod(name))

    def syncz(self, number: int) -> bytes:
        """What one of the istiods answers."""
        return b"[" + b",".join(list(self._records[number].values())) + b"]"

    def pods(self) -> list[str]:
        """Every sidecar pod that the API server has, sorted."""
        stored = self.objects.select(PODS, "", "", "")
        return sorted(f"{pod.namespace}/{pod.name}" for pod in stored if pod.namespace != "istio-system")

    def serve_istiod(self, number: int) -> Serve:
        """Its monitoring port."""

        def look(target: str) -> bytes | None:
            path = target.partition("?")[0]
            if path == "/debug/syncz":
                return self.syncz(number)
            return {"/version": b"1.29.0-c0ffee-Clean", "/debug/mesh": b'{"rootNamespace":"istio-system"}'}.get(path)

        return answering(look)


@contextlib.contextmanager
def running_mesh(mesh: Mesh) -> Iterator[ApiServer]:
    """Serve *mesh*; some of the proxies hang."""
    with (
        running_api_server(mesh.objects) as api,
        running_pod_servers(answering(admin_answer), hanging, *map(mesh.serve_istiod, range(ISTIODS))) as addresses,
    ):
        alive, dead, *istiods = addresses
        api.bookmark_seconds = 5.0
        reach = api.dial

        def dial(namespace: str, pod: str) -> Dial:
            number = pod.rpartition("-")[2]
            if pod in mesh.istiods:
                return lambda _: istiods[int(number[-1])]
            hangs = number.isdigit() and int(number) % HANG_EVERY == 7
            return (lambda _: dead) if hangs else reach(namespace, pod)

        api.dial = dial  # type: ignore[method-assign]
        api.ports["*", "*", 15000] = alive
        yield api


class Rollout:
    """Replaces pods at a rate."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._rate = 0.0
        self._wake = threading.Event()
        self.replaced = 0
        threading.Thread(target=self._work, daemon=True).start()

    def rate(self, events: float) -> None:
        """So many watch events a second from now on."""
        self._rate = events
        self._wake.set()

    def _work(self) -> None:
        due = time.monotonic()
        while True:
            if not self._rate:
                self._mesh.finish()
                self._wake.wait()
                self._wake.clear()
                due = time.monotonic()
                continue
            self._mesh.replace_one()
            self.replaced += 1
            due += EVENTS_A_POD / self._rate
            time.sleep(max(0.0, due - time.monotonic()))


class Orders:
    """What the process is told on its standard input."""

    def __init__(self, mesh: Mesh, api: ApiServer) -> None:
        self._mesh, self._api = mesh, api
        self._rollout = Rollout(mesh)
        self._told = 0

    def answer(self, order: dict[str, Any]) -> Any:
        """Carry out one order."""
        match order["do"]:
            case "rate":
                self._rollout.rate(float(order["events"]))
                return "ok"
            case "told":
                asked = self._api.requests[self._told :]
                self._told += len(asked)
                return {
                    "requests": Counter(kind_of_request(path) for _, path in asked),
                    "replaced": self._rollout.replaced,
                    "cpu": time.process_time(),
                    "connections": self._api.open_sockets,
                }
            case "disturb":
                return self._disturb(order)
            case "state":
                return self._mesh.pods()
        return f"no order {order['do']}"

    def _disturb(self, order: dict[str, Any]) -> str:
        match order["what"]:
            case "drop":
                self._api.drop_connections()
            case "expire":
                self._mesh.objects.forget()
            case "restart":
                self._mesh.restart_istiods()
            case "token":
                self._api.tokens = {order["token"]}
            case "fault":
                self._api.faults = [Fault(order["path"], order["status"], order["reason"], times=order["times"])]
        return "ok"


def kind_of_request(path: str) -> str:
    """What a request is for, without names."""
    last = path.rsplit("/", 1)[1]
    if last == "portforward":
        return "portforward istiod" if "/namespaces/istio-system/" in path else "portforward proxy"
    return last


def main() -> None:
    """Serve, and do what is ordered."""
    mesh = Mesh(int(sys.argv[1]), kept_changes=int(sys.argv[2]) if len(sys.argv) > 2 else 5_000)
    with running_mesh(mesh) as api:
        orders = Orders(mesh, api)
        print(json.dumps(api.kubeconfig()), flush=True)
        for line in sys.stdin:
            print(json.dumps(orders.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
