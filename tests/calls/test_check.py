"""``check``: one small request, and what it tells."""

from __future__ import annotations

import asyncio
import inspect
import re
from types import SimpleNamespace

import pytest

import llmframe as lf
from llmframe import testing
from llmframe.calls import check as checking
from llmframe.engine.probe import Finding, Probe
from llmframe.engine.wire.verdict import BadReply
from llmframe.errors import PlanError
from llmframe.messages import check_lines
from llmframe.messages.check_lines import Line
from llmframe.notebook.check_view import Check
from llmframe.options.presets import PRESETS
from llmframe.options.settings import DEFAULTS
from llmframe.providers.dialect import Dialect
from llmframe.providers.responses.scrubber import Scrubber
from llmframe.results import Usage
from tests.kits import virtual_time
from tests.kits.foreign import serve_page

KEY = "sk-canary-0123456789"
NAMES = [
    "reachable", "key accepted", "model", "response format", "logprobs", "rate-limit headers",
    "latency", "price",
]  # fmt: skip


def found(check):
    return {line.name: line.found for line in check.lines}


def judged(check):
    return {line.name: line.ok for line in check.lines}


def cures(check):
    return {line.name: line.cure for line in check.lines}


def test_a_good_endpoint_takes_one_request_and_fills_every_line(configured, capsys):
    check = lf.check()
    assert check.ok
    assert [line.name for line in check.lines] == NAMES
    assert len(configured.ledger) == 1
    lines = found(check)
    assert lines["reachable"] == "it answers"
    assert lines["key accepted"] == "no key is needed"
    assert lines["model"] == "test-model"
    assert lines["response format"] == "json_schema, and the answer follows it"
    assert lines["logprobs"] == "yes"
    assert lines["rate-limit headers"].startswith("none")
    assert lines["price"].startswith("not known for a server on this machine (")
    assert lines["price"].endswith(" each): give prices= if it charges")
    printed = capsys.readouterr().out
    assert printed == f"{check}\n"
    assert printed.count(configured.url) == 1
    assert "response format     yes  json_schema" in printed


HOSTED = [preset for preset in PRESETS.values() if not preset.keyless]


@pytest.mark.parametrize("preset", HOSTED, ids=lambda preset: preset.name)
def test_every_provider_is_checked_with_one_request_that_it_does_not_refuse(preset):
    refused = preset.lacks & {"json_schema", "json_object", "max_completion_tokens", "logprobs"}
    with testing.serve(unsupported=tuple(sorted(refused)), key=KEY) as server:
        check = lf.check(
            provider=preset.name, base_url=server.url, api_key=KEY, model=preset.model or "m"
        )
        assert check.ok
        [call] = server.ledger.calls
    assert judged(check)["key accepted"]
    kind = "json_object" if "json_schema" in refused else "json_schema"
    expected = "plain text" if "json_object" in refused else kind
    assert found(check)["response format"].startswith(expected)
    assert call.billed


def test_each_way_of_asking_that_is_refused_takes_one_request_more():
    lacks = ("json_schema", "max_completion_tokens", "logprobs")
    with testing.serve(unsupported=lacks) as server:
        check = lf.check(model="m", base_url=server.url)
        assert len(server.ledger) == 4
        assert sum(call.billed for call in server.ledger.calls) == 1
    lines = found(check)
    assert lines["response format"] == (
        "json_object, and the answer follows it; not accepted: json_schema, max_completion_tokens"
    )
    assert lines["logprobs"] == "no: the endpoint does not accept them"
    assert "(4 requests" in lines["latency"]
    assert check.ok


def test_what_was_found_out_is_known_to_the_next_run():
    import pandas as pd

    with testing.serve(unsupported=("json_schema",)) as server:
        lf.configure(model="m", base_url=server.url, progress=False)
        lf.check()
        asked = len(server.ledger)
        pd.DataFrame({"text": ["one"]}).llm.tag("text", ["a", "b"])
        assert len(server.ledger) == asked + 1


def test_missing_logprobs_are_reported():
    with testing.serve(logprobs=False) as server:
        check = lf.check(model="m", base_url=server.url)
    assert found(check)["logprobs"] == "no: requested, but none came"


def test_limits_and_prices_are_shown():
    with testing.serve(rpm=600, tpm=90_000) as server:
        check = lf.check(model="m", base_url=server.url, prices=(1.0, 2.0))
    price = found(check)["price"]
    assert re.fullmatch(
        r"1,000 rows like this one cost 0\.1\d+, in the currency of the prices "
        r"\(\d+ tokens in, \d+ out each\)",
        price,
    )


