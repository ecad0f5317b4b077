"""`export --endpoint` against collectors that answer with anything, slowly, or not at all."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

import raytrace_analyze as rt
from raytrace_analyze.exports import otlp
from raytrace_analyze.exports.sending import otlp_http
from raytrace_analyze.exports.sending.otlp_protobuf import read_partial_success
from tests.command_line import Done, cli

SPANS = Path(__file__).parents[2] / "sample_spans" / "nested-ours" / "spans"
COUNT = rt.load(SPANS).report.spans
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def body_of(taken: socket.socket) -> bytes:
    """All of one request's body."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += taken.recv(1 << 16)
    head, _, body = head.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(body) < length:
        body += taken.recv(1 << 16)
    return body


@contextmanager
def collector(answer: Callable[[socket.socket, bytes, int], None]) -> Iterator[str]:
    """A server that answers each request with `answer`, given the connection, the body and how many came before."""

    def serve() -> None:
        for number in range(10_000):
            try:
                taken, _ = server.accept()
            except OSError:
                return
            with taken, suppress(OSError, IndexError):
                answer(taken, body_of(taken), number)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)  # closing it alone would leave the thread in its call


def sent_to(url: str, *more: str) -> Done:
    done = cli("export", SPANS, "--to", "otlp", "--endpoint", url, *more)
    assert len(done.stderr.splitlines()) == 1 and done.stderr.replace("\n", "").isprintable(), done.stderr
    assert done.returncode == (0 if done.stderr.startswith("sent") else 2)
    return done


def spans_in(body: bytes) -> int:
    return sum(len(one["scopeSpans"][0]["spans"]) for one in json.loads(body)["resourceSpans"])


ANSWERS = [
    (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200, "cannot be sent to"),
    (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000, "cannot be sent to"),
    (b"\0\xff\x1b[2J\r\n\r\n", "cannot be sent to"),
    (b"", "cannot be sent to"),
    (b"HTTP/1.1 500 no\x1b[2J\r\n\r\n", "refused the spans: 500"),
    (b"HTTP/1.1 302 x\r\nLocation: file:///etc/passwd\r\n\r\n", "refused the spans: 302"),
    (b"HTTP/1.1 413 x\r\n\r\n", "refused the spans: 413"),
    (b'HTTP/1.1 200 OK\r\n\r\n{"partialSuccess": {"rejectedSpans": [[]]}}', f"sent {COUNT} spans"),
    (
        b'HTTP/1.1 200 OK\r\n\r\n{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "\x1b[2J"}}',
        f"sent {COUNT} spans",
    ),
    (
        b'HTTP/1.1 200 OK\r\n\r\n{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "\\u001b"}}',
        f"rejected 3 spans: \ufffd; {COUNT - 3} spans were taken",
    ),
    (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n\r\n\x0a\x06\x08\x03\x12\x02no",
        f"rejected 3 spans: no; {COUNT - 3} spans were taken",
    ),
]


@pytest.mark.parametrize(("answer", "says"), ANSWERS, ids=range(len(ANSWERS)))
def test_whatever_a_collector_answers_is_one_line(answer: bytes, says: str) -> None:
    with collector(lambda taken, body, number: taken.sendall(answer)) as url:
        assert says in sent_to(url).stderr


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection_is_told_and_not_followed(status: int) -> None:
    """As others follow one, without the body, the spans would be lost and counted as sent."""
    asked: list[int] = []

    def answer(taken: socket.socket, body: bytes, number: int) -> None:
        asked.append(number)
        place = b"http://127.0.0.1:%d/elsewhere" % taken.getsockname()[1]
        taken.sendall(OK if number else b"HTTP/1.1 %d moved\r\nLocation: %s\r\n\r\n" % (status, place))

    with collector(answer) as url:
        done = sent_to(url)
    assert f"refused the spans: {status}" in done.stderr and "/elsewhere" in done.stderr
    assert "0 spans were taken" in done.stderr
    assert asked == [0]


def never(taken: socket.socket, started: float) -> None:
    time.sleep(20)


def a_byte_at_a_time(taken: socket.socket, started: float) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"A: " + b"b" * 300:
        taken.sendall(bytes([byte]))
        time.sleep(0.1)


def a_body_a_byte_at_a_time(taken: socket.socket, started: float) -> None:
    taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    a_byte_at_a_time(taken, started)


@pytest.mark.parametrize("slow", [never, a_byte_at_a_time, a_body_a_byte_at_a_time])
def test_who_does_not_answer_in_time_is_left(slow: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_http, "REQUEST_S", 2.0)
    monkeypatch.setattr(otlp_http, "REQUEST_SPANS", 10)
    monkeypatch.setattr(otlp, "REQUEST_SPANS", 10)
    started = time.monotonic()
    with collector(lambda taken, body, number: taken.sendall(OK) if number < 2 else slow(taken, started)) as url:
        done = sent_to(url)
    assert "gave no whole answer within 2 s; 20 spans were taken" in done.stderr
    assert time.monotonic() - started < 15


def test_it_is_told_the_same_where_the_socket_gives_up_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_http, "REQUEST_S", 1.0)
    join = threading.Thread.join
    monkeypatch.setattr(otlp_http.threading.Thread, "join", lambda thread, _=None: join(thread, 10))
    with collector(lambda taken, body, number: never(taken, 0)) as url:
        done = sent_to(url)
    assert "gave no whole answer within 1 s; 0 spans were taken" in done.stderr


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_collector_is_asked_again(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(otlp_http, "time", SimpleNamespace(sleep=slept.append))

    def busy(taken: socket.socket, body: bytes, number: int) -> None:
        taken.sendall(OK if number == 2 else b"HTTP/1.1 %d busy\r\nRetry-After: 7\r\n\r\n" % status)

    with collector(busy) as url:
        assert f"sent {COUNT} spans" in sent_to(url).stderr
    assert slept == [7, 7]
    slept.clear()
    always = b"HTTP/1.1 %d busy\r\n\r\n" % status
    with collector(lambda taken, body, number: taken.sendall(always)) as url:
        done = sent_to(url)
    assert f"refused the spans: {status} busy; 0 spans were taken" in done.stderr
    assert sum(slept) <= otlp_http.WAITS_S
    slept.clear()
    later = b"HTTP/1.1 %d busy\r\nRetry-After: 86400\r\n\r\n" % status
    with collector(lambda taken, body, number: taken.sendall(later)) as url:
        assert f"refused the spans: {status} busy" in sent_to(url).stderr
    assert slept == []


def test_what_is_too_large_for_a_collector_goes_in_smaller_requests() -> None:
    came: list[int] = []

    def picky(taken: socket.socket, body: bytes, number: int) -> None:
        count = spans_in(body)
        came.append(count if count <= 10 else 0)
        taken.sendall(OK if count <= 10 else b"HTTP/1.1 413 large\r\n\r\n")

    with collector(picky) as url:
        assert f"sent {COUNT} spans" in sent_to(url).stderr
    assert sum(came) == COUNT


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x0a\xff", b"\x0a\x02\x08", b"\x0f", b"\x08\x05", b"{}"])
def test_what_is_no_answer_rejects_nothing(content: bytes) -> None:
    assert read_partial_success(content) == (0, "")
