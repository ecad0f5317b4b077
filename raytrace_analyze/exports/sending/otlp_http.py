"""Sends spans to a collector over OTLP/HTTP: every request ends within a bound, and what was taken is counted."""

import http.client
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from typing import Any, NamedTuple

from raytrace_analyze.errors import UsageError
from raytrace_analyze.exports.encoding import json_bytes
from raytrace_analyze.exports.otlp import COLUMNS, REQUEST_SPANS, request_of, slices
from raytrace_analyze.exports.selected.selection import Selection
from raytrace_analyze.exports.sending.otlp_protobuf import encode_request, read_partial_success
from raytrace_analyze.names.attributes import json_of
from raytrace_analyze.vocabulary.options import Encoding

REQUEST_S = 30.0
"""How long one request may take, from its first byte to the answer's last."""
WAITS_S = 60.0
"""How long is waited for a collector that is busy, over all tries of one request."""

_CONTENT_TYPES = {Encoding.JSON: "application/json", Encoding.PROTOBUF: "application/x-protobuf"}
_TOO_LARGE = 413
_BUSY = frozenset({429, 502, 503, 504})
"""What the protocol says to try again after."""
_ANSWER_BYTES = 1 << 16
_COUNT = re.compile(r"0*[1-9]\d{0,18}", re.ASCII)
_SECONDS = re.compile(r"\d{1,6}", re.ASCII)


def send(selection: Selection, endpoint: str, encoding: Encoding = Encoding.JSON) -> int:
    """Send spans to a collector's `endpoint` (`http://host:4318`, `/v1/traces` is added); gives how many it took.

    A request that is too large for it is sent in halves, one for which it has no time again, for a minute at most.
    Raises UsageError, which says how many were taken before, where it cannot be reached, refuses, or does not answer.
    """
    if not endpoint.startswith(("http://", "https://")):
        raise UsageError(f"--endpoint takes an http:// or https:// URL, not {endpoint!r}")
    url = endpoint if endpoint.rstrip("/").endswith("/v1/traces") else endpoint.rstrip("/") + "/v1/traces"
    post = _poster(url, encoding)
    taken = rejected = 0
    why, most = "", REQUEST_SPANS
    for batch in slices(selection.rows(COLUMNS)):
        left = batch
        while left:
            piece = left[:most]
            try:
                outcome = _post_patiently(post, piece)
            except _TooLargeError:
                most = -(-len(piece) // 2)
                continue
            except _NotSentError as error:
                raise UsageError(f"{url} {error}; {_counted(taken, rejected)}") from error
            left = left[len(piece) :]
            refused = min(outcome.rejected, len(piece))
            taken, rejected, why = taken + len(piece) - refused, rejected + refused, outcome.message if refused else why
    if rejected:
        raise UsageError(f"{url} rejected {rejected:,} spans: {why}; {_counted(taken)}")
    return taken


def _counted(taken: int, rejected: int = 0) -> str:
    also = f", {rejected:,} were rejected" if rejected else ""
    return f"{taken:,} spans were taken{also}"


class _TooLargeError(Exception):
    """The collector takes no request of this size."""


class _NotSentError(Exception):
    """The spans could not be sent; says why, as what the URL did."""


class _Answer(NamedTuple):
    status: int
    reason: str
    headers: Message
    content: bytes


class _Outcome(NamedTuple):
    rejected: int
    message: str


_Post = Callable[[list[dict[str, Any]]], _Answer]


def _post_patiently(post: _Post, rows: list[dict[str, Any]]) -> _Outcome:
    """Send a request, again while the collector is busy."""
    left, pause = WAITS_S, 1.0
    while True:
        answer = _within(REQUEST_S, lambda: post(rows))
        wait = max(_asked_to_wait(answer.headers), pause)
        if answer.status not in _BUSY or wait > left:
            break
        time.sleep(wait)
        left, pause = left - wait, pause * 2
    if 200 <= answer.status < 300:
        return _outcome(answer)
    if answer.status == _TOO_LARGE and len(rows) > 1:
        raise _TooLargeError
    place = answer.headers.get("Location") if 300 <= answer.status < 400 else None
    to = f" (it points to {place}; give that to --endpoint if you trust it)" if place else ""
    raise _NotSentError(f"refused the spans: {answer.status} {answer.reason}{to}")


def _asked_to_wait(headers: Message) -> float:
    asked = str(headers.get("Retry-After", "")).strip()
    return float(asked) if _SECONDS.fullmatch(asked) else 0.0


def _outcome(answer: _Answer) -> _Outcome:
    if str(answer.headers.get("Content-Type", "")).startswith(_CONTENT_TYPES[Encoding.PROTOBUF]):
        return _Outcome(*read_partial_success(answer.content))
    refused = json_of(answer.content.decode("utf-8", "replace"), {}).get("partialSuccess")
    told = refused if isinstance(refused, dict) else {}
    count = str(told.get("rejectedSpans"))
    return _Outcome(int(count) if _COUNT.fullmatch(count) else 0, str(told.get("errorMessage", "")))


class _Unfollowed(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the spans would be left out of what is asked there, or go to where nobody said."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _poster(url: str, encoding: Encoding) -> _Post:
    opener = urllib.request.build_opener(_Unfollowed)
    encode = encode_request if encoding is Encoding.PROTOBUF else json_bytes

    def post(rows: list[dict[str, Any]]) -> _Answer:
        headers = {"Content-Type": _CONTENT_TYPES[encoding]}
        request = urllib.request.Request(url, encode(request_of(rows)), headers)
        try:
            with opener.open(request, timeout=REQUEST_S) as answer:
                return _Answer(answer.status, answer.reason, answer.headers, answer.read(_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                return _Answer(error.code, str(error.reason), error.headers, b"")

    return post


def _within(seconds: float, act: Callable[[], _Answer]) -> _Answer:
    """Do something that talks to the collector; raises _NotSentError where it fails, or is not done in time.

    Timeouts of sockets begin anew with each byte: it is left alone in a thread of its own, which ends with the process.
    """
    found: list[_Answer | Exception] = []

    def try_it() -> None:
        try:
            found.append(act())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=try_it, daemon=True)
    thread.start()
    thread.join(seconds)
    if not found or any(isinstance(each, TimeoutError) for each in (found[0], getattr(found[0], "reason", None))):
        raise _NotSentError(f"gave no whole answer within {seconds:g} s")
    match found:
        case [OSError() | ValueError() | http.client.HTTPException() as error]:
            raise _NotSentError(f"cannot be sent to: {getattr(error, 'reason', None) or error}") from error
        case [Exception() as error]:
            raise error
        case [_Answer() as answer]:
            return answer
    raise AssertionError
