"""Effective mTLS in three columns: declared (objects), configured (Envoy dumps) and observed (logs, certificates).

`DeclaredMtls(objects)` answers what the objects declare: `server_mode`, `client_tls`, `pairs`. `configured` reads what
two proxies really hold, `observed` what their connections did, and `patterns` names each disagreement (M1 to M13).
"""

from meshdoctor.mesh.mtls.client import ClientTls
from meshdoctor.mesh.mtls.declared import DeclaredMtls, Pair
from meshdoctor.mesh.mtls.server import ServerMode

__all__ = ["ClientTls", "DeclaredMtls", "Pair", "ServerMode"]
