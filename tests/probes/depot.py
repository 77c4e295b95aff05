"""A small mesh for the probes: `depot/picker` calls Service `ledger` of `books` on 8090, whose pods listen on 9191.

Everything is well in it until a test adds lines or changes objects. Both pods of the server have a sidecar.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from meshdoctor.guide.diagnosis import Diagnosis, Judgement
from meshdoctor.guide.examination import Examination
from meshdoctor.guide.flowchart import probe
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import CONFIGURATION_ONLY, CULPRIT, Finding, Verdict
from meshdoctor.mesh.question import Question
from meshdoctor.model.snapshot import Snapshot
from tests.envoy_dumps import cluster, config_dump, route, routes
from tests.kube_objects import deployment, endpoint_slice, namespace, pod, replica_set, service
from tests.moments import Json
from tests.recordings import Recording, access_line, call_line, refused_line

PICKER, PICKER_IP = "depot/picker-7d9c6bf4f8-wz5kq", "10.40.1.5"
LEDGERS = {"books/ledger-6c8f5d7b9c-r8t2v": "10.40.2.7", "books/ledger-6c8f5d7b9c-x4m9n": "10.40.2.8"}
LEDGER, LEDGER_IP = next(iter(LEDGERS.items()))
HOST = "ledger.books.svc.cluster.local"
SERVICE_IP = "10.96.44.3"
OUTBOUND, INBOUND = f"outbound|8090||{HOST}", "inbound|9191||"
APP = {"app": "ledger"}
OWNER, CALLER = "Deployment books/ledger", "Deployment depot/picker"
PODS = r"kube/core/v1/pods\.json"
RESET = "upstream_reset_before_response_started{connection_termination}"


class Depot(Recording):
    def __init__(self, root: Path, *, servers: Iterable[Json] | None = None, client: Json | None = None) -> None:
        """*servers* and *client* replace the pods of the two workloads."""
        super().__init__(root)
        self.objects("Namespace", *(namespace(name, istio_injection="enabled") for name in ("depot", "books")))
        self.objects("Pod", client or picker(), *(ledgers() if servers is None else servers))
        self.objects("Service", service("ledger", "books", SERVICE_IP, [(8090, "http-pages", 9191)], APP))
        self.objects("EndpointSlice", endpoint_slice("ledger", "books", LEDGERS.values(), 9191))
        self.objects("Deployment", deployment("picker", "depot", {"app": "picker"}), deployment("ledger", "books", APP))
        self.objects("ReplicaSet", replica_set("picker-7d9c6bf4f8", "depot", "picker"))
        self.objects("ReplicaSet", replica_set("ledger-6c8f5d7b9c", "books", "ledger"))
        self.objects("Event").objects("StatefulSet").objects("DaemonSet").objects("NetworkPolicy")
        self.syncz(PICKER, *LEDGERS)
        self._requests = 0

    # -- traffic

    def request(
        self,
        at: float,
        code: int = 200,
        flags: str = "-",
        details: str = "via_upstream",
        *,
        server: dict[str, Any] | None = None,
        to: str = LEDGER,
        **more: Any,
    ) -> Self:
        """A line of the caller's sidecar; *server* is what differs in the line of the server's sidecar ({}: it is as
        well), None: the server never saw it. *to* is the server's pod."""
        self._requests += 1
        ip = LEDGERS.get(to, to)
        same = {"request_id": f"req-{self._requests}", "authority": "ledger.books:8090", "path": "/page"}
        line = {
            "cluster": OUTBOUND,
            "upstream": f"{ip}:9191",
            "local": f"{SERVICE_IP}:8090",
            "remote": f"{PICKER_IP}:51000",
            "upstream_local": f"{PICKER_IP}:{40000 + self._requests}",
        }
        self.log(PICKER, "istio-proxy", access_line(at, code, flags, details, **same | line | more))
        if server is not None:
            seen = {"code": code, "flags": flags, "details": details} | server
            their: dict[str, Any] = {
                "cluster": INBOUND,
                "upstream": f"{ip}:9191",
                "local": f"{ip}:9191",
                "remote": line["upstream_local"],
                "sni": f"outbound_.8090_._.{HOST}",
                "upstream_local": "127.0.0.6:38001",
            }
            common = {name: value for name, value in more.items() if name in ("path", "duration")}
            self.log(to, "istio-proxy", access_line(at, **same | their | common | seen))
        return self

    def good(self, *times: float, **more: Any) -> Self:
        """Requests that both sides saw go well."""
        for at in times:
            self.request(at, server={}, **more)
        return self

    def reset(self, *times: float) -> Self:
        """Requests whose connection the server's application ended."""
        for at in times:
            self.request(at, 503, server={"flags": "UC", "details": RESET})
        return self

    def refused(self, at: float, sni: str = "-", client_ip: str = PICKER_IP, port: int = 9191) -> Self:
        """A connection that the server's listener did not take (NR filter_chain_not_found)."""
        line = refused_line(at, local=f"{LEDGER_IP}:{port}", remote=f"{client_ip}:{41000 + int(at)}", sni=sni)
        self.log(LEDGER, "istio-proxy", line)
        return self

    def call(self, at: float, status: int = 0, error: str = "Connection refused", url: str = "") -> Self:
        """A line of the caller's own log."""
        self.log(PICKER, "server", call_line(at, url or "http://ledger.books:8090/page", status, error))
        return self

    def configured(self, *, routed: Iterable[Json] | None = None, **fields: Any) -> Self:
        """The caller's proxy with its cluster (*fields* of it) and one route to it (*routed* instead)."""
        entries = list(routed) if routed is not None else [route(OUTBOUND)]
        dump = config_dump(
            clusters=[cluster(OUTBOUND, **fields)],
            route_configs=[routes("8090", ["ledger.books:8090", "ledger.books", HOST], *entries)],
            endpoints={OUTBOUND: [f"{ip}:9191" for ip in LEDGERS.values()]},
        )
        self.proxy(PICKER, config_dump=dump)
        return self

    # -- answers

    def examination(self, question: Question | None = None) -> Examination:
        source = self.source()
        return Examination(source.read, Snapshot(source.info, {}), question)

    def cases(self) -> tuple[Case, ...]:
        return self.examination().cases

    def ask(self, name: str) -> Finding:
        """What the probe *name* finds in the worst case, alone: with every line before it."""
        examination = self.examination()
        found = probe(name)
        case = examination.cases[0]
        lacking = examination.mesh.snapshot.lacks(found.needs(case, examination.mesh))
        examination.mesh.extend(self.source().read(lacking, examination.mesh.snapshot))
        return found.examine(case, examination.mesh)

    def diagnose(self, question: Question | None = None) -> Diagnosis:
        examination = self.examination(question)
        for _ in examination.steps():
            continue
        return examination.diagnosis()


