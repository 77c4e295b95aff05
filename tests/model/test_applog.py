"""An application's own log: calls where it writes them as JSON, whatever its logger calls the fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.model.applog import Call, parse_app_log
from meshdoctor.model.text import visible


def read(**fields: Any) -> Call | None:
    return next(iter(parse_app_log(json.dumps(fields).encode()).calls), None)


@pytest.mark.parametrize(
    "fields",
    [
        {"t": 12.5, "url": "http://ledger.books:8090/page", "status": 503, "ms": 7, "error": "reset"},
        {"ts": 12.5, "uri": "http://ledger.books:8090/page?x=1", "status_code": 503, "duration_ms": 7, "err": "reset"},
        {"time": "1970-01-01T00:00:12.5Z", "request_url": "http://ledger.books:8090/page", "statusCode": "503",
         "elapsed_ms": 7, "exception": "reset"},
        {"@timestamp": "1970-01-01T00:00:12.500Z", "url.full": "http://ledger.books:8090/page",
         "http.status_code": 503, "latency_ms": 7, "message": "reset"},
    ],
)  # fmt: skip
def test_the_names_that_loggers_use(fields: dict[str, Any]) -> None:
    call = read(**fields)
    assert call is not None
    assert (call.start, call.host, call.port, call.path) == (12.5, "ledger.books", 8090, "/page")
    assert (call.status, call.duration, call.error, call.failed) == (503, 7.0, "reset", True)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://ledger/", "ledger", 80, "/"),
        ("https://ledger.books", "ledger.books", 443, "/"),
        ("http://[fd00::7]:8090/x", "fd00::7", 8090, "/x"),
        ("http://10.0.0.1:9", "10.0.0.1", 9, "/"),
        ("grpc://ledger:50051/pages.Get", "ledger", 50051, "/pages.Get"),
    ],
)
def test_urls(url: str, host: str, port: int, path: str) -> None:
    call = read(url=url, status=200)
    assert call is not None
    assert (call.host, call.port, call.path) == (host, port, path)


@pytest.mark.parametrize(
    ("status", "failed"), [(0, True), (200, False), (302, False), (404, False), (499, False), (500, True), (503, True)]
)
def test_what_failed(status: int, failed: bool) -> None:
    call = read(url="http://ledger/", status=status)
    assert call is not None and call.failed is failed


@pytest.mark.parametrize(
    ("value", "start"),
    [(1772528400.25, 1772528400.25), (1772528400250, 1772528400.25), ("later", None), (None, None)],
)
def test_times(value: Any, start: float | None) -> None:
    call = read(url="http://ledger/", status=200, ts=value)
    assert call is not None and call.start == start


@pytest.mark.parametrize(
    "line",
    [
        b"plain text",
        b"",
        b"{",
        b"{} trailing",
        b"[1]",
        b'{"url": "http://ledger/"}',
        b'{"url": "http://ledger/", "status": "ok"}',
        b'{"url": "http://ledger/", "status": null}',
        b'{"url": "http://ledger/", "status": -1}',
        b'{"url": "/relative", "status": 200}',
        b'{"url": 7, "status": 200}',
        b'{"url": "http://ledger:99999/", "status": 200}',
        b'{"url": "http://[bad/", "status": 200}',
        b'{"a":' * 50_000,
        b"\xff\xfe",
    ],
    ids=lambda line: repr(line[:30]),
)
def test_what_is_no_call_is_only_counted(line: bytes) -> None:
    log = parse_app_log(b"before\n" + line + b'\n{"url": "http://ledger/", "status": 200}\n')
    assert [call.line for call in log.calls] == [3]
    assert log.lines == 3


@pytest.mark.parametrize(
    "prefix", ["2026-11-23T10:00:00.123456789Z stdout F ", "2026-11-23T10:00:00.1Z ", "[pod/web-1/app] ", "web-1 app "]
)
def test_what_a_runtime_or_kubectl_put_before_a_line_is_no_part_of_it(prefix: str) -> None:
    (call,) = parse_app_log(f'{prefix}{{"url": "http://ledger/items", "status": 503}}\n'.encode()).calls
    assert (call.host, call.status, call.line) == ("ledger", 503, 1)


def test_hostile_text_is_visible() -> None:
    call = read(url="http://ledger/\x1b[2J", status=0, error="\x1b]0;x\x07\u202e")
    assert call is not None
    assert not set(call.url + call.path + call.error) & {"\x1b", "\x07", "\u202e"}


def test_a_line_that_is_no_utf_8_is_read_all_the_same() -> None:
    (call,) = parse_app_log(b'{"url": "http://ledger/caf\xe9", "status": 503, "error": "\xff"}').calls
    assert (call.path, call.error) == ("/caf\ufffd", "\ufffd")


@given(st.binary(max_size=80))
def test_no_bytes_raise(body: bytes) -> None:
    for text in (body, b'{"url": "' + body + b'", "status": 200}'):
        log = parse_app_log(text)
        assert len(log.calls) <= text.count(b"\n") + 1
        assert all(visible(call.url + call.path) == call.url + call.path for call in log.calls)
