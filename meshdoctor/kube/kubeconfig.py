"""Which cluster, user and namespace: kubeconfig files with the rules of kubectl (client-go `tools/clientcmd`).

Files of `KUBECONFIG` are merged, the first file that names a cluster, user, context or `current-context` wins
(`ClientConfigLoadingRules.Load`); relative paths are relative to the file that holds them (`ResolveLocalPaths`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import yaml

from meshdoctor.kube.errors import KubeconfigError
from meshdoctor.kube.go_yaml import load_first_document

_Entry = TypeVar("_Entry")

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class EnvVar(msgspec.Struct, frozen=True):
    """One environment variable of an exec plugin."""

    name: str
    value: str = ""


class ExecConfig(msgspec.Struct, frozen=True, rename="camel"):
    """`user.exec`: the program that prints a credential (client.authentication.k8s.io v1 and v1beta1)."""

    command: str
    api_version: str = ""
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = ""


class AuthProvider(msgspec.Struct, frozen=True):
    """`user.auth-provider`: the legacy plugins; kubectl 1.26 and later know only `oidc`."""

    name: str
    config: dict[str, str] = {}


class User(msgspec.Struct, frozen=True, rename="kebab"):
    """`users[].user`: how to authenticate, and as whom to act."""

    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    username: str = ""
    password: str = ""
    impersonate: str = msgspec.field(default="", name="as")
    as_uid: str = ""
    as_groups: tuple[str, ...] = ()
    as_user_extra: dict[str, tuple[str, ...]] = {}
    auth_provider: AuthProvider | None = None
    exec: ExecConfig | None = None
    name: str = ""
    """Its name in the kubeconfig (not part of the user)."""
    origin: str = ""
    """The file that holds it, where a renewed token is written to; "" without one."""

    def __repr__(self) -> str:
        return "User(…)"  # never a token in a traceback or a log


class Extension(msgspec.Struct, frozen=True):
    """A named extension of a cluster; an exec plugin may be handed one of them."""

    name: str
    extension: Any = None


class Cluster(msgspec.Struct, frozen=True, rename="kebab"):
    """`clusters[].cluster`: where the API server is and how to trust it."""

    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    disable_compression: bool = False
    extensions: tuple[Extension, ...] = ()


class Context(msgspec.Struct, frozen=True):
    """`contexts[].context`: a cluster, a user and a default namespace."""

    cluster: str = ""
    user: str = ""
    namespace: str = ""


class _NamedCluster(msgspec.Struct, frozen=True):
    name: str = ""
    cluster: Cluster = Cluster()


class _NamedUser(msgspec.Struct, frozen=True):
    name: str = ""
    user: User = User()


class _NamedContext(msgspec.Struct, frozen=True):
    name: str = ""
    context: Context = Context()


class _File(msgspec.Struct, frozen=True, rename="kebab"):
    kind: str = ""
    api_version: str = msgspec.field(default="", name="apiVersion")
    clusters: tuple[_NamedCluster, ...] = ()
    users: tuple[_NamedUser, ...] = ()
    contexts: tuple[_NamedContext, ...] = ()
    current_context: str = ""


class Kubeconfig(msgspec.Struct, frozen=True):
    """Every file merged into one; *files* are those that were read."""

    clusters: dict[str, Cluster]
    users: dict[str, User]
    contexts: dict[str, Context]
    current_context: str
    files: tuple[str, ...]


def kubeconfig_paths(explicit: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The files kubectl would read: `--kubeconfig` alone, else the list in `KUBECONFIG`, else `~/.kube/config`."""
    if explicit:
        return (explicit,)
    listed = environment.get("KUBECONFIG", "")
    if listed:
        return tuple(dict.fromkeys(path for path in listed.split(os.pathsep) if path))
    home = environment.get("HOME") or os.path.expanduser("~")
    return (os.path.join(home, ".kube", "config"),)


def load_kubeconfig(paths: Sequence[str], *, must_exist: bool = False) -> Kubeconfig:
    """Read and merge *paths*; a missing file is skipped unless *must_exist* (`--kubeconfig`).

    Raises KubeconfigError for a file that cannot be read or is no kubeconfig.
    """
    clusters: dict[str, Cluster] = {}
    users: dict[str, User] = {}
    contexts: dict[str, Context] = {}
    current = ""
    files: list[str] = []
    for path in paths:
        try:
            with open(path, "rb") as stream:
                body = stream.read()
        except FileNotFoundError:
            if must_exist:
                raise KubeconfigError(
                    f"kubeconfig {path} does not exist", "name another file with --kubeconfig"
                ) from None
            continue
        except OSError as error:
            raise KubeconfigError(
                f"kubeconfig {path} cannot be read ({error.strerror})", "check its permissions"
            ) from error
        parsed = _parse(path, body)
        base = os.path.dirname(os.path.abspath(path))
        files.append(path)
        _merge(clusters, {entry.name: _cluster_paths(entry.cluster, base) for entry in parsed.clusters})
        for entry in parsed.users:
            users.setdefault(entry.name, _user_of_file(entry, path, base))
        _merge(contexts, {entry.name: entry.context for entry in parsed.contexts})
        current = current or parsed.current_context
    return Kubeconfig(clusters, users, contexts, current, tuple(files))


def _merge(into: dict[str, _Entry], more: dict[str, _Entry]) -> None:
    for name, value in more.items():
        into.setdefault(name, value)


def _parse(path: str, body: bytes) -> _File:
    try:
        document = load_first_document(body)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        raise KubeconfigError(f"kubeconfig {path} is not YAML{where}", "correct the file") from None
    try:
        parsed = msgspec.convert({} if document is None else _without_nulls(document), _File)
    except msgspec.ValidationError as error:
        raise KubeconfigError(f"kubeconfig {path} is malformed: {error}", "correct the file") from None
    if parsed.kind not in ("", "Config") or parsed.api_version not in ("", "v1"):
        raise KubeconfigError(
            f"{path} is a {parsed.api_version} {parsed.kind} and no kubeconfig", "name another file with --kubeconfig"
        )
    for kind, names in (
        ("cluster", [entry.name for entry in parsed.clusters]),
        ("user", [entry.name for entry in parsed.users]),
        ("context", [entry.name for entry in parsed.contexts]),
    ):
        if len(set(names)) != len(names):
            raise KubeconfigError(f"kubeconfig {path} names a {kind} twice", "remove one of them")
    return parsed


def _without_nulls(value: Any) -> Any:
    """YAML's `token:` without a value means "not set", as in Go's decoder."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _absolute(path: str, base: str) -> str:
    return os.path.normpath(os.path.join(base, path)) if path and not os.path.isabs(path) else path


def _cluster_paths(cluster: Cluster, base: str) -> Cluster:
    return msgspec.structs.replace(cluster, certificate_authority=_absolute(cluster.certificate_authority, base))


def _user_of_file(entry: _NamedUser, path: str, base: str) -> User:
    """The user with absolute paths, and with where it is written."""
    user = entry.user
    plugin = user.exec
    if plugin is not None and os.sep in plugin.command:
        # A bare name is looked up in PATH; anything with a slash is relative to the kubeconfig.
        plugin = msgspec.structs.replace(plugin, command=_absolute(plugin.command, base))
    return msgspec.structs.replace(
        user,
        client_certificate=_absolute(user.client_certificate, base),
        client_key=_absolute(user.client_key, base),
        token_file=_absolute(user.token_file, base),
        exec=plugin,
        name=entry.name,
        origin=os.path.abspath(path),
    )
