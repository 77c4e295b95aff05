"""`meshdoctor trace` on a recording that is written here: one call from `shop/web` to `shop/cart`."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from meshdoctor.cli import main
from meshdoctor.model.envoy.config_dump import ConfigDump
from tests.mesh.trace.dumps import Json, rbac
from tests.mesh.trace.meshes import CART, CART_IP, CART_VIP, MTLS, WEB_IP, client, pod, server, service, slice_of
from tests.recordings import access_line


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


def lines(mesh: str, *entries: str) -> None:
    file = Path(mesh) / "logs" / "shop" / "web" / "istio-proxy.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{entry}\n" for entry in entries))


def called(at: float, code: int = 200, flags: str = "-", details: str = "via_upstream", path: str = "/") -> str:
    here, there = f"{WEB_IP}:40000", f"{CART_VIP}:80"
    return access_line(at, code, flags, details, path=path, cluster=CART, local=there, remote=here, authority="cart")


def test_what_the_configuration_lets_through_and_the_logs_show_to_fail(
    mesh: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines(mesh, called(1), *(called(2 + n, 503) for n in range(4)))
    assert main(["trace", "--recording", mesh, "shop/web", "cart"]) == 3
    printed = capsys.readouterr().out
    assert "?  The configuration lets it through, but the logs show that it fails." in printed
    assert "4 failures and 1 good answers of this flow, failing from " in printed
    assert "   4  503 via_upstream (client)" in printed
    assert "meshdoctor diagnose" in printed and "Nothing on the way" not in printed
    assert main(["trace", "--recording", mesh, "shop/web", "cart", "--lang", "ko"]) == 3
    assert "로그에는 실패가 있습니다" in capsys.readouterr().out


def test_failures_that_are_over_or_of_other_requests(mesh: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines(mesh, called(2, 503), called(3, 503), *(called(4 + n) for n in range(30)))
    assert main(["trace", "--recording", mesh, "shop/web", "cart"]) == 0
    assert "only good answers came since" in capsys.readouterr().out
    lines(mesh, called(2, 503, path="/pay"), called(3, 503, path="/pay"), called(4, path="/items"))
    assert main(["trace", "--recording", mesh, "shop/web", "cart/items"]) == 0
    assert "2 failures of other paths or methods of this flow" in capsys.readouterr().out
    assert main(["trace", "--recording", mesh, "shop/web", "cart/pay"]) == 3


def test_a_log_without_failures(mesh: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines(mesh, called(1), called(2))
    assert main(["trace", "--recording", mesh, "shop/web", "cart"]) == 0
    assert "2 requests of this flow, none failed" in capsys.readouterr().out


@pytest.mark.parametrize("host", ["carrt", "carrt.shop", "caart.shop.svc.cluster.local"])
def test_a_name_that_nobody_knows(mesh: str, host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--recording", mesh, "shop/web", host]) == 3
    printed = " ".join(capsys.readouterr().out.split())
    assert "no Service and no ServiceEntry of this name is known to this Envoy" in printed
    assert "did you mean cart" in printed
    assert "as far as it could be followed" in printed


def test_what_may_fail_does_when_the_logs_show_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hasty = recording(tmp_path, client(MTLS, connect_timeout="0.001s"), server("STRICT"))
    assert main(["trace", "--recording", str(hasty), "shop/web", "cart"]) == 1
    printed = capsys.readouterr().out
    assert "  MAY FAIL  cluster" in printed and "\nMAY FAIL  503 UF" in printed and "FAILS" not in printed
    lines(str(hasty), called(1), *(called(2 + n, 503, "UF", "upstream_reset") for n in range(3)))
    assert main(["trace", "--recording", str(hasty), "shop/web", "cart"]) == 1
    printed = capsys.readouterr().out
    assert "  FAILS     cluster" in printed and "\nFAILS  503 UF" in printed and "MAY FAIL" not in printed


@pytest.mark.parametrize("name", ["web", "shop/web", "web.shop", "pod/web", "po/web.shop"])
def test_who_calls_may_be_written_in_any_way(mesh: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--recording", mesh, name, "cart", "-o", "json"]) == 0
    question = json.loads(capsys.readouterr().out)["question"]
    assert (question["namespace"], question["client"]) == ("shop", "web")


def test_json(mesh: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--recording", mesh, "shop/web", "cart/secret", "-o", "json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["question"]["host"] == "cart"
    assert answer["trace"]["failing"] is True
    assert answer["trace"]["outcome"]["code"] == 403
    last = answer["trace"]["hops"][-1]
    assert answer["verdict"] == "fails"
    assert (last["where"], last["step"], last["verdict"]) == ("shop/cart", "authorization", "fails")


def test_other_protocols(mesh: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--recording", mesh, "shop/web", "cart", "--http", "1.0"]) == 1
    assert "426 DPE low_version" in capsys.readouterr().out
    assert main(["trace", "--recording", mesh, "shop/web", "cart", "--authority", "a/b"]) == 1
    assert "http.invalid_authority" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["shop/wob", "cart"], "no workload or pod is called shop/wob: did you mean shop/web?"),
        (["wob", "cart"], "did you mean shop/web?"),
        (["deploy/wob.shop", "cart"], "did you mean shop/web?"),
        (["/web", "cart"], "write NAMESPACE/WORKLOAD"),
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
