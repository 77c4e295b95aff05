from __future__ import annotations

import pytest

from meshdoctor.mesh import protocols
from meshdoctor.model.kubernetes import ServicePort


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (ServicePort("http-admin", 80), "HTTP"),
        (ServicePort("GRPC-Web-x", 80), "GRPC-Web"),
        (ServicePort("http2", 80), "HTTP2"),
        (ServicePort("https-5432x", 80), "HTTPS"),
        (ServicePort("web", 80), protocols.AUTO),
        (ServicePort("", 3306), "TCP"),
        (ServicePort("http", 80, app_protocol="acme.io/x"), protocols.AUTO),
        (ServicePort("tcp", 80, app_protocol="kubernetes.io/h2c"), "HTTP2"),
        (ServicePort("kubernetes.io/h2c", 80), protocols.AUTO),
        (ServicePort("http", 80, protocol="UDP"), "UDP"),
    ],
)
def test_app_protocol_decides_alone_else_the_names_prefix(port: ServicePort, expected: str) -> None:
    assert protocols.of_service_port(port) == expected


def test_how_listeners_treat_them() -> None:
    classes = {name: protocols.listener_class(name) for name in ("GRPC", "HTTPS", "Mongo", protocols.AUTO)}
    assert classes == {"GRPC": "http", "HTTPS": "tcp", "Mongo": "tcp", protocols.AUTO: protocols.AUTO}
    assert protocols.after_tls_termination("HTTPS") == "HTTP"
    assert protocols.after_tls_termination("GRPC") == "GRPC"
