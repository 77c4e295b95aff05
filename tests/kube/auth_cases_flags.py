"""kubectl's flags over a kubeconfig, servers, proxies and plugins in unusual shapes; kubectl is the judge of each."""

from __future__ import annotations

import os

from tests.kube.auth_cases import Scene, b64, cases
from tests.live.certificates import authority


def username_flags(scene: Scene) -> None:
    scene.flags = {"username": "judy", "password": "a:b"}
    scene.write()


def username_flags_over_a_token(scene: Scene) -> None:
    scene.user = {"token": "t"}
    scene.flags = {"username": "judy", "password": "p"}
    scene.fails = True
    scene.write()


def username_flags_over_a_plugin(scene: Scene) -> None:
    scene.user = {"exec": scene.plugin()}
    scene.flags = {"username": "judy", "password": "p"}
    scene.write()


def token_flag_over_a_user_name(scene: Scene) -> None:
    scene.user = {"username": "judy", "password": "p"}
    scene.flags = {"token": "t"}
    scene.fails = True
    scene.write()


def token_flag_beside_a_token_file(scene: Scene) -> None:
    scene.user = {"tokenFile": scene.file("token", b"file-token")}
    scene.flags = {"token": "from-flag"}
    scene.write()


def token_flag_over_certificate_flags(scene: Scene) -> None:
    first, other = authority().issue("first"), authority().issue("other")
    scene.user = {"client-certificate-data": b64(first.certificate), "client-key-data": b64(first.key)}
    scene.file("other.crt", other.certificate)
    scene.file("other.key", other.key)
    scene.flags = {"token": "t", "client-certificate": "other.crt", "client-key": "other.key"}
    scene.write()


def server_flag_forgets_the_name_to_verify(scene: Scene) -> None:
    scene.cluster["tls-server-name"] = "other.mesh.test"
    scene.user = {"token": "t"}
    scene.flags = {"server": scene.cluster["server"] + "/flag"}
    scene.write()


def server_flag_for_a_cluster_that_is_not_there(scene: Scene) -> None:
    scene.user = {"token": "t"}
    scene.flags = {"server": scene.cluster["server"], "insecure-skip-tls-verify": "true"}
    scene.write(clusters=[])


def server_flag_without_a_kubeconfig(scene: Scene) -> None:
    scene.environment["KUBECONFIG"] = str(scene.folder / "none")
    ca = scene.file("ca.crt", authority().pem)
    scene.flags = {"server": scene.cluster["server"], "certificate-authority": ca, "token": "x"}


def insecure_flag_over_a_ca(scene: Scene) -> None:
    scene.user = {"token": "t"}
    scene.flags = {"insecure-skip-tls-verify": "true"}
    scene.write()


def insecure_flag_beside_a_ca_flag(scene: Scene) -> None:
    scene.user = {"token": "t"}
    scene.flags = {"insecure-skip-tls-verify": "true", "certificate-authority": scene.file("ca", authority().pem)}
    scene.fails = True
    scene.write()


def secure_flag_over_an_insecure_cluster(scene: Scene) -> None:
    scene.cluster = {"server": scene.cluster["server"], "insecure-skip-tls-verify": True}
    scene.user = {"token": "t"}
    scene.flags = {"insecure-skip-tls-verify": "false"}
    scene.write()


def ca_flag_over_an_insecure_cluster(scene: Scene) -> None:
    scene.cluster = {"server": scene.cluster["server"], "insecure-skip-tls-verify": True}
    scene.user = {"token": "t"}
    scene.flags = {"certificate-authority": scene.file("ca.crt", authority().pem)}
    scene.write()


def proxy_url_flag(scene: Scene) -> None:
    scene.cluster |= {"server": "https://api.mesh.test:6443", "proxy-url": "http://127.0.0.1:1"}
    scene.user = {"token": "t"}
    scene.flags = {"proxy-url": f"socks5://127.0.0.1:{scene.wire.socks_proxy}"}
    scene.write()


def cluster_and_user_flags_without_a_context(scene: Scene) -> None:
    scene.user = {"token": "t"}
    scene.flags = {"cluster": "main", "user": "main"}
    scene.write(**{"current-context": ""})


def user_flag_that_names_nobody(scene: Scene) -> None:
    scene.user = {"token": "t"}
    scene.flags = {"user": "nobody", "token": "t"}
    scene.fails = True
    scene.write()


def token_flag_for_a_user_that_is_not_there(scene: Scene) -> None:
    scene.flags = {"token": "t"}
    scene.write(users=[])


def a_user_without_credentials(scene: Scene) -> None:
    scene.fails = True
    scene.write()


