"""What the user may do, asked of the API server itself.

The one exception to "GET only": a SelfSubjectAccessReview is a POST, because Kubernetes models the question as the
creation of a review; nothing is stored (authorization.k8s.io/v1, `REST.Create` of a virtual resource). Its transport
lets exactly that POST out and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import msgspec

from meshdoctor.kube.allowlist import check_shape
from meshdoctor.kube.answers import error_of, reachable
from meshdoctor.kube.client import KubeClient
from meshdoctor.kube.errors import PathRefused
from meshdoctor.kube.rbac import Rule
from meshdoctor.kube.retry import with_retries

_ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_IDENTITY = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class Permission(msgspec.Struct, frozen=True):
    """One answer: *verb* on `rule`'s resource, allowed or not, and the authorizer's reason if it gave one."""

    rule: Rule
    verb: str
    allowed: bool
    reason: str = ""


class _ReviewStatus(msgspec.Struct, frozen=True):
    allowed: bool = False
    denied: bool = False
    reason: str = ""


class _Review(msgspec.Struct, frozen=True):
    status: _ReviewStatus = _ReviewStatus()


class _UserInfo(msgspec.Struct, frozen=True):
    username: str = ""
    groups: tuple[str, ...] = ()


class _IdentityStatus(msgspec.Struct, frozen=True, rename="camel"):
    user_info: _UserInfo = _UserInfo()


class _Identity(msgspec.Struct, frozen=True):
    status: _IdentityStatus = _IdentityStatus()


class _ReviewsOnly(httpx.AsyncBaseTransport):
    """Lets only the creation of a review object out."""

    def __init__(self, inner: httpx.AsyncBaseTransport, server: str) -> None:
        self._inner = inner
        base = httpx.URL(server)
        prefix = base.raw_path.decode().rstrip("/")
        self._origin = (base.scheme, base.host, base.port)
        self._paths = {f"{prefix}{path}".encode() for path in (_ACCESS, _IDENTITY)}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        bare = httpx.Request(
            "GET", url, headers=[(k, v) for k, v in request.headers.raw if k.lower() != b"content-length"]
        )
        check_shape(bare)
        here = (url.scheme, url.host, url.port) == self._origin
        if request.method != "POST" or not here or url.raw_path not in self._paths:
            raise PathRefused(f"{request.method} {url.path[:200]} is no access review", "this program only reads")
        return await self._inner.handle_async_request(request)


class AccessReviewer:
    """Asks the API server about the user's own rights."""

    def __init__(self, client: KubeClient) -> None:
        self._settings = client.settings
        connection = client.connection
        self._http = httpx.AsyncClient(
            base_url=connection.target.server,
            auth=connection.credentials,
            transport=_ReviewsOnly(connection.review_transport(), connection.target.server),
            trust_env=False,
            follow_redirects=False,
            timeout=connection.reads.timeout,
            headers={"User-Agent": connection.reads.headers["User-Agent"], "Accept": "application/json"},
        )

    async def may(self, rule: Rule, verb: str) -> Permission:
        """Whether the user may do *verb*; an empty namespace asks for all namespaces. Raises ClusterError."""
        resource, _, subresource = rule.resource.partition("/")
        asked = {"group": rule.group, "resource": resource, "subresource": subresource, "verb": verb}
        if rule.namespace:
            asked["namespace"] = rule.namespace
        if rule.names:
            asked["name"] = rule.names[0]
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }
        status = msgspec.json.decode(await self._create(_ACCESS, body), type=_Review).status
        return Permission(rule, verb, status.allowed and not status.denied, status.reason)

    async def whoami(self) -> tuple[str, tuple[str, ...]]:
        """The user name and groups as the server sees them (Kubernetes 1.28 and later). Raises ClusterError."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        user = msgspec.json.decode(await self._create(_IDENTITY, body), type=_Identity).status.user_info
        return user.username, user.groups

    async def _create(self, path: str, body: Mapping[str, object]) -> bytes:
        async def once() -> bytes:
            with reachable(f"POST {path}"):
                response = await self._http.post(path, json=body)
            if response.status_code not in (200, 201):
                raise error_of(response.status_code, response.headers, response.content, path, method="POST")
            return response.content

        return await with_retries(self._settings.retry, once)
