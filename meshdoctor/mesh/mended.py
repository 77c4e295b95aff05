"""Failures whose flag alone says what they were, although no object that was read explains them any more.

Somebody has mended it since, or the objects could not be read: what happened is known, and by whose hand it is not.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.quoting import lines_say, listed, logged, remedy
from meshdoctor.mesh.traffic import SERVER, Seen

CONFIDENCE = 0.75
ENOUGH = 3
"""Fewer lines that nothing explains are a blip, and no object is missed for them."""


def by_flag(
    case: Case, mesh: MeshIndex, cause: str, lines: tuple[Seen, ...], kinds: Iterable[str], what: str
) -> Finding:
    """The finding for *lines* whose flag means *cause*, where no object of *kinds* explains them.

    *what* is a sentence about the requests. Inconclusive while they go on and every object was read: what is not there
    cannot be at work now.
    """
    kinds = tuple(kinds)
    unread = [kind for kind in kinds if not mesh.known(kind)]
    over = case.is_over(lines)
    said = lines_say(lines, logged(lines[-1]))
    names = listed(kinds)
    if len(lines) < ENOUGH or (not unread and not over):
        return inconclusive(f"{what}, and no {names} does it", said)
    why = f"the {listed(unread)} objects were not read" if unread else f"it is over, and no {names} does it any more"
    return culprit(
        Verdict(
            cause,
            CONFIDENCE,
            f"{what[:1].upper()}{what[1:]} ({why})",
            tuple(_places(case, mesh, lines)),
            (said, Evidence(why)),
            remedy(f"See which {names} for {case.destination} was changed meanwhile (kubectl, git, an audit log)."),
            case.together(lines),
        )
    )


def _places(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...]) -> Iterable[Resource]:
    """Where to look: whose proxy it was, and the Service that was asked."""
    service = blame.of_service(case.destination)
    owner = blame.of_workload(mesh.workload(lines[-1].pod))
    first, second = (owner, service) if lines[-1].side == SERVER else (service, owner)
    return [one for one in (first, second) if one]
