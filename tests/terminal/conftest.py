"""Terminals that are closed when the test ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.terminal.ptyterminal import PtyTerminal


@pytest.fixture
def terminal() -> Iterator[Callable[..., PtyTerminal]]:
    """Opens programs in pseudo-terminals of their own."""
    opened: list[PtyTerminal] = []

    def open_terminal(*arguments: Any, **options: Any) -> PtyTerminal:
        opened.append(PtyTerminal(*arguments, **options))
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.close()
