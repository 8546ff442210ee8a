"""What people get wrong is answered by one sentence with the cure, and nothing is sent."""

from __future__ import annotations

import asyncio
import re
import warnings

import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import PlanError
from llmframe.options.settings import OPTIONS
from llmframe.options.synonyms import unknown_options

FIELDS = {"intent": ["refund", "other"]}
DF = pd.DataFrame({"text": ["a parcel", "a bill"], "n": [1, 2]})
SCHEMA = {"type": "object", "properties": {"intent": {"type": "string"}}}
TEXTS = {"summary": "one short sentence", "sentiment": "positive or negative"}


def tag(*arguments, **options):
    return lambda: DF.llm.tag(*(arguments or ("text", FIELDS)), **options)


def series(*arguments, **options):
    return lambda: DF["text"].llm.tag(*arguments, **options)


# a line a mistake: the call, and what its answer says
MISTAKES = {
    # the ten
    "a dict of texts, as fields": (tag("text", TEXTS), "{'summary': str, 'sentiment': ['..."),
    "a dict of texts, as labels": (tag("text", TEXTS), "into='label'"),
    "one label": (tag("text", {"a": ["refund"]}), "give at least two, ['refund', 'other']"),
    "prompt=": (tag(prompt="Tag it."), 'write instructions="..."'),
    "labels=": (tag("text", labels=["a", "b"]), 'df.llm.tag("text", {"intent": ['),
    "batch_size=": (tag(batch_size=20), "rows are asked one by one, so write concurrency="),
    "max_workers=": (tag(max_workers=8), "write concurrency="),
    "columns=": (lambda: DF.llm.tag(columns=["text"]), "the text to ask about first"),
    "the two swapped": (tag(FIELDS, "text"), "df.llm.tag('text', <fields>)"),
    "instructions by position": (tag("text", FIELDS, "Tag it."), "instructions=..."),
    "a series' own name": (series("text", FIELDS), "needs no column name: series.llm.tag(fields)"),
    # and more
    "two names of others": (tag(url="x", key="k"), "write base_url=.*write api_key="),
    "a name nobody knows": (tag(zzz=1), "the most used are instructions, model,"),
    "a slip": (tag(temprature=1), "did you mean temperature?"),
    "rows to choose": (tag(rows=DF["n"] > 1), "write where=, a mask or a query"),
    "a few rows": (tag(limit=20), "choose the rows first: df.head(20).llm.tag(...)"),
    "a series as input": (tag(DF["text"], FIELDS), "give its name, 'text'"),
    "no frame": (lambda: lf.tag("text", FIELDS), "the frame comes first: lf.tag(df, 'text'"),
    "no braces": (tag("Mail: text", FIELDS), "columns in braces: 'Mail: {text}'"),
    "fields as a text": (tag("text", "intent"), "{'intent': ['refund', 'other'], 'summary': str}"),
    "a JSON schema": (tag("text", SCHEMA), "give a dict of names and types instead"),
    "a JSON schema as field": (tag("text", {"a": {"type": "string", "enum": ["x"]}}), "['x']"),
    "a list of fields": (tag("text", [{"name": "intent"}]), "several fields are one dict"),
    "labels in two brackets": (tag("text", {"a": [["x", "y"]]}), "leave out the inner brackets"),
    "another verb": (lambda: DF.llm.classify("text", FIELDS), "has no 'classify'; df.llm.tag("),
    "a verb of the module": (lambda: lf.classify(DF), "lf.tag(df, input, fields)"),
    "a call that series lack": (lambda: DF["text"].llm.atag(FIELDS), "df.llm.tag("),
    "a provider's name alone": (lambda: lf.configure("groq"), 'configure(provider="groq"'),
    "a key by position": (lambda: lf.configure("sk-123456789"), "lf.configure(provider="),
    "a variable as key": (tag(api_key="OPENAI_API_KEY"), 'os.environ["OPENAI_API_KEY"]'),
    "a placeholder as key": (tag(api_key="sk-..."), "it takes a key of visible ASCII"),
    "a model as provider": (tag(provider="gpt-4o"), "and a model by model="),
    "a file as frame": (lambda: lf.tag("mine.csv", "text", FIELDS), "df = pd.read_csv('mine.csv'"),
    "a workbook as frame": (lambda: lf.start("a.b.XLSX", "t", FIELDS), "pd.read_excel('a.b.XLSX')"),
    "a gzipped file as frame": (lambda: lf.tag("a.csv.gz", "t", FIELDS), "pd.read_csv('a.csv.gz')"),
    "labels in one text": (tag("text", {"a": "refund, delivery"}), "{'a': ['refund', 'delivery']}"),
    "labels between bars": (tag("text", {"a": "x|y"}), "{'a': ['x', 'y']}"),
    "labels between Chinese commas": (tag("text", {"a": "退款、物流"}), "{'a': ['退款', '物流']}"),
    "labels beside a type": (tag("text", {"a": "x; y", "b": str}), "{'a': ['x', 'y']}"),
    "labels in one text alone": (tag("text", "x/y"), "give the labels as a list"),
    "no labels": (tag("text", {"a": []}), "give at least two, ['refund', 'other']"),
    "floats as labels": (tag("text", {"a": [0.5, 1.0]}), "write each as text, '0.5'"),
    "a series as fields": (tag("text", DF["text"]), "is a Series; for its values as labels"),
    "a frame as fields": (tag("text", DF), "is a DataFrame; give a dict of names and types"),
    "no scheme here": (tag(base_url="localhost:1234"), "is missing: 'http://localhost:1234/v1'"),
    "no scheme": (tag(base_url="api.deepseek.com/v1"), "is missing: 'https://api.deepseek.com/v1'"),
    "a call's address": (tag(base_url="https://x.y/v1/chat/completions"), "rest: 'https://x.y/v1'"),
    "the models' address": (tag(base_url="https://x.y/v1/models/"), "rest: 'https://x.y/v1'"),
    "a taken name": (
        lambda: DF.llm.tag("text", {"n": int}),
        "the frame already has 'n'; overwrite=True replaces what is there, prefix='new_' keeps",
    ),
    "the wrong end": (lambda: DF.llm.to_parquet("x.csv"), "out.llm.to_csv('x.csv') writes that"),
    "another wrong end": (lambda: DF.llm.to_csv("x.xlsx"), "out.llm.to_excel('x.xlsx')"),
    "no preset": (lambda: lf.configure(provider="豆包"), 'base_url="https://ark.cn-beijing.volces'),
    "a forgotten prefix": (
        lambda: DF.assign(x_llm_status="ok", x_llm_error=None).llm.summary(),
        "write df.llm.summary(prefix='x_')",
    ),
    "a provider as address": (tag(base_url="deepseek"), "a provider's name into provider="),
}  # fmt: skip


