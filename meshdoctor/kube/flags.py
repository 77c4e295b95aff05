"""kubectl's global flags over a kubeconfig's cluster and user (client-go `DirectClientConfig`).

A flag replaces the field of the same name and leaves the others, with the exceptions that are noted here.
"""

from __future__ import annotations

import os

import msgspec

from meshdoctor.kube.errors import KubeconfigError
from meshdoctor.kube.kubeconfig import Cluster, User


class ClusterFlags(msgspec.Struct, frozen=True):
    """kubectl's own flags; empty means "as the kubeconfig says"."""

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    user: str = ""
    namespace: str = ""
    server: str = ""
    token: str = ""
    username: str = ""
    password: str = ""
    impersonate: str = ""
    as_groups: tuple[str, ...] = ()
    as_uid: str = ""
    as_user_extra: tuple[str, ...] = ()
    certificate_authority: str = ""
    client_certificate: str = ""
    client_key: str = ""
    tls_server_name: str = ""
    proxy_url: str = ""
    insecure_skip_tls_verify: bool = False
    disable_compression: bool = False

    def __repr__(self) -> str:
        return "ClusterFlags(…)"  # may hold a token or a password


def flagged_cluster(cluster: Cluster, flags: ClusterFlags) -> Cluster:
    """*cluster* as the flags change it."""
    changes: dict[str, object] = {}
    if flags.server:
        changes["server"] = flags.server
    if flags.proxy_url:
        changes["proxy_url"] = flags.proxy_url
    if flags.disable_compression:
        changes["disable_compression"] = True
    if flags.tls_server_name or flags.server:
        # Another server does not have the name of the file's one.
        changes["tls_server_name"] = flags.tls_server_name
    if flags.certificate_authority or flags.insecure_skip_tls_verify:
        # One of the two replaces both settings of the file.
        changes["insecure_skip_tls_verify"] = flags.insecure_skip_tls_verify
        changes["certificate_authority"] = _absolute(flags.certificate_authority)
        changes["certificate_authority_data"] = ""
    return msgspec.structs.replace(cluster, **changes)


def flagged_user(user: User, flags: ClusterFlags) -> User:
    """*user* as the flags change it; a `tokenFile` of the kubeconfig still wins over `--token`, as with kubectl.

    Raises KubeconfigError for `--as-user-extra` without a value, which kubectl leaves out in silence: to act with less
    than what was asked for would show another person's rights.
    """
    changes: dict[str, object] = {
        name: value
        for name, value in (
            ("token", flags.token),
            ("username", flags.username),
            ("password", flags.password),
            ("impersonate", flags.impersonate),
            ("as_uid", flags.as_uid),
            ("as_groups", flags.as_groups),
        )
        if value
    }
    if flags.client_certificate:
        changes |= {"client_certificate": _absolute(flags.client_certificate), "client_certificate_data": ""}
    if flags.client_key:
        changes |= {"client_key": _absolute(flags.client_key), "client_key_data": ""}
    if flags.as_user_extra:
        changes["as_user_extra"] = user.as_user_extra | _extra(flags.as_user_extra)
    return msgspec.structs.replace(user, **changes)


def _extra(pairs: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    extra: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise KubeconfigError(f"--as-user-extra {pair!r} is not KEY=VALUE", "write it as KEY=VALUE")
        extra[key] = (*extra.get(key, ()), value)
    return extra


def _absolute(path: str) -> str:
    return os.path.abspath(path) if path else ""
