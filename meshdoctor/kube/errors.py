"""What can go wrong between here and a cluster, each as one line that says what to do next.

ClusterError (a SourceError)
├── KubeconfigError    the kubeconfig names no usable cluster, user or context
├── CredentialError    a token file, key or exec plugin gave no credential; nothing was sent
├── PathRefused        the read-only allowlist does not let this request out (a fault of this program)
├── Unreachable        no answer: DNS, TCP, TLS, a proxy, a deadline
└── ApiError           the server answered with an error status
    ├── Unauthorized   401
    ├── Forbidden      403, with the RBAC rule that is missing
    ├── NotFound       404
    ├── Expired        410: a list or watch position is too old
    └── Busy           429 or 5xx, still after every retry
PodError (a ClusterError) a pod's port or command could not be reached through the API server
"""

from __future__ import annotations

from meshdoctor.errors import SourceError

SLOW = "the proxy is slow or stuck"
"""Why a pod that is well gives no answer in time."""


class ClusterError(SourceError):
    """A cluster, or a part of it, could not be read."""


class KubeconfigError(ClusterError):
    """The kubeconfig names no usable cluster, user or context."""


class CredentialError(ClusterError):
    """No credential could be obtained; no request was sent."""


class PathRefused(ClusterError):
    """The read-only allowlist refuses a request; nothing was sent."""


class Unreachable(ClusterError):
    """The server gave no complete answer."""


class ApiError(ClusterError):
    """The API server answered with an error; *status* is the HTTP status, *reason* Kubernetes' word for it."""

    def __init__(
        self, status: int, reason: str, what: str, next_step: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(what, next_step)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


class Unauthorized(ApiError):
    """401: the credential is missing, wrong or expired."""


class Forbidden(ApiError):
    """403: `missing_rule` is the RBAC rule to add, as one line of YAML ("" when it cannot be told)."""

    missing_rule: str = ""


class NotFound(ApiError):
    """404: the object, or the kind, does not exist in this cluster."""


class Expired(ApiError):
    """410: the resourceVersion or continue token is too old; list again from the beginning."""


class Busy(ApiError):
    """429 or 5xx, still so after every retry."""


class PodError(ClusterError):
    """A pod's port or command could not be reached through the API server."""