def extra_flags_are_merged(scene: Scene) -> None:
    scene.user = {"token": "t", "as": "carol", "as-user-extra": {"a": ["file"], "c": ["kept"]}}
    scene.flags = {"as-user-extra": ["a=1", "a=2", "q=r=s"]}
    scene.write()


def another_user_keeps_the_files_groups(scene: Scene) -> None:
    scene.user = {"token": "t", "as": "carol", "as-groups": ["x"], "as-uid": "1"}
    scene.flags = {"as": "dave"}
    scene.write()


def impersonation_over_plain_http(scene: Scene) -> None:
    scene.cluster = {"server": f"http://127.0.0.1:{scene.wire.plain}"}
    scene.user = {"token": "must not be seen", "as": "carol", "as-groups": ["dev"]}
    scene.write()


def server_without_a_scheme(scene: Scene) -> None:
    scene.cluster = {"server": f"localhost:{scene.wire.plain}"}
    scene.user = {"token": "must not be seen"}
    scene.write()


def server_without_a_scheme_is_never_tls(scene: Scene) -> None:
    scene.cluster["server"] = f"127.0.0.1:{scene.wire.server}"
    scene.user = {"token": "must not be seen"}
    scene.fails = True
    scene.write()


def server_with_query_and_fragment(scene: Scene) -> None:
    scene.cluster["server"] = scene.cluster["server"].replace("https", "HTTPS") + "/prefix/?a=b#c"
    scene.user = {"token": "t"}
    scene.write()


def socks5h_of_the_environment(scene: Scene) -> None:
    scene.cluster["server"] = "https://api.mesh.test:6443"
    scene.environment["HTTPS_PROXY"] = f"socks5h://127.0.0.1:{scene.wire.socks_proxy}"
    scene.user = {"token": "t"}
    scene.write()


def login_of_the_environments_proxy(scene: Scene) -> None:
    scene.cluster["server"] = "https://api.mesh.test:6443"
    scene.environment["https_proxy"] = f"http://me:p%40ss@127.0.0.1:{scene.wire.http_proxy}"
    scene.user = {"token": "t"}
    scene.write()


def all_proxy_is_not_heeded(scene: Scene) -> None:
    scene.cluster["server"] = f"https://0.0.0.0:{scene.wire.server}"
    scene.environment["ALL_PROXY"] = f"socks5://127.0.0.1:{scene.wire.socks_proxy}"
    scene.user = {"token": "t"}
    scene.write()


def no_proxy_with_a_port(scene: Scene) -> None:
    scene.cluster["server"] = f"https://0.0.0.0:{scene.wire.server}"
    scene.environment |= {
        "HTTPS_PROXY": f"http://127.0.0.1:{scene.wire.http_proxy}",
        "NO_PROXY": f"0.0.0.0:{scene.wire.server}",
    }
    scene.user = {"token": "t"}
    scene.write()


def https_proxy_url(scene: Scene) -> None:
    """Go trusts the proxy by the cluster's CA, and shows it the client's certificate."""
    pair = authority().issue("frank")
    scene.cluster |= {
        "server": "https://api.mesh.test:6443",
        "proxy-url": f"https://me:secret@127.0.0.1:{scene.wire.https_proxy}",
    }
    scene.user = {"client-certificate-data": b64(pair.certificate), "client-key-data": b64(pair.key)}
    scene.write()


def https_proxy_and_a_name_to_verify(scene: Scene) -> None:
    scene.cluster |= {
        "server": "https://api.mesh.test:6443",
        "tls-server-name": "other.mesh.test",
        "proxy-url": f"https://127.0.0.1:{scene.wire.https_proxy}",
    }
    scene.user = {"token": "t"}
    scene.write()


def https_proxy_of_the_environment_for_plain_http(scene: Scene) -> None:
    scene.cluster["server"] = "http://api.mesh.test:8080"
    scene.environment["HTTP_PROXY"] = f"https://127.0.0.1:{scene.wire.https_proxy}"
    scene.fails = True
    scene.write()


def https_proxy_of_an_unknown_authority(scene: Scene) -> None:
    del scene.cluster["certificate-authority-data"]
    scene.cluster["proxy-url"] = f"https://127.0.0.1:{scene.wire.https_proxy}"
    scene.user = {"token": "t"}
    scene.fails = True
    scene.write()


def proxy_url_without_a_scheme(scene: Scene) -> None:
    scene.cluster["proxy-url"] = f"localhost:{scene.wire.http_proxy}"
    scene.user = {"token": "t"}
    scene.fails = True
    scene.write()


