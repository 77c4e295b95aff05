from __future__ import annotations

import json
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.model.accesslog import AccessLine, ParsedLog, compile_format, parse_access_log

LINE = (
    '[2026-11-22T18:35:00.407Z] "GET /a HTTP/1.1" 503 URX,UF upstream_reset_before_response_started{remote_connection_'
    'failure|delayed_connect_error:_Connection_refused} - "delayed_connect_error:_Connection_refused" 0 152 31 - "-"'
    ' "curl/8.14.1" "917c37cd" "reviews:9080" "10.0.0.7:9080" outbound|9080||reviews.default.svc.cluster.local -'
    " 10.0.0.1:9080 10.0.0.9:56494 - default"
)
START = 1795372500.407


def only(text: str | bytes, *formats: str) -> AccessLine:
    log = parse_access_log(text, [compile_format(source) for source in formats])
    assert len(log.lines) == 1, log
    return log.lines[0]


def test_istios_text_format() -> None:
    line = only(LINE)
    assert line == AccessLine(
        line=1,
        start=START,
        method="GET",
        path="/a",
        protocol="HTTP/1.1",
        code=503,
        flags=("URX", "UF"),
        details="upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
        transport_failure="delayed_connect_error:_Connection_refused",
        bytes_received=0,
        bytes_sent=152,
        duration=31,
        user_agent="curl/8.14.1",
        request_id="917c37cd",
        authority="reviews:9080",
        upstream_host="10.0.0.7:9080",
        upstream_cluster="outbound|9080||reviews.default.svc.cluster.local",
        downstream_local_address="10.0.0.1:9080",
        downstream_remote_address="10.0.0.9:56494",
        route_name="default",
    )
    assert line.primary_flag == "UF"
    assert line.failed


@pytest.mark.parametrize(
    "prefix",
    [
        "2026-11-22T18:35:01.000000000Z stdout F ",
        "2026-11-22T18:35:01.000000000+09:00 stderr F ",
        "2026-11-22T18:35:01.123456789Z ",
        "[pod/reviews-v1-7c/istio-proxy] ",
        "[pod/reviews-v1-7c/istio-proxy] 2026-11-22T18:35:01.123456789Z ",
        "reviews-v1-7c istio-proxy ",
    ],
)
def test_prefixes_of_runtimes_and_kubectl(prefix: str) -> None:
    assert only(prefix + LINE) == only(LINE)


def test_windows_ends_and_marks_text_otherwise() -> None:
    log = parse_access_log(f"\ufeff{LINE}\r\n{LINE}\r\n")
    assert [msgspec.structs.replace(line, line=1) for line in log.lines] == [only(LINE)] * 2
    assert log.skipped == {}


def test_docker_wraps_a_line_in_json_and_cri_splits_a_long_one() -> None:
    assert only(json.dumps({"log": LINE + "\n", "stream": "stdout", "time": "x"})) == only(LINE)
    stamp = "2026-11-22T18:35:01Z stdout "
    halves = f"{stamp}P {LINE[:200]}\n{stamp}P {LINE[200:300]}\n{stamp}F {LINE[300:]}\n"
    assert only(halves) == only(LINE)


def test_old_formats() -> None:
    mixer = LINE.replace("upstream_reset_before_response_started{", "x{")  # any details, to be cut out below
    details = mixer[mixer.index("x{") : mixer.index(' "delayed')]
    old = LINE.replace(details.replace("x{", "upstream_reset_before_response_started{"), '"-"')
    assert only(old).details is None
    assert only(old).transport_failure == "delayed_connect_error:_Connection_refused"
    assert only(old).upstream_cluster == "outbound|9080||reviews.default.svc.cluster.local"
    envoy = '[2020-01-01T00:00:00.000Z] "GET / HTTP/2" 200 - 0 5 1 0 "-" "ua" "id" "host" "10.0.0.1:80"'
    assert (only(envoy).code, only(envoy).upstream_host, only(envoy).flags) == (200, "10.0.0.1:80", ())
    spaces = LINE.replace("remote_connection_failure|delayed_connect_error:_Connection_refused}", "connection failure}")
    assert only(spaces).details == "upstream_reset_before_response_started{connection failure}"


def test_nfcf_logs_empty_details() -> None:
    line = only(LINE.replace("URX,UF", "NFCF").replace(only(LINE).details or "", ""))
    assert line.details == ""
    assert line.flags == ("NFCF",)


def test_a_client_cannot_hide_its_failure_in_the_user_agent() -> None:
    fake = 'x HTTP/1.1" 200 - via_upstream - "-" 0 0 0 0 "-" "y'
    assert only(LINE.replace("curl/8.14.1", fake)).code == 503
    quotes = only(LINE.replace('"-" "curl/8.14.1"', '"10.0.0.1, "evil"" "x" "y" 503 UH "z"'))
    assert quotes.x_forwarded_for == '10.0.0.1, "evil"'
    assert quotes.user_agent == 'x" "y" 503 UH "z'


