from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from meshdoctor.guide.examination import Examination
from meshdoctor.model.snapshot import Snapshot
from meshdoctor.present.sentences import Sentence, in_korean, korean_sentences
from meshdoctor.present.words import Words
from meshdoctor.sources.recording import RecordingSource

ROOT = Path(__file__).resolve().parents[2]
SAYERS = {
    "Evidence": 0,
    "lines_say": 1,
    "object_says": 3,
    "remedy": 0,
    "Verdict": 2,
    "cleared": 0,
    "inconclusive": 0,
    "not_applicable": 0,
}
"""What probes call to say a sentence, and which of its arguments that is."""


def said() -> Iterator[tuple[str, str]]:
    """Each sentence that a probe says outright, by its module, with `{}` for what it fills in."""
    for path in sorted((ROOT / "probes").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAYERS:
                place = SAYERS[node.func.id]
                if len(node.args) > place:
                    yield from ((path.stem, text) for text in texts(node.args[place]))


def texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        pieces = (str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        yield "".join(pieces)


def shape(english: str) -> str:
    """A sentence with `{}` for each field."""
    return "".join(literal + ("" if field is None else "{}") for literal, field, _, _ in Formatter().parse(english))


def has_words(text: str) -> bool:
    """Whether there is anything to translate: `{} on {}` has nothing."""
    return len([word for word in text.replace("{}", " ").split() if word.isalpha()]) > 1


def test_every_sentence_of_a_probe_has_its_korean() -> None:
    known = {shape(sentence.english) for sentence in korean_sentences()}
    missing = [f"{module}: {text}" for module, text in said() if has_words(text) and text not in known]
    assert not missing, "sentences_ko.toml lacks:\n" + "\n".join(missing)


def test_both_languages_have_the_same_fields() -> None:
    for sentence in korean_sentences():
        fields = {field for _, field, _, _ in Formatter().parse(sentence.english) if field}
        assert all(name.isidentifier() for name in fields), sentence.english
        assert sentence.in_korean({name: name.upper() for name in fields}), sentence.english
        shown = sentence.in_korean({name: f"<{name}>" for name in fields})
        assert all(f"<{name}>" in shown for name in fields), sentence.english


@pytest.mark.parametrize("incident", sorted(ROOT.glob("fixtures/*.tar.xz")), ids=lambda path: path.name)
def test_the_diagnosis_of_a_shipped_incident_is_korean(incident: Path) -> None:
    """What log lines and events say is quoted; every sentence of our own is Korean."""
    source = RecordingSource.open(incident)
    examination = Examination(source.read, Snapshot(source.info, {}))
    steps = list(examination.steps())
    for verdict in examination.diagnosis().verdicts:
        for sentence in (verdict.summary, verdict.remedy.text, verdict.remedy.verify):
            assert is_korean(sentence) or not sentence, sentence
    plain = [step.finding.says for step in steps if not step.finding.verdicts]
    assert plain
    assert [says for says in plain if not is_korean(says)] == []


def is_korean(sentence: str) -> bool:
    return bool(re.search("[가-힣]", in_korean(sentence)))


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        ("no cluster was without a healthy endpoint", "정상 엔드포인트가 없는 cluster는 없었습니다"),
        (
            "35 lines: 503 UH no_healthy_upstream, 09:29:07 to 09:29:24 UTC",
            "로그 35줄: 503 UH no_healthy_upstream, 09:29:07 ~ 09:29:24 UTC",
        ),
        (
            "a.example, b.example and 2 more of ServiceEntry shop/out does not resolve, so the cluster has no endpoint",
            "ServiceEntry shop/out의 a.example, b.example 외 2개 이름이 해석되지 않아 cluster에 엔드포인트가 없습니다",
        ),
        ("connect: connection refused", "connect: connection refused"),
    ],
)
def test_a_sentence_in_korean_with_what_it_names(english: str, korean: str) -> None:
    assert in_korean(english) == korean
    assert Words("ko").said(english) == korean
    assert Words("en").said(english) == english


def test_a_field_that_comes_twice_stands_for_the_same() -> None:
    sentence = Sentence("{n:d} of {n:d} hosts of {pod:w}", "{pod}: {n}")
    assert sentence.fields("3 of 3 hosts of a") == {"n": "3", "pod": "a"}
    assert sentence.fields("2 of 3 hosts of a") is None
    assert sentence.fields("3 of 3 hosts of a b") is None
