"""What the card of a real call tells: the next lines to type, and a label that took nearly all."""

from dataclasses import replace

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.calls.ending import make_ending
from llmframe.errors import IncompleteWarning
from llmframe.notebook.hosts import Assignment, assigned_here
from llmframe.runs.run import session_of
from tests.kits.notebook_screen import own_shell

CALL = {"model": "m", "checkpoint": False, "progress": False}
ROWS = 60
UNASSIGNED = ("lf.last_run().errors", "lf.last_run().partial().llm.summary()")


def ending_of(tag, assigned, answer="refund", bad="off_list", headline=""):
    """The ending of a call by ``tag`` on rows of which one fails."""
    df = pd.DataFrame({"text": ["bad", *(f"fine {n}" for n in range(ROWS))]})
    replies = {"label": answer, "ok": True}
    with testing.serve(fault_rows={"bad": bad}, answer=lambda text, body: replies) as server:
        tag(df, {"label": ["refund", "other"], "ok": bool}, base_url=server.url, **CALL)
        run = lf.last_run()
        run.wait()
    return make_ending(session_of(run), headline, assigned)


def tag(df, fields, **options):
    return lf.tag(df, "text", fields, **options)


def tag_series(df, fields, **options):
    return df["text"].llm.tag(fields, **options)


def tag_prefixed(df, fields, **options):
    return lf.tag(df, "text", fields, prefix="a_", **options)


@pytest.mark.parametrize(
    ("call", "assigned", "lines"),
    [
        (tag, Assignment(), ("lf.last_run().errors", "lf.last_run().partial().llm.summary()")),
        (tag, Assignment("df2", "tag"), ("df2.llm.errors()", "df2.llm.summary()")),
        (tag, Assignment("r", "start"), ("r.errors", "r.result().llm.summary()")),
        (tag_series, Assignment("s", "tag"), ("lf.last_run().errors", "s.llm.summary()")),
        (
            tag_prefixed,
            Assignment("t", "tag"),
            ("t.llm.errors(prefix='a_')", "t.llm.summary(prefix='a_')"),
        ),
    ],
)
def test_the_next_lines_fit_the_call(call, assigned, lines):
    assert ending_of(call, assigned).next_lines == lines


@pytest.mark.parametrize(
    ("assigned", "lines"),
    [
        (Assignment("out", "tag"), UNASSIGNED),
        (Assignment("r", "start"), ("r.errors", "r.partial().llm.summary()")),
    ],
)
def test_a_call_that_did_not_return_has_given_its_frame_to_no_name(assigned, lines):
    assert ending_of(tag, assigned, headline="interrupted").next_lines == lines


def test_neither_has_a_call_that_raises_for_rows_that_are_left():
    df = pd.DataFrame({"text": [f"row {n}" for n in range(60)]})
    options = {"max_tokens": 2_000, "on_incomplete": "raise"}
    with testing.serve() as server, pytest.raises(IncompleteWarning):
        tag(df, {"label": ["refund", "other"]}, base_url=server.url, **CALL, **options)
    ending = make_ending(session_of(lf.last_run()), "", Assignment("out", "tag"))
    assert ending.next_lines == UNASSIGNED[1:]
    assert ending.headline == "stopped: budget spent"
    assert "max_tokens=" in ending.next_step


def test_a_label_that_took_nearly_all_is_noted_for_choices_and_booleans():
    notes = ending_of(tag, Assignment()).notes
    assert [note.split(";")[0] for note in notes] == [
        'label: 100 % are "refund"', 'ok: 100 % are "True"'
    ]  # fmt: skip


TIMES = {
    "latency": "waiting for answers",
    "RPM 600 (header)": "the provider's limit of 600 requests a minute",
    "TPM 90,000 (yours)": "your limit of 90,000 tokens a minute",
    "concurrency 50": "your limit of 50 requests at a time (concurrency=)",
    "outage": "the provider was down",
}


@pytest.mark.parametrize("cause", TIMES)
def test_what_took_the_time_is_told_in_words(cause, monkeypatch):
    tagged = pd.DataFrame({"text": ["fine"]})
    with testing.serve() as server:
        tag(tagged, {"label": ["refund", "other"]}, base_url=server.url, **CALL)
    session = session_of(lf.last_run())
    report = replace(session.execution.report(), time_went_to={cause: 1.0})
    monkeypatch.setattr(session.execution, "report", lambda: report)
    assert make_ending(session, "", Assignment()).time_went_to == f"100 % {TIMES[cause]}"


CELLS = {
    "out = df.llm.tag('text', FIELDS)": Assignment("out", "tag"),
    "x = 1\nmy_out = lf.tag(df, 'text', FIELDS)\nmy_out": Assignment("my_out", "tag"),
    "run = df.llm.start('text', FIELDS)": Assignment("run", "start"),
    "out = await df.llm.atag('text', FIELDS)": Assignment("out", "atag"),
    "df.llm.tag('text', FIELDS)": Assignment(),
    "out = df.llm.tag('text', FIELDS).head()": Assignment(),
    "a = df.llm.tag('t', F)\nb = df.llm.tag('t', G)": Assignment(),  # which of them is shown?
    "a, b = df.llm.tag('t', F), 1": Assignment(),
    "out = my_function(df)": Assignment(),
    "df = df.llm.tag('text', FIELDS)": Assignment("df", "tag"),
    "with x:\n    out = df.llm.tag('text', FIELDS)": Assignment("out", "tag"),
    "out: object = df.llm.tag('text', FIELDS)": Assignment(),
    "this is no python": Assignment(),
    "": Assignment(),
}


@pytest.mark.parametrize("code", CELLS)
def test_the_name_that_a_cell_gives_its_result_is_known_where_it_is_plain(code):
    with own_shell() as shell:
        shell.user_ns["In"] = ["", code]
        assert assigned_here() == CELLS[code]


def test_without_a_notebook_no_name_is_known():
    assert assigned_here() == Assignment()


def test_the_running_cell_is_the_last_of_the_history():
    with own_shell() as shell:
        shell.user_ns["ask"] = assigned_here
        shell.run_cell("found = ask()  # out = df.llm.tag()", store_history=True)
        shell.run_cell("if True:\n    z = ask()\n    def later(): y = df.tag()", store_history=True)
        assert shell.user_ns["z"] == Assignment("y", "tag")
