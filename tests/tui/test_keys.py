"""The key registry: no conflicts, words for every key, documentation up to date."""

from __future__ import annotations

from pathlib import Path

from textual.binding import Binding

from meshdoctor.present.words import LANGUAGES, Words
from meshdoctor.tui.keys import HANGUL_KEYS, KEYS, bindings, documentation, footer, prompt_action, scopes
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.textview import TextView

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "keys.md"


def test_no_key_does_two_things_in_a_scope_or_shadows_one_that_works_everywhere() -> None:
    everywhere = {key for row in KEYS if row.scope == "app" for key in row.keys}
    for scope in scopes():
        keys = [key for row in KEYS if row.scope == scope for key in row.keys]
        assert len(keys) == len(set(keys)), scope
        if scope not in {"app", "prompt", "command"}:
            assert not everywhere & set(keys), scope


def test_every_key_and_scope_has_words() -> None:
    for language in LANGUAGES:
        words = Words(language)
        for row in KEYS:
            assert words(f"keys.{row.id}.label")
            assert words(f"keys.{row.id}.help")
        assert all(words(f"scope.{scope}") for scope in scopes())


def test_every_binding_is_a_priority_binding() -> None:
    made = bindings("app", "table")
    assert len(made) == len([row for row in KEYS if row.scope in {"app", "table"}])
    assert all(isinstance(binding, Binding) and binding.priority for binding in made)


def test_widgets_have_the_actions_that_the_registry_names() -> None:
    for scope, widget in (("table", LineTable), ("text", TextView)):
        for row in KEYS:
            if row.scope == scope:
                assert hasattr(widget, f"action_{row.action.partition('(')[0]}"), row


def test_footer_is_ranked() -> None:
    keys = [key for key, _ in footer(("table", "app"), Words("en"))]
    assert keys[:5] == ["enter", "?", "esc", "/", "ctrl-z"]


def test_prompt_keys() -> None:
    assert [prompt_action(key) for key in ("enter", "tab", "escape", "j")] == ["accept", "complete", "cancel", ""]


def test_hangul_letters_stand_for_the_key_they_are_on() -> None:
    assert [HANGUL_KEYS[c] for c in "ㅂㅈㄷㅇㅣㅛㅌㅊㄲ"] == list("qwedlyxcR")
    assert len(HANGUL_KEYS) == 33


def test_documentation_is_up_to_date() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == documentation(), "run: python -m meshdoctor.tui.keys"
