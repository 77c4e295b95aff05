from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from meshdoctor.cli import main
from meshdoctor.guide.causes import causes
from meshdoctor.present.cause_words import explain_cause

FAILED = (
    '[2026-11-22T18:35:0{n}.407Z] "GET /a HTTP/1.1" 503 UH no_healthy_upstream - "-" 0 19 0 - "-" "ua" "id"'
    ' "a.b:80" "-" outbound|80||a.b - 10.0.0.1:80 10.0.0.2:5 - default'
)
FINE = FAILED.replace("503 UH no_healthy_upstream", "200 - via_upstream")
ZTUNNEL = (
    "2026-11-23T11:32:47.42Z\twarn\taccess\tconnection failed\tsrc.addr=10.0.0.1:4"
    ' direction="outbound" error="unknown waypoint: x"'
)


class Pipe(io.TextIOWrapper):
    def __init__(self, text: str, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(text.encode("utf-8", "surrogateescape")))
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def explain(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["explain", *arguments]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert all(cell_len(line) <= 80 for line in output.out.splitlines() if "--output" not in arguments)
    return output.out


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("UF", "UpstreamConnectionFailure"),
        ("uf", "UpstreamConnectionFailure"),
        ("UpstreamOverflow", "UO UpstreamOverflow"),
        ("UF,URX", "UpstreamRetryLimitExceeded"),
        ("upstream_reset_before_response_started{connection_termination}", "keepalive-race"),
        ("503", "app-returned-error"),
        ("outbound|80|v1|reviews.shop.svc.cluster.local", "v1"),
        ("PassthroughCluster", "host-outside-sidecar-scope"),
        ("delayed_connect_error:_111", "nothing-listens-on-target-port"),
        ("TLS_error:|1:SSL_routines:OPENSSL_internal:NEW_REASON:TLS_error_end", "double-tls"),
        ("NETWORK_POLICY", "hbone-blocked"),
        ("no healthy upstream: 10.0.0.1:80", "no-endpoints"),
        ("ODD_FLAG", "Envoy 1.40"),
        ("odd_detail{why_not}", "why not"),
    ],
)
def test_words(capsys: pytest.CaptureFixture[str], language: str, word: str, expected: str) -> None:
    assert expected in explain(capsys, word, "--lang", language)


def test_several_words_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(explain(capsys, "503", "UF,URX", "via_upstream", "--output", "json"))
    found = [(one["subject"], one["text"]) for one in document["explanations"]]
    assert found == [("code", "503"), ("flag", "UF"), ("flag", "URX"), ("details", "via_upstream")]


def test_a_pasted_line_even_when_the_shell_took_it_apart(capsys: pytest.CaptureFixture[str]) -> None:
    whole = explain(capsys, FAILED.format(n=1))
    assert "1 × 503 UH outbound|80||a.b" in whole
    assert "Look next" in whole
    assert explain(capsys, *FAILED.format(n=1).split(" ")) == whole


def test_a_log_from_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join([FAILED.format(n=3), FAILED.format(n=1), FINE.format(n=1), "", "panic", ""])
    monkeypatch.setattr(sys, "stdin", Pipe(text))
    output = explain(capsys)
    assert "2 × 503 UH outbound|80||a.b" in output
    assert "2026-11-22 18:35:01Z to 2026-11-22 18:35:03Z, first in line 1" in output
    assert "Failed: 2 of 3 lines (kinds of failure: 1)." in output
    assert "Not failed: 1 (200 × 1)." in output
    assert "Skipped, no access log: 2 (1 blank, 1 other text)." in output
    monkeypatch.setattr(sys, "stdin", Pipe(text))
    document = json.loads(explain(capsys, "--output", "json"))
    assert (document["lines"], document["failed"], document["fine"]) == (3, 2, {"200": 1})
    assert document["skipped"] == {"blank": 1, "other": 1}
    (group,) = document["groups"]
    assert (group["count"], group["flags"], group["cluster"]) == (2, ["UH"], "outbound|80||a.b")
    assert group["explanations"][0]["text"] == "UH"


def test_nothing_failing_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe(FINE.format(n=1)))
    assert explain(capsys).splitlines()[0] == "No failing line."


def test_a_ztunnel_log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe(ZTUNNEL + "\n"))
    output = explain(capsys, "--lang", "ko")
    assert "unknown waypoint: x" in output
    assert "waypoint-unavailable" in output
    assert "건너뜀" not in output


def test_many_kinds_are_cut_and_counted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(FAILED.format(n=1).replace("a.b -", f"s{index}.b -") for index in range(5))
    monkeypatch.setattr(sys, "stdin", Pipe(text))
    output = explain(capsys, "--limit", "2")
    assert "… and 3 more kinds of failure" in output
    assert output.count("503 UH") == 2


def test_a_custom_format(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe("503 UC\n200 -\n"))
    assert "1 × 503 UC" in explain(capsys, "--format", "%RESPONSE_CODE% %RESPONSE_FLAGS%")
    monkeypatch.setattr(sys, "stdin", Pipe("GET 12\n"))
    assert "cannot show failures" in explain(capsys, "--format", "%REQ(:METHOD)% %DURATION%")
    assert main(["explain", "--format", "%OPERATORS", "UF"]) == 2


def test_envoy_and_ztunnel_lines_in_one_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe(f"{FAILED.format(n=1)}\n{ZTUNNEL}\n{FINE.format(n=1)}\n"))
    document = json.loads(explain(capsys, "--output", "json"))
    assert (document["lines"], document["failed"], document["skipped"]) == (3, 2, {})
    assert len(document["groups"]) == len(document["ztunnel_groups"]) == 1


def test_words_may_come_from_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe("UF\n"))
    assert "UpstreamConnectionFailure" in explain(capsys)


def test_control_characters_do_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe(FAILED.format(n=1).replace("||a.b", "||a\x1b[2J\u202e.b")))
    output = explain(capsys)
    assert "\x1b" not in output
    assert "\u202e" not in output
    assert "a␛[2J<U+202E>.b" in output


@pytest.mark.parametrize(
    ("arguments", "stdin", "terminal"),
    [
        (["hello"], "", False),
        (["\x1b[2J"], "", False),
        ([], "nothing of the kind\n", False),
        ([], "", False),
        ([], "", True),
    ],
)
def test_nothing_readable_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    stdin: str,
    terminal: bool,
) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe(stdin, terminal))
    assert main(["explain", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert "\x1b" not in output.err


def test_help_documents_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["explain", "--help"])
    assert stopped.value.code == 0
    assert "0 explained (also when the log shows failures, or none)" in capsys.readouterr().out


def test_every_cause_is_explained_in_both_languages() -> None:
    for name, cause in causes().items():
        english, korean = explain_cause(name, "en"), explain_cause(name, "ko")
        assert english.means.startswith(cause.title)
        assert korean.means != english.means and korean.next


def test_a_slip_of_the_pen_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "no_healty_upstream"]) == 2
    assert "did you mean no_healthy_upstream" in capsys.readouterr().err


def test_a_file_is_to_be_given_on_standard_input(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "proxy.log"
    log.write_text("")
    assert main(["explain", str(log)]) == 2
    assert f"meshdoctor explain < {log}" in capsys.readouterr().err
