"""From command-line flags, environment and kubeconfig to one target: this server, as this user, in this namespace."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from meshdoctor.kube.errors import KubeconfigError
from meshdoctor.kube.flags import ClusterFlags, flagged_cluster, flagged_user
from meshdoctor.kube.kubeconfig import (
    SERVICE_ACCOUNT,
    Cluster,
    Context,
    Kubeconfig,
    User,
    kubeconfig_paths,
    load_kubeconfig,
)
from meshdoctor.kube.validation import check_cluster, check_user, server_url, without_login

__all__ = ["ClusterFlags", "Target", "resolve_target"]


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
    def address(self) -> str:
        """The server for people and for files, without a password."""
        return without_login(self.server)

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
    name = flags.context or config.current_context
    if not (name or flags.server or flags.cluster or flags.user):
        target = _in_cluster(flags, environment, service_account)
        if target is not None:
            return target
        if not config.clusters and not config.contexts:
            raise KubeconfigError(
                f"no kubeconfig with a cluster in {os.pathsep.join(paths)}", "set KUBECONFIG or give --kubeconfig FILE"
            )
    context = _context(config, name, flags)
    cluster = flagged_cluster(_named_cluster(config, flags.cluster or context.cluster, flags), flags)
    server = server_url(cluster.server)
    secure = server.startswith("https://")
    user = flagged_user(_named_user(config, context.user, flags, secure), flags)
    check_cluster(cluster)
    check_user(user, secure=secure)
    return Target(
        server=server,
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
    if flags.server and not flags.cluster:
        return Cluster()
    raise KubeconfigError(f"cluster {name!r} does not exist in the kubeconfig", _choose(config.clusters, "--cluster"))


def _named_user(config: Kubeconfig, context_user: str, flags: ClusterFlags, secure: bool) -> User:
    name = flags.user or context_user
    if not name:
        return User()
    if name in config.users:
        return config.users[name]
    if not flags.user and (not secure or flags.token or flags.username or flags.client_certificate):
        return User()  # kubectl misses a context's user only when it needs a credential
    raise KubeconfigError(f"user {name!r} does not exist in the kubeconfig", _choose(config.users, "--user"))


def _choose(entries: Mapping[str, object], flag: str) -> str:
    if not entries:
        return "the kubeconfig names none"
    shown = sorted(entries)[:8]
    return f"choose one with {flag}: {', '.join(shown)}{', …' if len(entries) > len(shown) else ''}"


def _in_cluster(flags: ClusterFlags, environment: Mapping[str, str], folder: str) -> Target | None:
    """A pod's own service account, or None outside a pod.

    Of the flags kubectl heeds only `--token`, `--certificate-authority` and `-n` here (`inClusterClientConfig`); to act
    as somebody else, it wants a kubeconfig, this program does not.
    """
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "")
    token = os.path.join(folder, "token")
    if not (host and port and os.path.isfile(token)):
        return None
    own = os.path.join(folder, "ca.crt")
    authority = flags.certificate_authority or (own if os.path.isfile(own) else "")
    cluster = Cluster(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        certificate_authority=os.path.abspath(authority) if authority else "",
    )
    check_cluster(cluster)
    namespace = environment.get("POD_NAMESPACE", "")
    if not namespace:
        try:
            with open(os.path.join(folder, "namespace"), encoding="utf-8") as stream:
                namespace = stream.read().strip()
        except OSError:
            namespace = ""  # as client-go: a missing file means the default namespace
    user = flagged_user(
        User(token=flags.token) if flags.token else User(token_file=token),
        ClusterFlags(
            impersonate=flags.impersonate,
            as_groups=flags.as_groups,
            as_uid=flags.as_uid,
            as_user_extra=flags.as_user_extra,
        ),
    )
    check_user(user, secure=True)
    return Target(cluster.server, cluster, user, flags.namespace or namespace or "default", "", "in-cluster")
