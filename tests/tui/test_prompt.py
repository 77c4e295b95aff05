"""The line that is typed after `:` or `/`."""

from __future__ import annotations

from meshdoctor.tui.prompt import LineEditor, Prompt


def typed(editor: LineEditor, *keys: str) -> LineEditor:
    for key in keys:
        editor.press(key, key if len(key) == 1 else None)
    return editor


def test_editing() -> None:
    editor = typed(LineEditor(), *"proxies", "home", "delete", "P", "end", "backspace")
    assert editor.text == "Proxie"
    assert typed(LineEditor("proxy a/b"), "ctrl+w").text == "proxy "
    assert typed(LineEditor("proxy a"), "left", "ctrl+k").text == "proxy "
    assert typed(LineEditor("proxy a"), "left", "ctrl+u").text == "a"
    assert not editor.press("f5", None)


def test_caret_counts_cells() -> None:
    assert LineEditor("결제a").caret_cells == 5


def test_a_paste_stays_one_line() -> None:
    editor = LineEditor()
    editor.insert("mesh\n:q\x1b[A")
    assert editor.text == "mesh :q [A"


def test_tab_goes_round_the_candidates() -> None:
    prompt = Prompt("command", "pro", candidates=lambda text: [n for n in ("proxies", "proxy") if n.startswith(text)])
    assert prompt.hint() == "xies"
    seen = []
    for _ in range(3):
        prompt.complete()
        seen.append(prompt.text)
    assert seen == ["proxies", "proxy", "proxies"]


def test_earlier_commands_come_back_latest_first() -> None:
    prompt = Prompt("command", past=["mesh", "proxy a"])
    prompt.recall()
    assert prompt.text == "proxy a"
    prompt.recall()
    prompt.recall()
    assert prompt.text == "mesh"


def test_tab_goes_on_where_there_was_just_one() -> None:
    known = {"pr": ["proxy"], "proxy": ["proxy a/b", "proxy a/c"]}
    prompt = Prompt("command", "pr", candidates=lambda text: known.get(text, []))
    seen = []
    for _ in range(4):
        prompt.complete()
        seen.append(prompt.text)
    assert seen == ["proxy", "proxy a/b", "proxy a/c", "proxy a/b"]
