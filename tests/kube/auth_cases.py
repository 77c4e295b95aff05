"""Ways to reach a cluster: kubeconfig files, environment and flags; `MATRIX` is what other clients get wrong."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.kube.wire import Wire, clean_environment
from tests.live.certificates import authority

PLUGIN = """#!/bin/sh
printf '%s\\n' "$KUBERNETES_EXEC_INFO" >> "{log}"
echo "$0 $* $EXTRA" >> "{log}"
cat <<'JSON'
{answer}
JSON
"""


@dataclass
class Scene:
    """One case laid out on disk."""

    folder: Path
    wire: Wire
    environment: dict[str, str] = field(default_factory=dict)
    flags: dict[str, Any] = field(default_factory=dict)
    cluster: dict[str, Any] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=dict)
    fails: bool = False

    def __post_init__(self) -> None:
        self.environment = clean_environment(str(self.folder))
        self.cluster = {"server": f"https://127.0.0.1:{self.wire.server}", "certificate-authority-data": ca_data()}

    def write(self, name: str = "config", **changes: Any) -> str:
        """One kubeconfig with this scene's cluster and user under the context "main"."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "main",
            "clusters": [{"name": "main", "cluster": self.cluster}],
            "users": [{"name": "main", "user": self.user}],
            "contexts": [{"name": "main", "context": {"cluster": "main", "user": "main"}}],
            **changes,
        }
        return self.write_document(name, document)

    def write_document(self, name: str, document: dict[str, Any]) -> str:
        """A kubeconfig of its own; returns its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(document))
        return str(path)

    def file(self, name: str, body: bytes) -> str:
        """Any other file; returns its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return str(path)

    def plugin(
        self, name: str = "bin/plugin", *, answer: dict[str, Any] | None = None, **config: Any
    ) -> dict[str, Any]:
        """An exec plugin that notes how it was called and prints *answer*; returns its kubeconfig entry."""
        status = {"token": "from-plugin"}
        said = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": answer or status}
        script = PLUGIN.format(log=self.folder / "plugin.log", answer=json.dumps(said))
        path = Path(self.file(name, script.encode()))
        path.chmod(0o755)
        return {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(path),
            "interactiveMode": "Never",
            **config,
        }


def ca_data() -> str:
    """The test CA as kubeconfig data."""
    return base64.b64encode(authority().pem).decode()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def token(scene: Scene) -> None:
    scene.user = {"token": "static-token"}
    scene.write()


def client_certificate_file(scene: Scene) -> None:
    pair = authority().issue("alice")
    scene.user = {
        "client-certificate": scene.file("pki/alice.crt", pair.certificate),
        "client-key": scene.file("pki/alice.key", pair.key),
    }
    scene.write()


def client_certificate_data(scene: Scene) -> None:
    pair = authority().issue("bob")
    scene.user = {"client-certificate-data": b64(pair.certificate), "client-key-data": b64(pair.key)}
    scene.write()


def exec_token(scene: Scene) -> None:
    scene.user = {"exec": scene.plugin(args=["one", "two words"], env=[{"name": "EXTRA", "value": "given"}])}
    scene.write()


def provide_cluster_info(scene: Scene) -> None:
    scene.cluster["extensions"] = [
        {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "mesh"}},
        {"name": "other", "extension": {"not": "this"}},
    ]
    scene.cluster["tls-server-name"] = "api.mesh.test"
    scene.user = {"exec": scene.plugin(provideClusterInfo=True)}
    scene.write()


def tls_server_name(scene: Scene) -> None:
    scene.cluster["tls-server-name"] = "other.mesh.test"
    scene.user = {"token": "t"}
    scene.write()


def https_proxy(scene: Scene) -> None:
    scene.cluster["server"] = "https://api.mesh.test:6443"
    scene.environment["HTTPS_PROXY"] = f"http://127.0.0.1:{scene.wire.http_proxy}"
    scene.user = {"token": "t"}
    scene.write()


def path_prefix(scene: Scene) -> None:
    scene.cluster["server"] += "/k8s/clusters/c-1"
    scene.user = {"token": "t"}
    scene.write()


def token_file_with_newline(scene: Scene) -> None:
    scene.user = {"tokenFile": scene.file("token", b"file-token\n")}
    scene.write()


def token_and_token_file(scene: Scene) -> None:
    scene.user = {"token": "static-token", "tokenFile": scene.file("token", b"file-token")}
    scene.write()


def exec_fails(scene: Scene) -> None:
    path = Path(scene.file("bin/broken", b"#!/bin/sh\necho no session >&2\nexit 3\n"))
    path.chmod(0o755)
    scene.user = {"exec": scene.plugin(command=str(path))}
    scene.fails = True
    scene.write()


