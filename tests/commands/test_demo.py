"""The incidents that ship, and the command that opens them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meshdoctor.cli import main
from meshdoctor.commands.demo import practices, recording_of
from meshdoctor.guide.causes import causes

ROOT = Path(__file__).resolve().parents[2]


def test_six_incidents_of_different_branches_ship() -> None:
    known = practices()
    assert len(known) >= 6
    assert len({practice.branch for practice in known}) == len(known)
    assert sum((ROOT / "fixtures" / f"{practice.name}.tar.xz").stat().st_size for practice in known) < 3_000_000
    assert all(recording_of(practice).is_file() for practice in known)


def test_answers_are_causes_of_their_branch_and_titles_give_nothing_away() -> None:
    for practice in practices():
        assert set(practice.answer) <= set(causes())
        assert causes()[practice.answer[0]].branch.casefold() == practice.branch.casefold()
        words = set(re.findall(r"[a-z]+", practice.title.casefold() + practice.name))
        assert not words & set(re.findall(r"[a-z]{4,}", " ".join(practice.answer)))


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[: len(practices())]] == [practice.name for practice in practices()]
    assert main(["demo", "--lang", "ko"]) == 0
    assert practices()[0].title_ko in capsys.readouterr().out


@pytest.mark.parametrize("name", [practice.name for practice in practices()])
def test_without_a_terminal_the_diagnosis_is_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer = next(practice.answer for practice in practices() if practice.name == name)
    assert main(["demo", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = next(line for line in lines if line.startswith("1. "))
    assert first.startswith(f"1. {answer[0]}")
    assert max(map(len, lines[2:])) <= 80


def test_the_first_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--first"]) == 0
    assert practices()[0].answer[0] in capsys.readouterr().out


def test_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "birch", "--answer"]) == 0
    assert capsys.readouterr().out.startswith("birch: keepalive-race: ")


def test_wrong_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "birhc"]) == 2
    assert "did you mean birch?" in capsys.readouterr().err
    assert main(["demo", "--answer"]) == 2
    assert "lists them" in capsys.readouterr().err
