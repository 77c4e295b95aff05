from __future__ import annotations

import pytest

from meshdoctor.model.kubernetes import Container, EnvVar, Pod, PodSpec
from meshdoctor.sources.live_pods import admin_port


@pytest.mark.parametrize(
    ("config", "port"),
    [
        ('{"concurrency":1,"proxyAdminPort":15900}\n', 15900),
        ('{"proxyAdminPort":"15901"}', 15901),
        ('{"concurrency":1}', 15000),
        ('{"proxyAdminPort":70000}', 15000),
        ("not JSON", 15000),
        ("", 15000),
    ],
)
def test_the_admin_port_is_where_the_injector_put_it(config: str, port: int) -> None:
    env = [EnvVar(name="PROXY_CONFIG", value=config)] if config else []
    pod = Pod(spec=PodSpec(containers=[Container(name="app"), Container(name="istio-proxy", env=env)]))
    assert admin_port(pod) == port


def test_a_pod_without_a_proxy_has_the_usual_one() -> None:
    assert admin_port(Pod()) == 15000
