"""What a person asks of a mesh, and the cases that answer it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

import msgspec

from meshdoctor.errors import NothingMatches, UsageError
from meshdoctor.mesh.ambient import serves_ambient
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.flows import Flows
from meshdoctor.mesh.hosts import candidates
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.named import named, near_names
from meshdoctor.mesh.owners import Workload
from meshdoctor.mesh.passed_on import passed_on
from meshdoctor.mesh.trace.question import parse_target
from meshdoctor.mesh.traffic import Destination, destination_of

SCHEME_PORTS = {"http": 80, "https": 443, "tls": 443}


class Question(msgspec.Struct, frozen=True):
    """What a person asks: *client* `namespace/workload`, *host* as typed, *port* 0 when not given; "" when open."""

    client: str = ""
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def target(self) -> str:
        return f"{self.host}{f':{self.port}' if self.port else ''}{self.path}"


def parse_question(client: str, target: str) -> Question | None:
    """The question of `--from` and `--to` (`host[:port][/path]`, a scheme is allowed); None when neither is given.

    A query is left out: no log line is found by it. Raises `UsageError`.
    """
    if not target:
        return Question(client) if client else None
    try:
        found = parse_target(target)
    except ValueError:
        form = "write HOST[:PORT][/PATH], the port as a number from 1 to 65535"
        raise UsageError(f"--to {target} is no target", form) from None
    path = found.path.partition("?")[0]
    written = path != "/" or target.endswith("/")
    return Question(client, found.host, found.port or SCHEME_PORTS.get(found.scheme, 0), path if written else "")


def cases_of(mesh: MeshIndex, question: Question) -> tuple[Case, ...]:
    """The cases of a question; a flow that nobody logged is a case without traffic.

    Raises `NothingMatches` with the nearest names when the client or the host names nothing in the source.
    """
    flows = mesh.derived(Flows)
    clients = _clients(mesh, question.client)
    namespace = clients[0].namespace if clients else ""
    wanted = destination_of(mesh, question.host, question.port, namespace) if question.host else None
    found = [
        flows.case(key, question.path)
        for key, seen in flows.by_ends.items()
        if (not clients or key[0] in clients) and (wanted is None or _same(wanted, seen[0].destination, namespace))
    ]
    if found:
        failing = sorted((case for case in found if case.failures), key=lambda case: -len(case.failures))
        return (*failing, *_behind(mesh, flows, failing)) if failing else tuple(found)
    if wanted is None:
        return ()
    if wanted.service is None:
        _check_host(mesh, flows, question)
    else:
        _check_port(mesh, question, wanted.service)
    client = clients[0] if clients else None
    return (Case(client, wanted, (), question.path, serves_ambient(mesh, client, wanted.service)),)


def _clients(mesh: MeshIndex, text: str) -> tuple[Workload, ...]:
    if not text:
        return ()
    found = named(mesh, text)
    if not found:
        raise NothingMatches(f"--from {text}: no workload of that name", near_names(mesh, text))
    return tuple(dict.fromkeys(one.workload for one in found))


def _same(wanted: Destination, found: Destination, namespace: str) -> bool:
    if wanted.port and found.port and wanted.port != found.port:
        return False
    if wanted.key[0] == found.key[0] or wanted.host == found.host:
        return True
    # Where the Services could not be read, only the spelling tells that two names are one.
    return found.service is None and wanted.host in candidates(found.host, namespace)


def _behind(mesh: MeshIndex, flows: Flows, cases: Sequence[Case]) -> Iterator[Case]:
    """The flows whose failures the servers of *cases* only pass on."""
    told = {id(seen) for case in cases for seen in case.seen}
    calls = passed_on(mesh, (seen for case in cases for seen in case.server_lines), flows.seen)
    for key in dict.fromkeys((seen.client, seen.destination.key) for seen in calls if id(seen) not in told):
        yield flows.case(key)


def _check_host(mesh: MeshIndex, flows: Flows, question: Question) -> None:
    logged = {seen.destination.host for seen in flows.seen}
    if question.host in logged or question.host in mesh.declared_hosts:
        return
    names = {f"{name}.{namespace}" for namespace, name in mesh.services}
    nearest = _nearest(question.host, sorted(names | logged | mesh.declared_hosts))
    raise NothingMatches(f"--to {question.target}: no Service or host of that name", nearest)


def _check_port(mesh: MeshIndex, question: Question, key: tuple[str, str]) -> None:
    service = mesh.services.get(key)
    ports = [port.port for port in service.spec.ports] if service else []
    if service and question.port and question.port not in ports:
        raise NothingMatches(
            f"--to {question.target}: Service {service.key} has no port {question.port}",
            tuple(f"{question.host}:{port}" for port in ports),
        )


def _nearest(text: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(get_close_matches(text, list(dict.fromkeys(names)), n=3, cutoff=0.4))