def test_control_characters_are_shown() -> None:
    assert only(LINE.replace("curl", "\x1b[2J")).user_agent == "␛[2J/8.14.1"
    document = {"response_code": 503, "response_flags": "UH", "user_agent": "\x1b[2J\n\u202e", "upstream_host": None}
    assert only(json.dumps(document)).user_agent == "␛[2J␊<U+202E>"
    assert only(LINE.encode().replace(b"curl", b"\xff\xfe")).user_agent == "\ufffd\ufffd/8.14.1"


def test_json_of_any_shape() -> None:
    strings = {"response_code": "503", "response_flags": "-", "duration": "12", "upstream_host": "-", "path": ""}
    line = only(json.dumps(strings))
    assert (line.code, line.flags, line.duration, line.upstream_host, line.path) == (503, (), 12, None, None)
    renamed = {
        "responseFlags": "UpstreamOverflow",
        "STATUS": 503,
        "time": "2026-11-22T18:35:00.407Z",
        "upstream_cluster_name": "outbound|80||a.b;",
        "attempts": 3,
    }
    line = only(json.dumps(renamed))
    assert (line.flags, line.code, line.start, line.upstream_cluster) == (("UO",), 503, START, "outbound|80||a.b")


def test_other_content_is_counted_by_kind() -> None:
    log = parse_access_log(
        "\n".join(
            [
                "",
                "2026-11-23T09:49:21.000000Z\twarning\tenvoy config external/envoy/x.cc:1\tgRPC config rejected",
                "2026-11-23T09:49:21.000000Z\tinfo\tcache\tgenerated new workload certificate",
                '{"level":"info","time":"2026-11-23T09:49:21Z","scope":"envoy main","msg":"starting"}',
                '{"level":"info","time":"2026-11-23T09:49:21Z","scope":"access","message":"connection complete"}',
                '{"level":"info","time":"2026-11-23T09:49:21Z","scope":"sds","msg":"x","status":503}',
                "2026-11-23T09:49:21.000000Z\tinfo\taccess\tconnection complete\tsrc.addr=1.2.3.4:5",
                '{"status":503,"path":"/","method":"GET"}',
                LINE[:100],
                "panic: goroutine 1",
                LINE,
            ]
        )
    )
    assert log.skipped == {"blank": 1, "envoy": 2, "pilot-agent": 2, "ztunnel": 2, "unreadable": 2, "other": 1}
    assert [line.line for line in log.lines] == [11]


def test_a_custom_text_format() -> None:
    source = (
        "%START_TIME(%s.%3f)%|%RESPONSE_FLAGS%|%REQ(:PATH):9%|%RESPONSE_CODE%|100%%|%UPSTREAM_REQUEST_ATTEMPT_COUNT%\n"
    )
    line = only("1795372500.407|UF|/a b|c|503|100%|3", source)
    assert (line.start, line.flags, line.path, line.code, line.attempt_count) == (START, ("UF",), "/a b|c", 503, 3)
    assert parse_access_log("1795372500.407|UF|/a b|c|503|100%|3").lines == ()


@pytest.mark.parametrize(
    ("written", "start"),
    [
        ("2026-11-22T18:35:00.407Z", START),
        ("1795372500407", START),
        ("1795123120000", 1795123120.0),  # also midnight of 1795-12-31, to a reader of ISO 8601
    ],
)
def test_times_as_a_format_may_write_them(written: str, start: float) -> None:
    assert only(f"{written} 503 UF", "%START_TIME(%s%3f)% %RESPONSE_CODE% %RESPONSE_FLAGS%").start == start


def test_a_custom_json_format_and_its_text_twin() -> None:
    source = '{"c": "%RESPONSE_CODE%", "f": "%RESPONSE_FLAGS%", "ua": "%REQ(USER-AGENT)%", "fixed": "x"}'
    assert only('{"f":"UC","c":503,"ua":null,"fixed":"x"}', source).flags == ("UC",)
    assert only('{"c": "503", "f": "UC", "ua": "a "bare" quote", "fixed": "x"}', source).user_agent == 'a "bare" quote'
    nested: dict[str, Any] = {"json_format": {"http": {"code": "%RESPONSE_CODE%"}, "flags": "%RESPONSE_FLAGS%"}}
    log = parse_access_log('{"http":{"code":404},"flags":"NR"}', [compile_format(nested)])
    assert [(line.code, line.flags) for line in log.lines] == [(404, ("NR",))]
    provider = {"labels": {"c": "%RESPONSE_CODE%", "f": "%RESPONSE_FLAGS%"}}
    assert parse_access_log('{"f":"UH","c":503}', [compile_format(provider)]).lines[0].flags == ("UH",)
    listener = {"text_format_source": {"inline_string": "%RESPONSE_CODE% %RESPONSE_FLAGS%"}}
    assert parse_access_log("503 UH", [compile_format(listener)]).lines[0].flags == ("UH",)