@pytest.mark.parametrize(
    ("cost", "file", "priced_at", "words"),
    [
        (0.25, None, "https://api.example/v1", "cost 250.00, in the currency that the endpoint"),
        (None, object(), "", "free on this machine (9 tokens in, 1 out each)"),
        (None, None, "", "not known for a server on this machine (9 tokens in, 1 out each): give"),
        (None, None, "https://api.example/v1", "not known; 1,000 rows like this one take 9 k"),
    ],
)
def test_the_price_is_shown_as_far_as_it_is_known(cost, file, priced_at, words):
    place = SimpleNamespace(
        file=file, priced_at=priced_at, prices=None, settings=SimpleNamespace(prices=None)
    )
    reply = SimpleNamespace(usage=Usage(9, 1, cost))
    assert words in check_lines.price_line(place, SimpleNamespace(reply=reply)).found


def test_a_short_latency_is_shown_in_milliseconds():
    for seconds, words in ((0.0041, "4 ms"), (0.25, "0.25 s")):
        finding = Finding(Dialect(), requests=1, seconds=seconds)
        assert check_lines.latency_line(finding).found == words


def test_the_source_of_the_key_is_shown_and_never_the_key(monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with testing.serve(key=KEY, echo_key=True) as server:
        check = lf.check(model="m", base_url=server.url)
        assert found(check)["key accepted"] == "from the environment variable OPENAI_API_KEY"
        wrong = lf.check(model="m", base_url=server.url, api_key=f"{KEY}-wrong")
    shown = capsys.readouterr().out + repr(check) + check._repr_html_() + wrong._repr_html_()
    assert KEY not in shown


def test_a_missing_key_is_not_reported_as_a_wrong_one():
    with testing.serve(key=KEY) as server:
        check = lf.check(model="m", base_url=server.url)
    assert "asks for an API key, and none was given" in found(check)["key accepted"]
    assert "OPENAI_API_KEY" in cures(check)["key accepted"]


@pytest.mark.parametrize(
    ("fault", "line", "words"),
    [
        ("quota", "key accepted", "quota is used up"),
        ("402", "key accepted", "no credit"),
        ("403", "key accepted", "forbids"),
        ("503", "reachable", "cannot answer right now"),
        ("error_200", "reachable", "cannot answer right now"),
        ("drop", "reachable", "cannot be reached"),
        ("empty_choices", "reachable", "cannot answer right now"),
        ("content_filter", "response format", "was rejected"),
    ],
)
def test_every_fault_has_its_line_and_a_cure(configured, fault, line, words):
    configured.update(faults={fault: 1.0})
    check = lf.check()
    (wrong,) = [one for one in check.lines if one.ok is False]
    assert wrong.name == line
    assert words in wrong.found
    assert wrong.cure
    assert configured.url not in wrong.found
    assert len(configured.ledger) <= 3  # a lost one is asked again, and then in a simpler way


@pytest.mark.parametrize("fault", ["429_after", "503_after"])
def test_a_refusal_for_now_is_no_fault_and_its_wait_is_shown(configured, fault):
    configured.update(faults={fault: 1.0}, retry_after=11.4)
    check = lf.check()
    assert found(check)["rate-limit headers"].startswith(
        "rate-limited for now; the provider asks to wait 12 s"
    )
    assert cures(check)["rate-limit headers"]
    assert judged(check) == dict.fromkeys(NAMES) | {"reachable": True}
    assert found(check)["response format"] == "not checked"
    assert found(check)["model"] == "test-model"
    assert check.ok
    assert repr(check).endswith(": nothing is wrong, but not everything could be checked>")


def test_a_refusal_without_a_wait_shows_none():
    with testing.serve(faults={"429": 1.0}, retry_after=None) as server:
        check = lf.check(model="m", base_url=server.url)
    assert found(check)["rate-limit headers"].startswith("rate-limited for now: Rate limit reached")


def test_a_limit_below_one_small_request_is_wrong():
    body = b'{"error":{"message":"Request too large: Limit 50, Requested 383","code":"tokens"}}'
    with serve_page(429, body, "application/json") as (url, _):
        check = lf.check(model="m", base_url=f"{url}/v1")
    assert judged(check)["rate-limit headers"] is False
    assert "more than the limit allows" in found(check)["rate-limit headers"]


@pytest.mark.parametrize(
    ("fault", "proven"),
    [
        ("context", ["reachable"]),
        ("404_model", ["reachable", "key accepted"]),
        ("content_filter", ["reachable", "key accepted", "model"]),
        ("401", ["reachable"]),
    ],
)
def test_only_what_a_failure_proves_is_called_right(configured, fault, proven):
    configured.update(faults={fault: 1.0})
    check = lf.check()
    assert [name for name, ok in judged(check).items() if ok] == proven
    assert list(judged(check).values()).count(False) == 1


def test_an_answer_cut_by_a_cap_of_checks_own_is_no_fault(configured):
    configured.update(faults={"length": 1.0})
    check = lf.check()
    assert judged(check)["response format"] is None
    assert found(check)["response format"] == (
        "json_schema is accepted; the answer was cut at check's own 256 tokens"
    )
    assert check.ok


def test_an_answer_cut_by_the_persons_cap_is_shown_with_its_cure(configured):
    configured.update(faults={"length": 1.0})
    check = lf.check(max_output_tokens=256)
    assert judged(check)["response format"] is False
    assert "cut at max_output_tokens" in found(check)["response format"]
    assert "raise max_output_tokens=" in cures(check)["response format"]


@pytest.mark.parametrize(
    ("listed", "cure"),
    [
        (("small-model", "other"), "Did you mean 'small-model'?"),
        (("xyz", "qqq"), "It serves 'xyz', 'qqq'."),
        (tuple(f"x{n:099}" for n in range(9)), "… and 6 more."),
        (("smal-model",), "The endpoint lists 'smal-model', but perhaps not for this key"),
    ],
)
def test_the_nearest_models_are_named_else_a_few(listed, cure):
    with testing.serve(faults={"404_model": 1.0}, models=listed) as server:
        check = lf.check(model="smal-model", base_url=server.url)
    assert cure in cures(check)["model"]


def test_a_server_that_hangs_is_reported_after_the_timeout(configured):
    configured.update(faults={"hang": 1.0})
    check = lf.check(timeout=0.3)
    assert "does not answer in time" in found(check)["reachable"]
    assert "lf.check(timeout=" in check.lines[0].cure


def test_a_timeout_that_is_given_counts_even_if_it_is_the_default(configured, monkeypatch):
    configured.update(latency=0.3)
    monkeypatch.setattr(checking, "PATIENCE", 0.1)
    assert "within 0.1 s" in found(lf.check())["reachable"]
    assert lf.check(timeout=DEFAULTS["timeout"]).ok
    lf.configure(timeout=DEFAULTS["timeout"])
    assert lf.check().ok


class SlowBackend:
    """Refuses the model after five seconds, and hangs when it is to list those it has."""

    async def send(self, body):
        await asyncio.sleep(5.0)
        raise BadReply("no", error={"code": "model_not_found", "message": "no such model"})

    async def models(self):
        await asyncio.sleep(3600.0)


def test_the_list_of_models_has_only_what_is_left_of_the_time():
    async def main():
        asker = SimpleNamespace(
            body=lambda row, dialect: {},
            texts=lambda row: (),
            features=lambda row: frozenset(),
        )
        probe = Probe(SlowBackend(), asker, text="", timeout=10.0, scrub=Scrubber())
        began = virtual_time.now()
        finding = await probe.run(Dialect())
        return finding, virtual_time.now() - began

    finding, took = virtual_time.run(main())
    assert finding.verdict.about == "model"
    assert finding.models == ()
    assert took == pytest.approx(10.0)


def test_nothing_configured_is_a_plan_error_and_so_is_a_wrong_option(monkeypatch):
    from llmframe.messages import first_steps as advice

    monkeypatch.setattr(advice, "find_servers", list)
    with pytest.raises(PlanError, match="nothing is configured"):
        lf.check()
    with pytest.raises(PlanError, match="did you mean base_url"):
        lf.check(baseurl="m")


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
    check = Check("somewhere, m", (Line("reachable", found="yes", ok=True),))
    check.show()
    check._ipython_display_()  # the cell's last expression
    assert len(shown) == 1
    cell[0] = "second"
    check._ipython_display_()
    assert len(shown) == 2
    assert shown[0]["text/plain"] == str(check)
    assert "all right" in shown[0]["text/html"]


def test_its_repr_is_one_line():
    assert repr(Check("x, m", (Line("model", found="none", ok=False, cure="y"),))) == (
        "<Check of x, m: something is wrong>"
    )


def test_help_names_its_options_and_shows_an_example():
    doc = inspect.getdoc(lf.check)
    for name in ("base_url", "model", "instructions", "temperature", "seed", "extra_body"):
        assert name in doc
    assert "hedge" not in doc
    assert all(f"\n  {name} " in doc for name in NAMES)
    assert lf.check.__doc__.count("\n") < 64


def test_an_option_that_it_does_not_use_is_taken(configured):
    assert lf.check(prefix="p_", checkpoint=False).ok


def test_its_signature_names_what_it_uses_and_nothing_else():
    names = list(inspect.signature(lf.check).parameters)
    assert {"provider", "model", "timeout", "prices"} <= set(names)
    assert {"checkpoint", "prefix", "concurrency"}.isdisjoint(names)
    assert all(name in lf.check.__doc__ for name in names)
    assert "checkpoint" not in lf.check.__doc__


def test_one_server_error_is_chance_and_not_about_the_schema():
    with testing.serve(faults=lambda row, attempt: "500" if attempt == 0 else None) as server:
        lf.configure(model="m", base_url=server.url, progress=False)
        lines = found(lf.check())
        assert lines["response format"] == "json_schema, and the answer follows it"
        assert len(server.ledger) == 2
        assert "(2 requests: the first was lost)" in lines["latency"]
