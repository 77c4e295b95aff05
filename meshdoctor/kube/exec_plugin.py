"""Credentials from an exec plugin (`client.authentication.k8s.io` v1, v1beta1), run without a shell."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import yaml

from meshdoctor.kube.errors import CredentialError
from meshdoctor.kube.go_yaml import as_json_value, load_first_document
from meshdoctor.kube.kubeconfig import Cluster, ExecConfig
from meshdoctor.kube.tls import authority_pem

API_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
CLUSTER_EXTENSION = "client.authentication.k8s.io/exec"
_OUTPUT_LIMIT = 1 << 20


class ExecCredential(msgspec.Struct, frozen=True):
    """What a plugin gave: a bearer token, a certificate with its key, or both; *expires* in Unix seconds or None."""

    token: str = ""
    certificate: bytes = b""
    key: bytes = b""
    expires: float | None = None

    def __repr__(self) -> str:
        return "ExecCredential(…)"


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: datetime | None = None


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    kind: str = ""
    api_version: str = ""
    status: _Status | None = None


async def run_exec_plugin(
    config: ExecConfig, cluster: Cluster, environment: Mapping[str, str], *, terminal: bool, timeout: float
) -> ExecCredential:
    """Run the plugin once. *terminal*: whether it may talk to the person at this terminal (stdin and stderr).

    Raises CredentialError; *timeout* in seconds.
    """
    interactive = _interactive(config, terminal)
    command = _find(config, environment)
    child_environment = {
        **environment,
        **{variable.name: variable.value for variable in config.env},
        "KUBERNETES_EXEC_INFO": msgspec.json.encode(_exec_info(config, cluster, interactive)).decode(),
    }
    try:
        process = await asyncio.create_subprocess_exec(
            command,
            *config.args,
            stdin=None if interactive else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=None if interactive else asyncio.subprocess.PIPE,
            env=child_environment,
            # Without a terminal of its own a plugin cannot scribble over a full-screen application.
            start_new_session=not interactive,
        )
    except OSError as error:
        raise CredentialError(f"exec plugin {command} cannot be started ({error.strerror})", _hint(config)) from error
    try:
        output, errors = await asyncio.wait_for(process.communicate(), timeout)
    except TimeoutError:
        raise CredentialError(
            f"exec plugin {command} did not answer in {timeout:g} s", "run `kubectl get ns` to see what it waits for"
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = " ".join((errors or b"").decode(errors="replace").split())[-300:]
        raise CredentialError(
            f"exec plugin {command} failed with exit status {process.returncode}{f' ({said})' if said else ''}",
            "run `kubectl get ns` to log in again",
        )
    return _decode(config, command, output)


def interactive_mode(config: ExecConfig) -> str:
    """Never, IfAvailable or Always; "" when it is none of them. v1beta1 has a default (`SetDefaults_ExecConfig`)."""
    mode = config.interactive_mode or ("" if config.api_version.endswith("/v1") else "IfAvailable")
    return mode if mode in ("Never", "IfAvailable", "Always") else ""


def _interactive(config: ExecConfig, terminal: bool) -> bool:
    mode = interactive_mode(config)
    if mode == "Always" and not terminal:
        raise CredentialError(
            f"exec plugin {config.command} has to ask you and there is no terminal",
            "authenticate again from a terminal",
        )
    return terminal and mode != "Never"


def _find(config: ExecConfig, environment: Mapping[str, str]) -> str:
    found = shutil.which(config.command, path=environment.get("PATH", os.defpath))
    if not found:
        raise CredentialError(f"exec plugin {config.command} is not installed or not in PATH", _hint(config))
    if os.sep not in config.command and not os.path.isabs(found):
        # As Go's os/exec: a program of the current folder is never found by its bare name.
        raise CredentialError(f"exec plugin {config.command} was found only in the current folder", "use its full path")
    return found


def _hint(config: ExecConfig) -> str:
    """The kubeconfig's own install hint as one visible line."""
    words = "".join(character for character in config.install_hint if character.isprintable() or character.isspace())
    return " ".join(words.split())[:300] or "install it, or correct users[].user.exec.command"


def _exec_info(config: ExecConfig, cluster: Cluster, interactive: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {"interactive": interactive}
    if config.provide_cluster_info:
        described: dict[str, Any] = {"server": cluster.server}
        if cluster.tls_server_name:
            described["tls-server-name"] = cluster.tls_server_name
        if cluster.insecure_skip_tls_verify:
            described["insecure-skip-tls-verify"] = True
        authority = authority_pem(cluster)
        if authority:
            described["certificate-authority-data"] = base64.b64encode(authority).decode()
        if cluster.proxy_url:
            described["proxy-url"] = cluster.proxy_url
        if cluster.disable_compression:
            described["disable-compression"] = True
        extension = next((each.extension for each in cluster.extensions if each.name == CLUSTER_EXTENSION), None)
        described["config"] = as_json_value(extension)
        spec["cluster"] = described
    return {"kind": "ExecCredential", "apiVersion": config.api_version, "spec": spec}


def _answer(output: bytes) -> _Answer:
    """client-go recognizes JSON and YAML. Raises msgspec.DecodeError."""
    if output.lstrip().startswith(b"{"):
        return msgspec.json.decode(output, type=_Answer)
    try:
        return msgspec.convert(load_first_document(output), _Answer)
    except (yaml.YAMLError, RecursionError):
        raise msgspec.DecodeError("neither JSON nor YAML") from None


def _decode(config: ExecConfig, command: str, output: bytes) -> ExecCredential:
    if len(output) > _OUTPUT_LIMIT:
        raise CredentialError(f"exec plugin {command} printed {len(output)} bytes", "it must print one ExecCredential")
    try:
        answer = _answer(output)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # The output may hold a token, so only msgspec's words (a place and a type) are shown.
        raise CredentialError(
            f"exec plugin {command} printed no ExecCredential ({error})", "run it by hand to see its output"
        ) from None
    if answer.kind != "ExecCredential" or answer.api_version != config.api_version:
        raise CredentialError(
            f"exec plugin {command} answered {answer.api_version} {answer.kind}, not {config.api_version}",
            "correct users[].user.exec.apiVersion",
        )
    status = answer.status or _Status()
    certificate, key = status.client_certificate_data or "", status.client_key_data or ""
    if bool(certificate) != bool(key) or not (status.token or certificate):
        raise CredentialError(
            f"exec plugin {command} gave neither a token nor a certificate with its key",
            "run `kubectl get ns` to log in",
        )
    expires = status.expiration_timestamp
    if expires is not None and expires.tzinfo is None:
        expires = expires.replace(tzinfo=UTC)
    return ExecCredential(
        status.token or "", certificate.encode(), key.encode(), expires.timestamp() if expires is not None else None
    )


def terminal_available() -> bool:
    """Whether a person can be asked here: client-go asks the same of stdin."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