def test_a_format_without_outcome_says_so() -> None:
    assert not compile_format("%REQ(:PATH)% %DURATION%").tells_outcome
    assert compile_format("%RESPONSE_CODE%").tells_outcome
    assert parse_access_log("anything", [compile_format("no operators")]).lines == ()


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({"code": 200}, False),
        ({"code": 200, "flags": ("DI",)}, False),
        ({"code": 200, "flags": ("UPE",)}, True),
        ({"code": 200, "flags": ("URX",), "details": "via_upstream"}, True),
        ({"code": 200, "grpc_status": "14"}, True),
        ({"code": 200, "grpc_status": "0"}, False),
        ({"code": 503, "details": "via_upstream"}, True),
        ({"code": 404, "details": "via_upstream"}, False),
        ({"code": 403, "details": "rbac_access_denied_matched_policy[none]"}, True),
        ({"code": 0}, False),
        ({"code": 0, "flags": ("DC",)}, True),
        ({"code": 0, "termination": "rbac_access_denied_matched_policy[none]"}, True),
    ],
)
def test_what_counts_as_a_failure(change: dict[str, Any], failed: bool) -> None:
    assert msgspec.structs.replace(AccessLine(line=1), **change).failed is failed


def accounted(log: ParsedLog) -> int:
    """How many lines of a log were read or counted as something else."""
    return len(log.lines) + sum(log.skipped.values())


@given(st.text(st.characters()) | st.text('[]{}"-: |%\n\t20Z', min_size=1))
def test_no_text_is_too_strange(text: str) -> None:
    assert accounted(parse_access_log(text)) <= text.count("\n") + 1


@given(st.binary())
def test_no_bytes_are_too_strange(data: bytes) -> None:
    assert accounted(parse_access_log(data)) <= data.count(b"\n") + 1


@given(st.data())
def test_a_damaged_line_never_raises(data: st.DataObject) -> None:
    start, end = data.draw(st.integers(0, len(LINE))), data.draw(st.integers(0, len(LINE)))
    text = LINE[:start] + data.draw(st.text(max_size=5)) + LINE[end:]
    assert accounted(parse_access_log(text)) in (text.count("\n"), text.count("\n") + 1)


@given(
    st.dictionaries(
        st.sampled_from(["response_code", "response_flags", "start_time", "duration", "upstream_host", "path"]),
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text() | st.lists(st.integers()),
    )
)
def test_json_values_of_any_type(document: dict[str, Any]) -> None:
    for line in parse_access_log(json.dumps(document)).lines:
        assert isinstance(line.code, int)
        assert line.failed in (True, False)


WORD = st.text(string.ascii_letters + string.digits + "._-|[]{}", min_size=1).filter(lambda text: text != "-")
FREE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters='"'), min_size=1).filter(
    lambda text: text != "-"
)
NUMBER = st.integers(0, 10**9)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "start_time": st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z"),
    "method": st.sampled_from(["GET", "POST", None]),
    "path": st.none() | WORD.map(lambda text: "/" + text),
    "protocol": st.sampled_from(["HTTP/1.1", "HTTP/2", None]),
    "response_code": st.integers(0, 599),
    "response_flags": st.sampled_from(["-", "UF", "URX,UF", "UH", "X_1"]),
    "response_code_details": st.sampled_from(["via_upstream", "a{b|c}", "a[b[c]-d[e]]", "", None]),
    "connection_termination_details": st.none() | WORD,
    "upstream_transport_failure_reason": st.none() | WORD,
    "bytes_received": NUMBER,
    "bytes_sent": NUMBER,
    "duration": NUMBER,
    "upstream_service_time": st.none() | NUMBER.map(str),
    "x_forwarded_for": st.none() | FREE,
    "user_agent": st.none() | FREE,
    "request_id": st.none() | WORD,
    "authority": st.none() | WORD,
    "upstream_host": st.none() | WORD,
    "upstream_cluster": st.none() | WORD,
    "upstream_local_address": st.none() | WORD,
    "downstream_local_address": st.none() | WORD,
    "downstream_remote_address": st.none() | WORD,
    "requested_server_name": st.none() | WORD,
    "route_name": st.none() | WORD,
}
RECORD = st.fixed_dictionaries(FIELDS)
QUOTED = {
    "upstream_transport_failure_reason",
    "x_forwarded_for",
    "user_agent",
    "request_id",
    "authority",
    "upstream_host",
}


@given(RECORD)
def test_text_and_json_of_one_record_are_equal(record: dict[str, Any]) -> None:
    shown = {key: "-" if value is None else str(value) for key, value in record.items()}
    head = f'[{shown["start_time"]}] "{shown["method"]} {shown["path"]} {shown["protocol"]}"'
    rest = [f'"{shown[key]}"' if key in QUOTED else shown[key] for key in list(FIELDS)[4:]]
    text = parse_access_log(" ".join([head, *rest]))
    twin = parse_access_log(json.dumps(record))
    assert len(text.lines) == len(twin.lines) == 1
    assert text.lines == twin.lines
