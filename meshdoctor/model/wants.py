"""Every question that a source answers, and the type of its answer."""

from __future__ import annotations

import msgspec

from meshdoctor.model.accesslog import ParsedLog
from meshdoctor.model.applog import AppLog
from meshdoctor.model.envoy.admin import Certificates, InitDump, ListenerStatuses, Sample, ServerInfo
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.endpoint import ClusterStatuses
from meshdoctor.model.istiod import MeshConfig, RegistryService, SyncRecord
from meshdoctor.model.meta import Object
from meshdoctor.model.snapshot import PodRef, Want
from meshdoctor.model.ztunnel import ZtunnelDump
from meshdoctor.model.ztunnellog import ParsedZtunnelLog


class LogRef(msgspec.Struct, frozen=True):
    """One container's log; *previous* is the one before the last restart."""

    pod: PodRef
    container: str
    previous: bool = False


class Inventory(msgspec.Struct, frozen=True):
    """What a source can be asked about."""

    proxies: tuple[PodRef, ...] = ()
    ztunnels: tuple[PodRef, ...] = ()
    istiods: tuple[str, ...] = ()
    logs: tuple[LogRef, ...] = ()
    kinds: tuple[str, ...] = ()


class Contents(Want[Inventory], frozen=True, tag=True):
    """What there is to ask for."""


class Objects(Want[tuple[Object, ...]], frozen=True, tag=True):
    """All objects of one kind (a name of `kinds.KINDS`), of every namespace."""

    kind: str


class ObjectBody(Want[bytes], frozen=True, tag=True):
    """One object (*kind* is a name of `kinds.KINDS`) as the API server gives it, in JSON; *namespace* may be ""."""

    kind: str
    namespace: str
    name: str


class ProxyConfig(Want[ConfigDump], frozen=True, tag=True):
    pod: PodRef


class ProxyBody(Want[bytes], frozen=True, tag=True):
    """An admin answer as Envoy or ztunnel gave it: *file* is its name in a recording (`config_dump.json`)."""

    pod: PodRef
    file: str


class ProxyClusters(Want[ClusterStatuses], frozen=True, tag=True):
    pod: PodRef


class ProxyCertificates(Want[Certificates], frozen=True, tag=True):
    pod: PodRef


class ProxyListeners(Want[ListenerStatuses], frozen=True, tag=True):
    pod: PodRef


class ProxyServerInfo(Want[ServerInfo], frozen=True, tag=True):
    pod: PodRef


class ProxyInitDump(Want[InitDump], frozen=True, tag=True):
    pod: PodRef


class ProxyReady(Want[str], frozen=True, tag=True):
    """LIVE, PRE_INITIALIZING, INITIALIZING or DRAINING."""

    pod: PodRef


class ProxyMetrics(Want[tuple[Sample, ...]], frozen=True, tag=True):
    pod: PodRef


class SyncStatus(Want[tuple[SyncRecord, ...]], frozen=True, tag=True):
    istiod: str


class ControlPlaneVersion(Want[str], frozen=True, tag=True):
    """An istiod's version without the commit and the state of its tree (`1.29.0`)."""

    istiod: str


class SentConfig(Want[bytes], frozen=True, tag=True):
    """What an istiod would send to a proxy now, as a config dump (`/debug/config_dump?proxyID=`).

    Asked for one sidecar at a time, and never for a gateway: istiod 1.27.1 served redacted keys to gateways after it
    had been asked (istio#57789).
    """

    istiod: str
    pod: PodRef


class Registry(Want[tuple[RegistryService, ...]], frozen=True, tag=True):
    istiod: str


class Mesh(Want[MeshConfig], frozen=True, tag=True):
    """The mesh config, of an istiod or of the ConfigMap."""


class AccessLog(Want[ParsedLog], frozen=True, tag=True):
    log: LogRef


class ApplicationLog(Want[AppLog], frozen=True, tag=True):
    """Outgoing calls and plain lines of a workload's own container."""

    log: LogRef


class LogText(Want[str], frozen=True, tag=True):
    """A container's log as it is, with control characters made visible."""

    log: LogRef


class ZtunnelConfig(Want[ZtunnelDump], frozen=True, tag=True):
    pod: PodRef


class ZtunnelAccessLog(Want[ParsedZtunnelLog], frozen=True, tag=True):
    """The connections in the log of a ztunnel pod (its container is called istio-proxy, but it is no Envoy)."""

    log: LogRef


class RecordedFile(Want[bytes], frozen=True, tag=True):
    """The answer behind a fact as it was read, by the file name of its `Origin`: what evidence points at."""

    file: str
