"""An expired id-token is renewed as the real kubectl does: the same requests, and the same tokens in the kubeconfig."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from meshdoctor.errors import MeshDoctorError
from meshdoctor.kube import kubeconfig_write
from meshdoctor.kube.connection import Connection
from meshdoctor.kube.oidc import OidcTokens
from meshdoctor.kube.target import ClusterFlags, Target, resolve_target
from tests.kube.auth_cases import Scene, ca_data
from tests.kube.identity_provider import CLIENT, SECRET, Provider, jwt, running_provider
from tests.kube.test_kubectl_matrix import Outcome, with_kubectl, with_meshdoctor
from tests.kube.wire import Wire, running_wire
from tests.live.certificates import authority

OLD, NEW = jwt(1_000_000_000), jwt(4_102_444_800)


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    """The API server."""
    with running_wire() as running:
        yield running


@pytest.fixture
def provider() -> Iterator[Provider]:
    """An identity provider that renews."""
    with running_provider() as running:
        running.answer = {"access_token": "a", "token_type": "bearer", "id_token": NEW, "refresh_token": "second"}
        yield running


def config_of(provider: Provider, **changes: str | None) -> dict[str, str]:
    """A user's provider configuration; None leaves one out."""
    config: dict[str, str | None] = {
        "idp-issuer-url": provider.issuer,
        "idp-certificate-authority-data": ca_data(),
        "client-id": CLIENT,
        "client-secret": SECRET,
        "id-token": OLD,
        "refresh-token": "first",
        **changes,
    }
    return {name: value for name, value in config.items() if value is not None}


class Renewal(NamedTuple):
    """What happened: at the API server, at the provider, and in the kubeconfig."""

    cluster: Outcome
    asked: list[Any]
    kept: Any


Change = Callable[[Scene, Provider], None]


def nothing(scene: Scene, provider: Provider) -> None:
    """As `config_of` has it."""


def secret_in_the_form(scene: Scene, provider: Provider) -> None:
    provider.basic = False


def no_secret(scene: Scene, provider: Provider) -> None:
    provider.basic = False
    del scene.user["auth-provider"]["config"]["client-secret"]


def the_same_refresh_token_stays(scene: Scene, provider: Provider) -> None:
    del provider.answer["refresh_token"]


def an_answer_as_a_form(scene: Scene, provider: Provider) -> None:
    provider.as_form = True


def no_id_token_yet(scene: Scene, provider: Provider) -> None:
    del scene.user["auth-provider"]["config"]["id-token"]


def a_valid_id_token(scene: Scene, provider: Provider) -> None:
    scene.user["auth-provider"]["config"]["id-token"] = NEW


def an_issuer_with_a_slash(scene: Scene, provider: Provider) -> None:
    scene.user["auth-provider"]["config"]["idp-issuer-url"] += "/"


def a_ca_file(scene: Scene, provider: Provider) -> None:
    config = scene.user["auth-provider"]["config"]
    del config["idp-certificate-authority-data"]
    config["idp-certificate-authority"] = scene.file("idp.crt", authority().pem)


def no_refresh_token(scene: Scene, provider: Provider) -> None:
    del scene.user["auth-provider"]["config"]["refresh-token"]
    scene.fails = True


def refused(scene: Scene, provider: Provider) -> None:
    provider.status, provider.answer = 400, {"error": "invalid_grant", "error_description": "token is not active"}
    scene.fails = True


def an_answer_without_an_id_token(scene: Scene, provider: Provider) -> None:
    del provider.answer["id_token"]
    scene.fails = True


def another_issuer(scene: Scene, provider: Provider) -> None:
    scene.user["auth-provider"]["config"]["idp-issuer-url"] += "/elsewhere"
    scene.fails = True


def an_unknown_authority(scene: Scene, provider: Provider) -> None:
    del scene.user["auth-provider"]["config"]["idp-certificate-authority-data"]
    scene.fails = True


CASES: tuple[Change, ...] = (
    nothing,
    secret_in_the_form,
    no_secret,
    the_same_refresh_token_stays,
    an_answer_as_a_form,
    no_id_token_yet,
    a_valid_id_token,
    an_issuer_with_a_slash,
    a_ca_file,
    no_refresh_token,
    refused,
    an_answer_without_an_id_token,
    another_issuer,
    an_unknown_authority,
)


@pytest.mark.parametrize("change", CASES, ids=lambda change: change.__name__)
async def test_as_kubectl(change: Change, wire: Wire, provider: Provider, tmp_path: Path) -> None:
    scene = Scene(tmp_path, wire)
    scene.user = {"auth-provider": {"name": "oidc", "config": config_of(provider)}}
    change(scene, provider)
    # The user stands in the second file: the first one must stay as it is.
    first = Path(scene.write("first", users=[]))
    scene.environment["KUBECONFIG"] = f"{first}:{tmp_path / 'config'}"

    async def renewal(run: Callable[[], Any]) -> Renewal:
        scene.write()
        before = first.read_bytes()
        wire.seen.take()
        provider.asked.clear()
        cluster = run()
        if asyncio.iscoroutine(cluster):
            cluster = await cluster
        assert first.read_bytes() == before
        assert not list(tmp_path.glob("*.lock"))
        kept = yaml.safe_load((tmp_path / "config").read_text())["users"][0]["user"]
        return Renewal(cluster, copy.copy(provider.asked), kept)

    theirs = await renewal(lambda: with_kubectl(scene))
    assert theirs.cluster.failed == scene.fails, "kubectl itself did not behave as the case says"
    assert await renewal(lambda: with_meshdoctor(scene)) == theirs


