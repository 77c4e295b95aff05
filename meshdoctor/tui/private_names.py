"""Every private name of Textual that this program uses, and for what. Textual is pinned exactly because of them.

A test checks that each exists in the pinned version; a new one is a reason to ask whether it is needed.
"""

from __future__ import annotations

from typing import NamedTuple


class PrivateName(NamedTuple):
    """Where a private name is: its module, the path inside it, and what it is used for."""

    module: str
    path: str
    purpose: str


PRIVATE_NAMES: tuple[PrivateName, ...] = (
    PrivateName("textual.app", "App._display", "send only the cells that changed"),
    PrivateName("textual.app", "App._fatal_error", "one line for a user instead of a traceback with local values"),
    PrivateName("textual.app", "App._handle_exception", "report a failed frame as Textual does, survive the others"),
    PrivateName("textual.message_pump", "MessagePump._close_messages_no_wait", "end the application after a crash"),
    PrivateName("textual.message_pump", "MessagePump._dispatch_message", "go on after a mistake in a handler"),
    PrivateName("textual.message_pump", "MessagePump._running", "whether frames may be sent"),
    PrivateName("textual.message_pump", "MessagePump._closed", "whether frames may be sent"),
    PrivateName("textual.app", "App()._batch_count", "whether a batch of updates is open"),
    PrivateName("textual.app", "App()._driver", "where frames are written"),
    PrivateName("textual.app", "App()._sync_available", "whether the terminal understands synchronised output"),
    PrivateName("textual.app", "App()._previous_cursor_position", "where the last frame left the terminal's cursor"),
    PrivateName("textual.widget", "Widget._forward_event", "give a key to a widget that takes text"),
    PrivateName("textual._compositor", "ChopsUpdate", "a frame that changes parts of the screen"),
    PrivateName("textual._compositor", "LayoutUpdate", "a frame of the whole screen"),
    PrivateName("textual._compositor", "CompositorUpdate", "any frame"),
    PrivateName("textual.strip", "Strip()._segments", "the styled text of a line"),
    PrivateName("textual.drivers.linux_driver", "LinuxDriver()._writer_thread", "how far the terminal is behind"),
    PrivateName("textual.drivers._writer_thread", "WriterThread()._queue", "how far the terminal is behind"),
)
"""`Class()` in a path means an attribute that instances get when they are made."""
