"""From command-line flags, environment and kubeconfig to one target: this server, as this user, in this namespace."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from meshdoctor.kube.errors import KubeconfigError
from meshdoctor.kube.kubeconfig import (
    SERVICE_ACCOUNT,
    Cluster,
    Context,
    Kubeconfig,
    User,
    kubeconfig_paths,
    load_kubeconfig,
)


class ClusterFlags(msgspec.Struct, frozen=True):
    """kubectl's own flags; empty means "as the kubeconfig says"."""

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    user: str = ""
    namespace: str = ""
    server: str = ""
    token: str = ""
    impersonate: str = ""
    as_groups: tuple[str, ...] = ()
    as_uid: str = ""
    as_user_extra: tuple[str, ...] = ()
    certificate_authority: str = ""
    client_certificate: str = ""
    client_key: str = ""
    tls_server_name: str = ""
    insecure_skip_tls_verify: bool | None = None


class Target(msgspec.Struct, frozen=True):
    """One API server and who to be there; *context* is "" in a pod and with `--server` alone."""

    server: str
    cluster: Cluster
    user: User
    namespace: str
    context: str = ""
    origin: str = ""
    """Where this came from, for people: kubeconfig files or "in-cluster"."""

    @property
    def secure(self) -> bool:
        """Whether the server is reached by TLS; credentials are sent only then, as client-go does."""
        return self.server.startswith("https://")


def resolve_target(
    flags: ClusterFlags, environment: Mapping[str, str], *, service_account: str = SERVICE_ACCOUNT
) -> Target:
    """The target that kubectl would use with the same *flags* and *environment*.

    Raises KubeconfigError. *service_account* is the folder that a pod finds its token in.
    """
    paths = kubeconfig_paths(flags.kubeconfig, environment)
    config = load_kubeconfig(paths, must_exist=bool(flags.kubeconfig))
    if not config.clusters and not config.contexts and not flags.server:
        target = _in_cluster(flags, environment, service_account)
        if target is not None:
            return target
        raise KubeconfigError(
            f"no kubeconfig with a cluster in {os.pathsep.join(paths)}", "set KUBECONFIG or give --kubeconfig FILE"
        )
    name = flags.context or config.current_context
    context = _context(config, name, flags)
    cluster = _apply_cluster_flags(_named_cluster(config, flags.cluster or context.cluster, flags), flags)
    user = _apply_user_flags(_named_user(config, flags.user or context.user), flags)
    _check_cluster(cluster)
    _check_user(user)
    return Target(
        server=cluster.server.rstrip("/"),
        cluster=cluster,
        user=user,
        namespace=flags.namespace or context.namespace or "default",
        context=name,
        origin=os.pathsep.join(config.files),
    )


def _context(config: Kubeconfig, name: str, flags: ClusterFlags) -> Context:
    if not name:
        if flags.cluster or flags.server:
            return Context()
        raise KubeconfigError("the kubeconfig has no current-context", _choose(config.contexts, "--context"))
    if name not in config.contexts:
        raise KubeconfigError(f"context {name!r} does not exist", _choose(config.contexts, "--context"))
    return config.contexts[name]


def _named_cluster(config: Kubeconfig, name: str, flags: ClusterFlags) -> Cluster:
    if name in config.clusters:
        return config.clusters[name]
    if flags.server and not name:
        return Cluster()
    raise KubeconfigError(f"cluster {name!r} does not exist in the kubeconfig", _choose(config.clusters, "--cluster"))


def _named_user(config: Kubeconfig, name: str) -> User:
    if not name:
        return User()
    if name in config.users:
        return config.users[name]
    raise KubeconfigError(f"user {name!r} does not exist in the kubeconfig", _choose(config.users, "--user"))


def _choose(entries: Mapping[str, object], flag: str) -> str:
    if not entries:
        return "the kubeconfig names none"
    shown = sorted(entries)[:8]
    return f"choose one with {flag}: {', '.join(shown)}{', …' if len(entries) > len(shown) else ''}"


def _apply_cluster_flags(cluster: Cluster, flags: ClusterFlags) -> Cluster:
    changes: dict[str, object] = {}
    if flags.server:
        changes["server"] = flags.server
    if flags.tls_server_name:
        changes["tls_server_name"] = flags.tls_server_name
    if flags.insecure_skip_tls_verify is not None:
        changes["insecure_skip_tls_verify"] = flags.insecure_skip_tls_verify
    if flags.certificate_authority or flags.insecure_skip_tls_verify:
        # client-go: one of the two replaces both settings of the file (ClientConfig.getCluster).
        changes["insecure_skip_tls_verify"] = bool(flags.insecure_skip_tls_verify)
        changes["certificate_authority"] = (
            os.path.abspath(flags.certificate_authority) if flags.certificate_authority else ""
        )
        changes["certificate_authority_data"] = ""
    return msgspec.structs.replace(cluster, **changes)


