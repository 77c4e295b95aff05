"""The grammar of commands and the history of views."""

from __future__ import annotations

import pytest

from meshdoctor.present.words import LANGUAGES, Words
from meshdoctor.tui.router import (
    ROUTES,
    History,
    Location,
    MissingArgument,
    Route,
    UnknownCommand,
    complete,
    load_screen,
    parse,
)
from meshdoctor.tui.shellscreen import ShellScreen

HERE = (
    Route("mesh", "x:Y", aliases=("m",)),
    Route("proxy", "x:Y", aliases=("px",), argument="NAME", required=True),
    Route("proxies", "x:Y"),
    Route("guide", "x:Y", argument="NAME"),
    Route("quit", action="quit", aliases=("q",)),
)


@pytest.mark.parametrize(
    ("command", "location"),
    [
        ("mesh", Location("mesh")),
        (":M", Location("mesh")),
        ("px bookinfo/reviews-v1", Location("proxy", "bookinfo/reviews-v1")),
        ("proxies /payments NACK", Location("proxies", "", "payments NACK")),
        ("proxy a/b /9080", Location("proxy", "a/b", "9080")),
        ("gui 503", Location("guide", "503")),
    ],
)
def test_commands_name_locations(command: str, location: Location) -> None:
    assert parse(command, HERE)[1] == location


def test_a_location_is_its_command() -> None:
    location = Location("proxy", "a/b", "9080 !OK")
    assert parse(str(location), HERE)[1] == location


@pytest.mark.parametrize(
    ("command", "nearest"), [("prox x", "proxy"), ("mseh", "mesh"), ("giude", "guide"), ("zzzz", "")]
)
def test_an_unknown_command_offers_the_nearest(command: str, nearest: str) -> None:
    with pytest.raises(UnknownCommand) as caught:
        parse(command, HERE)
    assert caught.value.nearest == nearest


def test_a_missing_argument_is_said() -> None:
    with pytest.raises(MissingArgument, match=":proxy needs NAME"):
        parse("proxy", HERE)


def test_completion_of_names_and_arguments() -> None:
    def names(route: str) -> list[str]:
        return ["default/reviews-v1", "default/ratings-v1"] if route == "proxy" else []

    assert complete("", names, HERE) == ["guide", "mesh", "proxies", "proxy", "quit"]
    assert complete("pro", names, HERE) == ["proxies", "proxy"]
    assert complete("px ", names, HERE) == ["proxy default/reviews-v1", "proxy default/ratings-v1"]
    assert complete("proxy rat", names, HERE) == ["proxy default/ratings-v1"]
    assert complete("mesh x", names, HERE) == []
    assert complete("nothing x", names, HERE) == []
    assert complete("proxy", names, HERE) == ["proxy default/reviews-v1", "proxy default/ratings-v1"]
    assert complete("guide", names, HERE) == ["guide"]
    assert complete("mesh", names, HERE) == ["mesh"]


def test_history() -> None:
    history = History()
    a, b, c = Location("mesh"), Location("proxy", "a"), Location("guide")
    for location in (a, b, c):
        history.open(location)
    assert history.depth_of(Location("proxy", "a", "filtered")) == 1
    history.cut(0)
    assert history.current == a
    assert history.last() == c
    assert history.take_ahead() == b
    history.open(b, forward=True)
    assert history.take_ahead() == c
    history.open(Location("help"))
    assert history.take_ahead() is None


def test_every_route_has_words_and_a_screen_that_takes_the_shell() -> None:
    for route in ROUTES:
        assert all(f"command.{route.name}" in Words(language) for language in LANGUAGES)
        assert bool(route.screen) is not bool(route.action)
        if route.screen:
            screen = load_screen(route)
            assert isinstance(screen, type)
            assert issubclass(screen, ShellScreen)


def test_no_two_routes_share_a_name() -> None:
    names = [name for route in ROUTES for name in (route.name, *route.aliases)]
    assert len(names) == len(set(names))
