"""What traces, the mTLS view and the tables of proxies say is Korean for a Korean user; names and quotes stay."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshdoctor.guide.examination import Examination
from meshdoctor.mesh.failing_flows import failing_flows
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.mtls.survey import survey
from meshdoctor.mesh.mtls.view import object_wants, proxy_wants
from meshdoctor.mesh.trace.journey import journey
from meshdoctor.mesh.trace.outcome import Trace
from meshdoctor.mesh.trace.question import parse_words
from meshdoctor.model.snapshot import Snapshot
from meshdoctor.present.sentences import in_korean, korean_sentences
from meshdoctor.present.trace import trace_lines
from meshdoctor.present.trace_rows import flow_command
from meshdoctor.sources.recording import RecordingSource
from tests.present.test_sentences import ROOT, is_korean, shape, texts

SAID = (
    *sorted((ROOT / "meshdoctor/mesh/trace").glob("*.py")),
    *sorted((ROOT / "meshdoctor/mesh/mtls").glob("*.py")),
    *(ROOT / f"meshdoctor/mesh/{name}.py" for name in ("connections", "sync", "proxy/users")),
)
NOT_SAID = {
    *("may fail", "may match", "no such pod", "not asked for"),
    *("route configuration", "virtual host", "filter chain", "client TLS", "rate limit"),
    *("transport socket {}", "headless Service {}", "UPDATE REFUSED"),
    *("the package google-re2 is not installed", "never connected"),
    "{} is no target",
    "{} names no client",
    "{} is no method and no header NAME:VALUE",
}
"""Verdicts, states and names of steps are the same in both languages; mistakes in a command are told with its form."""
RECORDINGS = sorted(ROOT.glob("fixtures/*.tar.xz"))


def literals(path: Path) -> Iterator[str]:
    """Every text of a module but docstrings and what names the members of an enumeration."""
    tree = ast.parse(path.read_text("utf-8"))
    left_out: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            left_out.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            left_out.update(node.values)
        elif isinstance(node, ast.ClassDef) and any(
            isinstance(base, ast.Name) and base.id == "Enum" for base in node.bases
        ):
            left_out.update(ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and node not in left_out:
            yield from texts(node)


def is_sentence(text: str) -> bool:
    """Whether it is one to translate: no part of another (which begins with a blank or a comma), no list of names."""
    words = [word for word in text.replace("{}", " ").split() if word.isalpha()]
    return len(words) > 1 and text not in NOT_SAID and text[0] not in " ,;\n" and "\n" not in text


def filled(text: str) -> str:
    """A sentence with 7 for each thing that it names; a part that may be left out is."""
    return re.sub(r"(?<=[\w}])\{\}", "", text).replace("{}", "7")


@pytest.mark.parametrize("path", SAID, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_sentence_of_a_module_has_its_korean(path: Path) -> None:
    known = [shape(sentence.english) for sentence in korean_sentences()]
    unknown = [text for text in literals(path) if is_sentence(text) and not is_korean(filled(text))]
    assert [text for text in unknown if not any(text in english for english in known)] == []


def test_sentences_are_found_in_the_texts_of_modules() -> None:
    found = [text for path in SAID for text in literals(path) if is_sentence(text)]
    assert len(found) > 300
    assert "no policy forbids it" in found


def is_ours(text: str) -> bool:
    """Whether three words of English stand in it: names and what Envoy logs have fewer."""
    return len([word for word in text.split() if word.isalpha() and word.islower()]) > 2


def told(trace: Trace) -> Iterator[str]:
    for hop in trace.hops:
        yield from (hop.chosen, hop.why, *hop.notes, *(reason for _, reason in hop.others))
    yield from (trace.outcome.why, trace.outcome.fix)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.name)
def test_the_trace_of_a_failing_flow_is_korean(recording: Path) -> None:
    source = RecordingSource.open(recording)
    examination = Examination(source.read, Snapshot(source.info, {}))
    for _ in examination.steps():
        pass
    commands = {command for flow in failing_flows(examination.cases) if (command := flow_command(flow))}
    assert commands
    for command in sorted(commands)[:2]:
        question = parse_words(command.partition(" ")[2])
        snapshot = Snapshot(source.info, {})
        trace, lacking = journey(snapshot, question)
        while lacking:
            snapshot = source.read(lacking, snapshot)
            trace, lacking = journey(snapshot, question)
        assert trace.hops
        assert [text for text in told(trace) if is_ours(text) and not is_korean(text)] == []
        assert any(re.search("[가-힣]", line) for line in trace_lines(trace, 80, "ko"))
        assert not any(re.search("[가-힣]", line) for line in trace_lines(trace, 80, "en"))


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.name)
def test_what_the_sides_of_a_connection_say_of_mtls_is_korean(recording: Path) -> None:
    source = RecordingSource.open(recording)
    snapshot = source.read(object_wants(), Snapshot(source.info, {}))
    snapshot = source.read(proxy_wants(MeshIndex(snapshot)), snapshot)
    found = survey(MeshIndex(snapshot), "")
    said = {text for entry in found.findings for text in (*entry.says.split("; "), entry.remedy) if text}
    for cell in found.matrix.cells.values():
        said |= {*cell.tls.reasons, *(pair.endpoint.reason for pair in cell.pairs)}
        said |= {pair.server.reason for pair in cell.pairs if pair.server}
    assert said
    assert [text for text in said if not is_korean(text)] == []


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        (
            "it heard TLS without SNI, ALPN h2; every criterion holds",
            "받은 것: SNI 없는 TLS, ALPN h2. 모든 조건이 맞습니다",
        ),
        (
            "up to 3 tries, each within 0.5 s (again on 5xx)",
            "최대 3번 시도, 시도마다 0.5초 (재시도 조건: 5xx)",
        ),
        (
            "set tls.mode DISABLE in DestinationRule a/b, or let the server take mTLS: remove mode DISABLE from c",
            "DestinationRule a/b의 tls.mode를 DISABLE(으)로 설정합니다. "
            "또는 c에서 mode DISABLE을 제거해 서버가 mTLS를 받게 합니다",
        ),
        (
            "add a rule that admits this caller and request; rules about HTTP never match on a TCP port",
            "이 호출자와 요청을 허용하는 규칙을 추가합니다; TCP 포트에서는 HTTP 규칙이 절대 맞지 않습니다",
        ),
        (
            "cluster c has no endpoint for 25% of the requests",
            "cluster c에 엔드포인트가 없습니다 (요청의 25%)",
        ),
        (
            "CDS sent 3m ago and not acknowledged; wrong revision: its namespace wants a, it was injected by b",
            "CDS(을)를 3m 전에 보냈지만 확인되지 않음; revision이 다름: namespace는 a인데 b(이)가 injection함",
        ),
        ("503 UF; send a client certificate", "503 UF; 클라이언트 인증서를 보냅니다"),
    ],
)
def test_parts_of_a_sentence_are_korean_as_well(english: str, korean: str) -> None:
    assert in_korean(english) == korean


def test_one_word_of_a_sentence_is_a_name() -> None:
    assert in_korean("none") == "없음"
    assert in_korean("cluster none has no endpoint") == "cluster none에 엔드포인트가 없습니다"


def test_a_text_that_repeats_our_words_is_cut_off() -> None:
    text = "x" + " does not hold" * 2000
    assert in_korean(text).startswith("x does not hold")
    assert in_korean("; ".join(["no policy forbids it"] * 2000)).endswith("; 금지하는 정책이 없습니다")


def test_a_sentence_is_found_by_its_word_as_by_trying_all() -> None:
    for sentence in korean_sentences():
        text = re.sub(r"\{\w+(:\w)?\}", "7", sentence.english)
        first = next(entry for entry in korean_sentences() if entry.fields(text) is not None)
        fields = first.fields(text)
        assert fields is not None
        assert in_korean(text) == first.in_korean(fields), text
