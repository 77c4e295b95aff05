"""More ways to reach a cluster than the matrix has; kubectl is the judge of each."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from tests.kube.auth_cases import Scene, b64, cases, second
from tests.live.certificates import authority


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
        "client-certificate-data": b64(pair.certificate),
        "client-key-data": b64(pair.key),
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


def plugin_prints_yaml(scene: Scene) -> None:
    said = "kind: ExecCredential\napiVersion: client.authentication.k8s.io/v1\nstatus: {token: in-yaml}\n"
    path = Path(scene.file("bin/yaml", f"#!/bin/sh\ncat <<'YAML'\n{said}YAML\n".encode()))
    path.chmod(0o755)
    scene.user = {"exec": scene.plugin(command=str(path))}
    scene.write()


def plugin_is_told_keys_that_are_no_text(scene: Scene) -> None:
    extension = {False: "off", 3: "three", "nested": [{True: "on"}]}
    scene.cluster["extensions"] = [{"name": "client.authentication.k8s.io/exec", "extension": extension}]
    scene.user = {"exec": scene.plugin(provideClusterInfo=True)}
    scene.write()


def authority_with_a_comment(scene: Scene) -> None:
    scene.cluster["certificate-authority-data"] = b64("# fürs Büro\n".encode() + authority().pem)
    scene.user = {"token": "t"}
    scene.write()


def as_somebody_with_letters(scene: Scene) -> None:
    scene.flags = {"as": "bøb", "as-group": ["gruppe-ä"]}
    scene.user = {"token": "t"}
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


def _jwt(expires: int) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, {"exp": expires, "sub": "ivan"})]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, b"signature"))


def _oidc(expires: int) -> dict[str, object]:
    config = {"idp-issuer-url": "https://127.0.0.1:1", "client-id": "kubectl", "id-token": _jwt(expires)}
    return {"auth-provider": {"name": "oidc", "config": config}}


def oidc_id_token(scene: Scene) -> None:
    scene.user = _oidc(4102444800)  # the year 2100
    scene.write()


def expired_oidc_id_token(scene: Scene) -> None:
    scene.user = _oidc(1000000000)
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
    scene.environment["KUBECONFIG"] = os.pathsep.join((scene.write("first"), second(scene)))
    scene.flags = {"context": "other", "as": "henry", "as-group": ["a", "b"], "as-uid": "7"}


def explicit_kubeconfig_is_alone(scene: Scene) -> None:
    scene.user = {"token": "first"}
    scene.environment["KUBECONFIG"] = scene.write("first")
    scene.flags = {"kubeconfig": second(scene)}


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


BEYOND = cases(
    basic_auth,
    token_and_basic_auth,
    insecure,
    insecure_beside_ca,
    unknown_authority,
    wrong_name,
    certificate_keeps_plugin_from_running,
    plugin_gives_certificate,
    plugin_of_another_version,
    plugin_prints_yaml,
    plugin_is_told_keys_that_are_no_text,
    authority_with_a_comment,
    as_somebody_with_letters,
    plugin_that_must_ask,
    plugin_without_mode,
    removed_auth_provider,
    oidc_id_token,
    expired_oidc_id_token,
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
