"""What an endpoint does not understand is found out once, from what it answers."""

from __future__ import annotations

import itertools

import pytest

from llmframe.providers.dialect import FEATURES, Dialect
from llmframe.providers.dialect_search import ALIKE, STREAK, DialectSearch

TOP = Dialect()
OURS = frozenset(FEATURES)


class Endpoint:
    """Refuses requests that use some features, with or without naming them; counts what is lost."""

    def __init__(self, refused, *, names=False):
        self.refused = frozenset(refused)
        self.names = names
        self.lost = 0

    def answer(self, dialect):
        """None for an answer, else the refusal's words."""
        bad = [f for f in FEATURES if f in self.refused and dialect.has(f)]
        if not bad:
            return None
        self.lost += 1
        return f"{bad[0]} ist hier unbekannt" if self.names else "ungültige Anfrage"


def send(search, endpoint, *, features=OURS, poisoned=False):
    """Send a row until it is answered; the dialect, None where it never is."""
    dialect, tried = search.next(), ()
    for _ in range(12):
        words = "kaputt" if poisoned else endpoint.answer(dialect)
        if words is None:
            search.succeeded(dialect, tried)
            return dialect
        tried = (*tried, dialect)
        dialect = search.refused(tried, None, words, features=features)
        if dialect is None:
            return None
    raise AssertionError("no end")


COMBINATIONS = [
    set(bad)
    for n in range(5)
    for bad in itertools.combinations(("json_schema", "json_object", "temperature", "system"), n)
]


@pytest.mark.parametrize("refused", COMBINATIONS, ids=lambda bad: "-".join(sorted(bad)) or "none")
@pytest.mark.parametrize("names", [True, False])
def test_what_is_refused_is_left_out_and_nothing_else(refused, names):
    search, endpoint = DialectSearch(), Endpoint(refused, names=names)
    for _ in range(20):
        assert send(search, endpoint) is not None
    assert search.known
    assert endpoint.lost <= 6
    wanted = TOP.simplest(frozenset(refused))
    if refused == {"json_object"}:  # what asks for a schema asks for JSON
        wanted = Dialect("plain")
    assert search.dialect == wanted
    endpoint.lost = 0
    assert send(search, endpoint) == wanted
    assert endpoint.lost == 0


def test_either_name_of_the_cap_is_found():
    search = DialectSearch()

    class OnlyTheNewName(Endpoint):
        def answer(self, dialect):
            self.lost += dialect.cap == "max_tokens" or dialect.system
            return "?" if dialect.cap == "max_tokens" or dialect.system else None

    endpoint = OnlyTheNewName(())
    for _ in range(20):
        assert send(search, endpoint) is not None
    assert search.dialect == Dialect(system=False)
    assert endpoint.lost <= 6


def test_a_feature_of_the_persons_own_is_never_left_out():
    search, endpoint = DialectSearch(), Endpoint({"temperature"})
    features = OURS - {"temperature"}
    assert send(search, endpoint, features=features) is None
    named = DialectSearch()
    assert named.refused((TOP,), "temperature", "bad value", features=features) is None


@pytest.mark.parametrize("poisoned", [1, 2, 5])
def test_rows_that_are_refused_in_any_way_change_nothing_for_others(poisoned):
    search, endpoint = DialectSearch(), Endpoint(())
    for _ in range(poisoned):
        assert send(search, endpoint, poisoned=True) is None
    for _ in range(12):
        assert send(search, endpoint) is not None
    assert search.dialect == TOP


def test_rows_that_are_refused_in_any_way_hide_no_dialect_from_others():
    search, endpoint = DialectSearch(), Endpoint({"json_schema", "temperature"})
    for number in range(20):
        send(search, endpoint, poisoned=number in (0, 1, 5, 6, 7))
    assert search.dialect == TOP.simplest(frozenset({"json_schema", "temperature"}))