@pytest.mark.parametrize(("call", "cure"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_its_cure_and_nothing_is_sent(configured, call, cure):
    pattern = ".*".join(map(re.escape, cure.split(".*")))
    with pytest.raises(PlanError, match=pattern) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert "123456789" not in str(caught.value)
    assert len(configured.ledger) == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (["intent", "urgency", "summary"], "A list is the labels of one column"),
        (["意图", "摘要"], "give a dict: {'意图': ['...', '...'], '摘要': str}"),
        (["Sentiment", "topic", "who"], "For 3 columns"),
        ({"a": ["refund", "refnud"]}, "'refund' and 'refnud'. Is one of them a slip?"),
        ({"a": ["delivery", "delivry", "other"]}, "nearly the same"),
        ({"a": ["refund", "refunds"]}, "nearly the same"),
    ],
)
def test_labels_that_may_be_meant_otherwise_are_named_before_anything_is_sent(
    configured, fields, said
):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match=re.escape(said)):
            DF.llm.tag("text", fields)
    assert len(configured.ledger) == 0
    with pytest.warns(UserWarning, match=re.escape(said)) as caught:
        DF.llm.tag("text", fields)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "labels",
    [
        ["positive", "negative"],
        ["moral", "amoral"],
        ["employer", "employee"],
        ["grade1", "grade2"],
        ["known", "unknown"],
        ["planet", "plane"],
        ["满意的服务", "不满意的服务"],
        ["topic", "other", "price", "color"],
    ],
)
def test_ordinary_labels_get_no_note(configured, labels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DF.llm.tag("text", labels)


def test_a_run_used_as_the_frame_says_how_to_get_the_frame(configured):
    run = DF.llm.start("text", FIELDS)
    for use in (lambda: run["intent"], lambda: run.head()):
        with pytest.raises(PlanError, match=r"out = run\.result\(\)"):
            use()
    assert run
    run.result()


def test_an_accessor_printed_says_what_it_does():
    assert "summary" in repr(DF.llm)
    assert "asks a model about every row" in repr(DF.llm)


@pytest.mark.parametrize("line", ["DF.llm.tag('text', FIELDS)", "lf.tag(DF, 'text', **GIVEN)",
                                  "DF['text'].llm.tag(FIELDS)"])  # fmt: skip
def test_an_await_too_many_is_found_before_anything_is_sent(configured, line):
    names = {"DF": DF, "lf": lf, "FIELDS": FIELDS, "GIVEN": {"fields": FIELDS}}
    exec(f"async def cell():\n    return await {line}", names)
    with pytest.raises(PlanError, match=r"leave `await` out, or write `await df\.llm\.atag"):
        asyncio.run(names["cell"]())
    assert len(configured.ledger) == 0


def test_a_call_in_a_coroutine_that_is_not_awaited_goes_on(configured):
    async def cell():
        out = DF.llm.tag("text", FIELDS)
        await asyncio.sleep(0)
        return out

    assert (asyncio.run(cell())["llm_status"] == "ok").all()


def test_no_other_tools_name_is_one_of_ours():
    for name in OPTIONS:
        assert unknown_options([name]) == ""
        plain = name.replace("_", "")
        if plain not in OPTIONS:
            assert "did you mean" in unknown_options([plain]), plain


def test_everything_that_a_frame_can_do_is_found_by_tab():
    assert {"tag", "atag", "start", "errors", "summary", "to_parquet"} <= {*dir(DF.llm)}
    assert dir(DF["text"].llm) == ["tag"]
    assert dir(lf) == sorted(lf.__all__)
    assert not [name for name in dir(DF.llm) if name.startswith("_")]
