"""The read-only client of one API server: objects, paged lists, logs, and pods' ports.

Every request goes through the allowlist of `allowlist.py`; there is no method that writes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Generic, TypeVar

import msgspec

from meshdoctor.kube.answers import error_of, no_api_server, reachable
from meshdoctor.kube.connection import Connection
from meshdoctor.kube.errors import ClusterError, Expired, Forbidden, NotFound, Unreachable
from meshdoctor.kube.retry import with_retries
from meshdoctor.model.kinds import Kind

T = TypeVar("T")
_LIST_RESTARTS = 3
LONGEST_ANSWER = 512 << 20
"""Bytes of one answer, unpacked: a page of 500 objects has a few million, what has more is an attack or a mistake."""


class ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    """`metadata` of a list."""

    continue_: str = msgspec.field(default="", name="continue")
    resource_version: str = ""


class _Version(msgspec.Struct, frozen=True):
    major: str = ""
    minor: str = ""


class ListHead(msgspec.Struct, frozen=True):
    """A list, its items undecoded."""

    kind: str = ""
    metadata: ListMeta = ListMeta()
    items: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Page(msgspec.Struct, frozen=True):
    """One page of a list as the server sent it. A page with *first* set begins the list, also again after a 410."""

    body: bytes
    first: bool
    resource_version: str


class Listing(msgspec.Struct, Generic[T], frozen=True):
    """A whole list, and the version from which it can be watched."""

    items: tuple[T, ...]
    resource_version: str


def list_path(kind: Kind, namespace: str = "") -> str:
    """Where the API serves all objects of *kind*, or those of one namespace."""
    start = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    inside = f"/namespaces/{namespace}" if namespace and kind.namespaced else ""
    return f"{start}{inside}/{kind.resource}"


class KubeClient:
    """Reads one cluster; use as `async with KubeClient(connection) as client`. Closing it closes the connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.settings = connection.settings

    async def __aenter__(self) -> KubeClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.connection.aclose()

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> bytes:
        """The body of one GET, tried again when the server is busy or does not answer.

        Raises ApiError (by status), Unreachable, CredentialError, PathRefused.
        """
        return await with_retries(self.settings.retry, lambda: self._get_once(path, params))

    async def _get_once(self, path: str, params: Mapping[str, Any] | None) -> bytes:
        chunks: list[bytes] = []
        size = 0
        with reachable(f"GET {path}"):
            async with self.connection.reads.stream("GET", path, params=params) as response:
                async for chunk in response.aiter_bytes():
                    size += len(chunk)
                    if size > LONGEST_ANSWER:
                        raise ClusterError(f"GET {path}: the answer is longer than {LONGEST_ANSWER >> 20} MiB")
                    chunks.append(chunk)
        body = b"".join(chunks)
        if response.status_code != 200:
            raise error_of(response.status_code, response.headers, body, path)
        return body

    async def version(self) -> tuple[int, int] | None:
        """Kubernetes' major and minor version, None when the server does not tell. Raises what `get` raises."""
        try:
            told = msgspec.json.decode(await self.get("/version"), type=_Version)
            return int(told.major), int(told.minor.rstrip("+"))  # GKE and EKS write "33+"
        except (Forbidden, NotFound, msgspec.DecodeError, ValueError):
            return None

    async def pages(self, path: str, *, params: Mapping[str, str] | None = None) -> AsyncIterator[Page]:
        """A list page by page; when a page has expired (410), the list begins again with a `first` page.

        Raises what `get` raises; Expired when the list expired again and again.
        """
        restarts = 0
        token = ""
        first = True
        while first or token:
            asked: dict[str, str | int] = {**(params or {}), "limit": self.settings.page}
            if token:
                asked["continue"] = token
            try:
                body = await self.get(path, asked)
            except Expired:
                restarts += 1
                if restarts > _LIST_RESTARTS:
                    raise
                token, first = "", True
                continue
            metadata = list_head(body, path).metadata
            yield Page(body, first, metadata.resource_version)
            token, first = metadata.continue_, False

    async def list_all(
        self, path: str, decode: Callable[[bytes], Iterable[T]], *, params: Mapping[str, str] | None = None
    ) -> Listing[T]:
        """A whole list through *decode*, which is given one page at a time so that only the facts are kept."""
        items: list[T] = []
        version = ""
        async for page in self.pages(path, params=params):
            if page.first:
                items.clear()
            items.extend(decode(page.body))
            version = page.resource_version
        return Listing(tuple(items), version)

    async def log(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        since_seconds: int | None = None,
        previous: bool = False,
        tail_lines: int | None = None,
        limit_bytes: int | None = None,
    ) -> bytes:
        """A container's log; *previous* is the one before its last restart. Raises what `get` raises."""
        params: dict[str, Any] = {"container": container}
        if since_seconds is not None:
            params["sinceSeconds"] = max(1, since_seconds)
        if previous:
            params["previous"] = "true"
        if tail_lines is not None:
            params["tailLines"] = tail_lines
        if limit_bytes is not None:
            params["limitBytes"] = limit_bytes
        return await self.get(f"/api/v1/namespaces/{namespace}/pods/{pod}/log", params)


def list_head(body: bytes, path: str) -> ListHead:
    """A list's kind and metadata. Raises Unreachable when the body is cut short, ClusterError when it is no list."""
    try:
        head = msgspec.json.decode(body, type=ListHead)
    except msgspec.ValidationError:
        raise no_api_server(path, "a list") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreachable(f"GET {path}: the answer is no complete JSON ({len(body)} bytes)", "try again") from None
    if head.items is msgspec.UNSET and not head.kind.endswith("List"):
        raise no_api_server(path, "a list")
    return head
