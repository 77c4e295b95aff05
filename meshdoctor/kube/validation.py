"""What kubectl refuses before it sends anything (client-go `validateClusterInfo`, `validateAuthInfo`)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from meshdoctor.kube.errors import KubeconfigError
from meshdoctor.kube.exec_plugin import API_VERSIONS, interactive_mode
from meshdoctor.kube.kubeconfig import AuthProvider, Cluster, ExecConfig, User

_LOGIN = re.compile(r"(?:(?<=://)|^)[^/?#]*@")
_PROXY_SCHEMES = ("http", "https", "socks5")


def server_url(server: str) -> str:
    """*server* without query and fragment; one without a scheme is plain HTTP (`DefaultServerURL`).

    Raises KubeconfigError when it is no http(s) URL.
    """
    if not server:
        raise KubeconfigError("the cluster has no server", "set clusters[].cluster.server in the kubeconfig")
    try:
        url = urlsplit(server if "://" in server else f"http://{server}")
        _ = url.port
    except ValueError:
        raise KubeconfigError(
            f"server {without_login(server)!r} is not a URL", "correct it in the kubeconfig"
        ) from None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise KubeconfigError(f"server {without_login(server)!r} is not an http(s) URL", "correct it in the kubeconfig")
    return f"{url.scheme}://{url.netloc}{url.path}".rstrip("/")


def without_login(server: str) -> str:
    """*server* without the user and password that may stand before its host: for people, and for files they pass on."""
    return _LOGIN.sub("", server)


def check_cluster(cluster: Cluster) -> None:
    """Raise KubeconfigError when kubectl would not use *cluster*."""
    if cluster.insecure_skip_tls_verify and (cluster.certificate_authority or cluster.certificate_authority_data):
        raise KubeconfigError("insecure-skip-tls-verify is set beside a certificate authority", "remove one of the two")
    _check_readable(cluster.certificate_authority, "certificate-authority")
    scheme = urlsplit(cluster.proxy_url).scheme if cluster.proxy_url else "http"
    if scheme not in _PROXY_SCHEMES:
        raise KubeconfigError(f"proxy-url has the unsupported scheme {scheme!r}", "use http, https or socks5")


def check_user(user: User, *, secure: bool) -> None:
    """Raise KubeconfigError when kubectl would not be *user*; *secure*: whether credentials are sent at all."""
    if user.token and (user.username or user.password):
        raise KubeconfigError("the user has both a token and a user name", "keep one of the two")
    for what, data, path in (
        ("client-certificate", user.client_certificate_data, user.client_certificate),
        ("client-key", user.client_key_data, user.client_key),
    ):
        if user.client_certificate or user.client_certificate_data:
            if data and path:
                raise KubeconfigError(f"the user has both {what} and {what}-data", "keep one of the two")
            _check_readable(path, what)
    certificate = user.client_certificate or user.client_certificate_data
    if certificate and not (user.client_key or user.client_key_data):
        raise KubeconfigError("the user has a client certificate without a key", "add client-key or client-key-data")
    if user.exec is not None:
        if user.auth_provider is not None:
            raise KubeconfigError("the user has both exec and auth-provider", "keep one of the two")
        _check_exec(user.exec, secure)
    if user.auth_provider is not None and secure:
        _check_provider(user.auth_provider)
    if not user.impersonate and (user.as_uid or user.as_groups or user.as_user_extra):
        raise KubeconfigError("a group, uid or extra is impersonated without a user", "add --as USER")


def _check_exec(plugin: ExecConfig, secure: bool) -> None:
    if not plugin.command or not plugin.api_version:
        raise KubeconfigError("the user's exec has no command or no apiVersion", "correct it in the kubeconfig")
    if any(not variable.name for variable in plugin.env):
        raise KubeconfigError("the user's exec has a variable without a name", "correct users[].user.exec.env")
    if secure and plugin.api_version not in API_VERSIONS:
        raise KubeconfigError(
            f"exec plugin {plugin.command} uses {plugin.api_version}",
            f"kubectl accepts {' and '.join(API_VERSIONS)} only",
        )
    if not interactive_mode(plugin):
        raise KubeconfigError(
            f"exec plugin {plugin.command} has no valid interactiveMode", "set it to Never, IfAvailable or Always"
        )


def _check_provider(provider: AuthProvider) -> None:
    if provider.name != "oidc":
        raise KubeconfigError(
            f"auth-provider {provider.name!r} was removed from kubectl", "use the cloud's exec plugin in the kubeconfig"
        )
    for name in ("idp-issuer-url", "client-id"):
        if not provider.config.get(name):
            raise KubeconfigError(f"auth-provider oidc has no {name}", "add it to users[].user.auth-provider.config")


def _check_readable(path: str, what: str) -> None:
    if not path:
        return
    try:
        with open(path, "rb"):
            return
    except OSError as error:
        raise KubeconfigError(
            f"{what} {path} cannot be read ({error.strerror})", "correct the path in the kubeconfig"
        ) from error
