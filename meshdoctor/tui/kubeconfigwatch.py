"""What another shell does to the kubeconfig while the application runs: it is told, and never followed by itself.

`kubectl config use-context`, a rotated certificate, a context that now names another cluster: what is on the screen
stays what it was, and a line says how to go there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from meshdoctor.kube.errors import ClusterError, KubeconfigError
from meshdoctor.kube.kubeconfig import User, kubeconfig_paths, load_kubeconfig
from meshdoctor.kube.target import ClusterFlags, Target, resolve_target
from meshdoctor.kube.validation import without_login
from meshdoctor.model.text import visible_line

RENEWED = ("id-token", "refresh-token", "access-token", "expiry")
"""What a legacy auth-provider keeps in the kubeconfig and changes there by itself."""


class NamedContext(NamedTuple):
    """One context of the kubeconfig, with the address of its cluster ("" where it names none)."""

    name: str
    cluster: str = ""
    user: str = ""
    namespace: str = ""
    server: str = ""


class Contexts(NamedTuple):
    """What the kubeconfig names now; *current* is kubectl's own context."""

    entries: Sequence[NamedContext]
    current: str

    @property
    def names(self) -> list[str]:
        """Of all contexts."""
        return [entry.name for entry in self.entries]


class Kubeconfig(NamedTuple):
    """The kubeconfig that kubectl would read with these *flags*."""

    flags: ClusterFlags
    environment: Mapping[str, str]

    def stamp(self) -> tuple[object, ...]:
        """Changes when one of its files does."""
        found: list[object] = []
        for path in kubeconfig_paths(self.flags.kubeconfig, self.environment):
            try:
                status = os.stat(path)
            except OSError as error:
                found.append(error.errno)
            else:
                found.append((status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)

    def contexts(self) -> Contexts:
        """What it names. Raises KubeconfigError when it cannot be read."""
        config = load_kubeconfig(kubeconfig_paths(self.flags.kubeconfig, self.environment))
        entries = []
        for name, context in sorted(config.contexts.items()):
            cluster = config.clusters.get(context.cluster)
            server = without_login(cluster.server) if cluster else ""
            given = (name, context.cluster, context.user, context.namespace, server)
            entries.append(NamedContext(*map(visible_line, given)))
        return Contexts(entries, config.current_context)

    def target(self, context: str) -> Target:
        """Where that context leads. Raises KubeconfigError."""
        return resolve_target(msgspec.structs.replace(self.flags, context=context), self.environment)


def _login(user: User) -> User:
    """*user* without the tokens that whoever uses an identity provider renews and writes back, this program as well."""
    if user.auth_provider is None:
        return user
    kept = {key: value for key, value in user.auth_provider.config.items() if key not in RENEWED}
    return msgspec.structs.replace(user, auth_provider=msgspec.structs.replace(user.auth_provider, config=kept))


class News(NamedTuple):
    """What changed: *kind* is `context`, `cluster`, `credential`, `gone` or `unreadable`; *detail* says what it is."""

    kind: str
    detail: str = ""


class KubeconfigWatch:
    """Compares the kubeconfig with what is *shown* (its target, None where no context of it is). For one thread."""

    def __init__(self, kubeconfig: Kubeconfig, shown: Callable[[], Target | None]) -> None:
        self._kubeconfig = kubeconfig
        self._shown = shown
        self._stamp = kubeconfig.stamp()
        self._failed: tuple[object, ...] | None = None
        self._chosen = ""
        try:
            self.current = kubeconfig.contexts().current
        except ClusterError:
            self.current = ""  # the application says so when it connects

    def look(self) -> tuple[News, ...]:
        """What changed since the last look; nothing when no file did."""
        stamp = self._kubeconfig.stamp()
        if stamp == self._stamp:
            return ()
        try:
            contexts = self._kubeconfig.contexts()
        except ClusterError as error:
            if stamp != self._failed:
                self._failed = stamp  # kubectl may be writing it at this moment: once more before it is told
                return ()
            self._stamp = stamp
            return (News("unreadable", str(error)),)
        self._stamp, self._failed = stamp, None
        shown = self._shown()
        found = []
        if shown is not None and shown.context:
            found += self._of_context(shown, contexts)
        if contexts.current != self.current:
            self.current = contexts.current
            self._chosen = self.current
            if self.elsewhere:
                found.append(News("context", self.elsewhere))
        return tuple(found)

    @property
    def elsewhere(self) -> str:
        """The context that another shell chose for kubectl, unless it is shown; else empty."""
        shown = self._shown()
        return "" if shown is not None and shown.context == self._chosen else visible_line(self._chosen)

    def _of_context(self, shown: Target, contexts: Contexts) -> list[News]:
        if shown.context not in contexts.names:
            return [News("gone")]
        try:
            now = self._kubeconfig.target(shown.context)
        except KubeconfigError as error:
            return [News("unreadable", str(error))]
        if now.server != shown.server:
            return [News("cluster", visible_line(now.address))]
        if (_login(now.user), now.cluster) != (_login(shown.user), shown.cluster):
            return [News("credential")]
        return []
