"""Findings, traces and reasons in Korean: the English sentence is the key, with what it names left open.

Probes and `mesh` write plain English (`model` to `guide` know no language). `sentences_ko.toml` pairs each sentence,
its variable parts as `{fields}`, with the Korean one; a part can be a sentence of its own, unless it is a single word.
What has no pair stays English: what Envoy, Kubernetes or an application wrote is quoted in every language.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from operator import itemgetter
from string import Formatter

_FORMS = {"": ".+?", "d": r"\d+", "w": r"\S+"}
"""What a field may stand for: any text, with `:d` a number, with `:w` a word without blanks."""


class Sentence:
    """One pair; *english* and *korean* have the same fields, in any order."""

    def __init__(self, english: str, korean: str) -> None:
        self.english = english
        self._korean = korean
        self._pieces = tuple(Formatter().parse(english))
        literals = [piece[0] for piece in self._pieces]
        self.anchor = max(literals, key=len)
        """The longest text without a field: what a sentence must hold to be this one."""
        self.length = sum(map(len, literals))

    @cached_property
    def word(self) -> str:
        """A whole word that every sentence of this pair holds, the longest; "" when it has none."""
        # A word beside a field may be a part of one: `{pods}s`.
        whole = [
            _bounded(literal, number > 0, field is not None) for number, (literal, field, *_) in enumerate(self._pieces)
        ]
        return max((word for words in whole for word in words), key=len, default="")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("".join(_pattern(self._pieces)), re.DOTALL)

    def fields(self, text: str) -> dict[str, str] | None:
        """What stands for the fields in *text*; None when it is another sentence."""
        match = self._pattern.fullmatch(text) if self.anchor in text else None
        return match.groupdict() if match else None

    def in_korean(self, fields: dict[str, str]) -> str:
        return self._korean.format(**fields)


_WORD = re.compile(r"\w+")


def _bounded(literal: str, after_field: bool, before_field: bool) -> list[str]:
    """The words of a text between fields that no field can lengthen."""
    return [
        found[0]
        for found in _WORD.finditer(literal)
        if not (after_field and found.start() == 0) and not (before_field and found.end() == len(literal))
    ]


def _pattern(pieces: Iterable[tuple[str, str | None, str | None, str | None]]) -> Iterator[str]:
    seen: set[str] = set()
    for literal, field, form, _ in pieces:
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


@cache
def _by_word() -> dict[str, list[tuple[int, Sentence]]]:
    """The pairs, with their places in the order, by the word that they need; thousands are not tried for each text."""
    found: dict[str, list[tuple[int, Sentence]]] = {}
    for place, sentence in enumerate(korean_sentences()):
        found.setdefault(sentence.word, []).append((place, sentence))
    return found


_DEPTH = 6
"""Parts in parts of a sentence that are looked at: text from a cluster may repeat a sentence's words without end."""


@lru_cache(maxsize=4096)
def in_korean(text: str, depth: int = _DEPTH) -> str:
    """*text* in Korean as far as it is known, else as it is; of sentences joined by "; ", each for itself."""
    if not depth:
        return text
    index = _by_word()
    words = {"", *_WORD.findall(text)}
    for _, sentence in sorted((pair for word in words for pair in index.get(word, ())), key=itemgetter(0)):
        fields = sentence.fields(text)
        if fields is not None:
            return sentence.in_korean({name: _part(value, depth - 1) for name, value in fields.items()})
    if "; " not in text:
        return text
    return "; ".join(in_korean(part, depth - 1) for part in text.split("; "))


def _part(value: str, depth: int) -> str:
    """What stands for a field: a sentence of its own, or one word, which is a name or a state and stays as it is."""
    return in_korean(value, depth) if " " in value else value
