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


def _b64(data: bytes) -> str:
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
    scene.user = {"client-certificate-data": _b64(pair.certificate), "client-key-data": _b64(pair.key)}
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


def _second(scene: Scene, **changes: Any) -> str:
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
    scene.environment["KUBECONFIG"] = os.pathsep.join((scene.write("first"), _second(scene)))


def second_file_with_empty_context(scene: Scene) -> None:
    scene.user = {"token": "first"}
    second = _second(scene, **{"current-context": ""})
    scene.environment["KUBECONFIG"] = os.pathsep.join(("", scene.write("first"), str(scene.folder / "none"), second))


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


def _cases(*functions: Callable[[Scene], None]) -> tuple[Case, ...]:
    return tuple(Case(function.__name__, function) for function in functions)


MATRIX = _cases(
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


# ---- what the matrix does not have ---------------------------------------------------------------------------------


def basic_auth(scene: Scene) -> None:
    scene.user = {"username": "eve", "password": "pass word:with colon"}
    scene.write()


def token_and_basic_auth(scene: Scene) -> None:
    scene.user = {"username": "eve", "password": "p", "token": "t"}
    scene.fails = True
    scene.write()


def insecure(scene: Scene) -> None:
    scene.cluster = {"server": scene.cluster["server"], "insecure-skip-tls-verify": True}
    scene.user = {"token": "t"}
    scene.write()


def insecure_beside_ca(scene: Scene) -> None:
    scene.cluster["insecure-skip-tls-verify"] = True
    scene.user = {"token": "t"}
    scene.fails = True
    scene.write()


def unknown_authority(scene: Scene) -> None:
    del scene.cluster["certificate-authority-data"]
    scene.user = {"token": "t"}
    scene.fails = True
    scene.write()


def wrong_name(scene: Scene) -> None:
    scene.cluster["tls-server-name"] = "elsewhere.mesh.test"
    scene.user = {"token": "t"}
    scene.fails = True
    scene.write()


def certificate_keeps_plugin_from_running(scene: Scene) -> None:
    pair = authority().issue("frank")
    scene.user = {
        "client-certificate-data": _b64(pair.certificate),
        "client-key-data": _b64(pair.key),
        "exec": scene.plugin(),
    }
    scene.write()


def plugin_gives_certificate(scene: Scene) -> None:
    pair = authority().issue("grace")
    answer = {"clientCertificateData": pair.certificate.decode(), "clientKeyData": pair.key.decode()}
    scene.user = {"exec": scene.plugin(answer=answer)}
    scene.write()


def plugin_of_another_version(scene: Scene) -> None:
    scene.user = {"exec": scene.plugin(apiVersion="client.authentication.k8s.io/v1beta1")}
    scene.fails = True
    scene.write()


def plugin_that_must_ask(scene: Scene) -> None:
    scene.user = {"exec": scene.plugin(interactiveMode="Always")}
    scene.fails = True
    scene.write()


def plugin_without_mode(scene: Scene) -> None:
    scene.user = {"exec": scene.plugin(interactiveMode="")}
    scene.fails = True
    scene.write()


def removed_auth_provider(scene: Scene) -> None:
    scene.user = {"auth-provider": {"name": "gcp", "config": {"access-token": "x"}}}
    scene.fails = True
    scene.write()


def group_without_user(scene: Scene) -> None:
    scene.user = {"token": "t", "as-groups": ["dev"]}
    scene.fails = True
    scene.write()


def missing_context(scene: Scene) -> None:
    scene.user = {"token": "t"}
    scene.flags = {"context": "elsewhere"}
    scene.fails = True
    scene.write()


def flags_for_another_context(scene: Scene) -> None:
    scene.user = {"token": "first"}
    scene.environment["KUBECONFIG"] = os.pathsep.join((scene.write("first"), _second(scene)))
    scene.flags = {"context": "other", "as": "henry", "as-group": ["a", "b"], "as-uid": "7"}


def explicit_kubeconfig_is_alone(scene: Scene) -> None:
    scene.user = {"token": "first"}
    scene.environment["KUBECONFIG"] = scene.write("first")
    scene.flags = {"kubeconfig": _second(scene)}


def missing_explicit_kubeconfig(scene: Scene) -> None:
    scene.user = {"token": "t"}
    scene.write(".kube/config")
    scene.flags = {"kubeconfig": str(scene.folder / "none")}
    scene.fails = True


def home_kubeconfig(scene: Scene) -> None:
    scene.user = {"token": "from-home"}
    scene.write(".kube/config")
    del scene.environment["KUBECONFIG"]


def token_flag(scene: Scene) -> None:
    scene.user = {"exec": scene.plugin()}
    scene.flags = {"token": "from-flag", "tls-server-name": "api.mesh.test"}
    scene.write()


def server_and_ca_flags(scene: Scene) -> None:
    scene.cluster = {"server": "https://elsewhere.mesh.test"}
    scene.flags = {
        "server": f"https://localhost:{scene.wire.server}/flag",
        "certificate-authority": scene.file("ca.crt", authority().pem),
    }
    scene.user = {"token": "t"}
    scene.write()


def no_credential_over_plain_http(scene: Scene) -> None:
    scene.cluster = {"server": f"http://127.0.0.1:{scene.wire.plain}"}
    scene.user = {"token": "must not be seen"}
    scene.write()


def no_proxy_suffixes(scene: Scene) -> None:
    scene.cluster["server"] = f"https://0.0.0.0:{scene.wire.server}"
    scene.environment |= {
        "https_proxy": f"127.0.0.1:{scene.wire.http_proxy}",
        "no_proxy": "mesh.test,0.0.0.0:1,.example.org",
    }
    scene.user = {"token": "t"}
    scene.write()


def loopback_is_never_proxied(scene: Scene) -> None:
    scene.environment["HTTPS_PROXY"] = "http://127.0.0.1:1"
    scene.user = {"token": "t"}
    scene.write()


def socks5_with_login(scene: Scene) -> None:
    scene.cluster["proxy-url"] = f"socks5://me:secret@127.0.0.1:{scene.wire.socks_proxy}"
    scene.user = {"token": "t"}
    scene.write()


def unreadable_token_file_falls_back(scene: Scene) -> None:
    scene.user = {"token": "static-token", "tokenFile": str(scene.folder / "none")}
    scene.write()


def duplicate_user(scene: Scene) -> None:
    scene.fails = True
    scene.write(users=[{"name": "main", "user": {"token": "a"}}, {"name": "main", "user": {"token": "b"}}])


def null_values(scene: Scene) -> None:
    scene.user = {"token": "t", "exec": None, "username": None, "as-groups": None}
    scene.write()


BEYOND = _cases(
    basic_auth,
    token_and_basic_auth,
    insecure,
    insecure_beside_ca,
    unknown_authority,
    wrong_name,
    certificate_keeps_plugin_from_running,
    plugin_gives_certificate,
    plugin_of_another_version,
    plugin_that_must_ask,
    plugin_without_mode,
    removed_auth_provider,
    group_without_user,
    missing_context,
    flags_for_another_context,
    explicit_kubeconfig_is_alone,
    missing_explicit_kubeconfig,
    home_kubeconfig,
    token_flag,
    server_and_ca_flags,
    no_credential_over_plain_http,
    no_proxy_suffixes,
    loopback_is_never_proxied,
    socks5_with_login,
    unreadable_token_file_falls_back,
    duplicate_user,
    null_values,
)
