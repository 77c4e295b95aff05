"""`meshdoctor trace` on a recording that is written here: one call from `shop/web` to `shop/cart`."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from meshdoctor.cli import main
from meshdoctor.model.envoy.config_dump import ConfigDump
from tests.mesh.trace.dumps import Json, rbac
from tests.mesh.trace.meshes import CART_IP, CART_VIP, MTLS, WEB_IP, client, pod, server, service, slice_of


def recording(folder: Path, web: ConfigDump, cart: ConfigDump) -> Path:
    """A raw recording with two pods, a Service and both Envoys."""
    (folder / "manifest.json").write_text('{"format": "meshdoctor-raw/1", "started_at": 1.0, "finished_at": 2.0}')
    kinds = {
        "kube/core/pods.json": [pod("web", WEB_IP), pod("cart", CART_IP)],
        "kube/core/services.json": [service("cart", CART_VIP, 80, 8080)],
        "kube/discovery.k8s.io/endpointslices.json": [slice_of("cart", 8080, CART_IP)],
    }
    for name, items in kinds.items():
        _write(folder / name, {"items": items})
    for name, dump in (("web", web), ("cart", cart)):
        sections = [json.loads(bytes(raw)) for raws in dump.sections.values() for raw in raws]
        _write(folder / "envoy" / "shop" / name / "config_dump.json", {"configs": sections})
    return folder


def _write(file: Path, value: Json) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.encode(value))


DENY = rbac(
    "DENY", secret={"permissions": [{"url_path": {"path": {"prefix": "/secret"}}}], "principals": [{"any": True}]}
)


@pytest.fixture
def mesh(tmp_path: Path) -> str:
    return str(recording(tmp_path, client(MTLS), server("STRICT", DENY)))


def test_a_request_that_arrives(mesh: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--recording", mesh, "shop/web", "cart:80/items"]) == 0
    printed = capsys.readouterr().out
    assert "Nothing on the way fails this request." in printed
    assert "from DestinationRule shop/cart" in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_a_request_that_is_refused(mesh: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["trace", "--recording", mesh, "shop/web", "cart/secret/x", "--header", "x-a: 1", "--method", "POST"]) == 1
    )
    printed = capsys.readouterr().out
    assert "FAILS  403 rbac_access_denied_matched_policy[ns[shop]-policy[secret]-rule[0]]" in printed
    assert "from AuthorizationPolicy shop/secret" in printed


def test_json(mesh: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--recording", mesh, "shop/web", "cart/secret", "-o", "json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["question"]["host"] == "cart"
    assert answer["trace"]["failing"] is True
    assert answer["trace"]["outcome"]["code"] == 403
    last = answer["trace"]["hops"][-1]
    assert (last["where"], last["step"], last["verdict"]) == ("shop/cart", "authorization", "fails")


def test_other_protocols(mesh: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--recording", mesh, "shop/web", "cart", "--http", "1.0"]) == 1
    assert "426 DPE low_version" in capsys.readouterr().out
    assert main(["trace", "--recording", mesh, "shop/web", "cart", "--authority", "a/b"]) == 1
    assert "http.invalid_authority" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["shop/wob", "cart"], "did you mean shop/web, shop/cart?"),
        (["web", "cart"], "write NAMESPACE/WORKLOAD"),
        (["shop/web", ":80"], "write HOST[:PORT][/PATH]"),
        (["shop/web", "cart", "--header", "nonsense"], "write --header NAME:VALUE"),
    ],
)
def test_what_is_wrong_is_one_line(
    mesh: str, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "--recording", mesh, *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
