"""Takes the files of other tools, tells what each is and whose, and gives them the names that a recording has."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.model.envoy.body import utf8
from meshdoctor.model.kinds import BY_NAME
from meshdoctor.model.moment import unix
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.text import visible_line
from meshdoctor.recording.archive import Files, shown
from meshdoctor.recording.body import FileBody, PackedBody
from meshdoctor.recording.importing import envoy_text, owners, recognise
from meshdoctor.recording.importing import sync_status as sync
from meshdoctor.recording.importing.coverage import coverage
from meshdoctor.recording.importing.kube_objects import KubeObjects
from meshdoctor.recording.importing.layouts import Place, place, tool
from meshdoctor.recording.raw import Partial

_ADMIN_FILES = {
    recognise.CONFIG_DUMP: "config_dump.json",
    recognise.CLUSTERS: "clusters.json",
    recognise.LISTENERS: "listeners.json",
    recognise.STATS: "stats.json",
    recognise.PROMETHEUS: "stats.prom",
    recognise.CERTS: "certs.json",
    recognise.SERVER_INFO: "server_info.json",
    recognise.INIT_DUMP: "init_dump.json",
}
_FROM_TEXT: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    recognise.CLUSTERS_TEXT: ("clusters.json", envoy_text.clusters_json),
    recognise.LISTENERS_TEXT: ("listeners.json", envoy_text.listeners_json),
    recognise.STATS_TEXT: ("stats.json", envoy_text.stats_json),
}
_SYNC: dict[str, Callable[[bytes], dict[str, bytes]]] = {
    recognise.SYNC_JSON: sync.sync_json,
    recognise.SYNC_YAML: sync.sync_yaml,
    recognise.SYNC_TABLE: sync.sync_table,
}
_SHOWN_PROBLEMS = 20
_WITHOUT_ALL = "listed without -A"
_SINGLE = "single objects, not a list"


class Imported(NamedTuple):
    """Files by their names in a recording, and what could not be used, one line each."""

    files: Files
    problems: tuple[str, ...]
    tool: str = ""
    read_at: float | None = None
    """When it was gathered, in Unix seconds, where the tool says so."""
    partial: tuple[Partial, ...] = ()


class _Manifest(msgspec.Struct, frozen=True):
    """Kiali's `offline-manifest.json`."""

    timestamp: str = ""


class _Gathering:
    def __init__(self, given: Files) -> None:
        self.given = {path: _utf8(read) for path, read in given.items()}
        self.files: Files = {}
        self.problems: list[str] = []
        self.objects = KubeObjects()
        self.tool = tool(list(given))
        self.partial: list[Partial] = []
        self.known: dict[str, PodRef] = {}
        """The pod of the files of each stem."""
        self.waiting: list[tuple[str, str]] = []
        """Admin answers without a name in them: path and what they are."""
        self.logs: list[tuple[str, PodRef]] = []
        self.unknown: list[str] = []
        self.read_at: float | None = None

    def problem(self, path: str, why: object) -> None:
        self.problems.append(f"{shown(path)}: {visible_line(str(why))}")


def import_files(given: Files) -> Imported:
    """The *given* files of other tools as a recording's. Nothing is invented: what is not in them stays missing."""
    work = _Gathering(given)
    for path in sorted(given):
        where = place(path)
        try:
            if where is not None and where.room:
                _placed(work, path, where)
            else:
                _recognised(work, path, _head(work.given[path]))
        except UnreadableError as error:
            work.problem(path, error)
        except OSError as error:
            work.problem(path, error.strerror or "it cannot be read")
    _assign(work)
    _objects(work)
    if found := coverage(work.files, work.objects.bodies("Pod")):
        work.problems.append(found)
    if work.unknown:
        names = ", ".join(shown(path) for path in work.unknown[:3])
        more = f" and {len(work.unknown) - 3} more" if len(work.unknown) > 3 else ""
        work.problems.append(f"not recognised, so not used: {names}{more}")
    rest = len(work.problems) - _SHOWN_PROBLEMS
    shown_problems = work.problems[-1:] if rest > 0 and work.unknown else []
    kept = (
        [*work.problems[:_SHOWN_PROBLEMS], *shown_problems, f"{rest} more files with problems"]
        if rest > 0
        else work.problems
    )
    return Imported(work.files, tuple(kept), work.tool, work.read_at, tuple(work.partial))