def test_what_has_worked_is_left_out_only_after_several_rows_in_a_row():
    search, refusing, answering = (
        DialectSearch(),
        Endpoint({"temperature"}, names=True),
        Endpoint(()),
    )
    send(search, answering)
    for _ in range(STREAK - 1):
        assert send(search, refusing) == TOP.without("temperature")
    assert search.dialect == TOP
    send(search, answering)  # an upstream of a gateway, perhaps
    for _ in range(STREAK - 1):
        send(search, refusing)
    assert search.dialect == TOP
    send(search, refusing)
    assert search.dialect == TOP.without("temperature")


def test_a_refusal_without_a_name_is_the_rows_once_requests_are_answered():
    search = DialectSearch()
    search.succeeded(TOP)
    assert search.refused((TOP,), None, "no", features=OURS) is None


def test_one_row_at_a_time_tries_a_feature():
    search = DialectSearch()
    lower = search.refused((TOP,), None, "no", features=OURS)
    search.succeeded(lower, (TOP,))
    assert search.next() == lower.including("json_schema")
    assert search.next() == lower
    search.lost(lower.including("json_schema"))
    assert search.next() == lower.including("json_schema")


def test_a_server_that_breaks_at_a_schema_is_asked_without_it():
    search = DialectSearch()
    assert search.broke((TOP,)) is None
    lower = search.broke((TOP,))
    assert lower == Dialect("json_object")
    search.succeeded(lower, (TOP,))
    again = search.next()  # it may have been a chance
    assert again == TOP
    assert search.broke((again,)) == lower
    search.succeeded(lower, (again,))
    assert search.dialect == lower
    assert search.known
    assert search.broke((lower,)) is None


def test_a_server_that_broke_by_chance_keeps_the_schema():
    search = DialectSearch()
    search.broke((TOP,))
    search.succeeded(search.broke((TOP,)), (TOP,))
    search.succeeded(search.next())
    assert search.dialect == TOP
    assert search.known


def disappoint(search, dialect):
    """As many answers of no use as it takes; what each says."""
    return [search.disappointed(dialect) for _ in range(ALIKE)]


def test_formats_whose_answers_are_of_no_use_are_left_one_by_one():
    search = DialectSearch()
    search.succeeded(TOP)
    for lower in ("json_object", "plain"):
        assert disappoint(search, search.dialect) == [False] * (ALIKE - 1) + [True]
        assert search.dialect == Dialect(lower)
        assert search.disappointed(TOP)  # sent before: it is left already
    assert disappoint(search, search.dialect) == [False] * ALIKE
    assert search.dialect == TOP  # it was not the format
    assert disappoint(search, search.dialect) == [False] * ALIKE


def test_a_format_that_has_worked_is_not_left():
    search = DialectSearch()
    search.succeeded(TOP)
    search.worked = True
    assert disappoint(search, TOP) == [False] * ALIKE
    assert search.dialect == TOP


@pytest.mark.parametrize(
    ("param", "message", "feature"),
    [
        ("response_format", "", "json_schema"),
        (None, "'response_format' of type 'json_schema' is not supported", "json_schema"),
        (None, "The provided JSON schema contains features not supported", "json_schema"),
        (None, "failed to parse grammar", "json_schema"),
        ("max_tokens", "Unsupported parameter", None),
        ("max_completion_tokens", "", "max_completion_tokens"),
        (None, "Unknown parameter: max_completion_tokens", "max_completion_tokens"),
        (None, "temperature 参数非法，取值范围为 (0,1]。", "temperature"),
        ("logprobs", "", "logprobs"),
        ("messages[0].role", "Unsupported value", "system"),
        (None, "System role not supported", "system"),
        (None, "the weather is bad", None),
        ("messages", "too long", None),
    ],
)
def test_a_message_names_a_feature_in_any_language(param, message, feature):
    assert TOP.named(param, message) == feature


def test_what_is_left_out_already_is_not_named_again():
    assert TOP.without("logprobs").named("logprobs", "") is None
    assert Dialect("plain").named("response_format", "") is None
    assert Dialect("json_object").named("response_format", "") == "json_object"


def test_every_feature_can_be_left_out_and_taken_back():
    for feature in FEATURES:
        lower = TOP.without(feature)
        assert not lower.has(feature)
        assert lower.including(feature).has(feature)
