"""The server: authentication, permissions, routes; on a thread of its own, for kubectl and asyncio tests alike."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
from typing import Any

from tests.live.apiserver import pods
from tests.live.apiserver.faults import Fault
from tests.live.apiserver.http1 import (
    Answer,
    Request,
    accept_websocket,
    begin_stream,
    json_answer,
    read_request,
    status_answer,
    write_answer,
    write_chunk,
)
from tests.live.apiserver.objects import Objects
from tests.live.apiserver.rbac import Asked, Rbac
from tests.live.apiserver.reviews import resource_attributes
from tests.live.apiserver.websocket import ServerSocket
from tests.live.certificates import authority

_PATH = re.compile(
    r"(?P<list>/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<resource>[a-z]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<sub>[a-z]+))?)?"
)
_REVIEWS = ("/apis/authorization.k8s.io/v1", "/apis/authentication.k8s.io/v1")
TOKEN = "test-token"
Address = tuple[str, int]


class ApiServer:
    """State of one server. Set its attributes before or between requests; they are read on the server's thread."""

    def __init__(self, objects: Objects | None = None) -> None:
        self.objects = objects or Objects()
        self.faults: list[Fault] = []
        self.tokens = {TOKEN}
        self.denied: set[tuple[str, str]] = set()
        """(verb, resource) pairs that are forbidden; a resource may be `pods/log`."""
        self.rbac: Rbac | None = None
        """What is allowed at all; None allows everything."""
        self.authorized: set[Asked] = set()
        self.refused: set[Asked] = set()
        """What requests were asked for, reviews left out, and which of it was forbidden."""
        self.logs: dict[tuple[str, str, str, bool], bytes] = {}
        """(namespace, pod, container, previous) to the log."""
        self.ports: dict[tuple[str, str, int], Address] = {}
        """(namespace, pod, port) to the loopback address that stands for it; `*` is any pod."""
        self.canned: dict[tuple[str, str], bytes] = {}
        """(namespace, pod) to the HTTP answer that its ports give, as fast as it can be sent."""
        self.bookmark_seconds = 0.0
        """A watch gets a bookmark this often at most; a real server sends one a minute."""
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []
        self.clients: set[asyncio.StreamWriter] = set()
        self.loops: list[asyncio.AbstractEventLoop] = []
        self.open_sockets = 0
        self.most_sockets = 0
        self.port = 0
        self.minor = "37"
        """Of Kubernetes 1."""
        self.tls = True
        self.stopping = False

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def kubeconfig(self, **user: Any) -> dict[str, Any]:
        """A kubeconfig for it."""
        cluster: dict[str, Any] = {"server": self.url}
        if self.tls:
            cluster["certificate-authority-data"] = base64.b64encode(authority().pem).decode()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": user or {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }

    def drop_connections(self) -> None:
        """Cut every connection, as a load balancer does that restarts; from any thread."""
        for writer in list(self.clients):
            self.loops[0].call_soon_threadsafe(writer.transport.abort)

    def dial(self, namespace: str, pod: str) -> pods.Dial:
        """How a pod's ports are reached."""
        return lambda port: self.ports[
            (namespace, pod, port) if (namespace, pod, port) in self.ports else ("*", "*", port)
        ]

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client connection until it ends."""
        self.open_sockets += 1
        self.clients.add(writer)
        self.loops[:] = [asyncio.get_running_loop()]
        self.most_sockets = max(self.most_sockets, self.open_sockets)
        try:
            while (request := await read_request(reader)) is not None:
                self.requests.append((request.method, request.path))
                if request.body:
                    self.bodies.append(request.body)
                fault = next((fault for fault in self.faults if fault.matches(request)), None)
                if fault is not None and fault.hang:
                    while not self.stopping:
                        await asyncio.sleep(0.02)
                    return
                if fault is not None and fault.cut_body_at is None and fault.cut_websocket_after is None:
                    await write_answer(writer, fault.answer())
                    continue
                if await self._serve(request, reader, writer, fault):
                    return
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the client left, or the server ends
        finally:
            self.open_sockets -= 1
            self.clients.discard(writer)
            writer.close()

    async def _serve(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault | None
    ) -> bool:
        """Answer one request; True when the connection is used up."""
        answer = self._refused(request)
        found = _PATH.fullmatch(request.path)
        if answer is None and request.headers.get("upgrade", "").lower() == "websocket" and found:
            await self._upgrade(request, found, reader, writer, fault)
            return True
        if answer is None and found and request.one("watch") in ("true", "1"):
            await self._watch(request, found, writer)
            return False
        if answer is None:
            answer = self._answer(request, found)
        if fault is not None and fault.cut_body_at is not None:
            whole = len(answer.body)
            answer.headers["Content-Length"] = str(whole)
            answer.body = answer.body[: fault.cut_body_at]
            await write_answer(writer, answer)
            return True
        await write_answer(writer, answer)
        return False

    def _refused(self, request: Request) -> Answer | None:
        authorization = request.headers.get("authorization", "")
        if self.tls and authorization.removeprefix("Bearer ") not in self.tokens:
            return status_answer(401, "Unauthorized", "Unauthorized")
        found = _PATH.fullmatch(request.path)
        if found and found["list"] not in _REVIEWS:
            for verb in self._verbs(request, found):
                asked = _asked(found, verb)
                self.authorized.add(asked)
                if not self._may(asked):
                    self.refused.add(asked)
                    text = f'{asked.resource} is forbidden: User "tester" cannot {verb} resource "{asked.resource}"'
                    return status_answer(403, "Forbidden", text)
        elif found and ("create", found["resource"]) in self.denied:
            return status_answer(403, "Forbidden", f'User "tester" cannot create resource "{found["resource"]}"')
        return None

    def _may(self, asked: Asked) -> bool:
        return (asked.verb, asked.resource) not in self.denied and (self.rbac is None or self.rbac.allows(asked))

    def _verbs(self, request: Request, found: re.Match[str]) -> tuple[str, ...]:
        if found["sub"] in ("portforward", "exec"):
            return ("get", "create") if int(self.minor.rstrip("+")) >= 35 else ("get",)
        if found["name"]:
            return ("get",)
        return ("watch",) if request.one("watch") in ("true", "1") else ("list",)

    def _answer(self, request: Request, found: re.Match[str] | None) -> Answer:
        if request.method == "POST":
            return self._review(request)
        if request.path == "/version":
            return json_answer({"major": "1", "minor": self.minor, "gitVersion": f"v1.{self.minor}.1"})
        if found is None or f"{found['list']}/{found['resource']}" not in self.objects.lists:
            return self._discovery(request.path)
        if found["sub"] == "log":
            return self._log(request, found)
        path = f"{found['list']}/{found['resource']}"
        if found["name"]:
            match = self.objects.lists[path].get((found["namespace"] or "", found["name"]))
            return Answer(200, match.alone) if match else status_answer(404, "NotFound", f'"{found["name"]}" not found')
        return self._list(request, path, found["namespace"] or "")

    def _list(self, request: Request, path: str, namespace: str) -> Answer:
        start, limit = 0, int(request.one("limit", "0"))
        if token := request.one("continue"):
            number, start = json.loads(base64.b64decode(token))
            opened = self.objects.opened(number)
            if opened is None:
                return status_answer(410, "Expired", "The provided continue parameter is too old")
            version, items = opened
        else:
            version = self.objects.version
            items = self.objects.select(path, namespace, request.one("labelSelector"), request.one("fieldSelector"))
            number = self.objects.open_list(items) if limit and limit < len(items) else 0
        end = start + limit if limit else len(items)
        more = base64.b64encode(json.dumps([number, end]).encode()).decode() if end < len(items) else ""
        return Answer(200, self.objects.list_body(path, items[start:end], more, version))

    def _log(self, request: Request, found: re.Match[str]) -> Answer:
        containers = [name for ns, pod, name, _ in self.logs if (ns, pod) == (found["namespace"], found["name"])]
        container = request.one("container") or (containers[0] if containers else "")
        key = (found["namespace"], found["name"], container, request.one("previous") == "true")
        body = self.logs.get(key)
        if body is None:
            return status_answer(400, "BadRequest", f'previous terminated container "{container}" not found')
        if tail := int(request.one("tailLines", "0")):
            body = b"".join(body.splitlines(keepends=True)[-tail:])
        return Answer(200, body[: int(request.one("limitBytes", str(len(body))))], content_type="text/plain")

    def _review(self, request: Request) -> Answer:
        if request.path.endswith("/selfsubjectreviews"):
            user = {"username": "tester", "groups": ["system:authenticated"]}
            return json_answer({"kind": "SelfSubjectReview", "status": {"userInfo": user}}, 201)
        asked = resource_attributes(request.body)
        resource = asked["resource"] + (f"/{asked['subresource']}" if asked.get("subresource") else "")
        allowed = self._may(
            Asked(asked["verb"], asked.get("group", ""), resource, asked.get("namespace", ""), asked.get("name", ""))
        )
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        return json_answer({**review, "spec": {"resourceAttributes": asked}, "status": {"allowed": allowed}}, 201)

    def _discovery(self, path: str) -> Answer:
        groups: dict[str, set[str]] = {}
        for known in self.objects.lists:
            parts = known.strip("/").split("/")
            if parts[0] == "apis":
                groups.setdefault(parts[1], set()).add(parts[2])
        if path == "/api":
            return json_answer({"kind": "APIVersions", "versions": ["v1"]})
        if path == "/apis":
            return json_answer(
                {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(n, v) for n, v in groups.items()]}
            )
        resources = [
            {"name": known.rsplit("/", 1)[1], "singularName": "", "kind": kind.kind, "namespaced": kind.namespaced,
             "verbs": ["get", "list", "watch"]}
            for known, kind in self.objects.kinds.items() if known.rsplit("/", 1)[0] == path
        ]  # fmt: skip
        if not resources:
            return status_answer(404, "NotFound", "the server could not find the requested resource")
        version = path.removeprefix("/apis/").removeprefix("/api/")
        return json_answer(
            {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
        )

    async def _watch(self, request: Request, found: re.Match[str], writer: asyncio.StreamWriter) -> None:
        path, namespace = f"{found['list']}/{found['resource']}", found["namespace"] or ""
        version = int(request.one("resourceVersion", "0") or "0")
        await begin_stream(writer)
        clock = asyncio.get_running_loop().time
        marked = clock()
        ends = marked + float(request.one("timeoutSeconds", "60"))
        while not self.stopping and clock() < ends:
            if version < self.objects.oldest:
                gone = status_answer(410, "Expired", "too old resource version")
                await write_chunk(writer, b'{"type":"ERROR","object":' + gone.body + b"}\n")
                break
            now = self.objects.version  # before the changes are looked at: what comes meanwhile is for the next round
            for change in self.objects.changes_after(version, path):
                version = change.version
                if not namespace or change.namespace == namespace:
                    await write_chunk(writer, f'{{"type":"{change.type}","object":'.encode() + change.body + b"}\n")
            bookmarks = request.one("allowWatchBookmarks") == "true"
            if version < now and bookmarks and clock() - marked >= self.bookmark_seconds:
                version, marked = now, clock()
                mark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}
                await write_chunk(writer, json.dumps(mark).encode() + b"\n")
            await asyncio.sleep(0.01)
        await write_chunk(writer, b"")

    async def _upgrade(
        self, request: Request, found: re.Match[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        fault: Fault | None,
    ) -> None:  # fmt: skip
        offered = [word.strip() for word in request.headers.get("sec-websocket-protocol", "").split(",")]
        spoken = {"portforward": ("v4.channel.k8s.io", pods.TUNNEL), "exec": ("v5.channel.k8s.io", "v4.channel.k8s.io")}
        protocol = next((word for word in offered if word in spoken.get(found["sub"] or "", ())), "")
        if not protocol:
            await write_answer(writer, Answer(403))
            return
        await accept_websocket(request, writer, protocol)
        socket = ServerSocket(reader, writer)
        dial = self.dial(found["namespace"] or "", found["name"])
        cut = fault.cut_websocket_after if fault else None
        if found["sub"] == "exec":
            command = [value for key, value in request.query if key == "command"]
            await pods.run_command(socket, command, dial, cut)
        elif protocol == pods.TUNNEL:
            await pods.forward_spdy(socket, dial)
        elif canned := self.canned.get((found["namespace"] or "", found["name"])):
            await pods.forward_canned(socket, int(request.one("ports")), canned)
        else:
            await pods.forward_v4(socket, int(request.one("ports")), dial, cut)


def _asked(found: re.Match[str], verb: str) -> Asked:
    parts = found["list"].split("/")
    resource = found["resource"] + (f"/{found['sub']}" if found["sub"] else "")
    return Asked(verb, parts[2] if parts[1] == "apis" else "", resource, found["namespace"] or "", found["name"] or "")


def _group(name: str, versions: set[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in sorted(versions)]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}
