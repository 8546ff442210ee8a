"""Frames and calls as people really write them: each works, or the message names what does."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import PlanError
from llmframe.frame.rows import plan_rows
from tests.strangers.odd_cells import column_of

LABELS = ["a", "b"]
ECHO = {"echo": str}


def frame(n=3):
    return pd.DataFrame({"text": [f"row {at}" for at in range(n)]})


# -- two storages of one value are one value ----------------------------------------------------

FIELDS = {"k": int, "d": dt.date, "s": str, "c": [1, 2], "b": bool, "f": float, "l": list[int]}
ANSWER = {"k": 3, "d": "2026-01-02", "s": "x", "c": 2, "b": True, "f": 0.5, "l": [1, 2]}
STORAGES = {
    # pandas#50971
    "convert_dtypes": lambda out: out.convert_dtypes(),
    "pyarrow": lambda out: out.convert_dtypes(dtype_backend="pyarrow"),
    "objects": lambda out: out.astype(object),
    "nanoseconds": lambda out: out.assign(d=out["d"].astype("datetime64[ns]")),
    "days of Arrow": lambda out: out.assign(d=out["d"].astype(pd.ArrowDtype(pa.date32()))),
    "days of Python": lambda out: out.assign(d=column_of([day.date() for day in out["d"]])),
    "floats": lambda out: out.assign(k=out["k"].astype(float), f=out["f"].astype("float64")),
    "small ints": lambda out: out.assign(k=out["k"].astype("int8"), c=out["c"].astype("int16")),
    "NumPy's truth": lambda out: out.assign(b=out["b"].astype(bool)),
    "a category": lambda out: out.assign(s=out["s"].astype("category")),
    "another order of labels": lambda out: out.assign(c=out["c"].cat.set_categories([2, 1])),
    "string": lambda out: out.assign(s=out["s"].astype("string")),
    "arrays": lambda out: out.assign(l=column_of([np.array(cell) for cell in out["l"]])),
    "tuples": lambda out: out.assign(l=column_of([tuple(cell) for cell in out["l"]])),
}


@pytest.fixture(scope="module")
def once():
    """A frame that was tagged, and how to tag it again."""
    with testing.serve(answer=lambda *_: ANSWER) as server:
        options = {"model": "m", "base_url": server.url, "api_key": "k", "progress": False}

        def tag(df):
            return df.llm.tag("text", FIELDS, checkpoint=False, **options)

        yield tag(frame()), tag


@pytest.mark.parametrize("store", STORAGES.values(), ids=STORAGES)
def test_another_dtype_is_no_edit(once, store):
    out, tag = once
    assert tag(store(out))["k"].tolist() == [3, 3, 3]


EDITS = {
    "a number": lambda out: out.assign(k=[3, 3, 4]),
    "a half": lambda out: out.assign(k=[3, 3, 3.5]),
    "a text in its place": lambda out: out.assign(k=["3", "3", "3"]),
    "a day": lambda out: out.assign(d=pd.to_datetime(["2026-01-02", "2026-01-02", "2026-01-03"])),
    "an hour": lambda out: out.assign(d=out["d"] + pd.Timedelta("1h")),
    "a gap": lambda out: out.assign(s=["x", "x", None]),
    "another truth": lambda out: out.assign(b=[True, True, False]),
    "a label": lambda out: out.assign(c=[2, 2, 1]),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_another_value_is_an_edit(once, edit):
    out, tag = once
    with pytest.raises(PlanError, match="changed since llmframe wrote it"):
        tag(edit(out))


# -- names ---------------------------------------------------------------------------------------

OLD = [None, float("nan"), 1, 1.5, True, ("a", 1), pd.Timestamp(0), dt.date(2024, 1, 2), ""]


@pytest.mark.parametrize("name", OLD, ids=repr)
def test_an_old_column_keeps_its_name(configured, name):
    columns = pd.Index(["text", name], dtype=object, tupleize_cols=False)
    df = pd.DataFrame([["a", 1]], columns=columns)
    kept = df.llm.tag("text", LABELS).columns[1]
    assert type(kept) is type(name)
    assert kept is name or kept == name or kept != kept


@pytest.mark.parametrize("call", [{"id": "ticket"}, {"input": "ticket"}, {"input": "{ticket}"}])
def test_a_level_of_the_index_is_named_with_reset_index(configured, call):
    # dask#11050: query, sort_values and groupby know it
    df = frame().assign(ticket=list("abc")).set_index("ticket")
    with pytest.raises(PlanError, match=r"names a level of the index: use df\.reset_index\(\)"):
        df.llm.tag(call.pop("input", "text"), LABELS, **call)


# -- a cure is run on every kind that reaches it ---------------------------------------------------

BYTES = {
    # pandas PR49658, giskard#1276
    "text and bytes": pd.Series(["text", b"bytes"], dtype=object),
    "bytes and gaps": pd.Series([b"a", None], dtype=object),
    "bytes of Arrow": pd.Series([b"a", b"b"], dtype=pd.ArrowDtype(pa.binary())),
    "a category": pd.Series([b"a", b"b"], dtype="category"),
    "not UTF-8": pd.Series([b"caf\xe9", "b"], dtype=object),
    "bytearray and memoryview": pd.Series([bytearray(b"a"), memoryview(b"b")], dtype=object),
    "lists too": column_of([["a"], b"b"]),
}


@pytest.mark.parametrize("cells", BYTES.values(), ids=BYTES)
def test_the_cure_for_bytes_is_one_for_all_that_hold_them(cells):
    df = pd.DataFrame({"text": cells})
    with pytest.raises(PlanError, match="decode it first") as caught:
        plan_rows(df, "text")
    cure = str(caught.value).rpartition("decode it first: ")[2]
    df["text"] = eval(cure)
    texts = plan_rows(df, "text").texts(0, 2)
    assert texts == [text if cells.notna()[at] else None for at, text in enumerate(texts)]
    assert all(isinstance(text, str) for at, text in enumerate(texts) if cells.notna()[at])


# -- what people write first -----------------------------------------------------------------------

CALLS = {
    "labels of a column with a gap": (
        lambda: frame().llm.tag("text", pd.Series(["a", None]).unique().tolist()), "dropna",
    ),
    "labels with pd.NA": (lambda: frame().llm.tag("text", ["a", pd.NA]), "dropna"),
    "labels with None": (lambda: frame().llm.tag("text", ["a", None]), "dropna"),
    "instructions by position": (
        lambda: frame().llm.tag("text", ["a"], "Tag it"), "'Tag it' is one more.*instructions=",
    ),
    "no fields": (lambda: frame().llm.tag("text"), "fields is missing"),
    "no input": (lambda: frame()["text"].llm.tag(), "fields is missing"),
    "start by position": (lambda: lf.start(frame(), "text", ["a"], 50), "a int is one more"),
    "rows added to a file": (lambda: frame().llm.to_csv("a.csv", mode="a"), r"pd\.concat"),
    "partitions": (
        lambda: frame().llm.to_parquet("a", partition_cols=["text"]), r"DataFrame\.to_parquet",
    ),
    "some columns": (lambda: frame().llm.to_csv("a.csv", columns=["text"]), r"out\[\[\.\.\.\]\]"),
    "records": (lambda: frame().llm.to_jsonl("a.jsonl", orient="records"), r"DataFrame\.to_json"),
    "no path": (lambda: frame().llm.to_excel(), "it takes path"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "cure"), CALLS.values(), ids=CALLS)
def test_the_message_names_the_cure(configured, call, cure):
    with pytest.raises(PlanError, match=re.compile(cure, re.DOTALL)):
        call()
    assert not configured.ledger.calls


# -- a choice that nobody can make -----------------------------------------------------------------

TYPES = ["str", "list[str]", "int64", "datetime64[ns]", "varchar(20)", "Optional[int]", "str?",
         "np.float32", "int | None", "array<string>", "enum('a', 'b')", "Literal['a']"]  # fmt: skip
NO_CHOICES = {
    "one description": ({"summary": "One sentence that sums it up"}, "Annotated"),
    "questions": ({"name": "What is the name?", "city": "Which city?"}, "Annotated"),
    "questions in Chinese": ({"a": "名字是什么\uff1f", "b": "哪个城市\uff1f"}, "Annotated"),
    "a nested one": ({"a": {"summary": "One sentence"}}, "at least two labels"),
    "a JSON schema": ({"a": {"type": "string", "description": "x"}}, "write the type"),
    "two types": ({"sentiment": "str", "keywords": "list[str]"}, "without quotes"),
} | {text: ({"a": text}, "without quotes") for text in TYPES}


@pytest.mark.parametrize(("fields", "cure"), NO_CHOICES.values(), ids=NO_CHOICES)
def test_a_choice_that_nobody_can_make_is_a_plan_error(configured, fields, cure):
    # docetl's accessor, Snowflake's AI_EXTRACT
    with pytest.raises(PlanError, match=cure):
        frame().llm.tag("text", fields)


def test_descriptions_of_labels_are_still_a_choice(configured):
    fields = {"billing": "money and real invoices", "number": "text", "other": "anything?"}
    out = frame().llm.tag("text", fields, into="label")
    assert out["label"].cat.categories.tolist() == list(fields)


# -- ids ------------------------------------------------------------------------------------------


def test_ids_that_repeat_are_not_taken_for_unique_in_silence(configured):
    # accrue#57: several messages of one ticket
    df = frame(6).assign(ticket=["T1", "T1", "T1", "T2", "T2", "T3"])
    df.llm.tag("text", LABELS, id="ticket", checkpoint="a.jsonl")
    with pytest.warns(UserWarning, match=r"not shown: 3; their ids have a newer one.*no cost"):
        assert len(lf.read_checkpoint("a.jsonl")) == 3


def test_an_id_beyond_64_bits_is_no_missing_one(configured):
    big = 2**63 + 5
    df = frame(2).assign(order=[big, 7])
    df.llm.tag("text", LABELS, id="order", checkpoint="a.jsonl")
    assert set(lf.read_checkpoint("a.jsonl")["id"]) == {str(big), "7"}
