"""What an endpoint does not understand is found out once, and never from a row's own words."""

from __future__ import annotations

import pytest

from llmframe.engine.governor.dialects import STREAK, DialectFallback
from llmframe.providers.dialect import Dialect

TOP = Dialect()


@pytest.mark.parametrize(
    ("param", "message", "lower"),
    [
        ("response_format", "", Dialect("json_object")),
        (None, "'response_format' of type 'json_schema' is not supported", Dialect("json_object")),
        ("max_tokens", "Unsupported parameter", None),
        ("max_completion_tokens", "", Dialect(cap="max_tokens")),
        (None, "Unknown parameter: max_completion_tokens", Dialect(cap="max_tokens")),
        ("temperature", "only the default (1) value is supported",
         Dialect(dropped=frozenset({"temperature"}))),
        ("seed", "", Dialect(dropped=frozenset({"seed"}))),
        (None, "the weather is bad", None),
        ("messages", "too long", None),
    ],
)  # fmt: skip
def test_a_refused_parameter_leads_to_the_dialect_without_it(param, message, lower):
    assert TOP.below(param, message) == lower


def test_response_formats_end_at_plain_text():
    assert TOP.simpler().simpler() == Dialect("plain")
    assert TOP.simpler().simpler().simpler() is None


def test_a_refusal_moves_down_once_and_older_requests_are_sent_again():
    dialects = DialectFallback()
    assert dialects.refused(TOP, "response_format", "")
    assert dialects.dialect == Dialect("json_object")
    assert dialects.refused(TOP, "response_format", "")
    assert dialects.dialect == Dialect("json_object")


def test_a_400_about_something_else_is_not_sent_again():
    assert not DialectFallback().refused(TOP, None, "invalid message")


def test_what_has_worked_is_dropped_only_after_a_streak():
    dialects = DialectFallback()
    dialects.succeeded(TOP)
    for _ in range(STREAK - 1):
        assert not dialects.refused(TOP, "response_format", "")
    assert dialects.refused(TOP, "response_format", "")
    assert dialects.dialect == Dialect("json_object")


def test_a_success_ends_the_streak():
    dialects = DialectFallback()
    for _ in range(3 * STREAK):
        dialects.succeeded(TOP)
        assert not dialects.refused(TOP, "response_format", "")


def test_two_server_errors_of_the_probe_under_a_schema_try_without():
    dialects = DialectFallback()
    dialects.broke(TOP)
    assert dialects.dialect == TOP
    dialects.broke(TOP)
    assert dialects.dialect == Dialect("json_object")


def test_server_errors_after_an_answer_say_nothing_about_the_schema():
    dialects = DialectFallback()
    dialects.succeeded(TOP)
    for _ in range(5):
        dialects.broke(TOP)
    assert dialects.dialect == TOP
