"""`auth-provider: oidc`: the id-token of the kubeconfig, renewed with its refresh token as kubectl does.

client-go `plugin/pkg/client/auth/oidc`: discovery at the issuer, one POST to its token endpoint, the new tokens written
to the kubeconfig. That POST goes to the identity provider and never to the cluster. Providers hand out a refresh token
once: if the kubeconfig cannot be written, nothing is asked, because an unsaved token would lock kubectl out.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import httpx
import msgspec

from meshdoctor.kube.answers import reachable
from meshdoctor.kube.errors import CredentialError, KubeconfigError, Unreachable
from meshdoctor.kube.kubeconfig import Cluster, User, load_kubeconfig
from meshdoctor.kube.kubeconfig_write import check_writable, write_provider_config
from meshdoctor.kube.proxies import proxy_of_environment
from meshdoctor.kube.tls import tls_context
from meshdoctor.kube.transport import PoolTransport, connection_pool
from meshdoctor.model.text import visible_line

EARLY = 10.0
"""Seconds before its end at which an id-token counts as expired (client-go `expiryDelta`)."""
_DISCOVERY = "/.well-known/openid-configuration"
_ANSWER_LIMIT = 1 << 20
_LOG_IN = "log in with the tool that made the kubeconfig"


class _Claims(msgspec.Struct, frozen=True):
    exp: float = 0.0


class _Metadata(msgspec.Struct, frozen=True):
    token_endpoint: str = ""


class _Answer(msgspec.Struct, frozen=True):
    id_token: str = ""
    refresh_token: str = ""
    error: str = ""
    error_description: str = ""

    def __repr__(self) -> str:
        return "_Answer(…)"


class OidcTokens:
    """The tokens of one user; *timeout* in seconds for each answer of the identity provider."""

    def __init__(
        self, user: User, environment: Mapping[str, str], timeout: float, clock: Callable[[], float] = time.time
    ) -> None:
        assert user.auth_provider is not None
        self._user = user
        self._config = dict(user.auth_provider.config)
        self._seen = dict(self._config)
        """What the file held when it was last read."""
        self._environment = environment
        self._timeout = timeout
        self._clock = clock
        self._gate = threading.Lock()

    async def id_token(self) -> str:
        """A token that is valid now. Raises CredentialError, KubeconfigError, Unreachable."""
        if not self._valid(self._config):
            # On a thread of its own: a refresh token that was used must be saved, even when whoever asked has left.
            await asyncio.to_thread(self._make_valid)
        return self._config["id-token"]

    def _make_valid(self) -> None:
        with self._gate:
            stored = self._stored()
            if stored and stored != self._seen:  # kubectl, or a login, has renewed it
                self._seen = stored
                self._config |= stored
            if not self._valid(self._config):
                asyncio.run(self._renew())

    def _valid(self, config: Mapping[str, str]) -> bool:
        token = config.get("id-token", "")
        return bool(token) and self._clock() + EARLY < expiry(token)

    def _stored(self) -> dict[str, str]:
        if not self._user.origin:
            return {}
        user = load_kubeconfig((self._user.origin,)).users.get(self._user.name)
        provider = user.auth_provider if user is not None else None
        return dict(provider.config) if provider is not None and provider.name == "oidc" else {}

    async def _renew(self) -> None:
        refresh = self._config.get("refresh-token", "")
        if not refresh:
            raise CredentialError("the kubeconfig's OIDC id-token has expired and it has no refresh-token", _LOG_IN)
        check_writable(self._user.origin)
        answer = await self._ask(refresh)
        if not answer.id_token:
            raise CredentialError("the login provider gave no id_token for the refresh-token", _LOG_IN)
        expiry(answer.id_token)
        changed = {"id-token": answer.id_token}
        if answer.refresh_token and answer.refresh_token != refresh:
            changed["refresh-token"] = answer.refresh_token
        self._config |= changed  # before it is written: a full disk must not cost the session as well
        write_provider_config(self._user.origin, self._user.name, changed)
        self._seen = self._stored()

    async def _ask(self, refresh: str) -> _Answer:
        issuer = self._config["idp-issuer-url"].removesuffix("/")
        _require_tls(issuer)
        trust = Cluster(
            certificate_authority=self._config.get("idp-certificate-authority", ""),
            certificate_authority_data=self._config.get("idp-certificate-authority-data", ""),
        )
        try:
            context = tls_context(trust)
        except KubeconfigError as error:
            raise CredentialError(f"idp-{error.what}", error.next_step) from None
        # No redirects: the refresh token goes where the issuer's own document says and nowhere else.
        transport = PoolTransport(
            lambda: connection_pool(context=context, proxy_url=proxy_of_environment(issuer, self._environment))
        )
        async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=self._timeout) as http:
            endpoint = await _token_endpoint(http, issuer)
            return await self._exchange(http, endpoint, refresh)

    async def _exchange(self, http: httpx.AsyncClient, endpoint: str, refresh: str) -> _Answer:
        """golang.org/x/oauth2: the client's id and secret in a header; when that is refused, in the form."""
        client, secret = self._config["client-id"], self._config.get("client-secret", "")
        form = {"grant_type": "refresh_token", "refresh_token": refresh}
        login = base64.b64encode(f"{quote_plus(client)}:{quote_plus(secret)}".encode()).decode()
        in_form = form | {"client_id": client} | ({"client_secret": secret} if secret else {})
        told = ""
        for fields, headers in ((form, {"Authorization": f"Basic {login}"}), (in_form, {})):
            response = await _fetch(http, "POST", endpoint, urlencode(fields).encode(), headers)
            answer = _decoded(response)
            if response.is_success and not answer.error:
                return answer
            words = visible_line(": ".join(filter(None, (answer.error, answer.error_description))))[:200]
            told = words or f"HTTP {response.status_code}"
            if not response.is_client_error:
                break  # it may have used the refresh token up
        raise CredentialError(f"the login provider {_host(endpoint)} does not renew the OIDC token ({told})", _LOG_IN)


