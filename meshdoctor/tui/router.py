"""The grammar of `:` commands and the table of views they open. Pure: no Textual here, screens are named, not imported.

To add a view: one `Route` in `ROUTES` and one entry `[command.<name>]` in present/words.toml. Its screen is a
`ShellScreen` that takes `(session, location)`; it is imported when it is first opened.

    :proxy bookinfo/reviews-v1-abc /9080
     name  argument                 filter of the view's table
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import msgspec

from meshdoctor.errors import UsageError


class Route(msgspec.Struct, frozen=True):
    """A command: its `name`, where its screen is ("module:Class"), and what it is also called.

    `argument` names what may follow ("NAME"); empty when nothing may. `words` names, for completion, what each of its
    words can be, where they are completed one by one. A route without `screen` runs the app's action `action` instead
    of opening a view.
    """

    name: str
    screen: str = ""
    aliases: tuple[str, ...] = ()
    argument: str = ""
    required: bool = False
    action: str = ""
    words: tuple[str, ...] = ()


ROUTES: tuple[Route, ...] = (
    Route("guide", "meshdoctor.screens.guide:GuideScreen", aliases=("investigate", "503"), argument="FROM TO"),
    Route("mesh", "meshdoctor.screens.mesh:MeshScreen", aliases=("proxies", "px", "proxy-status", "ps")),
    Route("traffic", "meshdoctor.screens.traffic:TrafficScreen", aliases=("flows", "failing")),
    Route("proxy", "meshdoctor.screens.proxy:ProxyScreen", argument="NS/POD [TABLE]", required=True),
    Route("ztunnel", "meshdoctor.screens.ztunnel:ZtunnelScreen", argument="NS/POD [TABLE]", required=True),
    Route("mtls", "meshdoctor.screens.mtls:MtlsScreen", argument="NS[/WORKLOAD]", words=("client",)),
    Route(
        "pair",
        "meshdoctor.screens.pair:PairScreen",
        aliases=("mtls-why",),
        argument="NS/WORKLOAD HOST[:PORT]",
        required=True,
        words=("workload", "host"),
    ),
    Route(
        "trace",
        "meshdoctor.screens.trace:TraceScreen",
        argument="NS/WORKLOAD HOST[:PORT][/PATH]",
        required=True,
        words=("workload", "host"),
    ),
    Route("log", "meshdoctor.screens.log:LogScreen", aliases=("logs",), argument="NS/POD CONTAINER", required=True),
    Route("object", "meshdoctor.screens.object:ObjectScreen", aliases=("get",), argument="KIND NS/NAME", required=True),
    Route("objects", "meshdoctor.screens.objects:ObjectsScreen", argument="KIND", required=True),
    Route("dump", "meshdoctor.screens.dump:DumpScreen", argument="NS/POD KIND NAME", required=True),
    Route(
        "users", "meshdoctor.screens.users:UsersScreen", argument="NS/POD KIND NAME", required=True, words=("proxy",)
    ),
    Route(
        "difference",
        "meshdoctor.screens.difference:DifferenceScreen",
        aliases=("diff",),
        argument="NS/POD NS/OTHER",
        required=True,
        words=("proxy", "proxy"),
    ),
    Route("file", "meshdoctor.screens.document:DocumentScreen", argument="PATH [PLACE]", required=True),
    Route("report", "meshdoctor.screens.report:ReportScreen", aliases=("diagnosis",), argument="FROM TO"),
    Route("unread", "meshdoctor.screens.unread:UnreadScreen", aliases=("missing",)),
    Route("errors", "meshdoctor.screens.errors:ErrorsScreen", aliases=("journal", "messages")),
    Route("login", action="log_in", aliases=("authenticate",)),
    Route("record", action="record"),
    Route("context", action="context", aliases=("ctx",), argument="NAME"),
    Route("contexts", "meshdoctor.screens.contexts:ContextsScreen"),
    Route("moment", action="go_to_moment", aliases=("at",), argument="TIME", required=True),
    Route(
        "compare",
        "meshdoctor.screens.compare:CompareScreen",
        aliases=("changes",),
        argument="TIME TIME",
        words=("moment", "moment"),
    ),
    Route("change", "meshdoctor.screens.change:ChangeScreen", argument="TIME TIME WHAT", required=True),
    Route("help", "meshdoctor.screens.help:HelpScreen", aliases=("keys", "h")),
    Route("back", action="back"),
    Route("quit", action="quit", aliases=("q", "q!", "exit")),
)


class Location(msgspec.Struct, frozen=True):
    """A place in the program that can be written down, shared and opened again: `str(location)` is its command."""

    name: str
    argument: str = ""
    filter: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.name, self.argument, self.filter and f"/{self.filter}") if part)

    @property
    def place(self) -> tuple[str, str]:
        """What makes two locations the same view, whatever is filtered in it."""
        return self.name, self.argument


@runtime_checkable
class Navigator(Protocol):
    """What a widget may ask of the application without knowing it."""

    async def go(self, command: str) -> bool:
        """Open the view of a `:` command; False (and a line for the user) when there is none."""

    def say(self, text: str) -> None:
        """Show one line on the message row."""

    def copy_text(self, text: str, what: str) -> None:
        """Copy *text*, called *what*, and say where it went."""


class UnknownCommand(UsageError):
    """No command has this name; carries the nearest one, if any is near."""

    def __init__(self, name: str, nearest: str) -> None:
        super().__init__(f"no command :{name}", f"did you mean :{nearest}?" if nearest else "? lists the commands")
        self.name = name
        self.nearest = nearest


class MissingArgument(UsageError):
    """The command needs to know which one."""

    def __init__(self, route: Route) -> None:
        super().__init__(f":{route.name} needs {route.argument}", "Tab completes it")
        self.route = route


def find_route(name: str, routes: Sequence[Route] = ROUTES) -> Route:
    """The route called *name*: its name, an alias, or the only name that starts so.

    Raises:
        UnknownCommand: there is none, or several start so.
    """
    folded = name.casefold()
    for route in routes:
        if folded == route.name or folded in route.aliases:
            return route
    starting = [route for route in routes if folded and route.name.startswith(folded)]
    if len(starting) == 1:
        return starting[0]
    names = [each for route in routes for each in (route.name, *route.aliases) if len(each) > 1]
    near = [route.name for route in starting] or get_close_matches(folded, names, n=1, cutoff=0.4)
    raise UnknownCommand(name, near[0] if near else "")


def parse(command: str, routes: Sequence[Route] = ROUTES) -> tuple[Route, Location]:
    """The route and location that *command* (with or without its colon) names.

    As in k9s a kind is a command, too: `vs` lists the VirtualServices, `vs NS/NAME` is one of them.

    Raises:
        UnknownCommand: nothing is called so.
        MissingArgument: the route needs an argument.
    """
    text = command.strip().removeprefix(":").strip()
    name, _, rest = text.partition(" ")
    try:
        route = find_route(name, routes)
    except UnknownCommand:
        kind = _kind(name, routes)
        if not kind:
            raise
        named = bool(rest.strip()) and not rest.strip().startswith("/")
        name, rest = ("object" if named else "objects"), f"{kind} {rest}"
        route = find_route(name, routes)
    argument, slash, sought = f" {rest.strip()}".partition(" /")
    if route.name == "object" and argument.strip() and " " not in argument.strip():
        route = find_route("objects", routes)
    location = Location(route.name, argument.strip(), sought.strip() if slash else "")
    if route.required and not location.argument:
        raise MissingArgument(route)
    return route, location


def _kind(name: str, routes: Sequence[Route]) -> str:
    """The kind that is called *name*, "" where there is none or no view of objects."""
    if not any(route.name == "objects" for route in routes):
        return ""
    from meshdoctor.model.kind_names import kind_called  # its structs are not needed for the first paint

    kind = kind_called(name)
    return kind.name if kind else ""


def complete(text: str, names: Callable[[str], Sequence[str]], routes: Sequence[Route] = ROUTES) -> list[str]:
    """The commands that *text* can become: names of routes, or after a space the names that the route can be given.

    *names* answers with everything that a route's argument can be, by the route's name, or with everything that one
    word of it can be, by the name that the route's `words` have for it.
    """
    name, space, rest = text.lstrip(": ").partition(" ")
    if not space:
        found = sorted({route.name for route in routes if route.name.startswith(name.casefold())})
        whole = found == [name.casefold()]  # so the next thing to complete is what it is given
        return (complete(f"{name} ", names, routes) if whole else []) or found
    try:
        route = find_route(name, routes)
    except UnknownCommand:
        return []
    if not route.argument:
        return []
    if route.words:
        done, _, rest = rest.rpartition(" ")
        place = len(done.split())
        known = list(names(route.words[place])) if place < len(route.words) else []
        start = f"{route.name} {done} ".replace("  ", " ")
    else:
        known, start = list(names(route.name)), f"{route.name} "
    sought = rest.strip().casefold()
    first = [each for each in known if each.casefold().startswith(sought)]
    return [f"{start}{each}" for each in first or (each for each in known if sought in each.casefold())]


def load_screen(route: Route) -> Callable[..., Any]:
    """Import the screen class of *route*."""
    module, _, name = route.screen.partition(":")
    screen: Callable[..., Any] = getattr(import_module(module), name)
    return screen


class History:
    """Which views were open, for `[`, `]` and `-`. The open views themselves are Textual's screen stack."""

    def __init__(self) -> None:
        self.trail: list[Location] = []
        """From the first view to the one on the screen: the crumbs."""
        self._ahead: list[Location] = []
        self._last: Location | None = None

    @property
    def current(self) -> Location | None:
        """The view on the screen."""
        return self.trail[-1] if self.trail else None

    def depth_of(self, location: Location) -> int | None:
        """The position of this view in the trail, if it is open."""
        return next((i for i, each in enumerate(self.trail) if each.place == location.place), None)

    def open(self, location: Location, *, forward: bool = False) -> None:
        """A new view was opened on top; what was ahead is forgotten unless *forward* came from there."""
        self._last = self.current
        self.trail.append(location)
        if not forward:
            self._ahead.clear()

    def cut(self, depth: int) -> None:
        """Everything above the view at *depth* was closed."""
        if depth < len(self.trail) - 1:
            self._last = self.current
            self._ahead.extend(reversed(self.trail[depth + 1 :]))
            del self.trail[depth + 1 :]

    def take_ahead(self) -> Location | None:
        """The view that `]` opens."""
        return self._ahead.pop() if self._ahead else None

    def last(self) -> Location | None:
        """The view that was open before this one."""
        return self._last