def picker(**more: Any) -> Json:
    return pod(PICKER.partition("/")[2], "depot", PICKER_IP, {"app": "picker"}, replica_set="picker-7d9c6bf4f8", **more)


def ledgers(**more: Any) -> list[Json]:
    """The server's pods; each declares 9191."""
    return [
        pod(ref.partition("/")[2], "books", ip, APP, **{"replica_set": "ledger-6c8f5d7b9c", "ports": [9191]} | more)
        for ref, ip in LEDGERS.items()
    ]


def accuses(finding: Finding, cause: str, *resources: str) -> Verdict:
    """The sure verdict for *cause*; fails when there is none or when it does not name *resources*."""
    assert finding.outcome == CULPRIT, finding
    found = [verdict for verdict in finding.verdicts if verdict.cause == cause]
    assert found, [verdict.cause for verdict in finding.verdicts]
    assert found[0].confidence > CONFIGURATION_ONLY
    named = [str(resource) for resource in found[0].resources]
    assert named[: len(resources)] == list(resources), named
    assert found[0].evidence and found[0].remedy.text
    assert found[0].lines, "a culprit of traffic explains lines"
    return found[0]


def spares(finding: Finding, *causes: str) -> None:
    """No verdict for *causes* (for none at all when none is named)."""
    named = [verdict.cause for verdict in finding.verdicts]
    assert not (set(named) & set(causes) if causes else named), finding


def is_open(finding: Finding) -> None:
    """Neither accused nor cleared: what could not be read leaves the question open."""
    assert finding.outcome == "inconclusive", finding
    assert not finding.verdicts


def sure(diagnosis: Diagnosis) -> list[Judgement]:
    return [verdict for verdict in diagnosis.verdicts if verdict.confidence > CONFIGURATION_ONLY]


def causes(diagnosis: Diagnosis) -> list[str]:
    """The sure causes, worst first."""
    return [verdict.cause for verdict in sure(diagnosis)]