def expiry(token: str) -> float:
    """When the JWT *token* ends, in Unix seconds; 0 when it does not say. Raises CredentialError when it is no JWT."""
    parts = token.split(".")
    try:
        if len(parts) != 3:
            raise ValueError(token)
        return msgspec.json.decode(
            base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), type=_Claims, strict=False
        ).exp
    except (binascii.Error, ValueError):
        raise CredentialError("the kubeconfig's OIDC id-token is no JWT", _LOG_IN) from None


async def _token_endpoint(http: httpx.AsyncClient, issuer: str) -> str:
    response = await _fetch(http, "GET", f"{issuer}{_DISCOVERY}", b"", {})
    try:
        endpoint = msgspec.json.decode(response.content, type=_Metadata).token_endpoint if response.is_success else ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        endpoint = ""
    if not endpoint:
        raise CredentialError(
            f"{issuer}{_DISCOVERY} names no token_endpoint (HTTP {response.status_code})",
            "check idp-issuer-url in the kubeconfig",
        )
    _require_tls(endpoint)
    return endpoint


async def _fetch(
    http: httpx.AsyncClient, method: str, url: str, content: bytes, headers: dict[str, str]
) -> httpx.Response:
    if content:
        headers = headers | {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        with reachable(f"{method} {url}"):
            async with http.stream(method, url, content=content or None, headers=headers) as response:
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _ANSWER_LIMIT:
                        raise CredentialError(f"{url} answers with more than {_ANSWER_LIMIT} bytes", _LOG_IN)
                return httpx.Response(response.status_code, headers=_type_of(response), content=body)
    except Unreachable as error:
        next_step = error.next_step.replace("certificate-authority", "idp-certificate-authority")
        raise Unreachable(error.what, next_step) from error


def _type_of(response: httpx.Response) -> dict[str, str]:
    return {"Content-Type": response.headers.get("content-type", "")}


def _decoded(response: httpx.Response) -> _Answer:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind in ("application/x-www-form-urlencoded", "text/plain"):
            fields = parse_qs(response.content.decode())
            return msgspec.convert({name: values[0] for name, values in fields.items()}, _Answer)
        return msgspec.json.decode(response.content, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Answer()


def _require_tls(url: str) -> None:
    """A refresh token is a password: kubectl would send it over plain HTTP, this program only to this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = host == "localhost"
    if parts.scheme != "https" and not (parts.scheme == "http" and here):
        raise CredentialError(
            f"the login provider's address {visible_line(url)[:200]!r} is not https, so no refresh token is sent",
            "run `kubectl get ns` to renew it",
        )


def _host(url: str) -> str:
    return visible_line(urlsplit(url).netloc)[:100]