def _utf8(read: Callable[[], bytes]) -> Callable[[], bytes]:
    """*read*, or what it gives as UTF-8: PowerShell's `kubectl … > file` writes UTF-16."""
    try:
        head = _head(read)[:4]
    except (UnreadableError, OSError):
        return read  # whoever reads it is told
    return read if utf8(head) == head else lambda: bytes(utf8(read()))


def _head(body: Callable[[], bytes]) -> bytes:
    if isinstance(body, FileBody | PackedBody):
        return body.head(recognise.HEAD)
    return body()[: recognise.HEAD]


# ---- files whose path says what they are


def _placed(work: _Gathering, path: str, where: Place) -> None:
    if where.room == "skip":
        return
    if where.room == "moment":
        work.read_at = unix(decode_json(work.given[path](), _Manifest).timestamp)
        return
    if where.room == "logs":
        if where.file:
            work.files[f"logs/{where.pod.namespace}/{where.pod.name}/{where.file}"] = work.given[path]
        else:
            work.logs.append((path, where.pod))
        return
    head = _head(work.given[path])
    if not head.strip():
        work.problem(path, "it is empty")
        return
    kind = recognise.recognise(head)
    if where.room == "sent":
        work.files[f"istiod/istiod/config_dump/{where.pod.namespace}/{where.pod.name}.json"] = _json(work, path)
        return
    if where.room == "istiod":
        file = f"istiod/{where.pod.name}/{where.file}"
        work.files[file] = _json(work, path)
        return
    if kind == recognise.ZTUNNEL:
        work.files[f"ztunnel/{where.pod.namespace}/{where.pod.name}/config_dump.json"] = _json(work, path)
    elif kind in _FROM_TEXT or where.file in ("clusters", "listeners", "stats"):
        _admin(work, path, kind, where.pod)
    elif where.file:
        body = work.given[path] if where.file.endswith((".prom", ".txt")) else _json(work, path)
        work.files[f"envoy/{where.pod.namespace}/{where.pod.name}/{where.file}"] = body


def _json(work: _Gathering, path: str) -> Callable[[], bytes]:
    """The file without lines around its JSON; that there were some is a problem that is told."""
    head = _head(work.given[path])
    _, noise = recognise.json_part(head)
    if not noise:
        return work.given[path]
    work.problem(path, f"lines around its JSON were left out: {noise}")
    read = work.given[path]
    return lambda: recognise.json_part(read())[0]


# ---- files whose content says what they are


def _recognised(work: _Gathering, path: str, head: bytes) -> None:
    kind = recognise.recognise(head)
    if kind == recognise.UNKNOWN:
        stripped, noise = recognise.json_part(head)
        kind = recognise.recognise(stripped) if noise else kind
    if kind == recognise.KUBE_JSON:
        work.objects.add_json(recognise.json_part(work.given[path]())[0])
    elif kind == recognise.KUBE_YAML:
        work.objects.add_yaml(work.given[path]())
    elif kind in _SYNC:
        for istiod, body in _SYNC[kind](work.given[path]()).items():
            work.files[f"istiod/{istiod}/syncz.json"] = lambda body=body: body  # type: ignore[misc]
    elif kind == recognise.SYNCZ:
        work.files["istiod/istiod/syncz.json"] = work.given[path]
    elif kind == recognise.LOG:
        work.logs.append((path, PodRef("", "")))
    elif kind in _ADMIN_FILES or kind in _FROM_TEXT:
        named = kind in (recognise.CONFIG_DUMP, recognise.SERVER_INFO)
        pod = owners.node_pod(work.given[path]()) if named else None
        if pod is None:
            work.waiting.append((path, kind))
            return
        work.known.setdefault(owners.stem(path), pod)
        _admin(work, path, kind, pod)
    elif kind == recognise.ZTUNNEL:
        work.files[f"ztunnel/{owners.UNKNOWN_NAMESPACE}/{_last(owners.stem(path)) or 'ztunnel'}/config_dump.json"] = (
            work.given[path]
        )
    else:
        work.unknown.append(path)


