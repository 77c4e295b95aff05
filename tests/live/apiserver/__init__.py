"""A small Kubernetes API server for tests: TLS, lists, watches, logs, access reviews, port-forward and exec.

It serves a recording or objects made in a test, forwards pods' ports to TCP servers on loopback (a real Envoy among
them), and can misbehave on demand (`faults`). The real kubectl works against it, so it is no mirror of the client.
"""

from __future__ import annotations

from tests.live.apiserver.faults import Fault
from tests.live.apiserver.objects import Objects
from tests.live.apiserver.running import running_api_server
from tests.live.apiserver.server import ApiServer

__all__ = ["ApiServer", "Fault", "Objects", "running_api_server"]
