"""The catalogue of words in English and Korean (`words.toml`), so that no screen holds a sentence of its own.

State words (OK, STALE, NACK, LOST), key names and Istio's own terms stay English in both languages, so that
screenshots and chat match. A text without Korean is shown in English.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")
CATALOGUE = Path(__file__).with_name("words.toml")


def choose_language(environ: Mapping[str, str]) -> Language:
    """The language to speak: `MESHDOCTOR_LANG`, else the locale as POSIX orders it (LC_ALL, LC_MESSAGES, LANG)."""
    for name in ("MESHDOCTOR_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = environ.get(name, "")
        if value:
            return "ko" if value.casefold().startswith("ko") else "en"
    return "en"


@cache
def read_catalogue() -> dict[str, dict[str, str]]:
    """Every entry of `words.toml`: its dotted id ("keys.back.label") and its texts by language."""
    entries: dict[str, dict[str, str]] = {}

    def gather(prefix: str, table: Mapping[str, object]) -> None:
        if "en" in table:
            entries[prefix] = {language: str(text) for language, text in table.items()}
            return
        for name, value in table.items():
            if isinstance(value, dict):
                gather(f"{prefix}.{name}" if prefix else name, value)

    gather("", tomllib.loads(CATALOGUE.read_text(encoding="utf-8")))
    return entries


class Words:
    """The catalogue in one language: `words("table.shown", shown=3, total=10)`."""

    def __init__(self, language: Language = "en") -> None:
        self.language = language
        self._texts = {key: texts.get(language) or texts["en"] for key, texts in read_catalogue().items()}

    def __call__(self, key: str, **fields: object) -> str:
        """The text with the id *key*, its `{fields}` filled in.

        Raises:
            KeyError: the catalogue has no such id (a mistake of the program, found by its tests).
        """
        text = self._texts[key]
        return text.format(**fields) if fields else text

    def said(self, sentence: str) -> str:
        """A sentence of a finding, a hop or an error in this language; what nobody translated, as it is."""
        if self.language == "en":
            return sentence
        from meshdoctor.present.sentences import in_korean  # hundreds of sentences, for one language

        return in_korean(sentence)

    def __contains__(self, key: str) -> bool:
        return key in self._texts
