"""``check``: one small request, and what it tells."""

from __future__ import annotations

import pytest

import llmframe as lf
from llmframe import testing
from llmframe.checking import Line
from llmframe.errors import PlanError
from llmframe.notebook.check_view import Check
from tests.foreign import serve_page

KEY = "sk-canary-0123456789"
NAMES = [
    "reachable", "key accepted", "model", "response format", "logprobs", "rate-limit headers",
    "latency", "price",
]  # fmt: skip


def found(check):
    return {line.name: line.found for line in check.lines}


def test_a_good_endpoint_takes_one_request_and_every_line_is_told(configured, capsys):
    check = lf.check()
    assert check.ok
    assert [line.name for line in check.lines] == NAMES
    assert len(configured.ledger) == 1
    told = found(check)
    assert told["reachable"] == configured.url
    assert told["key accepted"] == "none is needed"
    assert told["model"] == "test-model"
    assert told["response format"] == "json_schema, and the answer keeps to it"
    assert told["logprobs"] == "yes"
    assert told["rate-limit headers"].startswith("none")
    assert told["latency"].endswith(" s")
    assert told["price"].startswith("nothing is charged on this machine (")
    printed = capsys.readouterr().out
    assert printed == f"{check}\n"
    assert "response format     yes  json_schema" in printed


def test_each_way_of_asking_that_is_refused_takes_one_request_more():
    lacks = ("json_schema", "max_completion_tokens", "logprobs")
    with testing.serve(unsupported=lacks) as server:
        check = lf.check(model="m", base_url=server.url)
        assert len(server.ledger) == 4
        assert sum(call.billed for call in server.ledger.calls) == 1
    told = found(check)
    assert told["response format"] == (
        "json_object, and the answer keeps to it; refused: json_schema, max_completion_tokens"
    )
    assert told["logprobs"] == "no: they are refused"
    assert "(4 requests" in told["latency"]
    assert check.ok


def test_what_was_found_out_is_known_to_the_next_run():
    import pandas as pd

    with testing.serve(unsupported=("json_schema",)) as server:
        lf.configure(model="m", base_url=server.url, progress=False)
        lf.check()
        asked = len(server.ledger)
        pd.DataFrame({"text": ["one"]}).llm.tag("text", ["a", "b"])
        assert len(server.ledger) == asked + 1


def test_logprobs_that_do_not_come_are_told():
    with testing.serve(logprobs=False) as server:
        check = lf.check(model="m", base_url=server.url)
    assert found(check)["logprobs"] == "no: asked for, but none came"


def test_limits_and_prices_are_told():
    with testing.serve(rpm=600, tpm=90_000) as server:
        check = lf.check(model="m", base_url=server.url, prices=(1.0, 2.0))
    assert found(check)["rate-limit headers"] == "600 requests, 90,000 tokens a minute"
    assert " for 1,000 rows like this one (" in found(check)["price"]


def test_the_source_of_the_key_is_told_and_never_the_key(monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with testing.serve(key=KEY, echo_key=True) as server:
        check = lf.check(model="m", base_url=server.url)
        assert found(check)["key accepted"] == "from the environment variable OPENAI_API_KEY"
        wrong = lf.check(model="m", base_url=server.url, api_key=f"{KEY}-wrong")
    shown = capsys.readouterr().out + repr(check) + check._repr_html_() + wrong._repr_html_()
    assert KEY not in shown


@pytest.mark.parametrize(
    ("fault", "line", "words"),
    [
        ("429_after", "response format", "refused for now"),
        ("quota", "key accepted", "quota is used up"),
        ("402", "key accepted", "no credit"),
        ("403", "key accepted", "forbids"),
        ("503", "reachable", "cannot answer now"),
        ("error_200", "reachable", "cannot answer now"),
        ("drop", "reachable", "cannot be reached"),
        ("empty_choices", "reachable", "cannot answer now"),
        ("content_filter", "response format", "was refused"),
        ("malformed", "response format", "does not keep to it"),
        ("null_content", "response format", "does not keep to it"),
        ("length", "response format", "met its cap"),
    ],
)
def test_every_fault_has_its_line_and_a_cure(configured, fault, line, words):
    configured.update(faults={fault: 1.0})
    check = lf.check()
    (wrong,) = [one for one in check.lines if one.ok is False]
    assert wrong.name == line
    assert words in wrong.found
    assert wrong.cure
    assert len(configured.ledger) <= 2


def test_a_server_that_hangs_is_told_when_the_time_is_over(configured):
    configured.update(faults={"hang": 1.0})
    check = lf.check(timeout=0.3)
    assert "does not answer in time" in found(check)["reachable"]
    assert "check(timeout=" in check.lines[0].cure


def test_nothing_configured_is_a_plan_error_and_so_is_a_wrong_option(monkeypatch):
    from llmframe.providers import advice

    monkeypatch.setattr(advice, "find_servers", list)
    with pytest.raises(PlanError, match="nothing is configured"):
        lf.check()
    with pytest.raises(PlanError, match="did you mean model"):
        lf.check(modle="m")


def test_what_others_wrote_is_only_text(capsys):
    page = b"<html><title><script>alert(1)</script>\x1b[31m</title></html>"
    with serve_page(502, page) as (url, _):
        check = lf.check(model="<b>m</b>", base_url=f"{url}/v1")
    html = check._repr_html_()
    assert "<script>" not in html
    assert "<b>m" not in html
    assert "&lt;b&gt;m" in html
    assert "\x1b" not in capsys.readouterr().out


def test_in_a_notebook_a_cell_shows_it_once(monkeypatch):
    from llmframe.notebook import check_view

    shown = []
    monkeypatch.setattr(check_view, "show", lambda data: shown.append(data))
    monkeypatch.setattr(check_view.hosts, "kernel", object)
    cell = ["first"]
    monkeypatch.setattr(check_view.hosts, "running_cell", lambda: cell[0])
    check = Check("somewhere, m", (Line("reachable", "yes", ok=True),))
    check.show()
    check._ipython_display_()  # the cell's last expression
    assert len(shown) == 1
    cell[0] = "second"
    check._ipython_display_()
    assert len(shown) == 2
    assert shown[0]["text/plain"] == str(check)
    assert "all right" in shown[0]["text/html"]


def test_its_repr_is_one_line():
    assert repr(Check("x, m", (Line("model", "none", ok=False, cure="y"),))) == (
        "<Check of x, m: something is wrong>"
    )