def _apply_user_flags(user: User, flags: ClusterFlags) -> User:
    changes: dict[str, object] = {}
    if flags.token:
        changes |= {"token": flags.token, "token_file": ""}
    if flags.client_certificate:
        changes |= {"client_certificate": os.path.abspath(flags.client_certificate), "client_certificate_data": ""}
    if flags.client_key:
        changes |= {"client_key": os.path.abspath(flags.client_key), "client_key_data": ""}
    if flags.impersonate:
        changes["impersonate"] = flags.impersonate
    if flags.as_uid:
        changes["as_uid"] = flags.as_uid
    if flags.as_groups:
        changes["as_groups"] = flags.as_groups
    if flags.as_user_extra:
        extra: dict[str, tuple[str, ...]] = {}
        for pair in flags.as_user_extra:
            key, equals, value = pair.partition("=")
            if not equals:
                raise KubeconfigError(f"--as-user-extra {pair!r} is not KEY=VALUE", "write it as kubectl does")
            extra[key] = (*extra.get(key, ()), value)
        changes["as_user_extra"] = extra
    return msgspec.structs.replace(user, **changes)


def _check_cluster(cluster: Cluster) -> None:
    """client-go `validateClusterInfo` and `TLSConfigFor`."""
    try:
        url = urlsplit(cluster.server)
        _ = url.port
    except ValueError:
        raise KubeconfigError(f"server {cluster.server!r} is not a URL", "correct it in the kubeconfig") from None
    if not cluster.server:
        raise KubeconfigError("the cluster has no server", "set clusters[].cluster.server in the kubeconfig")
    if url.scheme not in ("http", "https") or not url.hostname:
        raise KubeconfigError(f"server {cluster.server!r} is not an http(s) URL", "correct it in the kubeconfig")
    if cluster.insecure_skip_tls_verify and (cluster.certificate_authority or cluster.certificate_authority_data):
        raise KubeconfigError("insecure-skip-tls-verify is set beside a certificate authority", "remove one of the two")
    if cluster.proxy_url and urlsplit(cluster.proxy_url).scheme not in ("http", "https", "socks5"):
        raise KubeconfigError(
            f"proxy-url has the unsupported scheme {urlsplit(cluster.proxy_url).scheme!r}", "use http, https or socks5"
        )


def _check_user(user: User) -> None:
    """client-go `validateAuthInfo`."""
    if user.token and (user.username or user.password):
        raise KubeconfigError("the user has both a token and a user name", "keep one of the two")
    certificate = user.client_certificate or user.client_certificate_data
    if certificate and not (user.client_key or user.client_key_data):
        raise KubeconfigError("the user has a client certificate without a key", "add client-key or client-key-data")
    if user.exec is not None:
        if user.auth_provider is not None:
            raise KubeconfigError("the user has both exec and auth-provider", "keep one of the two")
        if not user.exec.command or not user.exec.api_version:
            raise KubeconfigError("the user's exec has no command or no apiVersion", "correct it in the kubeconfig")
    if not user.impersonate and (user.as_uid or user.as_groups or user.as_user_extra):
        raise KubeconfigError("a group, uid or extra is impersonated without a user", "add --as USER")


def _in_cluster(flags: ClusterFlags, environment: Mapping[str, str], folder: str) -> Target | None:
    """A pod's own service account (client-go `rest.InClusterConfig`), or None outside a pod."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "")
    token = os.path.join(folder, "token")
    if not (host and port and os.path.isfile(token)):
        return None
    cluster = Cluster(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        certificate_authority=os.path.join(folder, "ca.crt") if os.path.isfile(os.path.join(folder, "ca.crt")) else "",
    )
    namespace = "default"
    try:
        with open(os.path.join(folder, "namespace"), encoding="utf-8") as stream:
            namespace = stream.read().strip() or namespace
    except OSError:
        namespace = "default"  # as client-go: a missing file means the default namespace
    user = _apply_user_flags(User(token_file=token), flags)
    return Target(cluster.server, cluster, user, flags.namespace or namespace, "", "in-cluster")
