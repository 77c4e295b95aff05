"""In a pod: the real kubectl and MeshDoctor find the same service account, in a mount namespace of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshdoctor.kube.connection import Connection
from meshdoctor.kube.target import ClusterFlags, resolve_target
from tests.kube.test_kubectl_matrix import KUBECTL
from tests.kube.wire import Wire, clean_environment, running_wire
from tests.live.certificates import authority

# client-go's place of the token cannot be changed, so it is made in a namespace where it disturbs nobody.
LAY_OUT = """
set -e
mount -t tmpfs none /var/run
mkdir -p /var/run/secrets/kubernetes.io
cp -r "$ACCOUNT" /var/run/secrets/kubernetes.io/serviceaccount
exec "$@"
"""


def alone(*command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run *command* where it sees the service account."""
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", LAY_OUT, "sh", *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    """The API server."""
    with running_wire() as running:
        yield running


@pytest.fixture
def pod(tmp_path: Path, wire: Wire) -> dict[str, str]:
    """A pod's environment, and its service account in a folder."""
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("account-token\n")
    (account / "namespace").write_text("shop")
    (account / "ca.crt").write_bytes(authority().pem)
    wire.seen.take()
    here = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(wire.server)}
    return clean_environment(str(tmp_path)) | here | {"ACCOUNT": str(account)}


async def ours(pod: dict[str, str], **flags: Any) -> str:
    """One request by this program; returns the namespace."""
    target = resolve_target(ClusterFlags(**flags), pod, service_account=pod["ACCOUNT"])
    async with Connection(target, environment=pod) as connection:
        await connection.reads.get("/version")
    return target.namespace


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"token": "from-flag"},
        {"username": "ignored", "password": "ignored"},
        {"tls-server-name": "api.mesh.test"},
        {"certificate-authority": "ca.crt"},
    ],
    ids=lambda flags: next(iter(flags), "none"),
)
@pytest.mark.parametrize("kubeconfig", ["", "users: [{name: a, user: {token: x}}]", "current-context: ''"])
async def test_the_same_request(wire: Wire, pod: dict[str, str], flags: dict[str, str], kubeconfig: str) -> None:
    folder = Path(pod["HOME"])
    if "certificate-authority" in flags:
        flags = {"certificate-authority": str(folder / "ca.crt")}
        (folder / "ca.crt").write_bytes(authority().pem)
    if kubeconfig:
        (folder / "config").write_text(f"apiVersion: v1\nkind: Config\n{kubeconfig}\n")
        pod["KUBECONFIG"] = str(folder / "config")
    given = [f"--{name}={value}" for name, value in flags.items()]
    done = alone(str(KUBECTL), *given, "get", "--raw", "/version", environment=pod)
    if shutil.which("unshare") is None or "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespace can be made here: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    theirs = wire.seen.take()
    await ours(pod, **{name.replace("-", "_"): value for name, value in flags.items()})
    assert wire.seen.take() == theirs
    assert theirs[0]


async def test_a_context_is_not_the_pods_own(wire: Wire, pod: dict[str, str]) -> None:
    document = {
        "current-context": "main",
        "clusters": [{"name": "main", "cluster": {"server": f"http://127.0.0.1:{wire.plain}"}}],
        "contexts": [{"name": "main", "context": {"cluster": "main", "namespace": "other"}}],
    }
    (Path(pod["HOME"]) / "config").write_text(yaml.safe_dump(document))
    pod["KUBECONFIG"] = f"{pod['HOME']}/config"
    assert await ours(pod) == "other"
    assert wire.seen.take()[0][0]["authorization"] == ""


async def test_the_namespace_and_the_user(wire: Wire, pod: dict[str, str]) -> None:
    assert await ours(pod) == "shop"
    assert await ours(pod, namespace="flag") == "flag"
    pod["POD_NAMESPACE"] = "downward"  # the downward API's, which client-go heeds first
    assert await ours(pod) == "downward"
    wire.seen.take()
    await ours(pod, impersonate="carol")
    (request,) = wire.seen.take()[0]
    assert (request["authorization"], request["impersonation"]) == (
        "Bearer account-token",
        [("impersonate-user", "carol")],
    )


def test_the_program_itself(wire: Wire, pod: dict[str, str]) -> None:
    """Through the command line, where nothing names the service account's folder."""
    root = str(Path(__file__).resolve().parents[2])
    code = (
        "import sys, json, os; from meshdoctor.kube.target import ClusterFlags, resolve_target\n"
        "target = resolve_target(ClusterFlags(), os.environ)\n"
        "print(json.dumps([target.server, target.namespace, target.origin, target.user.token_file]))"
    )
    done = alone(sys.executable, "-c", code, environment=pod | {"PYTHONPATH": root})
    if done.returncode and ("unshare" in done.stderr or "mount:" in done.stderr):
        pytest.skip(f"no mount namespace can be made here: {done.stderr.strip()[:200]}")
    assert json.loads(done.stdout) == [
        f"https://127.0.0.1:{wire.server}",
        "shop",
        "in-cluster",
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
    ]
