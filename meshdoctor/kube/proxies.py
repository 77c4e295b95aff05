"""Which proxy is between here and the API server: the kubeconfig's `proxy-url`, else the environment by Go's rules.

Go's `httpproxy.FromEnvironment`: upper case before lower case, no ALL_PROXY; `localhost` and loopback addresses are
never proxied; NO_PROXY entries are `*`, CIDRs, addresses, `host`, `.suffix`, `*.suffix`, each with an optional port.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshdoctor.kube.errors import KubeconfigError

if TYPE_CHECKING:
    from meshdoctor.kube.target import Target

# Names are always resolved by a SOCKS5 proxy, with Go's `socks5` as with `socks5h`.
_SCHEMES = {"http": "http", "https": "https", "socks5": "socks5", "socks5h": "socks5"}


def proxy_for(target: Target, environment: Mapping[str, str]) -> str:
    """The proxy's URL (http, https or socks5), "" for a direct connection. Raises KubeconfigError."""
    return target.cluster.proxy_url or proxy_of_environment(target.server, environment)


def proxy_of_environment(server: str, environment: Mapping[str, str]) -> str:
    """The environment's proxy for *server*, "" for a direct connection. Raises KubeconfigError for an unknown kind."""
    url = urlsplit(server)
    name = "HTTPS_PROXY" if url.scheme == "https" else "HTTP_PROXY"
    proxy = environment.get(name) or environment.get(name.lower()) or ""
    port = url.port or (443 if url.scheme == "https" else 80)
    if not proxy or not _is_proxied(url.hostname or "", port, _no_proxy(environment)):
        return ""
    scheme, separator, rest = proxy.partition("://")
    if not separator:
        return f"http://{proxy}"
    if scheme.lower() not in _SCHEMES:
        raise KubeconfigError(f"{name} has the unsupported scheme {scheme!r}", "use http, https or socks5")
    return f"{_SCHEMES[scheme.lower()]}://{rest}"


def _no_proxy(environment: Mapping[str, str]) -> str:
    return environment.get("NO_PROXY") or environment.get("no_proxy") or ""


def _is_proxied(host: str, port: int, no_proxy: str) -> bool:
    host = host.lower().rstrip(".")
    if host == "localhost":
        return False
    try:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address | None = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is not None and address.is_loopback:
        return False
    for raw in no_proxy.split(","):
        entry = raw.strip().lower()
        if not entry:
            continue
        if entry == "*" or _matches(entry, host, port, address):
            return False
    return True


def _matches(entry: str, host: str, port: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if "/" in entry:
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
        return address is not None and address in network
    name, entry_port = _split_port(entry)
    if entry_port and entry_port != str(port):
        return False
    try:
        excepted = ipaddress.ip_address(name)
    except ValueError:
        suffix = name.removeprefix("*")
        return host.endswith(suffix) if suffix.startswith(".") else host == suffix or host.endswith(f".{suffix}")
    return address == excepted


def _split_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, port
    return entry, ""
