"""The one thing that is ever written to a kubeconfig: renewed OIDC tokens, as kubectl does (clientcmd `ModifyConfig`).

kubectl writes the whole file anew; here only the values change, so that comments and order stay.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import yaml

from meshdoctor.kube.errors import CredentialError
from meshdoctor.kube.go_yaml import load_first_document

_LOCK_PATIENCE = 5.0
"""Seconds to wait for kubectl, which holds its lock for milliseconds."""


def check_writable(path: str) -> None:
    """Raise CredentialError when renewed tokens could not be written to *path*; "" is no file at all."""
    if not path:
        raise CredentialError("the OIDC id-token has expired and is in no file", "log in again")
    folder = os.path.dirname(path)
    if not os.access(path, os.W_OK) or not os.access(folder, os.W_OK):
        raise CredentialError(
            f"the OIDC id-token has expired, and a new one could not be kept: {path} cannot be written",
            "make the file and its folder writable, or log in again",
        )
    _wait_for_lock(path)


def write_provider_config(path: str, user: str, changed: Mapping[str, str]) -> None:
    """Set *changed* in the `auth-provider.config` of *user* in *path*, under kubectl's own lock.

    Raises CredentialError when it cannot be written.
    """
    try:
        with _locked(path):
            with open(path, "rb") as stream:
                body = stream.read()
            _replace(os.path.realpath(path), _edited(body, user, changed))
    except (OSError, yaml.YAMLError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no YAML any more"
        raise CredentialError(
            f"the OIDC tokens were renewed and could not be written to {path} ({why})", "log in again"
        ) from error


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """kubectl's lock: the file PATH.lock, which must not exist (`lockFile`)."""
    _wait_for_lock(path)
    descriptor = os.open(_lock(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0)
    os.close(descriptor)
    try:
        yield
    finally:
        os.unlink(_lock(path))


def _lock(path: str) -> str:
    return f"{path}.lock"


def _wait_for_lock(path: str) -> None:
    until = time.monotonic() + _LOCK_PATIENCE
    while os.path.exists(_lock(path)):
        if time.monotonic() > until:
            raise CredentialError(
                f"{_lock(path)} exists: another program writes the kubeconfig, or was stopped while it did",
                "remove the lock when no kubectl is running",
            )
        time.sleep(0.05)


def _edited(body: bytes, user: str, changed: Mapping[str, str]) -> bytes:
    """*body* with the values; as kubectl writes it, without comments, where they cannot be put in their place."""
    document = load_first_document(body)
    wanted = _unshared(document)
    config = _provider_config(wanted, user)
    if config is None:
        return body  # the user has gone: kubectl writes nothing either (`persister.Persist`)
    config.update(changed)
    with suppress(yaml.YAMLError, UnicodeDecodeError, LookupError):
        edited = _in_place(body.decode(), user, changed).encode()
        if load_first_document(edited) == wanted:
            return edited
    return yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True).encode()


def _unshared(value: Any) -> Any:
    """A copy in which what an alias shared stands twice."""
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def _provider_config(document: Any, user: str) -> dict[str, Any] | None:
    for entry in (document or {}).get("users") or ():
        if entry.get("name", "") == user:
            provider = (entry.get("user") or {}).get("auth-provider")
            return provider.get("config") if provider else None
    return None


def _in_place(text: str, user: str, changed: Mapping[str, str]) -> str:
    loader = yaml.SafeLoader(text)
    try:
        loader.check_node()
        entries = _value(loader.get_node(), "users").value
    finally:
        loader.dispose()
    entry = next((entry for entry in entries if _value(entry, "name").value == user), None)
    config = _value(_value(_value(entry, "user"), "auth-provider"), "config")
    first = config.value[0][0]
    edits: list[tuple[int, int, str]] = []
    for name, value in changed.items():
        known = next((node for key, node in config.value if key.value == name), None)
        if known is not None:
            end = "\n" if known.style in ("|", ">") else ""
            edits.append((known.start_mark.index, known.end_mark.index, json.dumps(value) + end))
            continue
        at = first.start_mark
        apart = ", " if config.flow_style else "\n" + " " * at.column
        edits.append((at.index, at.index, f"{json.dumps(name)}: {json.dumps(value)}{apart}"))
    for start, end_index, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end_index:]
    return text


def _value(node: Any, key: str) -> Any:
    """The value of *key* in a mapping node. Raises LookupError."""
    if not isinstance(node, yaml.MappingNode):
        raise LookupError(key)
    for name, value in node.value:
        if name.value == key:
            return value
    raise LookupError(key)


def _replace(path: str, body: bytes) -> None:
    """Write *body* whole or not at all, with the file's own permissions."""
    before = os.stat(path)
    if before.st_uid != os.geteuid():
        with open(path, "r+b") as stream:  # a new file would be another user's
            stream.write(body)
            stream.truncate()
        return
    descriptor, new = tempfile.mkstemp(prefix=".kubeconfig-", dir=os.path.dirname(path))
    try:
        with open(descriptor, "wb") as stream:
            os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
            stream.write(body)
            stream.flush()
            os.fsync(descriptor)
        os.replace(new, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(new)
        raise