def plugin_gives_token_and_certificate(scene: Scene) -> None:
    pair = authority().issue("grace")
    answer = {
        "token": "both",
        "clientCertificateData": pair.certificate.decode(),
        "clientKeyData": pair.key.decode(),
    }
    scene.user = {"exec": scene.plugin(answer=answer)}
    scene.write()


def plugin_gives_an_expired_certificate(scene: Scene) -> None:
    pair = authority().issue("grace", days=-0.01)
    answer = {"clientCertificateData": pair.certificate.decode(), "clientKeyData": pair.key.decode()}
    scene.user = {"exec": scene.plugin(answer=answer)}
    scene.fails = True
    scene.write()


def plugin_gives_a_senseless_expiry(scene: Scene) -> None:
    scene.user = {"exec": scene.plugin(answer={"token": "x", "expirationTimestamp": "soon"})}
    scene.fails = True
    scene.write()


def plugin_is_told_of_the_flags(scene: Scene) -> None:
    scene.user = {"exec": scene.plugin(provideClusterInfo=True)}
    scene.cluster = {"server": "https://elsewhere.mesh.test", "disable-compression": True}
    server = f"https://127.0.0.1:{scene.wire.server}/flag"
    scene.flags = {"server": server, "insecure-skip-tls-verify": "true", "tls-server-name": "api.mesh.test"}
    scene.write()


def plugin_is_told_of_a_ca_file_and_a_proxy(scene: Scene) -> None:
    del scene.cluster["certificate-authority-data"]
    scene.cluster |= {
        "certificate-authority": scene.file("pki/ca.crt", authority().pem),
        "proxy-url": f"http://127.0.0.1:{scene.wire.http_proxy}",
    }
    scene.user = {"exec": scene.plugin(provideClusterInfo=True)}
    scene.write()


def plugin_of_the_path(scene: Scene) -> None:
    env = [{"name": "EXTRA", "value": "first"}, {"name": "EXTRA", "value": "last"}]
    scene.user = {"exec": scene.plugin("bin/plugin", command="plugin", env=env)}
    scene.environment |= {"PATH": f"{scene.folder / 'bin'}{os.pathsep}{scene.environment['PATH']}", "EXTRA": "outer"}
    scene.write()


def plugin_beside_a_token_must_still_be_valid(scene: Scene) -> None:
    scene.user = {"token": "t", "exec": scene.plugin(apiVersion="client.authentication.k8s.io/v1alpha1")}
    scene.fails = True
    scene.write()


def plugin_with_a_nameless_variable(scene: Scene) -> None:
    scene.user = {"exec": scene.plugin(env=[{"name": "", "value": "x"}])}
    scene.fails = True
    scene.write()


def removed_provider_beside_a_token(scene: Scene) -> None:
    scene.user = {"token": "t", "auth-provider": {"name": "gcp"}}
    scene.fails = True
    scene.write()


FLAGS = cases(
    username_flags,
    username_flags_over_a_token,
    username_flags_over_a_plugin,
    token_flag_over_a_user_name,
    token_flag_beside_a_token_file,
    token_flag_over_certificate_flags,
    server_flag_forgets_the_name_to_verify,
    server_flag_for_a_cluster_that_is_not_there,
    server_flag_without_a_kubeconfig,
    insecure_flag_over_a_ca,
    insecure_flag_beside_a_ca_flag,
    secure_flag_over_an_insecure_cluster,
    ca_flag_over_an_insecure_cluster,
    proxy_url_flag,
    cluster_and_user_flags_without_a_context,
    user_flag_that_names_nobody,
    token_flag_for_a_user_that_is_not_there,
    a_user_without_credentials,
    extra_flags_are_merged,
    another_user_keeps_the_files_groups,
    impersonation_over_plain_http,
    server_without_a_scheme,
    server_without_a_scheme_is_never_tls,
    server_with_query_and_fragment,
    socks5h_of_the_environment,
    login_of_the_environments_proxy,
    all_proxy_is_not_heeded,
    no_proxy_with_a_port,
    https_proxy_url,
    https_proxy_and_a_name_to_verify,
    https_proxy_of_the_environment_for_plain_http,
    https_proxy_of_an_unknown_authority,
    proxy_url_without_a_scheme,
    plugin_gives_token_and_certificate,
    plugin_gives_an_expired_certificate,
    plugin_gives_a_senseless_expiry,
    plugin_is_told_of_the_flags,
    plugin_is_told_of_a_ca_file_and_a_proxy,
    plugin_of_the_path,
    plugin_beside_a_token_must_still_be_valid,
    plugin_with_a_nameless_variable,
    removed_provider_beside_a_token,
)
