from __future__ import annotations

from meshdoctor.mesh.texttable import TextTable
from meshdoctor.present.datatext import json_text, yaml_text
from meshdoctor.present.tabwriter import align, render


def test_columns_are_padded_and_the_last_cell_is_not() -> None:
    assert render(TextTable(("NAME", "X"), [("a", "long"), ("bcdefg", "")], 2)) == "NAME    X\na       long\nbcdefg  \n"


def test_an_empty_column_keeps_its_padding() -> None:
    assert align([("", "a"), ("", "b")], 5) == "     a\n     b\n"


def test_characters_are_counted_not_cells() -> None:
    assert align([("한글", "x"), ("abc", "y")], 1) == "한글  x\nabc y\n"


def test_a_column_ends_where_a_line_is_shorter() -> None:
    assert align([("a", "b"), ("only",), ("ccc", "d")], 1) == "a b\nonly\nccc d\n"


def test_hostile_cells_stay_in_their_row() -> None:
    text = render(TextTable(("A", "B"), [("x\x1b[31m", "y\nz"), ("\u202e", "t\tu")], 1))
    assert text.count("\n") == 3
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.splitlines()[1].endswith("y␊z")
    assert text.splitlines()[2].endswith("t␉u")


def test_no_rows() -> None:
    assert render(TextTable(("A", "B"), [], 5)) == "A     B\n"
    assert render(TextTable((), [], 5)) == ""


def test_json_is_indented_by_four_and_keeps_text() -> None:
    assert json_text({"a": ["한"]}) == '{\n    "a": [\n        "한"\n    ]\n}\n'


def test_yaml_sorts_keys_and_quotes_as_go_does() -> None:
    value = {"b": "1.20", "a": '{"x":1}', "c": "plain", "d": "true", "e": "two\nlines\n", "f": "@t"}
    assert yaml_text(value) == ('a: \'{"x":1}\'\nb: "1.20"\nc: plain\nd: "true"\ne: |\n  two\n  lines\nf: \'@t\'\n')
