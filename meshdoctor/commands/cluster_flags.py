"""kubectl's own flags, for every command that reads a cluster; the heavy imports wait until a cluster is read."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshdoctor.kube.settings import Settings
    from meshdoctor.kube.target import ClusterFlags, Target
    from meshdoctor.sources.live import LiveSource


# Of kubectl's global flags: what says which cluster to reach, how, and as whom. Left out is what is about kubectl
# itself (-v, --vmodule, --log-flush-frequency, --profile, --kuberc, --match-server-version, --warnings-as-errors).
_TEXTS: tuple[tuple[str, str, str], ...] = (
    ("--kubeconfig", "FILE", "the kubeconfig file to use"),
    ("--context", "NAME", "the kubeconfig context to use"),
    ("--cluster", "NAME", "the kubeconfig cluster to use"),
    ("--user", "NAME", "the kubeconfig user to use"),
    ("--as-uid", "UID", "act with this uid"),
    ("--token", "TOKEN", "bearer token"),
    ("--username", "NAME", "user name for basic authentication"),
    ("--password", "WORD", "password for basic authentication"),
    ("--certificate-authority", "FILE", "the CA of the API server"),
    ("--client-certificate", "FILE", "client certificate"),
    ("--client-key", "FILE", "key of the client certificate"),
    ("--tls-server-name", "NAME", "the name to verify instead of the host"),
    ("--proxy-url", "URL", "the proxy to the API server (http, https or socks5)"),
    ("--cache-dir", "DIR", "taken for kubectl's sake; nothing is cached on disk"),
)
_SWITCHES: tuple[tuple[str, str], ...] = (
    ("--insecure-skip-tls-verify", "do not verify the API server's certificate"),
    ("--disable-compression", "do not ask the API server to compress its answers"),
)
_OTHERS = ("-n", "--namespace", "-s", "--server", "--request-timeout", "--as", "--as-group", "--as-user-extra")
VALUED = frozenset((*_OTHERS, *(name for name, *_ in _TEXTS)))
"""The flags whose value may be the next word."""
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


def add_cluster_flags(parser: argparse.ArgumentParser, *, namespace: bool = True, exec_flag: bool = True) -> None:
    """kubectl's connection flags; *namespace* is false where the command has `-n` already."""
    group = parser.add_argument_group("cluster (as kubectl)")
    if namespace:
        group.add_argument("-n", "--namespace", default="", metavar="NS", help="the namespace to look at first")
    group.add_argument("-s", "--server", default="", metavar="URL", help="the API server's address")
    group.add_argument("--as", dest="impersonate", default="", metavar="USER", help="act as this user")
    group.add_argument(
        "--as-group", action="append", default=[], metavar="GROUP", help="act in this group (repeatable)"
    )
    group.add_argument(
        "--as-user-extra", action="append", default=[], metavar="KEY=VALUE", help="act with this extra (repeatable)"
    )
    for name, metavar, words in _TEXTS:
        group.add_argument(name, default="", metavar=metavar, help=words)
    for name, words in _SWITCHES:
        group.add_argument(name, action="store_true", help=words)
        # A switch of Go's takes a value after "=" and never the next word.
        group.add_argument(
            *(f"{name}={word}" for word in _TRUE),
            dest=name.removeprefix("--").replace("-", "_"),
            action="store_true",
            help=argparse.SUPPRESS,
        )
        group.add_argument(
            *(f"{name}={word}" for word in _FALSE),
            dest=name.removeprefix("--").replace("-", "_"),
            action="store_false",
            help=argparse.SUPPRESS,
        )
    group.add_argument(
        "--request-timeout", default="0", metavar="TIME", help="give up an answer after 30s, 2m, …; 0: the default"
    )
    if exec_flag:
        group.add_argument(
            "--allow-exec",
            action="store_true",
            help="where port-forward is forbidden, run `pilot-agent request GET …` in the proxy's container",
        )


def first_word(arguments: Sequence[str], valued: Sequence[str] = ()) -> int | None:
    """Where the first word that is neither a flag (kubectl's, or of *valued*) nor its value stands; None without one.

    kubectl takes its flags before a command as well as behind it.
    """
    switches = {f"{name}{value}" for name, _ in _SWITCHES for value in ("", *(f"={word}" for word in _TRUE + _FALSE))}
    place = 0
    while place < len(arguments):
        flag, equals, _ = arguments[place].partition("=")
        if flag in VALUED or flag in valued:
            place += 1 if equals else 2
        elif arguments[place] in switches:
            place += 1
        else:
            return place
    return None


def cluster_flags(arguments: argparse.Namespace) -> ClusterFlags:
    """The flags that were given."""
    from meshdoctor.kube.target import ClusterFlags

    lists: dict[str, Any] = {"as_groups": tuple(arguments.as_group), "as_user_extra": tuple(arguments.as_user_extra)}
    names = set(ClusterFlags.__struct_fields__) - set(lists)
    given: dict[str, Any] = {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}
    return ClusterFlags(**(given | lists))


def cluster_target(arguments: argparse.Namespace) -> Target:
    """The server, user and namespace that kubectl would use with the same flags.

    Raises KubeconfigError; where no flag asked for a cluster, it also says what can be read instead of one.
    """
    from meshdoctor.kube.errors import KubeconfigError
    from meshdoctor.kube.target import resolve_target

    flags = cluster_flags(arguments)
    try:
        return resolve_target(flags, os.environ)
    except KubeconfigError as error:
        instead = getattr(arguments, "instead", "")
        if not instead or flags.kubeconfig or flags.context or flags.cluster or flags.server:
            raise
        raise KubeconfigError(error.what, ", ".join(filter(None, (error.next_step, instead)))) from None


def cluster_settings(arguments: argparse.Namespace) -> Settings:
    """The settings with `--request-timeout` and `--proxy-admin-port` applied. Raises UsageError when it is no time."""
    import msgspec

    from meshdoctor.errors import UsageError
    from meshdoctor.kube.settings import Settings

    text = arguments.request_timeout
    settings = Settings(admin_port=getattr(arguments, "proxy_admin_port", 0))
    from meshdoctor.model.moment import duration

    seconds = float(text or "0") if text.isdecimal() or not text else duration(text)
    if seconds is None:
        raise UsageError(f"--request-timeout {text!r} is no time", "write it as 30s or 2m")
    if not seconds:
        return settings
    timeouts = msgspec.structs.replace(settings.timeouts, read=seconds, connect=min(seconds, settings.timeouts.connect))
    fan_out = msgspec.structs.replace(settings.fan_out, deadline=seconds, dump_deadline=seconds)
    return msgspec.structs.replace(settings, timeouts=timeouts, fan_out=fan_out)


def open_live_source(arguments: argparse.Namespace, **options: Any) -> LiveSource:
    """A cluster as a source, checked to answer; to be closed. *options*: those of `LiveSource`. Raises ClusterError."""
    from meshdoctor.kube.exec_plugin import terminal_available
    from meshdoctor.sources.live import LiveSource

    namespace = getattr(arguments, "namespace", "")
    source = LiveSource(
        cluster_target(arguments),
        cluster_settings(arguments),
        namespaces=(namespace,) if namespace else (),
        allow_exec=getattr(arguments, "allow_exec", False),
        terminal=terminal_available(),
        **options,
    )
    try:
        return source.open()
    except BaseException:
        source.close()
        raise
