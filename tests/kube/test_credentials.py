"""Credentials over time: cached, renewed, read again, and never shown."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from meshdoctor.errors import MeshDoctorError
from meshdoctor.kube.certificate_end import certificate_end
from meshdoctor.kube.client import KubeClient
from meshdoctor.kube.connection import Connection
from meshdoctor.kube.errors import CredentialError
from meshdoctor.kube.target import ClusterFlags, Target, resolve_target
from tests.kube import auth_cases_beyond
from tests.kube.auth_cases import Scene
from tests.kube.wire import Wire, running_wire
from tests.live.certificates import authority


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Fresh servers."""
    with running_wire() as running:
        yield running


@pytest.fixture
def scene(wire: Wire, tmp_path: Path) -> Scene:
    """An empty case."""
    made = Scene(tmp_path, wire)
    made.environment["KUBECONFIG"] = str(tmp_path / "config")
    return made


def target_of(scene: Scene) -> Target:
    scene.write()
    return resolve_target(ClusterFlags(), scene.environment)


def counting_plugin(scene: Scene, *, lives: str = "null") -> dict[str, object]:
    """A plugin whose n-th run gives the token `token-n`, expiring at the JSON value *lives*."""
    answer = (
        '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
        f'"status":{{"token":"token-\'$n\'","expirationTimestamp":{lives}}}}}'
    )
    script = f"#!/bin/sh\ncd {scene.folder}\necho x >> runs\nn=$(wc -l < runs)\necho '{answer}'\n"
    path = Path(scene.file("bin/plugin", script.encode()))
    path.chmod(0o755)
    return scene.plugin(command=str(path), name="bin/unused")


def authorizations(wire: Wire) -> list[str]:
    return [request["authorization"] for request in wire.seen.take()[0]]


