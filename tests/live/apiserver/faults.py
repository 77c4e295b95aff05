"""How a server misbehaves: one fault is what happens instead of the answer, for some requests, some times."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.live.apiserver.http1 import Answer, Request, status_answer


@dataclass
class Fault:
    """*path* (a regular expression) matches path and query; *times* is how often, 0 for always."""

    path: str
    status: int = 500
    reason: str = "InternalError"
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 0
    method: str = ""
    cut_body_at: int | None = None
    """Instead of an error: the real answer, ended after this many bytes of its body."""
    cut_websocket_after: int | None = None
    """Instead of an error: the port-forward's connection is dropped after this many bytes from the pod."""
    body: bytes | None = None
    """Instead of an error: 200 with this body, as a login page answers."""
    hang: bool = False
    """No answer at all."""
    hits: int = 0

    def matches(self, request: Request) -> bool:
        """Whether this request is met; counts it."""
        query = "&".join(f"{key}={value}" for key, value in request.query)
        if self.method and self.method != request.method:
            return False
        if (self.times and self.hits >= self.times) or not re.search(self.path, f"{request.path}?{query}"):
            return False
        self.hits += 1
        return True

    def answer(self) -> Answer:
        """The error answer."""
        if self.body is not None:
            return Answer(200, self.body, headers=dict(self.headers))
        made = status_answer(self.status, self.reason, f"injected {self.status}")
        made.headers.update(self.headers)
        return made
