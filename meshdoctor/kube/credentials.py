"""Who the requests are from: client-go's order of credentials, as an httpx authentication flow.

A token file wins over a token (and is read again each minute), both win over basic auth, and that over an OIDC id-token
and an exec plugin; a client certificate of the kubeconfig also keeps the plugin from running
(`exec.Authenticator.UpdateTransportConfig`), but is sent beside an id-token. Nothing is ever sent without the
credential that the kubeconfig asks for.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping

import httpx

from meshdoctor.kube.certificate_end import certificate_end
from meshdoctor.kube.errors import CredentialError
from meshdoctor.kube.exec_plugin import ExecCredential, run_exec_plugin
from meshdoctor.kube.kubeconfig import User
from meshdoctor.kube.oidc import OidcTokens
from meshdoctor.kube.target import Target

_TOKEN_FILE_PERIOD = 60.0
_HEADER_SAFE = re.compile(r"[^!#$&'*+\-.^_`|~0-9A-Za-z]")


class Credentials(httpx.Auth):
    """Adds the credential and the impersonation headers of *target* to each request; once more after a 401.

    *on_certificate* is called with (certificate, key) when an exec plugin gave a client certificate, before the
    connection that needs it is opened.
    """

    def __init__(
        self,
        target: Target,
        environment: Mapping[str, str],
        *,
        timeout: float = 60.0,
        terminal: bool = False,
        on_certificate: Callable[[bytes, bytes], None] | None = None,
    ) -> None:
        self._target = target
        self._user = target.user
        self._environment = environment
        self._timeout = timeout
        self._on_certificate = on_certificate
        self._lock = asyncio.Lock()
        self._plugin: ExecCredential | None = None
        self._renew_at: float | None = None
        self._generation = 0
        self._file_token = ""
        self._file_read_at = float("-inf")
        self.terminal = terminal
        """Whether an exec plugin may ask the person at the terminal."""
        self._impersonation = impersonation_headers(self._user)
        self._oidc = OidcTokens(self._user, environment, timeout) if self._user.auth_provider is not None else None

    async def authenticate(self, *, terminal: bool | None = None) -> None:
        """Get a fresh credential now (the key `A`); an exec plugin may ask when *terminal* is true."""
        if terminal is not None:
            self.terminal = terminal
        await self._authorization(renew=self._generation)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """httpx's hook around each request."""
        # client-go sends no credential over plain HTTP, but says as whom to act: `kubectl proxy` adds the credential.
        authorization = await self._authorization() if self._target.secure else ""
        used = self._generation
        if authorization:
            request.headers["Authorization"] = authorization
        if self._impersonation:
            request.headers = httpx.Headers([*request.headers.raw, *self._impersonation])
        response = yield request
        if response.status_code == 401 and self._target.secure and self._renewable:
            renewed = await self._authorization(renew=used)
            if renewed:
                request.headers["Authorization"] = renewed
            yield request

    @property
    def _uses_plugin(self) -> bool:
        user = self._user
        static = (
            user.token or user.token_file or user.username or user.client_certificate or user.client_certificate_data
        )
        return user.exec is not None and not static

    @property
    def _renewable(self) -> bool:
        return bool(self._user.token_file) or self._uses_plugin

    async def _authorization(self, renew: int | None = None) -> str:
        """The Authorization header, "" for a certificate alone; *renew*: the generation that was refused."""
        user = self._user
        if user.token_file:
            return f"Bearer {self._token_from_file(forget=renew is not None)}"
        if user.token:
            return f"Bearer {_header_safe(user.token, 'the token of the kubeconfig').rstrip(' ')}"
        if user.username:
            pair = f"{user.username}:{user.password}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        if self._oidc is not None:
            return f"Bearer {_header_safe(await self._oidc.id_token(), 'the id-token')}"
        if user.client_certificate or user.client_certificate_data:
            return ""
        if user.exec is not None:
            async with self._lock:  # fifty requests at once run the plugin once
                refused = renew is not None and renew == self._generation
                if self._plugin is None or refused or (self._renew_at is not None and time.time() >= self._renew_at):
                    await self._run_plugin()
                credential = self._plugin
            return (
                f"Bearer {_header_safe(credential.token, 'the exec plugin')}" if credential and credential.token else ""
            )
        raise CredentialError(
            "the kubeconfig's user has no credential", "log in with the tool that made the kubeconfig"
        )

    async def _run_plugin(self) -> None:
        config = self._user.exec
        assert config is not None
        credential = await run_exec_plugin(
            config, self._target.cluster, self._environment, terminal=self.terminal, timeout=self._timeout
        )
        now = time.time()
        # Renewed a little early, so that no request carries a token that expires on its way.
        self._renew_at = None
        ends = [end for end in (credential.expires, certificate_end(credential.certificate)) if end is not None]
        if ends:
            self._renew_at = min(ends) - min(30.0, max(0.0, (min(ends) - now) * 0.1))
        previous, self._plugin = self._plugin, credential
        self._generation += 1
        if credential.certificate and self._on_certificate is not None:
            changed = previous is None or previous.certificate != credential.certificate
            if changed:
                self._on_certificate(credential.certificate, credential.key)

    def _token_from_file(self, *, forget: bool) -> str:
        """The file's token, read again after a minute; the kubeconfig's own when the file is unreadable (client-go)."""
        now = time.monotonic()
        if not forget and self._file_token and now - self._file_read_at < _TOKEN_FILE_PERIOD:
            return self._file_token
        try:
            with open(self._user.token_file, encoding="utf-8") as stream:
                token = stream.read().strip()
            problem = "is empty"
        except (OSError, UnicodeDecodeError) as error:
            token, problem = "", f"cannot be read ({getattr(error, 'strerror', None) or 'not text'})"
        token = token or self._file_token or self._user.token
        if not token:
            raise CredentialError(
                f"token file {self._user.token_file} {problem}", "correct tokenFile in the kubeconfig"
            )
        self._file_token, self._file_read_at = _header_safe(token, "the token file"), now
        return self._file_token


def impersonation_headers(user: User) -> list[tuple[bytes, bytes]]:
    """`Impersonate-*` headers of client-go's `NewImpersonatingRoundTripper`, in its order."""
    if not user.impersonate:
        return []
    pairs = [("Impersonate-User", user.impersonate)]
    if user.as_uid:
        pairs.append(("Impersonate-Uid", user.as_uid))
    pairs += [("Impersonate-Group", group) for group in user.as_groups]
    for key, values in user.as_user_extra.items():
        escaped = _HEADER_SAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match.group().encode()), key)
        pairs += [(f"Impersonate-Extra-{escaped}", value) for value in values]
    return [(name.encode("ascii"), _header_safe(value, name).encode()) for name, value in pairs]


def _header_safe(value: str, where: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise CredentialError(f"{where} holds a control character", "correct it; it was not sent")
    return value