async def test_fifty_requests_run_the_plugin_once(scene: Scene) -> None:
    scene.user = {"exec": counting_plugin(scene)}
    target = target_of(scene)
    async with Connection(target, environment=scene.environment) as connection:
        answers = await asyncio.gather(*(connection.reads.get("/version") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert authorizations(scene.wire) == ["Bearer token-1"] * 50


async def test_a_refused_token_is_renewed_once(scene: Scene) -> None:
    scene.user = {"exec": counting_plugin(scene)}
    scene.wire.refuse.add("Bearer token-1")
    async with Connection(target_of(scene), environment=scene.environment) as connection:
        answers = await asyncio.gather(*(connection.reads.get("/version") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert set(authorizations(scene.wire)) == {"Bearer token-1", "Bearer token-2"}
    assert (scene.folder / "runs").read_text().count("x") == 2


async def test_a_token_that_stays_refused_is_not_tried_for_ever(scene: Scene) -> None:
    scene.user = {"exec": counting_plugin(scene)}
    scene.wire.refuse |= {"Bearer token-1", "Bearer token-2"}
    async with Connection(target_of(scene), environment=scene.environment) as connection:
        assert (await connection.reads.get("/version")).status_code == 401
    assert authorizations(scene.wire) == ["Bearer token-1", "Bearer token-2"]


async def test_an_expired_token_is_renewed_before_it_is_sent(scene: Scene) -> None:
    scene.user = {"exec": counting_plugin(scene, lives='"2020-01-01T00:00:00Z"')}
    async with Connection(target_of(scene), environment=scene.environment) as connection:
        await connection.reads.get("/version")
        await connection.reads.get("/version")
    assert authorizations(scene.wire) == ["Bearer token-1", "Bearer token-2"]


async def test_authenticate_again_runs_the_plugin(scene: Scene) -> None:
    scene.user = {"exec": counting_plugin(scene, lives='"2120-01-01T00:00:00Z"')}
    async with Connection(target_of(scene), environment=scene.environment) as connection:
        await connection.reads.get("/version")
        await connection.credentials.authenticate()
        await connection.reads.get("/version")
    assert authorizations(scene.wire) == ["Bearer token-1", "Bearer token-2"]


async def test_a_rotated_token_file_is_read_again_after_401(scene: Scene) -> None:
    path = Path(scene.file("token", b"old\n"))
    scene.user = {"tokenFile": str(path)}
    async with Connection(target_of(scene), environment=scene.environment) as connection:
        await connection.reads.get("/version")
        path.write_text("new\n")
        scene.wire.refuse.add("Bearer old")
        assert (await connection.reads.get("/version")).status_code == 200
    assert authorizations(scene.wire) == ["Bearer old", "Bearer old", "Bearer new"]


async def test_a_certificate_of_the_plugin_reaches_new_connections(scene: Scene) -> None:
    auth_cases_beyond.plugin_gives_certificate(scene)
    async with Connection(target_of(scene), environment=scene.environment) as connection:
        await connection.reads.get("/version")
        first = authority().issue("heidi")
        scene.plugin(answer={"clientCertificateData": first.certificate.decode(), "clientKeyData": first.key.decode()})
        await connection.credentials.authenticate()
        await connection.reads.get("/version")
    requests, _ = scene.wire.seen.take()
    assert [request["certificate"] for request in requests] == ["grace", "heidi"]


async def test_an_expired_certificate_of_the_plugin_is_told_and_renewed(scene: Scene) -> None:
    """With TLS 1.3 a server refuses it after the handshake, and its reason may be lost with the connection."""
    old = authority().issue("judy", days=-0.01)
    answer = {"clientCertificateData": old.certificate.decode(), "clientKeyData": old.key.decode()}
    scene.user = {"exec": scene.plugin(answer=answer)}
    async with KubeClient(Connection(target_of(scene), environment=scene.environment)) as client:
        with pytest.raises(CredentialError, match=r"client certificate ended at 20\d\d-.* UTC: log in again"):
            await client.get("/version")
        new = authority().issue("judy")
        scene.plugin(answer={"clientCertificateData": new.certificate.decode(), "clientKeyData": new.key.decode()})
        await client.connection.credentials.authenticate()
        assert await client.get("/version")
    assert [request["certificate"] for request in scene.wire.seen.take()[0]] == ["judy"]


async def test_a_certificate_that_ends_is_renewed_before(scene: Scene) -> None:
    """Also when the plugin names no expiry of its own: kubectl does not live long enough to need that."""
    short = authority().issue("kim", days=2 / 86400)
    answer = {"clientCertificateData": short.certificate.decode(), "clientKeyData": short.key.decode()}
    scene.user = {"exec": scene.plugin(answer=answer)}
    async with Connection(target_of(scene), environment=scene.environment) as connection:
        await connection.credentials.authenticate()
        renew_at = connection.credentials._renew_at
        end = certificate_end(short.certificate)
        assert renew_at is not None and end is not None
        assert renew_at < end


def test_when_certificates_end() -> None:
    pair = authority().issue("leo", days=3)
    known = x509.load_pem_x509_certificate(pair.certificate).not_valid_after_utc.timestamp()
    assert certificate_end(pair.certificate) == known
    assert certificate_end(b"leading text\n" + pair.certificate + authority().pem) == known
    late = authority().issue("max", days=365 * 40)  # a GeneralizedTime
    assert certificate_end(late.certificate) == (
        x509.load_pem_x509_certificate(late.certificate).not_valid_after_utc.timestamp()
    )


@pytest.mark.parametrize("size", range(0, 400, 7))
def test_a_cut_certificate_has_no_end(size: int) -> None:
    body = base64.b64encode(ssl.PEM_cert_to_DER_cert(authority().pem.decode())[:size])
    cut = b"-----BEGIN CERTIFICATE-----\n" + body + b"\n-----END CERTIFICATE-----\n"
    whole = len(ssl.PEM_cert_to_DER_cert(authority().pem.decode()))
    assert (certificate_end(cut) is None) == (size < whole)


async def test_a_slow_plugin_is_stopped(scene: Scene) -> None:
    path = Path(scene.file("bin/slow", b"#!/bin/sh\nexec sleep 600\n"))
    path.chmod(0o755)
    scene.user = {"exec": scene.plugin(command=str(path))}
    target = target_of(scene)
    async with Connection(target, environment=scene.environment) as connection:
        connection.credentials._timeout = 0.2
        with pytest.raises(CredentialError, match=r"did not answer in 0\.2 s: run `kubectl get ns`"):
            await connection.reads.get("/version")
    assert scene.wire.seen.take()[0] == []


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("not json secret-token", "printed no ExecCredential"),
        (json.dumps({"kind": "ExecCredential", "status": {"token": "secret-token"}}), "answered"),
        (
            json.dumps({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {}}),
            "gave neither a token nor",
        ),
    ],
)
async def test_a_broken_answer_is_one_line_without_its_secrets(scene: Scene, said: str, complaint: str) -> None:
    path = Path(scene.file("bin/odd", f"#!/bin/sh\ncat <<'E'\n{said}\nE\n".encode()))
    path.chmod(0o755)
    scene.user = {"exec": scene.plugin(command=str(path))}
    async with Connection(target_of(scene), environment=scene.environment) as connection:
        with pytest.raises(CredentialError, match=complaint) as caught:
            await connection.reads.get("/version")
    assert "secret-token" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_in_a_pod_the_service_account_is_used(scene: Scene) -> None:
    for name, body in (("token", b"sa-token"), ("ca.crt", b"pem"), ("namespace", b"mesh\n")):
        scene.file(f"sa/{name}", body)
    environment = {"HOME": str(scene.folder), "KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    target = resolve_target(ClusterFlags(), environment, service_account=str(scene.folder / "sa"))
    assert target.server == "https://[fd00::1]:443"
    assert target.namespace == "mesh"
    assert target.user.token_file == str(scene.folder / "sa" / "token")
    assert target.origin == "in-cluster"


def test_a_kubeconfig_wins_over_the_service_account(scene: Scene) -> None:
    scene.file("sa/token", b"sa-token")
    scene.user = {"token": "mine"}
    scene.write()
    environment = scene.environment | {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    target = resolve_target(ClusterFlags(), environment, service_account=str(scene.folder / "sa"))
    assert target.user.token == "mine"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("clusters: [", "is not YAML"),
        ("users: {a: b}", "is malformed"),
        ("users: [{name: x, user: {token: 12}}]", "is malformed"),
        ("current-context: gone\nclusters: [{name: c}]", "context 'gone' does not exist"),
        ("contexts: [{name: a, context: {cluster: c}}]", "no current-context: choose one with --context: a"),
        ("current-context: a\ncontexts: [{name: a, context: {cluster: c}}]", "cluster 'c' does not exist"),
    ],
)
def test_a_bad_kubeconfig_is_one_line(scene: Scene, text: str, complaint: str) -> None:
    scene.file("config", text.encode())
    with pytest.raises(MeshDoctorError, match=complaint) as caught:
        resolve_target(ClusterFlags(), scene.environment)
    assert "\n" not in str(caught.value)


def test_without_any_kubeconfig_the_next_step_is_told(tmp_path: Path) -> None:
    with pytest.raises(MeshDoctorError, match="set KUBECONFIG or give --kubeconfig FILE"):
        resolve_target(ClusterFlags(), {"HOME": str(tmp_path)})


def test_a_user_never_shows_its_secrets(scene: Scene) -> None:
    scene.user = {"token": "secret-token", "password": ""}
    assert "secret-token" not in repr(target_of(scene))


@pytest.mark.parametrize(
    ("version", "mode", "terminal", "interactive"),
    [
        ("v1", "Never", True, False),
        ("v1", "IfAvailable", True, True),
        ("v1", "IfAvailable", False, False),
        ("v1", "Always", True, True),
        ("v1beta1", "", True, True),
        ("v1beta1", "", False, False),
    ],
)
async def test_a_plugin_is_told_whether_it_may_ask(
    scene: Scene, version: str, mode: str, terminal: bool, interactive: bool
) -> None:
    api = f"client.authentication.k8s.io/{version}"
    answer = json.dumps({"apiVersion": api, "kind": "ExecCredential", "status": {"token": "t"}})
    body = f"#!/bin/sh\necho \"$KUBERNETES_EXEC_INFO\" > {scene.folder}/told\necho '{answer}'\n"
    path = Path(scene.file("bin/asks", body.encode()))
    path.chmod(0o755)
    scene.user = {"exec": scene.plugin(command=str(path), apiVersion=api, interactiveMode=mode)}
    async with Connection(target_of(scene), environment=scene.environment, terminal=terminal) as connection:
        assert (await connection.reads.get("/version")).status_code == 200
    told = json.loads((scene.folder / "told").read_text())
    assert told["spec"]["interactive"] is interactive
    assert told["apiVersion"] == api


async def test_a_plugin_that_is_not_there_shows_the_kubeconfigs_hint(scene: Scene) -> None:
    scene.user = {"exec": scene.plugin(command="no-such-plugin", installHint="get it from\n\x1b[1mhere")}
    async with Connection(target_of(scene), environment=scene.environment) as connection:
        with pytest.raises(CredentialError, match=r"not installed or not in PATH: get it from \[1mhere"):
            await connection.reads.get("/version")
