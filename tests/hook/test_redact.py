"""Credentials that a program hands to its spans do not reach the files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import Status, StatusCode
from raytrace_hook.config import Settings
from raytrace_hook.output.encode import redact_with
from raytrace_hook.output.redact import REDACTED, Redactor
from raytrace_hook.ray.patching import replace_code
from raytrace_hook.ray.tracebacks import error_text

from .reader import Recording
from .test_files import recording_provider


@pytest.fixture(autouse=True)
def redacting() -> Iterator[None]:
    redact_with(Redactor())
    yield
    redact_with(None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://me:hunter2@db/x", f"postgres://{REDACTED}@db/x"),
        ("train.py --api-key hunter2 --lr 1", f"train.py --api-key {REDACTED} --lr 1"),
        ("train.py --password=hunter2", f"train.py --password={REDACTED}"),
        ("GET /a?token=hunter2&page=3", f"GET /a?token={REDACTED}&page=3"),
        ('{"client_secret": "hunter2 and more", "a": 1}', f'{{"client_secret": {REDACTED}, "a": 1}}'),
        ("Authorization: Bearer abcdefgh1234", f"Authorization: {REDACTED}"),
        ("sent Bearer abcdefgh1234", f"sent Bearer {REDACTED}"),
        ("AWS_SECRET_ACCESS_KEY=hunter2", f"AWS_SECRET_ACCESS_KEY={REDACTED}"),
    ],
)
def test_what_looks_like_a_credential_is_replaced(text: str, shown: str) -> None:
    assert Redactor().text(text) == shown


LONG = {
    "a long word": "a" * 100_000 + " token = x",
    "dashes": "-" * 100_000 + " token = x",
    "options": "--" * 50_000 + "token",
    "names": "token" * 20_000,
    "names in a word": "token-" * 20_000 + "!",
    "names with values": "token=" * 20_000,
    "blanks": "token" + " " * 100_000 + "x",
    "open quotes": 'token="' * 20_000,
    "schemes": "bearer " * 20_000,
    "no URL": "a" * 100_000 + "@ token",
    "many URLs": "a://" * 25_000 + "@",
    "a URL without an end": "a://" + "b:" * 50_000,
}


@pytest.mark.parametrize("text", LONG.values(), ids=list(LONG))
def test_long_texts_take_no_longer_than_they_are(text: str) -> None:
    started = time.process_time()
    Redactor().value("about", [text])
    assert time.process_time() - started < 5


def test_a_word_behind_an_option_of_a_command_line_is_one() -> None:
    given = ["train.py", "--api-token", "hunter2", "--lr", "1", "-password", "hunter2", "--token"]
    shown = ["train.py", "--api-token", REDACTED, "--lr", "1", "-password", REDACTED, "--token"]
    assert Redactor().value("process.command_args", given) == shown
    assert Redactor().value("process.command_args", ["--tokens", "3"]) == ["--tokens", "3"]


@pytest.mark.parametrize(
    "text",
    [
        "train.py --lr 0.1 --data s3://bucket/x",
        "me@example.com wrote 300 tokens",
        "KeyError: 'user'",
        "http://host:8080/a@b",
        "the tokenizer = bert",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert Redactor().text(text) is text


def test_nothing_gets_by_in_what_attributes_hold(tmp_path: Path) -> None:
    redact_with(Redactor(("^pin$",)))
    tracer = recording_provider(tmp_path).get_tracer("test")
    nested = {"password": "hunter2", "deep": [{"token": "hunter2"}, "secret=hunter2"], "n": 1}
    for value in (5, "token=hunter2", b"token=hunter2", nested, [["token=hunter2"]], "plain"):  # under one name
        span = tracer.start_span("GET /?token=hunter2", attributes={"pin": 1234, "n": 1})
        span._attributes._dict["about"] = value  # type: ignore[attr-defined] # older SDKs take no nested ones
        span.add_event("sent token=hunter2")
        span.end()
    text = "".join(file.read_text() for file in tmp_path.iterdir())
    assert "hunter2" not in text
    assert "1234" not in text
    shown = [one.attributes["about"] for one in Recording(tmp_path).spans]
    assert (shown[0], shown[3]["n"], shown[5]) == (5, 1, "plain")


def test_attributes_events_and_statuses_are_redacted(tmp_path: Path) -> None:
    tracer = recording_provider(tmp_path).get_tracer("test")
    for round_ in range(3):  # the second time attributes of the same span come from memory
        attributes: dict[str, Any] = {"db.password": "hunter2", "url": "http://a:hunter2@b", "n": round_}
        attributes |= {"input_tokens": 5, "list": ["x", "token=hunter2"], "my_secrets": ["hunter2"]}
        span = tracer.start_span("span", attributes=attributes)
        try:
            raise ValueError("password=hunter2")
        except ValueError as error:
            span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, "api_key=hunter2"))
        for file in tmp_path.iterdir():
            assert "hunter2" not in file.read_text()
        span.end()
    text = "".join(file.read_text() for file in tmp_path.iterdir())
    assert "hunter2" not in text.replace('password=hunter2")', "")  # the stack trace shows a line of this very test
    for round_, shown in enumerate(Recording(tmp_path).spans):
        assert shown.attributes["n"] == round_
        assert shown.attributes["input_tokens"] == 5
        assert shown.attributes["db.password"] == REDACTED
        assert shown.attributes["list"] == ["x", f"token={REDACTED}"]


def test_more_names_and_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYTRACE_REDACT", "iban, pin_?code, (")
    redact = Settings.from_environment().redact
    assert redact == ("iban", "pin_?code")
    redactor = Redactor(redact)
    assert redactor.value("customer.iban", "DE1") == redactor.value("password", "x") == REDACTED
    monkeypatch.setenv("RAYTRACE_REDACT", "off")
    assert Settings.from_environment().redact is None


def test_a_function_is_wrapped_in_place_without_compiling_text() -> None:
    def hostile(a: int, b: int = 2) -> int:
        return a + b

    hostile.__name__ = "f(): pass\nimport os  # "
    early = hostile
    replace_code(hostile, lambda original: lambda *given, **named: original(*given, **named) * 10)
    assert early(1) == 30
    assert early(1, b=3) == 40


def test_of_a_long_error_the_last_lines_are_kept_and_no_part_of_one() -> None:
    lines = "\n".join(f"token={'x' * 60}{number}" for number in range(20))
    text = error_text(RuntimeError(f"ray::collect() (pid=1)\n{lines}\nTypeError: unsupported operand type(s) for +"))
    first, *between, last = text.splitlines()
    assert first == "RuntimeError: ray::collect() (pid=1)" and last == "TypeError: unsupported operand type(s) for +"
    assert all(line.startswith("token=") for line in between)
    assert len(text) <= 500
    assert error_text(ValueError("y" * 1000)) == f"ValueError: {'y' * 1000}"[:500]
