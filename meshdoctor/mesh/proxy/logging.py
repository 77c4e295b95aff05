"""`proxy-config log`: Envoy's loggers as `/logging` lists them, and the requests that would change their levels.

This program never changes a proxy, so that it names the requests for a person to send (istioctl sends them).
"""

from __future__ import annotations

import re

from meshdoctor.errors import UsageError

# istioctl/pkg/proxyconfig/proxyconfig.go, stringToLevel.
LEVELS = ("trace", "debug", "info", "warning", "warn", "error", "critical", "off")
_ALL = "level"
_DEFAULT = "warning"


def level_queries(levels: str, known: str, *, check_names: bool = True) -> list[str]:
    """The queries of `POST /logging?...` for `level` or `logger:level,...`; *known* is the text of `/logging`.

    Raises `UsageError` for a level or (with *check_names*) a logger that does not exist, in istioctl's words.
    """
    chosen: dict[str, str] = {}
    for text in levels.split(","):
        if ":" not in text and "=" not in text:
            chosen = {_ALL: _level(text)}
            continue
        name, level = re.split("[:=]", text.rpartition("::")[2], maxsplit=1)
        if check_names and name != _ALL and name not in known:
            raise UsageError(f"unrecognized logger name: {name}")
        chosen[name] = _level(level)
    return [f"{name}={level}" for name, level in sorted(chosen.items(), key=lambda item: item[0] != _ALL)]


def reset_queries() -> list[str]:
    """What sets every logger back to the level that Istio starts Envoy with."""
    return [f"{_ALL}={_DEFAULT}"]


def _level(text: str) -> str:
    if text not in LEVELS:
        raise UsageError(f"unrecognized logging level: {text}", f"one of {', '.join(LEVELS)}")
    return "warning" if text == "warn" else text