def target_of(scene: Scene) -> Target:
    scene.environment["KUBECONFIG"] = scene.write()
    return resolve_target(ClusterFlags(), scene.environment)


@pytest.fixture
def scene(wire: Wire, provider: Provider, tmp_path: Path) -> Scene:
    """A user with an expired token."""
    made = Scene(tmp_path, wire)
    made.user = {"auth-provider": {"name": "oidc", "config": config_of(provider)}}
    wire.seen.take()
    return made


async def test_fifty_requests_use_the_refresh_token_once(scene: Scene, wire: Wire, provider: Provider) -> None:
    async with Connection(target_of(scene), environment=scene.environment) as connection:
        await asyncio.gather(*(connection.reads.get("/version") for _ in range(50)))
    assert [method for method, *_ in provider.asked] == ["GET", "POST"]
    assert {request["authorization"] for request in wire.seen.take()[0]} == {f"Bearer {NEW}"}


async def test_whoever_asked_has_left_and_the_token_is_saved(scene: Scene, provider: Provider) -> None:
    async with Connection(target_of(scene), environment=scene.environment) as connection:
        task = asyncio.create_task(connection.reads.get("/version"))
        while not any(method == "POST" for method, *_ in provider.asked):
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for _ in range(2000):
            if "second" in (scene.folder / "config").read_text():
                break
            await asyncio.sleep(0.01)
    assert NEW in (scene.folder / "config").read_text()


async def test_what_kubectl_has_renewed_meanwhile_is_used(scene: Scene, provider: Provider) -> None:
    target = target_of(scene)
    scene.user["auth-provider"]["config"] |= {"id-token": NEW, "refresh-token": "kubectl's"}
    scene.write()
    async with Connection(target, environment=scene.environment) as connection:
        assert (await connection.reads.get("/version")).status_code == 200
    assert provider.asked == []


async def test_a_token_that_expires_later_is_renewed_then(scene: Scene, provider: Provider) -> None:
    moment = [0.0]
    scene.user["auth-provider"]["config"]["id-token"] = jwt(1000)
    user = target_of(scene).user
    tokens = OidcTokens(user, scene.environment, 20, clock=lambda: moment[0])
    moment[0] = 989.0
    assert await tokens.id_token() == jwt(1000)
    moment[0] = 991.0  # client-go: ten seconds early
    assert await tokens.id_token() == NEW


async def test_nothing_is_asked_when_it_could_not_be_kept(
    scene: Scene, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kubectl would use the refresh token first and lose it."""
    monkeypatch.setattr(kubeconfig_write, "_LOCK_PATIENCE", 0.05)
    target = target_of(scene)
    (scene.folder / "config.lock").touch()
    async with Connection(target, environment=scene.environment) as connection:
        with pytest.raises(MeshDoctorError, match=r"config\.lock exists: another program writes the kubeconfig"):
            await connection.reads.get("/version")
        (scene.folder / "config.lock").unlink()
        monkeypatch.setattr("os.access", lambda *_: False)
        with pytest.raises(MeshDoctorError, match=r"could not be kept: .*config cannot be written: make the file"):
            await connection.reads.get("/version")
    assert provider.asked == []


async def test_a_write_that_fails_is_told_and_the_session_goes_on(
    scene: Scene, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    async with Connection(target_of(scene), environment=scene.environment) as connection:
        with pytest.raises(
            MeshDoctorError, match=r"were renewed and could not be written .*\(No space left on device\)"
        ):
            await connection.reads.get("/version")
        assert (await connection.reads.get("/version")).status_code == 200
    assert [method for method, *_ in provider.asked] == ["GET", "POST"]
    assert [path.name for path in scene.folder.iterdir()] == ["config"]


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("redirect", "https://127.0.0.1:1/steal", "does not renew the OIDC token (HTTP 307)"),
        ("endpoint", "http://idp.mesh.test/token", "is not https, so no refresh token is sent"),
        ("status", 500, "does not renew the OIDC token (HTTP 500)"),
    ],
)
async def test_a_refresh_token_goes_to_the_provider_alone_and_once(
    scene: Scene, provider: Provider, field: str, value: Any, complaint: str
) -> None:
    setattr(provider, field, value)
    provider.answer = {}
    async with Connection(target_of(scene), environment=scene.environment) as connection:
        with pytest.raises(MeshDoctorError) as caught:
            await connection.reads.get("/version")
    assert complaint in str(caught.value)
    assert "first" not in str(caught.value)
    assert sum(method == "POST" for method, *_ in provider.asked) == (field != "endpoint")
