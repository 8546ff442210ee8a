"""``lf.load``: old answers on a frame, without a request."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import PlanError
from llmframe.journal import lines

FIELDS = {"intent": ["refund", "other"], "urgency": int, "tags": list[str]}
TEXTS = ["row 0", "row 1", "bad row", "row 3", "", "row 1"]


def frame(texts=TEXTS):
    texts = list(texts)
    return pd.DataFrame({"id": range(100, 100 + len(texts)), "text": texts, "n": 1})


def only_file():
    [path] = Path(".llmframe").glob("*.jsonl")
    return path


@pytest.fixture
def tagged(asked, call):
    out = frame().llm.tag("text", FIELDS, instructions="a", id="id", **call)
    asked.requests.clear()
    return out


@pytest.mark.parametrize("given", ["path", "text", "folder", "history"])
def test_the_answers_are_back_as_tag_gave_them(tagged, asked, given):
    paths = {"path": only_file(), "text": str(only_file()), "folder": ".llmframe"}
    path = lf.history().loc[0, "checkpoint"] if given == "history" else paths[given]
    out = lf.load(path, frame())
    assert asked.requests == []
    answers = ["id", "text", "n", *FIELDS]
    pd.testing.assert_frame_equal(out[answers], tagged[answers])
    assert list(out.columns) == list(tagged.columns)
    assert out["llm_status"].tolist() == ["ok", "ok", "pending", "ok", "skipped", "ok"]
    assert out["llm_error"].isna().all()
    note = out.attrs["llmframe"]
    assert (note["model"], note["cost"], note["inputs"]) == ("m", 0.0, ["text"])
    assert note["counts"] == {"rows": 6, "ok": 4, "failed": 0, "skipped": 1, "pending": 1}
    whole = tagged.attrs["llmframe"]["table"]["tokens_in"]  # that of the failed row, too
    assert 0 < note["table"]["tokens_in"] < whole
    json.dumps(note)


def test_a_call_goes_on_from_there(tagged, asked, call):
    out = lf.load(only_file(), frame())
    again = out.llm.tag("text", FIELDS, instructions="a", where="llm_status == 'pending'", **call)
    assert again["llm_status"].tolist() == tagged["llm_status"].tolist()
    asked.requests.clear()
    more = out.llm.tag("text", {**FIELDS, "note": str}, instructions="a", extend=True, **call)
    assert asked.fields == ['["note"]']
    pd.testing.assert_frame_equal(more[[*FIELDS]], out[[*FIELDS]])
    assert more["llm_status"].tolist() == ["ok", "ok", "failed", "ok", "skipped", "ok"]


def test_rows_in_another_order_new_ones_and_changed_ones(tagged):
    df = frame(["row 3", "another", "row 0 ", "row 0"])
    out = lf.load(only_file(), df.set_index("n"))
    assert out["llm_status"].tolist() == ["ok", "pending", "pending", "ok"]
    assert out["tags"].tolist() == [["row 3"], None, None, ["row 0"]]


def test_an_id_finds_a_row_whose_text_has_changed(tagged):
    df = frame([f"changed {n}" for n in range(4)])
    with pytest.raises(PlanError, match=r"no answer to any of the 4 rows .*lf\.history\(\)"):
        lf.load(only_file(), df)
    out = lf.load(only_file(), df, id="id")
    assert out["llm_status"].tolist() == ["ok", "ok", "pending", "ok"]
    assert out["tags"].tolist()[3] == ["row 3"]
    with pytest.raises(PlanError, match="leave id= out"):
        lf.load(only_file(), df.assign(id=5), id="id")
    with pytest.raises(PlanError, match="id: no column 'key'"):
        lf.load(only_file(), df, id="key")


@pytest.mark.parametrize("given", ["{id}: {text}", ["text", "id"]])
def test_the_input_is_as_the_checkpoint_notes_it(asked, call, given):
    made = frame().llm.tag(given, FIELDS, **call)
    out = lf.load(only_file(), frame())
    pd.testing.assert_frame_equal(out[[*FIELDS]], made[[*FIELDS]])
    renamed = frame().rename(columns={"text": "body"})
    with pytest.raises(PlanError, match="give the same input="):
        lf.load(only_file(), renamed)


def test_a_renamed_column_is_found_and_so_is_that_of_a_file_without_a_note(tagged, call):
    renamed = frame().rename(columns={"text": 0})
    out = lf.load(only_file(), renamed)
    assert out.attrs["llmframe"]["counts"]["ok"] == 4
    given = lf.load(only_file(), renamed, input=0)
    pd.testing.assert_frame_equal(out, given)
    with pytest.raises(PlanError, match="no column 'text'"):
        lf.load(only_file(), renamed, input="text")


def test_a_file_with_several_tasks(asked, call):
    df = frame(["row 0", "row 1"])
    for instructions, field in (("first", "note"), ("second", "code")):
        fields = {field: str | None, "urgency": int}
        df.llm.tag("text", fields, checkpoint="own.jsonl", instructions=instructions, **call)
    newest = lf.load("own.jsonl", df)
    assert "code" in newest
    tasks = lf.history().set_index("prompt")["task"]
    first = lf.load("own.jsonl", df, task=tasks["first"])
    assert "note" in first
    both = lf.load("own.jsonl", first, prefix="b_", task=tasks["second"][:6])
    assert {"note", "b_code", "llm_status", "b_llm_status"} <= {*both.columns}
    with pytest.raises(PlanError, match="no task begins with 'ffff'"):
        lf.load("own.jsonl", df, task="ffff")


@pytest.mark.parametrize("labels", [["refund", "other"], ["Unsure", "refund"]])
def test_what_the_model_may_abstain_by_is_no_category(served, call, labels):
    wanted = [label for label in labels if label != "Unsure"]
    tagged = frame(["row 0"]).llm.tag("text", {"intent": labels}, abstain=True, **call)
    path = lf.last_run().report.checkpoint
    pd.testing.assert_series_equal(lf.load(path, frame(["row 0"]))["intent"], tagged["intent"])
    assert lf.read_checkpoint(path)["intent"].cat.categories.tolist() == wanted


def test_what_is_no_frame_or_has_the_input_twice_is_told_so(tagged):
    for given in (frame()["text"], None, [1]):
        with pytest.raises(PlanError, match="a pandas DataFrame is needed"):
            lf.load(only_file(), given)
    twice = frame().assign(more="").rename(columns={"more": "text"})
    with pytest.raises(PlanError, match="2 columns are named 'text'"):
        lf.load(only_file(), twice)
    with pytest.raises(PlanError, match=r"its call read 'text'.*no column 'text'"):
        lf.load(only_file(), frame()[["n"]])


def test_what_another_kernel_wrote_beside_it_is_read_too(tagged):
    path = only_file()
    lines = path.read_bytes().splitlines(keepends=True)
    half = len(lines) // 2
    path.write_bytes(b"".join(lines[:half]))
    path.with_name(f"{path.stem}.4321.jsonl").write_bytes(b"".join([lines[0], *lines[half:]]))
    assert lf.load(path, frame()).attrs["llmframe"]["counts"]["ok"] == 4
    assert lf.history()["rows"].tolist() == [3]


def test_columns_that_are_there_are_not_replaced_unasked(tagged):
    own = frame().assign(urgency=7)
    with pytest.raises(PlanError, match="already has 'urgency'"):
        lf.load(only_file(), own)
    assert lf.load(only_file(), own, overwrite=True)["urgency"].iloc[0] == 2
    pd.testing.assert_frame_equal(lf.load(only_file(), lf.load(only_file(), frame())),
                                  lf.load(only_file(), frame()))  # fmt: skip


def test_probabilities_and_vectors_come_back(served, call):
    df = frame(["row 0", "row 1"])
    df.llm.embed("text", **call, checkpoint="vectors.jsonl")
    out = lf.load("vectors.jsonl", df)
    assert out["text_embedding"].iloc[0].dtype == "float32"
    before = df.llm.tag("text", ["refund", "other"], into="intent", confidence="logprob", **call)
    path = lf.last_run().report.checkpoint
    lines = Path(path).read_bytes()
    if b'"p":' in lines:
        pd.testing.assert_series_equal(lf.load(path, df)["intent_confidence"],
                                       before["intent_confidence"])  # fmt: skip


WRONG = {
    "missing": (None, "there is no checkpoint"),
    "empty": (b"", "no answer to any|does not say which fields"),
    "foreign": (b'{"id": 1, "intent": "refund"}\n', "is no checkpoint"),
    "text": (b"id,intent\n1,refund\n", "is no checkpoint"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_a_mistake_in_the_call(call, name):
    content, said = WRONG[name]
    if content is not None:
        Path("wrong.jsonl").write_bytes(content)
    with pytest.raises(PlanError, match=said):
        lf.load("wrong.jsonl", frame())


def test_a_frame_without_rows_gets_the_columns(tagged):
    out = lf.load(only_file(), frame([]))
    assert list(out.columns) == list(tagged.columns)
    assert out["intent"].cat.categories.tolist() == ["refund", "other"]


EXAMPLES = [
    ("row 9", {"intent": "refund", "urgency": 1}),
    ("row 8", {"intent": "other", "urgency": 3}),
]


def test_what_a_call_with_examples_has_answered_is_kept_by_extend(call, asked):
    fields = {"intent": ["refund", "other"], "urgency": int}
    df = frame(["row 0", "row 1"])
    before = df.llm.tag("text", fields, examples=EXAMPLES, **call)
    loaded = lf.load(lf.last_run().report.checkpoint, df)
    noted = [one.attrs["llmframe"]["columns"]["intent"]["prompts"] for one in (before, loaded)]
    assert noted[0] == noted[1]
    asked.requests.clear()
    more = [(text, {**values, "note": "n"}) for text, values in EXAMPLES]
    out = loaded.llm.tag("text", {**fields, "note": str}, examples=more, extend=True, **call)
    assert asked.fields == ['["note"]']
    assert out["intent"].equals(before["intent"])


def test_examples_of_an_earlier_version_say_nothing_of_the_prompts(call):
    df = frame(["row 0", "row 1"])
    df.llm.tag("text", {"urgency": int}, examples=[("row 9", 1)], **call)
    path = Path(lf.last_run().report.checkpoint)
    first, *rest = path.read_bytes().splitlines(keepends=True)
    noted = lines.read(first.rstrip(b"\n"))
    content = {name: noted[name] for name in ("settings", "format", "t", "input")}
    digest = bytes.fromhex(first[lines.KEY].decode())
    path.write_bytes(b"".join([lines.encode(digest, digest.hex()[:12], content), *rest]))
    loaded = lf.load(path, df)
    with pytest.raises(PlanError, match="cannot see to which prompt"):
        loaded.llm.tag("text", {"urgency": int}, examples=[("row 9", 1)], extend=True, **call)
