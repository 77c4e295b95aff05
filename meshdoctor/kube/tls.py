"""The TLS side of a target: trust, the name to verify, and a client certificate that never touches the disk."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from typing import TYPE_CHECKING

from meshdoctor.kube.errors import CredentialError, KubeconfigError

if TYPE_CHECKING:
    from meshdoctor.kube.kubeconfig import Cluster, User


class NamedContext(ssl.SSLContext):
    """`tls-server-name`, which must also hold through proxies (httpcore ignores `sni_hostname` there)."""

    server_name: str | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As the base class, with the configured name instead of the host's."""
        return super().wrap_bio(incoming, outgoing, server_side, self.server_name or server_hostname, session)


def tls_context(cluster: Cluster) -> NamedContext:
    """A context with Go's idea of trust: any given CA certificate is an anchor, names only from SANs, TLS 1.2 and up.

    Raises KubeconfigError when the CA is unreadable or not PEM.
    """
    context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.server_name = cluster.tls_server_name or None
    # Python 3.13's default refuses CAs without key usage extensions, which many clusters have; Go accepts them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if cluster.insecure_skip_tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.hostname_checks_common_name = False
    authority = _bytes_of(cluster.certificate_authority_data, cluster.certificate_authority, "certificate-authority")
    if not authority:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cadata=authority.decode("ascii", "ignore"))  # comments may be in any language
    except ssl.SSLError:
        raise KubeconfigError(
            "certificate-authority holds no PEM certificate", "correct it in the kubeconfig"
        ) from None
    return context


def authority_pem(cluster: Cluster) -> bytes:
    """The CA of *cluster* as PEM, b"" when the system's CAs are trusted."""
    return _bytes_of(cluster.certificate_authority_data, cluster.certificate_authority, "certificate-authority")


def client_certificate(user: User) -> tuple[bytes, bytes] | None:
    """The user's certificate and key as PEM, or None; data wins over files, as in client-go."""
    certificate = _bytes_of(user.client_certificate_data, user.client_certificate, "client-certificate")
    key = _bytes_of(user.client_key_data, user.client_key, "client-key")
    return (certificate, key) if certificate and key else None


def _bytes_of(data: str, path: str, what: str) -> bytes:
    if data:
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            raise KubeconfigError(f"{what}-data is not base64", "correct it in the kubeconfig") from None
    if path:
        try:
            with open(path, "rb") as stream:
                return stream.read()
        except OSError as error:
            raise KubeconfigError(
                f"{what} {path} cannot be read ({error.strerror})", "correct the path in the kubeconfig"
            ) from error
    return b""


def load_client_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Use this certificate from the next connection on. Raises CredentialError when the two are no pair.

    OpenSSL wants a path: an anonymous memory file on Linux, so that no key is written to the bastion's disk; elsewhere
    a private temporary file that is gone at once.
    """
    pem = certificate.rstrip() + b"\n" + key
    try:
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
            try:
                with open(descriptor, "wb", closefd=False) as stream:
                    stream.write(pem)
                context.load_cert_chain(f"/proc/self/fd/{descriptor}")
            finally:
                os.close(descriptor)
        else:
            with tempfile.NamedTemporaryFile() as file:
                file.write(pem)
                file.flush()
                context.load_cert_chain(file.name)
    except ssl.SSLError as error:
        raise CredentialError(
            f"the client certificate and its key cannot be used ({error.reason or 'not PEM'})", "renew them"
        ) from None