def exec_relative_path(scene: Scene) -> None:
    scene.user = {"exec": scene.plugin("sub/bin/plugin", command="./bin/plugin")}
    scene.environment["KUBECONFIG"] = scene.write("sub/config")


def exec_and_static_token(scene: Scene) -> None:
    scene.user = {"token": "static-token", "exec": scene.plugin()}
    scene.write()


def impersonate_user(scene: Scene) -> None:
    scene.user = {"token": "t", "as": "system:serviceaccount:shop:viewer"}
    scene.write()


def impersonate_groups(scene: Scene) -> None:
    scene.user = {"token": "t", "as": "carol", "as-groups": ["dev", "ops team"]}
    scene.write()


def impersonate_uid(scene: Scene) -> None:
    scene.user = {"token": "t", "as": "carol", "as-uid": "1234-5678"}
    scene.write()


def impersonate_extra(scene: Scene) -> None:
    scene.user = {"token": "t", "as": "carol", "as-user-extra": {"scopes.io/Read%": ["a", "b"], "reason": ["incident"]}}
    scene.write()


def http_proxy_url_with_login(scene: Scene) -> None:
    scene.cluster["proxy-url"] = f"http://me:p%40ss@127.0.0.1:{scene.wire.http_proxy}"
    scene.user = {"token": "t"}
    scene.write()


def socks5_proxy_url(scene: Scene) -> None:
    scene.cluster["server"] = "https://api.mesh.test:6443"
    scene.cluster["proxy-url"] = f"socks5://127.0.0.1:{scene.wire.socks_proxy}"
    scene.user = {"token": "t"}
    scene.write()


def no_proxy_cidr(scene: Scene) -> None:
    # 0.0.0.0 reaches loopback on Linux but is no loopback address, so that only the CIDR keeps the proxy out.
    scene.cluster["server"] = f"https://0.0.0.0:{scene.wire.server}"
    scene.environment |= {
        "HTTPS_PROXY": f"http://127.0.0.1:{scene.wire.http_proxy}",
        "NO_PROXY": "10.1.2.3, 127.0.0.0/8,0.0.0.0/8",
    }
    scene.user = {"token": "t"}
    scene.write()


def second(scene: Scene, **changes: Any) -> str:
    return scene.write_document(
        "second",
        {
            "current-context": "other",
            "clusters": [{"name": "other", "cluster": {**scene.cluster, "server": scene.cluster["server"] + "/other"}}],
            "users": [{"name": "other", "user": {"token": "other"}}, {"name": "main", "user": {"token": "shadowed"}}],
            "contexts": [{"name": "other", "context": {"cluster": "other", "user": "other"}}],
            **changes,
        },
    )


def two_files_first_context_wins(scene: Scene) -> None:
    scene.user = {"token": "first"}
    scene.environment["KUBECONFIG"] = os.pathsep.join((scene.write("first"), second(scene)))


def second_file_with_empty_context(scene: Scene) -> None:
    scene.user = {"token": "first"}
    other = second(scene, **{"current-context": ""})
    scene.environment["KUBECONFIG"] = os.pathsep.join(("", scene.write("first"), str(scene.folder / "none"), other))


def relative_certificate_in_another_file(scene: Scene) -> None:
    pair = authority().issue("dave")
    scene.file("users/pki/dave.crt", pair.certificate)
    scene.file("users/pki/dave.key", pair.key)
    first = scene.write("clusters/config", users=[])
    user = {"client-certificate": "pki/dave.crt", "client-key": "pki/dave.key"}
    second = scene.write_document("users/config", {"users": [{"name": "main", "user": user}]})
    scene.environment["KUBECONFIG"] = os.pathsep.join((first, second))


class Case(NamedTuple):
    """A named way to reach a cluster."""

    name: str
    lay_out: Callable[[Scene], None]


def cases(*functions: Callable[[Scene], None]) -> tuple[Case, ...]:
    return tuple(Case(function.__name__, function) for function in functions)


MATRIX = cases(
    token,
    client_certificate_file,
    client_certificate_data,
    exec_token,
    provide_cluster_info,
    tls_server_name,
    https_proxy,
    path_prefix,
    token_file_with_newline,
    token_and_token_file,
    exec_fails,
    exec_relative_path,
    exec_and_static_token,
    impersonate_user,
    impersonate_groups,
    impersonate_uid,
    impersonate_extra,
    http_proxy_url_with_login,
    socks5_proxy_url,
    no_proxy_cidr,
    two_files_first_context_wins,
    second_file_with_empty_context,
    relative_certificate_in_another_file,
)
