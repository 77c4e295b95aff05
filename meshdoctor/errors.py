"""The errors that reach a user.

    MeshDoctorError        title, what to do next, exit status
    ├── UsageError         the command line was wrong                 (2)
    ├── SourceError        the source could not be read at all        (2)
    │   └── RecordingError a file is no recording, cut short, hostile (2)
    └── NothingMatches     --from or --to names nothing in the source (2)

One line reaches standard error, `meshdoctor: <what>: <what to do>`; never a traceback.
"""

from __future__ import annotations


class MeshDoctorError(Exception):
    """Something a user must know about: *what* happened and what to do *next*, each one line of text."""

    exit_status = 2

    def __init__(self, what: str, next_step: str = "") -> None:
        super().__init__(f"{what}: {next_step}" if next_step else what)
        self.what = what
        self.next_step = next_step


class UsageError(MeshDoctorError):
    """The command line asks for something that does not exist."""


class SourceError(MeshDoctorError):
    """A source (a file, a cluster) could not be read at all."""


class RecordingError(SourceError):
    """A file is not a recording, is cut short, or is hostile."""


class NothingMatches(UsageError):
    """A name that the user gave matches nothing in the source; carries the nearest names."""

    def __init__(self, what: str, nearest: tuple[str, ...]) -> None:
        super().__init__(what, f"did you mean {', '.join(nearest)}?" if nearest else "the source names nothing like it")
        self.nearest = nearest
