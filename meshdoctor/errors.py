"""The errors that reach a user.

    MeshDoctorError            title, what to do next, exit status (2, where nothing else is said)
    ├── UsageError             the command line was wrong
    │   ├── NothingMatches     a name that was given names nothing in the source
    │   └── UnknownCommand, MissingArgument   of the application's `:` line (tui/router.py)
    ├── SourceError            the source could not be read at all
    │   ├── RecordingError     a file is no recording, is cut short, or is hostile
    │   └── ClusterError       a cluster, or a part of it, could not be read; its family is drawn in kube/errors.py
    ├── NotProgrammed          `waypoint status`: one is not, as istioctl says it                       (1)
    ├── _NoCommonRoot          `proxy-config rootca-compare`: the pods share none, as istioctl says it  (1)
    ├── NoTerminal             the application cannot be shown here (tui/launch.py)
    ├── ApplicationCrash       it stopped by a fault of its own (tui/launch.py)
    └── GatheringFailed        one of its views did (tui/factsscreen.py); shown there

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
