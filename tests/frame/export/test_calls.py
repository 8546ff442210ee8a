"""Exports as a person calls them: on what a run leaves, while it goes, and when it is half done."""

from __future__ import annotations

import inspect
import json
import threading
import warnings

import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import IncompleteWarning, PlanError
from tests.kits.export import CALLS, EVERY, tagged
from tests.kits.scripts import until

FIELDS = {"intent": ["refund", "delivery", "other"], "summary": str}
KEY = "sk-secret-0123456789abcdef"


def frame(n=20):
    return pd.DataFrame({"text": [f"record {i}" for i in range(n)]})


def test_what_a_run_leaves_goes_into_a_file_with_what_made_it(configured, tmp_path):
    out = frame().llm.tag("text", FIELDS, checkpoint=tmp_path / "mine.jsonl")
    path = out.llm.to_parquet("out.parquet")
    pd.testing.assert_frame_equal(lf.read_parquet(path), out)
    about = lf.read_metadata(path)
    report = lf.last_run().report
    assert (about["model"], about["endpoint"], about["checkpoint"]) == (
        "test-model", "127.0.0.1", "mine.jsonl",
    )  # fmt: skip
    assert about["counts"] == {"rows": 20, "ok": 20, "failed": 0, "skipped": 0, "pending": 0}
    assert (about["tokens_in"], about["tokens_out"]) == (report.tokens_in, report.tokens_out)
    assert about["task"] == out.attrs["llmframe"]["task"]
    assert str(tmp_path) not in json.dumps(about)


def test_a_run_that_goes_on_can_be_exported(configured, tmp_path):
    configured.update(latency=0.05)
    run = frame(60).llm.start("text", FIELDS, concurrency=5)
    until(lambda: run.report.ok >= 10)
    with pytest.warns(IncompleteWarning, match=r"out\.parquet will be incomplete: \d+ of 60"):
        path = run.partial().llm.to_parquet("out.parquet")
    seen = pd.read_parquet(path)["llm_status"].value_counts()
    assert seen["ok"] >= 10
    assert seen["pending"] > 0
    assert (run.result()["llm_status"] == "ok").all()


@EVERY
def test_pending_rows_are_reported_once_at_the_persons_line(call, name):
    out = tagged(pending=[0, 2])
    with pytest.warns(IncompleteWarning, match="incomplete: 2 of 3 rows are pending") as caught:
        getattr(out.llm, call)(name)
    assert [warning.filename for warning in caught] == [__file__]


@EVERY
def test_no_half_table_is_written_where_the_warning_is_an_error(tmp_path, call, name):
    out = tagged(pending=[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error", IncompleteWarning)
        with pytest.raises(IncompleteWarning):
            getattr(out.llm, call)(name)
    assert list(tmp_path.iterdir()) == []


def test_pending_rows_of_any_prefix_are_counted_once():
    out = tagged(pending=[0])
    out["b_llm_status"] = out["llm_status"]
    with pytest.warns(IncompleteWarning, match="1 of 3 rows"):
        out.llm.to_csv("out.csv")


def test_a_series_that_was_tagged_can_be_exported(configured):
    out = frame()["text"].llm.tag(FIELDS)
    pd.testing.assert_frame_equal(lf.read_parquet(out.llm.to_parquet("out.parquet")), out)


def test_a_selection_a_filter_and_parts_put_together_are_typed_too(tmp_path):
    out = tagged()
    for same in (out[out["stars"].notna()], out[["order", "intent"]], pd.concat([out, out])):
        pd.testing.assert_frame_equal(lf.read_parquet(same.llm.to_parquet("o.parquet")), same)


def test_the_frame_is_not_changed():
    out = tagged()
    before = out.copy(deep=True)
    for call, name in CALLS.items():
        getattr(out.llm, call)(name)
    pd.testing.assert_frame_equal(out, before)
    assert out.attrs == before.attrs


def test_the_key_is_in_no_file(configured, tmp_path):
    configured.update(
        key=KEY, echo_key=True, faults={"500": 0.3}, fault_rows={"record 3": "context"}
    )
    out = frame().llm.tag("text", FIELDS, api_key=KEY, details=True, max_attempts=2)
    assert (out["llm_status"] == "failed").any()
    paths = [getattr(out.llm, call)(name) for call, name in CALLS.items()]
    held = [path.read_bytes() for path in paths]
    held += [pd.read_parquet(paths[0]).to_json().encode(), str(lf.read_metadata(paths[0])).encode()]
    held += [pd.read_excel(paths[3]).to_json().encode(), str(lf.read_metadata(paths[3])).encode()]
    assert all(KEY.encode() not in data for data in held)


@EVERY
def test_help_explains_every_option(call, name):
    method = getattr(lf.llm(pd.DataFrame()), call)
    doc = inspect.getdoc(method)
    assert doc.splitlines()[0].endswith(" path.")
    for parameter in inspect.signature(method).parameters:
        assert f"{parameter}" in doc.replace(",", " ").replace(":", " ").split(), parameter


@pytest.mark.parametrize("call", [lf.read_metadata, lf.read_parquet])
def test_an_error_shows_the_persons_line_and_the_message_only(call):
    with pytest.raises(PlanError, match="there is no file") as caught:
        call("missing.parquet")
    assert len(caught.traceback) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compression": "zip"}, "compression='zip' is none of"),
        ({"compression": "snappy", "compression_level": 3}, "'snappy' has no levels"),
        ({"compression": None, "compression_level": 3}, "None has no levels"),
        ({"compression_level": 23}, "zstd has .* to 22"),
        ({"compression_level": "9"}, "compression_level='9' is not valid"),
        ({"row_group_size": 0}, "row_group_size=0 is not valid; it takes rows, from 1"),
        ({"row_group_size": "x"}, "row_group_size='x' is not valid"),
    ],
)
def test_what_parquet_cannot_do_is_a_plan_error_before_it_writes(tmp_path, options, message):
    with pytest.raises(PlanError, match=message):
        tagged().llm.to_parquet("out.parquet", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("level", [{"compression_level": 19}, {"compression": "gzip"}, {}])
def test_what_parquet_can_do_is_written(level):
    out = tagged()
    path = out.llm.to_parquet("out.parquet", row_group_size=2, **level)
    pd.testing.assert_frame_equal(lf.read_parquet(path), out)


def test_a_number_format_that_pandas_does_not_take_is_a_plan_error():
    with pytest.raises(PlanError, match="float_format=5 is not valid"):
        tagged().llm.to_csv("out.csv", float_format=5)


@pytest.mark.parametrize("call", CALLS)
def test_a_name_that_no_file_can_have_is_a_plan_error(call):
    name = "x" * 300 + ".xlsx" * (call == "to_excel")
    with pytest.raises(PlanError, match="name too long"):
        getattr(tagged().llm, call)(name)


def test_exports_in_several_threads_do_not_meet(tmp_path):
    out = tagged()
    threads = [
        threading.Thread(target=lambda at=at: out.llm.to_csv(f"{at}.csv")) for at in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    assert len(list(tmp_path.iterdir())) == 4
