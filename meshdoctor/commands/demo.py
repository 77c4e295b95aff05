"""`meshdoctor demo`: practise on the incidents of a real mesh that ship with the program."""

from __future__ import annotations

import argparse
import os
import tomllib
from difflib import get_close_matches
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from meshdoctor.commands.tui import add_display_arguments, recording_session, show
from meshdoctor.errors import NothingMatches, UsageError
from meshdoctor.present.words import Language, choose_language
from meshdoctor.tui.launch import NoTerminal, redirected, require_terminal

SUMMARY = "practise on a recorded incident of a real mesh"


class Practice(NamedTuple):
    """One incident: what a person is told, and the ids of the causes that it turned out to have."""

    name: str
    title: str
    title_ko: str
    client: str
    target: str
    branch: str
    answer: tuple[str, ...]

    def symptom(self, language: Language) -> str:
        """The title in a language."""
        return self.title_ko if language == "ko" else self.title


def practices() -> tuple[Practice, ...]:
    """Every incident that ships, in the order of the file."""
    entries = tomllib.loads(files("meshdoctor.fixtures").joinpath("practice.toml").read_text("utf-8"))["incident"]
    return tuple(
        Practice(
            entry["name"],
            entry["title"],
            entry["title_ko"],
            entry["from"],
            entry["to"],
            entry["branch"],
            tuple(entry["answer"]),
        )
        for entry in entries
    )


def recording_of(practice: Practice) -> Traversable:
    """The recording of an incident, inside the package."""
    return files("meshdoctor.fixtures").joinpath(f"{practice.name}.tar.xz")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="an incident; without one they are listed")
    parser.add_argument("--first", action="store_true", help="open the first incident, with its diagnosis")
    parser.add_argument("--answer", action="store_true", help="tell the cause instead")
    add_display_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    language: Language = "ko" if arguments.lang == "ko" else "en" if arguments.lang else choose_language(os.environ)
    known = practices()
    if not arguments.name and not arguments.first:
        if arguments.answer:
            raise UsageError("--answer needs the name of an incident", "`meshdoctor demo` lists them")
        _list(known, language)
        return 0
    practice = known[0] if not arguments.name else _find(arguments.name, known)
    if arguments.answer:
        _tell(practice)
        return 0
    with as_file(recording_of(practice)) as path:
        return _open(practice, path, language, arguments)


def _find(name: str, known: tuple[Practice, ...]) -> Practice:
    found = next((practice for practice in known if practice.name == name), None)
    if found is None:
        names = [practice.name for practice in known]
        raise NothingMatches(f"no incident {name}", tuple(get_close_matches(name, names, n=1, cutoff=0.3) or names))
    return found


def _list(known: tuple[Practice, ...], language: Language) -> None:
    width = max(len(practice.name) for practice in known)
    for practice in known:
        print(f"{practice.name:{width}}  {practice.symptom(language)}")
    print("\nmeshdoctor demo NAME opens one; meshdoctor demo NAME --answer tells its cause")


def _tell(practice: Practice) -> None:
    from meshdoctor.guide.causes import causes

    for cause in practice.answer:
        print(f"{practice.name}: {cause}: {causes()[cause].title}")


def _open(practice: Practice, path: Path, language: Language, arguments: argparse.Namespace) -> int:
    """In the application where there is a terminal, else as a printed diagnosis; status 0, for this is practice."""
    try:
        require_terminal(os.environ, redirected())
    except NoTerminal:
        _print(practice, path, language)
        return 0
    session = recording_session(path, practice.client, practice.target, title=practice.name, kind="practice")
    # Named, it is practice: the failing traffic first, and the guide with its verdict one key away.
    return show(session, arguments, "" if arguments.first else "traffic")


def _print(practice: Practice, path: Path, language: Language) -> None:
    from meshdoctor.guide.examination import Examination
    from meshdoctor.mesh.question import parse_question
    from meshdoctor.model.snapshot import Snapshot
    from meshdoctor.present.diagnosis import diagnosis_lines
    from meshdoctor.sources.recording import RecordingSource

    source = RecordingSource.open(path)
    question = parse_question(practice.client, practice.target)
    examination = Examination(source.read, Snapshot(source.info, {}), question)
    for _ in examination.steps():
        continue
    print(f"{practice.symptom(language)}  ({practice.client} -> {practice.target})\n")
    print("\n".join(diagnosis_lines(examination.diagnosis(), language=language)))
