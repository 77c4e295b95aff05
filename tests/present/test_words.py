"""The catalogue of words: complete, fitting, and in the language of the person."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from rich.cells import cell_len

import meshdoctor
from meshdoctor.present.palette import STYLE_NAMES, THEME_NAMES, rich_theme
from meshdoctor.present.words import LANGUAGES, Words, choose_language, read_catalogue


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_text_has_english_and_the_same_fields_in_korean() -> None:
    catalogue = read_catalogue()
    assert len(catalogue) > 50
    for key, texts in catalogue.items():
        assert texts.keys() <= set(LANGUAGES), key
        assert texts["en"], key
        if "ko" in texts:
            assert fields(texts["ko"]) == fields(texts["en"]), key


@cache
def _named_in_the_program() -> tuple[frozenset[str], re.Pattern[str]]:
    """Every text of the program that may be an id, and those that are put together (`f"command.{name}"`)."""
    whole: set[str] = set()
    made: set[str] = set()
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                whole.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else None for part in node.values]
                if any(isinstance(part, str) and re.search(r"[a-z]\.|\.[a-z]", part) for part in parts):
                    made.add("".join(r"[\w-]+" if part is None else re.escape(str(part)) for part in parts))
    return frozenset(whole), re.compile("|".join(made))


def _sources() -> Iterator[Path]:
    package = Path(meshdoctor.__file__).parent
    for folder in (package, package / "screens"):  # the screens are a link, which rglob does not follow
        yield from folder.rglob("*.py")


def test_every_text_is_said_somewhere() -> None:
    whole, made = _named_in_the_program()
    assert [key for key in read_catalogue() if key not in whole and not made.fullmatch(key)] == []


def test_message_lines_fit_eighty_cells_in_both_languages() -> None:
    for key, texts in read_catalogue().items():
        if key.startswith("shell."):
            for text in texts.values():
                assert cell_len(text) <= 78, key


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "C", "MESHDOCTOR_LANG": "ko"}, "ko"),
    ],
)
def test_language_follows_the_locale(environ: dict[str, str], language: str) -> None:
    assert choose_language(environ) == language


def test_words_are_filled_in() -> None:
    assert Words("en")("table.sorted", column="AGE") == "sorted by AGE"
    assert Words("ko")("table.sorted", column="AGE") == "AGE 순 정렬"
    with pytest.raises(KeyError):
        Words("en")("no.such.text")


def test_every_meaning_has_a_style_in_every_theme() -> None:
    for name in THEME_NAMES:
        assert rich_theme(name).styles.keys() == STYLE_NAMES
    assert not any(style.color or style.bgcolor for style in rich_theme("md-mono").styles.values())
