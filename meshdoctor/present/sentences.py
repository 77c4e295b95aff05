"""Findings in Korean: the English sentence is the key, with what it names left open.

Probes write plain English (`model` to `guide` know no language). `sentences_ko.toml` pairs each sentence, its variable
parts as `{fields}`, with the Korean one; a part can be a sentence of its own. What has no pair stays English: what
Envoy, Kubernetes or an application wrote is quoted in every language.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache, cached_property
from importlib.resources import files
from string import Formatter

_FORMS = {"": ".+?", "d": r"\d+", "w": r"\S+"}
"""What a field may stand for: any text, with `:d` a number, with `:w` a word without blanks."""


class Sentence:
    """One pair; *english* and *korean* have the same fields, in any order."""

    def __init__(self, english: str, korean: str) -> None:
        self.english = english
        self._korean = korean
        literals = [literal for literal, _, _, _ in Formatter().parse(english)]
        self.anchor = max(literals, key=len)
        """The longest text without a field: what a sentence must hold to be this one."""
        self.length = sum(map(len, literals))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("".join(_pieces(self.english)), re.DOTALL)

    def fields(self, text: str) -> dict[str, str] | None:
        """What stands for the fields in *text*; None when it is another sentence."""
        match = self._pattern.fullmatch(text) if self.anchor in text else None
        return match.groupdict() if match else None

    def in_korean(self, fields: dict[str, str]) -> str:
        return self._korean.format(**fields)


def _pieces(english: str) -> Iterator[str]:
    seen: set[str] = set()
    for literal, field, form, _ in Formatter().parse(english):
        yield re.escape(literal)
        if field is not None:
            # A field that comes twice stands for the same text.
            yield f"(?P={field})" if field in seen else f"(?P<{field}>{_FORMS[form or '']})"
            seen.add(field)


@cache
def korean_sentences() -> tuple[Sentence, ...]:
    """Every pair: first those that stand around others, then those with most text of their own, the most certain."""
    tables = tomllib.loads(files("meshdoctor.present").joinpath("sentences_ko.toml").read_text("utf-8"))
    around = [Sentence(english, korean) for english, korean in tables.pop("around").items()]
    pairs = [Sentence(english, korean) for table in tables.values() for english, korean in table.items()]
    return (*around, *sorted(pairs, key=lambda pair: -pair.length))


def in_korean(text: str) -> str:
    """*text* in Korean as far as it is known, else as it is."""
    for sentence in korean_sentences():
        fields = sentence.fields(text)
        if fields is not None:
            return sentence.in_korean({name: in_korean(value) for name, value in fields.items()})
    return text
