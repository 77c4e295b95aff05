"""Why a TLS handshake between a proxy and its upstream fails: the certificate, the trust, or who speaks TLS at all."""
