"""Builds small raw recordings: `Recording(tmp_path).objects("Pod", pod(…))…write()` is a folder that the program opens.

Access-log lines and application log lines come from terse calls; what a proxy answers is in
`tests.envoy_dumps`, Kubernetes objects are in `tests.kube_objects`. Times are seconds after `START`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import zstandard

from meshdoctor.model.kinds import BY_NAME
from meshdoctor.sources.recording import RecordingSource
from tests.moments import START, Json

# -- log lines


def access_line(
    at: float,
    code: int = 200,
    flags: str = "-",
    details: str = "via_upstream",
    *,
    method: str = "GET",
    path: str = "/",
    protocol: str = "HTTP/1.1",
    termination: str = "-",
    failure: str = "-",
    received: int = 0,
    sent: int = 57,
    duration: float = 4,
    upstream_time: str = "-",
    request_id: str = "-",
    authority: str = "-",
    upstream: str = "-",
    cluster: str = "-",
    upstream_local: str = "-",
    local: str = "-",
    remote: str = "-",
    sni: str = "-",
    route: str = "default",
) -> str:
    """One line of Istio's default text format (1.24 to 1.32); times in seconds, *duration* in ms."""
    moment = datetime.fromtimestamp(START + at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return (
        f'[{moment}] "{method} {path} {protocol}" {code} {flags} {details} {termination} "{failure}" {received} {sent} '
        f'{duration:.0f} {upstream_time} "-" "agent/1" "{request_id}" "{authority}" "{upstream}" {cluster} '
        f"{upstream_local} {local} {remote} {sni} {route}"
    )


def refused_line(at: float, flags: str = "NR", details: str = "filter_chain_not_found", **more: Any) -> str:
    """A connection that a listener did not take: no request in it."""
    return access_line(at, 0, flags, details, method="-", path="-", protocol="-", sent=0, duration=0, route="-", **more)


def call_line(at: float, url: str, status: int, error: str = "", ms: float = 5) -> str:
    """An application's own line about a call that it made."""
    return json.dumps({"ts": START + at, "url": url, "status": status, "duration_ms": ms, "error": error})


# -- the recording itself


class Recording:
    """Files by path; every method adds to them and returns the recording, `write` and `tar` put them on disk."""

    def __init__(self, root: Path, finished: float = 600) -> None:
        self.root = root
        self.files: dict[str, bytes] = {}
        self.manifest: Json = {
            "format": "meshdoctor-raw/1",
            "started_at": START + finished - 5,
            "finished_at": START + finished,
            "note": "",
            "errors": [],
        }

    def put(self, path: str, body: bytes | str | Json | list[Any]) -> Self:
        """A file as it is; a dict or list is written as JSON."""
        text = body if isinstance(body, bytes | str) else json.dumps(body)
        self.files[path] = text.encode() if isinstance(text, str) else text
        return self

    def drop(self, pattern: str) -> Self:
        """Without the files whose path matches *pattern* from its beginning."""
        self.files = {path: body for path, body in self.files.items() if not re.match(pattern, path)}
        return self

    def objects(self, kind: str, *objects: Json) -> Self:
        """Adds objects to the list of their kind (a name of `model.kinds`)."""
        found = BY_NAME[kind]
        path = f"kube/{found.group or 'core'}/{found.version}/{found.resource}.json"
        items = json.loads(self.files[path])["items"] if path in self.files else []
        return self.put(path, {"kind": f"{kind}List", "items": [*items, *objects]})

    def log(self, where: str, container: str, *lines: str, previous: bool = False) -> Self:
        """Appends *lines* to the log of a container; *where* is `namespace/pod`."""
        path = f"logs/{where}/{container}.log{'.previous' if previous else ''}"
        before = self.files.get(path, b"")
        return self.put(path, before + "".join(f"{line}\n" for line in lines).encode())

    def proxy(self, where: str, **answers: Json | str) -> Self:
        """Admin answers of a proxy: `config_dump=…`, `clusters=…`, `certs=…`, `server_info=…`, `init_dump=…`."""
        for name, body in answers.items():
            self.put(f"envoy/{where}/{name}.json", body)
        return self

    def syncz(self, *proxies: str, istiod: str = "istiod-6f7c9d8b5c-q2w4x", errors: Json | None = None) -> Self:
        """istiod's record of proxies (`namespace/pod`), all in sync; *errors* are records of the last one by type."""
        records: list[Json] = []
        for proxy in proxies:
            where, _, name = proxy.partition("/")
            resources = {"type.googleapis.com/envoy.config.cluster.v3.Cluster": {"sent": "n1", "acked": "n1"}}
            records.append({"proxy": f"{name}.{where}", "istio_version": "1.31.0", "resources": resources})
        if errors:
            records[-1]["resources"] |= errors
        return self.put(f"istiod/{istiod}/syncz.json", records)

    def mesh(self, **config: Any) -> Self:
        return self.put("istiod/istiod-6f7c9d8b5c-q2w4x/mesh.json", config)

    @property
    def all_files(self) -> dict[str, bytes]:
        """Every file with the manifest; a manifest that was `put` is kept."""
        return {"manifest.json": json.dumps(self.manifest).encode(), **self.files}

    def write(self, name: str = "recording") -> Path:
        folder = self.root / name
        for path, body in self.all_files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(body)
        return folder

    def tar(self, kind: str = "", top: str = "") -> Path:
        """An archive beside the folder; *kind* is "", `gz`, `xz`, `zst` or `bz2`, *top* a folder around everything."""
        body = tar_bytes({f"{top}/{path}" if top else path: body for path, body in self.all_files.items()})
        file = self.root / f"recording.tar{f'.{kind}' if kind else ''}"
        file.write_bytes(pack(body, kind))
        return file

    def source(self, at: str | None = None) -> RecordingSource:
        """Written as a folder and opened."""
        return RecordingSource.open(self.write(), at)


def tar_bytes(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, body in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return packed.getvalue()


def pack(body: bytes, kind: str) -> bytes:
    """*body* compressed as the ending *kind* says."""
    if kind == "gz":
        return gzip.compress(body, mtime=0)
    if kind == "xz":
        return lzma.compress(body, preset=0)
    if kind == "bz2":
        return bz2.compress(body, 1)
    if kind == "zst":
        return zstandard.ZstdCompressor(level=1).compress(body)
    return body