def _admin(work: _Gathering, path: str, kind: str, pod: PodRef) -> None:
    """An admin answer; where there are two of one kind, the one that says more: with endpoints, JSON before text."""
    if kind in _FROM_TEXT:
        name, convert = _FROM_TEXT[kind]
        file = f"envoy/{pod.namespace}/{pod.name}/{name}"
        read = work.given[path]
        work.files.setdefault(file, lambda: convert(read()))
        return
    name = _ADMIN_FILES.get(kind, "")
    if not name:
        work.unknown.append(path)
        return
    file = f"envoy/{pod.namespace}/{pod.name}/{name}"
    if kind == recognise.CONFIG_DUMP and file in work.files:
        # Two dumps of one proxy: the endpoints are in the one that was asked for with ?include_eds.
        later = b"EndpointsConfigDump" in work.given[path]()
        if later:
            work.files[file] = _json(work, path)
        work.problem(path, f"a second config dump of {pod}: {'this' if later else 'the other'} one is used")
        return
    work.files[file] = _json(work, path)


# ---- whose they are


def _assign(work: _Gathering) -> None:
    named = dict.fromkeys(work.known.values())
    for path, kind in work.waiting:
        pod = work.known.get(owners.stem(path))
        if pod is None and len(named) == 1 and not _last(owners.stem(path)):
            pod = next(iter(named))
        if pod is None:
            pod = PodRef(owners.UNKNOWN_NAMESPACE, _last(owners.stem(path)) or "proxy")
            work.problem(path, f"no pod is named in it, so it is shown as {pod}")
        _admin(work, path, kind, pod)
    pods: dict[PodRef, tuple[str, ...]] = owners.addresses(work.objects.bodies("Pod"))
    for ref in (*named, *(PodRef(*file.split("/")[1:3]) for file in work.files if file.startswith("envoy/"))):
        pods.setdefault(ref, ())
    for path, told in work.logs:
        body = work.given[path]()
        pod = told if told.name else owners.log_pod(path, body, pods, work.known)
        if pod is None:
            work.problem(path, "whose log it is cannot be told: no pod that is known is named in it")
            pod = PodRef(owners.UNKNOWN_NAMESPACE, _last(owners.stem(path)) or "log")
        work.files[f"logs/{pod.namespace}/{pod.name}/{_container(path, body)}.log"] = work.given[path]


def _container(path: str, body: bytes) -> str:
    """A proxy's log is told by Envoy's lines; any other is an application's."""
    tail = body[-recognise.HEAD :]
    proxy = b"outbound|" in tail or b"inbound|" in tail or b"Envoy proxy is ready" in body or b"\txdsproxy\t" in body
    if proxy or "istio-proxy" in path:
        return "istio-proxy"
    return "discovery" if b"\tads\t" in body else "application"


def _last(text: str) -> str:
    return text.rpartition("/")[2]


def _objects(work: _Gathering) -> None:
    """The objects' lists, and of which namespaces they are, for absence would prove things.

    Of what a tool gathers nobody knows: pods that are evidently not all of them are not used.
    """
    listed = work.objects.names("Pod")
    places = {namespace for namespace, _ in listed}
    proxies = {PodRef(*file.split("/")[1:3]) for file in work.files if file.startswith("envoy/")}
    outside = sorted(str(pod) for pod in proxies if pod.namespace not in places | {owners.UNKNOWN_NAMESPACE})
    if listed and outside and (work.tool or work.objects.listed(BY_NAME["Pod"]) is None):
        work.problems.append(
            f"the list of pods ({len(listed)}) is not complete: {outside[0]} is not in it"
            f"{f', nor {len(outside) - 1} others' if len(outside) > 1 else ''}; it is not used"
        )
        work.objects.drop("Pod")
    for kind, file, body in work.objects.lists():
        work.files[file] = lambda body=body: body  # type: ignore[misc]
        namespaces = None if work.tool else work.objects.listed(kind)
        if namespaces is not None:
            work.partial.append(Partial(file, namespaces, _WITHOUT_ALL if namespaces else _SINGLE))
