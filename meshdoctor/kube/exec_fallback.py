"""`pilot-agent request GET …` by exec, when port-forward is forbidden and the user gave `--allow-exec`.

For istiod it is `pilot-discovery request GET …`. Both print the body of a 404 and succeed; of any other status above
399 they print it behind the status on stderr and fail (pilot/pkg/request `Command.Do`).

v4.channel.k8s.io, not v5: with a slow reader v5 reported Success with a tenth of the output missing (Kubernetes 1.34,
kubernetes#124571). The output is read at full speed, the status must arrive, and JSON must parse to its end. A session
is never abandoned: closing early leaves `pilot-agent` running in the container.
"""

from __future__ import annotations

import re

import anyio
import httpcore
import httpx
import msgspec

from meshdoctor.kube.allowlist import EXEC_REQUESTS, pod_path_allowed
from meshdoctor.kube.connection import Connection
from meshdoctor.kube.errors import SLOW, PathRefused, PodError, Unreachable
from meshdoctor.kube.portforward import PROTOCOL
from meshdoctor.kube.websocket import open_websocket
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.text import visible_line

_STDOUT, _STDERR, _STATUS = 1, 2, 3
_LIMIT = 256 << 20
_UNSUCCESSFUL = re.compile(rb"received unsuccessful status code (\d+): (.*)", re.DOTALL)


class _Cause(msgspec.Struct, frozen=True):
    reason: str = ""
    message: str = ""


class _Details(msgspec.Struct, frozen=True):
    causes: tuple[_Cause, ...] = ()


class _Status(msgspec.Struct, frozen=True):
    status: str = ""
    message: str = ""
    details: _Details | None = None


async def exec_get(
    connection: Connection,
    pod: PodRef,
    target: str,
    *,
    deadline: float,
    role: str = "envoy",
    statuses: tuple[int, ...] = (200,),
) -> bytes:
    """The body of `GET target`, asked inside *pod* as *role*: envoy or istiod.

    *connection* must have been made with `allow_exec`. *statuses*: those whose body is an answer.
    Raises PodError when the command failed or its output is cut short, Unreachable after *deadline* seconds, ApiError.
    """
    request = EXEC_REQUESTS[role]
    path = target if target.startswith("/") else f"/{target}"
    what = f"exec {' '.join(request.command)} {path} in {pod}"
    if not pod_path_allowed(role, path):
        raise PathRefused(f"{what}: the path is not read from a pod", "this program only reads")
    params = [("command", word) for word in (*request.command, path)]
    params += [("container", request.container), ("stdout", "true"), ("stderr", "true")]
    api_path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/exec"
    try:
        with anyio.fail_after(deadline):
            output = await _run(connection, api_path, params, what, statuses)
    except TimeoutError:
        raise Unreachable(f"{what}: did not end in {deadline:g} s", SLOW) from None
    if _is_json(path):
        _must_be_complete(output, what)
    return output


def _is_json(path: str) -> bool:
    name = path.partition("?")[0]
    return (
        "format=json" in path
        or name.startswith("/debug/")
        or name in ("/config_dump", "/server_info", "/certs", "/init_dump", "/memory")
    )


def _must_be_complete(output: bytes, what: str) -> None:
    try:
        msgspec.json.decode(output, type=msgspec.Raw)
    except msgspec.DecodeError:
        if not output.lstrip().startswith((b"{", b"[")):
            said = visible_line(output[:300].decode("utf-8", "replace").strip())
            raise PodError(f"{what}: HTTP 404 ({said})", "this Envoy or istiod has no such path") from None
        raise PodError(
            f"{what}: the output is cut short after {len(output)} bytes", "it is not used; try again"
        ) from None


async def _run(
    connection: Connection, path: str, params: list[tuple[str, str]], what: str, statuses: tuple[int, ...]
) -> bytes:
    timeout = httpx.Timeout(connection.settings.timeouts.connect, pool=None)
    websocket = await open_websocket(connection.upgrades, path, params, [PROTOCOL], timeout)
    output, complaint = bytearray(), bytearray()
    status: _Status | None = None
    try:
        while status is None and (message := await websocket.receive()) is not None:
            if len(message) < 2:
                continue  # an empty message opens a channel
            if message[0] == _STDOUT:
                output += message[1:]
                if len(output) > _LIMIT:
                    raise PodError(f"{what}: printed more than {_LIMIT} bytes", "ask for a part of it")
            elif message[0] == _STDERR:
                complaint += message[1 : 1 + max(0, 4096 - len(complaint))]
            elif message[0] == _STATUS:
                status = msgspec.json.decode(message[1:], type=_Status)
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, msgspec.DecodeError) as error:
        raise PodError(f"{what}: was cut ({visible_line(str(error))[:200]})", "try again") from error
    finally:
        await websocket.aclose()
    if status is None:
        raise PodError(f"{what}: ended without a status, so the output may be cut short", "it is not used; try again")
    if status.status != "Success":
        answered = _UNSUCCESSFUL.search(bytes(complaint))
        if answered is not None and int(answered[1]) in statuses:
            return answered[2]
        raise _failed(status, bytes(complaint), what)
    return bytes(output)


def _failed(status: _Status, complaint: bytes, what: str) -> PodError:
    said = visible_line(complaint.decode("utf-8", "replace").strip() or status.message)[:300]
    code = next((cause.message for cause in (status.details or _Details()).causes if cause.reason == "ExitCode"), "")
    return PodError(
        f"{what}: {f'exit status {code}' if code else 'failed'} ({said})", "the image may have no such program"
    )
