"""What may be asked of a cluster, and the transport that lets nothing else out.

The check is made on the finished request, after URL joining, redirects and header merging, right above the socket, so
no caller can get around it. Paths are matched as they go over the wire: percent signs, dot segments and empty segments
are refused rather than decoded. Secrets are in no list.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import httpx

from meshdoctor.kube.errors import PathRefused
from meshdoctor.model.kinds import KINDS

_NAME = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"
_NAMESPACE = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"

# ConfigMaps may hold anything, so only Istio's own are read, by name.
CONFIG_MAPS = r"istio(?:-[a-z0-9][-a-z0-9]*)?"

_QUERY = frozenset(
    [
        "limit",
        "continue",
        "watch",
        "resourceVersion",
        "resourceVersionMatch",
        "allowWatchBookmarks",
        "timeoutSeconds",
        "labelSelector",
        "fieldSelector",
    ]
)
_LOG_QUERY = frozenset(
    ["container", "previous", "sinceSeconds", "sinceTime", "tailLines", "limitBytes", "timestamps", "follow"]
)
_FORBIDDEN_HEADERS = (
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-original-method",
    "x-rewrite-url",
    "x-forwarded-prefix",
)


def _resource_pattern() -> str:
    """The kinds that are decoded, and no others, in any version of their group."""
    groups: dict[str, set[str]] = {}
    for kind in KINDS:
        if kind.name != "ConfigMap":
            groups.setdefault(kind.group, set()).add(kind.resource)
    alternatives = [f"/api/v1/namespaces/{_NAMESPACE}/configmaps/{CONFIG_MAPS}"]
    for group, resources in sorted(groups.items()):
        start = rf"/apis/{re.escape(group)}/v[0-9a-z]+" if group else "/api/v1"
        alternatives.append(f"{start}(?:/namespaces/{_NAMESPACE})?/(?:{'|'.join(sorted(resources))})(?:/{_NAME})?")
    return "|".join(alternatives)


_RESOURCE = re.compile(_resource_pattern())
_DISCOVERY = re.compile(r"/version|/api|/apis|/api/v1|/apis/[a-z0-9.-]+(?:/v[0-9a-z]+)?")
_LOG = re.compile(rf"/api/v1/namespaces/{_NAMESPACE}/pods/{_NAME}/log")
_PORT_FORWARD = re.compile(rf"/api/v1/namespaces/{_NAMESPACE}/pods/{_NAME}/portforward")
_EXEC = re.compile(rf"/api/v1/namespaces/{_NAMESPACE}/pods/{_NAME}/exec")

Rule = Callable[[str, list[tuple[str, str]]], bool]


def reads_allowed(path: str, query: list[tuple[str, str]]) -> bool:
    """Lists, single objects, watches, logs, discovery."""
    keys = {key for key, _ in query}
    if _LOG.fullmatch(path):
        return keys <= _LOG_QUERY
    return bool((_RESOURCE.fullmatch(path) or _DISCOVERY.fullmatch(path)) and keys <= _QUERY)


def port_forward_allowed(path: str, query: list[tuple[str, str]]) -> bool:
    """`pods/portforward`; what is then asked of the pod has a list of its own (`PodRole`)."""
    return bool(_PORT_FORWARD.fullmatch(path)) and all(key == "ports" and value.isdigit() for key, value in query)


class ExecRequest(NamedTuple):
    """The one command that may be run in a pod of a role, and only when the user allowed exec: an HTTP GET."""

    container: str
    command: tuple[str, ...]


# Both programs are in the distroless images too, which have neither a shell nor curl (istioctl bug-report uses them).
# They send what stands behind GET as it is to localhost:15000 and 127.0.0.1:15014 (pilot/pkg/request).
EXEC_REQUESTS = {
    "envoy": ExecRequest("istio-proxy", ("pilot-agent", "request", "GET")),
    "istiod": ExecRequest("discovery", ("pilot-discovery", "request", "GET")),
}


def exec_allowed(path: str, query: list[tuple[str, str]]) -> bool:
    """`pods/exec` of one of `EXEC_REQUESTS` with an admin path, and nothing else; no stdin, no terminal."""
    command = [value for key, value in query if key == "command"]
    rest = {key: value for key, value in query if key != "command"}
    return bool(
        _EXEC.fullmatch(path)
        and len(command) == 4
        and any(
            tuple(command[:3]) == request.command and pod_path_allowed(role, command[3])
            for role, request in EXEC_REQUESTS.items()
        )
        and set(rest) <= {"container", "stdout", "stderr"}
    )


_ENVOY = re.compile(
    r"/(?:config_dump|clusters|listeners|stats|stats/prometheus|certs|server_info|ready|init_dump|runtime|memory)"
)
_ISTIOD_DEBUG = (
    "syncz registryz endpointz endpointShardz cachez configz resourcesz instancesz authorizationz telemetryz adsz"
    " push_status pushcontext mesh networkz mcsz clusterz config_dump edsz ndsz ambientz krtz list inject"
)
_POD_PATHS: dict[str, re.Pattern[str]] = {
    "envoy": _ENVOY,
    "ztunnel": re.compile(r"/(?:config_dump|server_info|ready|stats/prometheus|memory)"),
    "istiod": re.compile(rf"/(?:version|ready|metrics|debug/(?:{'|'.join(_ISTIOD_DEBUG.split())}))"),
    "agent": re.compile(r"/(?:healthz/ready|stats/prometheus|metrics)"),
}
_POD_QUERY: dict[str, frozenset[str]] = {
    "/config_dump": frozenset(["resource", "mask", "name_regex", "include_eds", "proxyID", "types"]),
    "/clusters": frozenset(("format", "filter")),
    "/listeners": frozenset(("format",)),
    "/stats": frozenset(["filter", "format", "usedonly", "type", "histogram_buckets", "hidden"]),
    "/stats/prometheus": frozenset(["filter", "usedonly", "text_readouts", "histogram_buckets"]),
    "/init_dump": frozenset(("mask",)),
    "/debug": frozenset(["proxyID", "namespace", "brief", "types"]),
    "/debug/config_dump": frozenset(["proxyID", "include_eds"]),
}


def pod_path_allowed(role: str, target: str) -> bool:
    """Whether *target* (path and query) may be asked of a pod as *role*: envoy, ztunnel, istiod or agent.

    What changes an Envoy (`/quitquitquit`, `/logging`, `/drain_listeners`) wants POST and is in no list.
    """
    path, _, query = target.partition("?")
    if not _POD_PATHS[role].fullmatch(path):
        return False
    keys = {key for key, _ in parse_qsl(query, keep_blank_values=True)}
    known = _POD_QUERY.get(path) or _POD_QUERY.get("/debug" if path.startswith("/debug/") else path, frozenset())
    return keys <= known


class ReadOnly(httpx.AsyncBaseTransport):
    """Lets GET requests without a body to *server* through when one of *rules* allows path and query."""

    def __init__(self, inner: httpx.AsyncBaseTransport, server: str, *rules: Rule) -> None:
        url = urlsplit(server)
        self._inner = inner
        self._origin = (url.scheme, url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
        self._prefix = url.path.rstrip("/")
        self._rules = rules

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """httpx's hook. Raises PathRefused before anything is sent."""
        self.check(request)
        return await self._inner.handle_async_request(request)

    def check(self, request: httpx.Request) -> None:
        """Raise PathRefused unless *request* only reads what is allowed."""
        method, url = request.method, request.url
        if method != "GET":
            raise PathRefused(f"{method} is never sent to a cluster", "this program only reads")
        check_shape(request)
        port = url.port or (443 if url.scheme == "https" else 80)
        if (url.scheme, url.host, port) != self._origin:
            raise PathRefused(f"a request to {url.scheme}://{url.host}:{port} is not for this cluster", "report this")
        raw, _, query = url.raw_path.decode("ascii", "replace").partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        path = raw.removeprefix(self._prefix)
        if not raw.startswith(self._prefix) or not any(rule(path, pairs) for rule in self._rules):
            raise PathRefused(f"GET {raw[:200]} is not in the list of what may be read", "this program reads no more")

    async def aclose(self) -> None:
        """Close the transport below."""
        await self._inner.aclose()


def check_shape(request: httpx.Request) -> None:
    """Raise PathRefused for what no read needs: a body, method-override headers, odd characters in the path."""
    for name in _FORBIDDEN_HEADERS:
        if name in request.headers:
            raise PathRefused(f"the header {name} is never sent", "report this")
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        raise PathRefused("a request with a body is never sent", "report this")
    path = request.url.raw_path.partition(b"?")[0]
    if re.search(rb"[^A-Za-z0-9/._~:-]|//|/\.{1,2}(?:/|$)", path):
        raise PathRefused(f"the path {path.decode('ascii', 'replace')[:200]!r} is not plain", "report this")
