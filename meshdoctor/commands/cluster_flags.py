"""kubectl's own flags, for every command that reads a cluster; the heavy imports wait until a cluster is read."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshdoctor.kube.settings import Settings
    from meshdoctor.kube.target import ClusterFlags, Target
    from meshdoctor.sources.live import LiveSource


def add_cluster_flags(parser: argparse.ArgumentParser, *, namespace: bool = True, exec_flag: bool = True) -> None:
    """kubectl's connection flags; *namespace* is false where the command has `-n` already."""
    group = parser.add_argument_group("cluster (as kubectl)")
    group.add_argument("--kubeconfig", default="", metavar="FILE", help="the kubeconfig file to use")
    group.add_argument("--context", default="", metavar="NAME", help="the kubeconfig context to use")
    group.add_argument("--cluster", default="", metavar="NAME", help="the kubeconfig cluster to use")
    group.add_argument("--user", default="", metavar="NAME", help="the kubeconfig user to use")
    if namespace:
        group.add_argument("-n", "--namespace", default="", metavar="NS", help="the namespace to look at first")
    group.add_argument("--as", dest="impersonate", default="", metavar="USER", help="act as this user")
    group.add_argument(
        "--as-group", action="append", default=[], metavar="GROUP", help="act in this group (repeatable)"
    )
    group.add_argument("--as-uid", default="", metavar="UID", help="act with this uid")
    group.add_argument(
        "--as-user-extra", action="append", default=[], metavar="KEY=VALUE", help="act with this extra (repeatable)"
    )
    group.add_argument("-s", "--server", default="", metavar="URL", help="the API server's address")
    group.add_argument("--token", default="", metavar="TOKEN", help="bearer token")
    group.add_argument("--certificate-authority", default="", metavar="FILE", help="the CA of the API server")
    group.add_argument("--client-certificate", default="", metavar="FILE", help="client certificate")
    group.add_argument("--client-key", default="", metavar="FILE", help="key of the client certificate")
    group.add_argument("--tls-server-name", default="", metavar="NAME", help="the name to verify instead of the host")
    group.add_argument(
        "--insecure-skip-tls-verify",
        action="store_const",
        const=True,
        default=None,
        help="do not verify the API server's certificate",
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
    """The settings with `--request-timeout` applied. Raises UsageError when it is no time."""
    import msgspec

    from meshdoctor.errors import UsageError
    from meshdoctor.kube.settings import Settings

    text = arguments.request_timeout
    settings = Settings()
    if text in ("", "0", "0s"):
        return settings
    from meshdoctor.model.moment import duration

    seconds = float(text) if text.isdigit() else duration(text)
    if not seconds or seconds <= 0:
        raise UsageError(f"--request-timeout {text!r} is no time", "write it as 30s or 2m")
    timeouts = msgspec.structs.replace(settings.timeouts, read=seconds, connect=min(seconds, settings.timeouts.connect))
    return msgspec.structs.replace(settings, timeouts=timeouts)


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
