"""A cause of the vocabulary in words: what it means, who has to act, and which questions prove or clear it."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from meshdoctor.guide.causes import causes
from meshdoctor.guide.flowchart import all_probes, probe
from meshdoctor.mesh.explanation import Explanation
from meshdoctor.present.words import Language, Words


@cache
def korean_causes() -> dict[str, dict[str, str]]:
    """`title` and `fix` of every cause in Korean."""
    return tomllib.loads(files("meshdoctor.present").joinpath("causes_ko.toml").read_text("utf-8"))


def is_cause(text: str) -> bool:
    return text in causes()


def explain_cause(name: str, language: Language) -> Explanation:
    """The cause *name* (an id of causes.yaml) explained."""
    cause, words = causes()[name], Words(language)
    questions = [found.question for found in map(probe, all_probes()) if name in found.causes]
    korean = korean_causes()[name]
    return Explanation(
        subject="cause",
        text=name,
        name=name,
        means=(korean["title"] if language == "ko" else cause.title) + ".",
        notes=(words("cause.who", layer=words(f"cause.layer.{cause.layer}"), branch=cause.branch),),
        next=" ".join((korean["fix"], *questions)) if language == "ko" else " ".join(questions),
    )
