"""The calls as a person makes them: what they take, what they give back, what they say."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import pickle
import threading
import warnings

import openai
import pandas as pd
import pytest

import llmframe as lf
from llmframe.engine.tally import Tally
from llmframe.errors import IncompleteWarning, PlanError
from llmframe.journal.shared import open_stores
from llmframe.notebook import stage
from llmframe.options.settings import DEFAULTS
from tests.kits import scripts
from tests.kits.scripts import until

FIELDS = {"intent": ["refund", "delivery", "other"], "summary": str}
KEY = "sk-secret-0123456789abcdef"


def frame(n=20):
    return pd.DataFrame({"text": [f"record {i}" for i in range(n)]})


# -- what comes back ----------------------------------------------------------------------


def test_tag_gives_a_new_frame_and_leaves_the_old_one_alone(configured):
    df = frame().set_index(pd.Index(["same"] * 20))
    before = df.copy()
    out = df.llm.tag("text", FIELDS)
    pd.testing.assert_frame_equal(df, before)
    assert list(out.columns) == ["text", "intent", "summary", "llm_status", "llm_error"]
    assert out.index.equals(df.index)
    assert out["intent"].cat.categories.tolist() == ["refund", "delivery", "other"]
    assert (out["llm_status"] == "ok").all()
    assert out["llm_error"].isna().all()


def test_a_series_gives_only_the_new_columns_on_its_index(configured):
    series = pd.Series(["a parcel", None, "a bill"], index=[7, 7, 9])
    out = series.llm.tag(FIELDS)
    assert list(out.columns) == ["intent", "summary", "llm_status", "llm_error"]
    assert out.index.tolist() == [7, 7, 9]
    assert out["llm_status"].tolist() == ["ok", "skipped", "ok"]


def test_a_series_may_bear_the_name_of_a_field(configured):
    out = pd.Series(["a parcel"], name="summary").llm.tag(FIELDS)
    assert out.columns.tolist()[:2] == ["intent", "summary"]


def test_every_way_to_call_gives_the_same(configured):
    df = frame()
    outs = [
        df.llm.tag("text", FIELDS),
        lf.tag(df, "text", FIELDS),
        lf.llm(df).tag("text", FIELDS),
        asyncio.run(df.llm.atag("text", FIELDS)),
        asyncio.run(lf.atag(df, "text", FIELDS)),
        df.llm.start("text", FIELDS).result(),
        lf.start(df, "text", FIELDS).result(),
    ]
    for out in outs[1:]:
        pd.testing.assert_frame_equal(out, outs[0])
    assert len(configured.ledger) == 20


def test_a_result_can_be_pickled_and_copied(configured):
    out = frame().llm.tag("text", FIELDS, api_key=KEY)
    for copy in (pickle.loads(pickle.dumps(out)), out.copy(), out[out["intent"].notna()]):
        pd.testing.assert_frame_equal(copy, out)
        assert copy.attrs == out.attrs


def test_the_metadata_is_small_json_without_the_key(configured):
    out = frame(200).llm.tag("text", FIELDS, api_key=KEY)
    reported = json.dumps(out.attrs["llmframe"])
    assert KEY not in reported
    assert len(reported) < 2000
    assert {"model", "checkpoint", "counts"} <= set(out.attrs["llmframe"])


def test_the_key_is_in_nothing_that_the_run_leaves(configured, tmp_path, capfd, caplog):
    configured.update(
        key=KEY, echo_key=True, faults={"500": 0.3}, fault_rows={"record 3": "context"}
    )
    caplog.set_level(0)
    out = frame().llm.tag("text", FIELDS, api_key=KEY, progress="log", details=True)
    run = lf.last_run()
    files = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    shown = capfd.readouterr()
    texts = [*files, out.to_csv(), str(out.attrs), repr(run), repr(run.report), repr(run.errors)]
    assert files
    assert all(KEY not in text for text in [*texts, shown.out, shown.err, caplog.text])


def test_running_the_cell_again_sends_nothing(configured):
    df = frame()
    df = df.llm.tag("text", FIELDS)
    again = df.llm.tag("text", FIELDS)
    pd.testing.assert_frame_equal(again, df)
    assert len(configured.ledger) == 20
    assert lf.last_run().report.reused == 20


# -- what is said -----------------------------------------------------------------------------


def test_a_stopped_call_warns_once_at_the_persons_own_line(configured):
    configured.update(latency=0.1)

    def stop():
        until(lambda: len(configured.ledger) >= 10)
        lf.last_run().stop()

    threading.Thread(target=stop).start()
    with pytest.warns(IncompleteWarning) as caught:
        out = frame(200).llm.tag("text", FIELDS, concurrency=5)
    assert [(warning.filename, warning.category) for warning in caught] == [
        (__file__, IncompleteWarning)
    ]
    assert (out["llm_status"] == "pending").any()
    assert lf.last_run().status == "stopped"


def test_progress_is_shown_where_the_run_is_joined_too(configured, caplog):
    caplog.set_level("INFO", "llmframe")
    configured.update(latency=0.1)
    run = frame(60).llm.start("text", FIELDS, concurrency=10)
    caplog.clear()
    frame(60).llm.tag("text", FIELDS, concurrency=10, progress="log")
    assert lf.last_run() is run
    assert caplog.messages[0].startswith("llmframe: ")
    assert any("finished, 60 rows" in line for line in caplog.messages)


def test_a_background_run_logs_its_end(configured, caplog):
    caplog.set_level("INFO", "llmframe")
    run = frame().llm.start("text", FIELDS, progress="log")
    run.wait()
    until(lambda: any("finished, 20 rows" in line for line in caplog.messages))


@pytest.mark.parametrize("progress", ["log", "tqdm", False])
def test_a_run_that_cannot_be_shown_ends_as_any_other(
    configured, capfd, caplog, monkeypatch, progress
):
    caplog.set_level("INFO", "llmframe")
    monkeypatch.setattr(Tally, "eta", lambda _: 1 / 0)  # a snapshot then raises
    df = frame()
    for out in (
        df.llm.tag("text", FIELDS, progress=progress),
        df.llm.start("text", FIELDS, progress=progress, reuse=False).result(),
        asyncio.run(df.llm.atag("text", FIELDS, progress=progress, reuse=False)),
    ):
        assert (out["llm_status"] == "ok").all()
    said = capfd.readouterr().err + "\n".join(caplog.messages)
    assert said.count(stage.NO_CARD) == (3 if progress else 0)


def test_no_progress_writes_nothing(configured, capfd):
    frame().llm.tag("text", FIELDS, progress=False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["runner", "concurency"])
def test_an_option_that_the_call_does_not_have_is_refused_before_anything_is_sent(configured, name):
    with pytest.raises(PlanError, match=name):
        asyncio.run(frame().llm.atag("text", FIELDS, **{name: "thread"}))
    with pytest.raises(PlanError, match=name):
        frame().llm.start("text", FIELDS, **{name: "thread"})
    assert len(configured.ledger) == 0


def test_one_column_ignores_what_is_configured_for_frames(configured):
    lf.configure(id="uid", adopt=True, overwrite=True)
    texts = frame(3)["text"]
    assert (texts.llm.tag(FIELDS)["llm_status"] == "ok").all()
    for name, value in {"id": None, "adopt": False, "overwrite": False}.items():
        with pytest.raises(PlanError, match=f"{name}= has no meaning for this call"):
            texts.llm.tag(FIELDS, **{name: value})


def test_a_call_with_a_runner_of_its_own_ignores_a_configured_one(configured):
    threads = []

    def client():
        threads.append(threading.current_thread().name)
        return openai.AsyncOpenAI(api_key=KEY, base_url=configured.url)

    lf.configure(runner="nest", client=client)
    assert (frame(3).llm.start("text", FIELDS).result()["llm_status"] == "ok").all()
    assert threads == ["llmframe"]  # on the loop that uses it
    asyncio.run(frame(3).llm.atag("text", FIELDS))


CALLS = {
    "tag": lambda df, **options: df.llm.tag("text", FIELDS, **options),
    "nest": lambda df, **options: df.llm.tag("text", FIELDS, runner="nest", **options),
    "atag": lambda df, **options: asyncio.run(df.llm.atag("text", FIELDS, **options)),
    "start": lambda df, **options: df.llm.start("text", FIELDS, **options).result(),
    "series": lambda df, **options: df["text"].llm.tag(FIELDS, **options),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_that_cannot_be_shown_leaves_no_checkpoint_locked(call, configured, monkeypatch):
    with pytest.raises(PlanError, match=r"^progress=1 is not valid; it takes "):
        call(frame(), progress=1)
    with monkeypatch.context() as broken:
        broken.setattr(stage, "make_view", lambda *_, **__: [].pop())
        with pytest.raises(IndexError):
            call(frame())
    assert open_stores() == []
    assert (call(frame())["llm_status"] == "ok").all()


def test_a_run_that_is_joined_goes_on_where_it_cannot_be_shown_again(configured, monkeypatch):
    configured.update(latency=0.1)
    run = frame(60).llm.start("text", FIELDS, concurrency=10)
    with monkeypatch.context() as broken:
        broken.setattr(stage, "make_view", lambda *_, **__: [].pop())
        with pytest.raises(IndexError):
            frame(60).llm.tag("text", FIELDS, concurrency=10)
    assert (run.result()["llm_status"] == "ok").all()


def test_a_mistake_shows_the_persons_line_and_the_message_only(configured):
    with pytest.raises(PlanError, match="no column 'txt'") as caught:
        frame().llm.tag("txt", FIELDS)
    places = [entry.path.name for entry in caught.traceback]
    assert places == ["test_tag.py", "short_tracebacks.py"]


# -- signatures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "missing"),
    [
        (lf.tag, set()),
        (lf.atag, {"runner"}),
        (lf.start, {"runner"}),
        (pd.DataFrame().llm.tag, set()),
        (pd.DataFrame().llm.atag, {"runner"}),
        (pd.DataFrame().llm.start, {"runner"}),
        (pd.Series([""]).llm.tag, {"overwrite", "id", "adopt", "extend"}),
    ],
)
def test_every_call_shows_its_options_with_their_defaults(call, missing):
    parameters = inspect.signature(call).parameters.values()
    shown = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert shown == {name: value for name, value in DEFAULTS.items() if name not in missing}
    assert "concurrency" in inspect.getdoc(call)


def test_atag_is_known_as_a_coroutine_function():
    assert inspect.iscoroutinefunction(lf.atag)
    assert inspect.iscoroutinefunction(pd.DataFrame().llm.atag)


# -- importing ---------------------------------------------------------------------------------


def test_importing_again_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importlib.reload(lf)
    assert pd.DataFrame.llm is lf.accessor.LLMAccessor


def test_importing_anew_takes_the_place_of_the_old_one(server):
    code = """
for name in [n for n in sys.modules if n.partition(".")[0] == "llmframe"]:
    del sys.modules[name]
import llmframe as new
new.configure(model="test-model", base_url=os.environ["LOOPBACK"], progress=False)
tell(ok=counts(frame(5).llm.tag("text", FIELDS)), same=pd.DataFrame.llm is lf.accessor.LLMAccessor)
"""
    assert scripts.run(server, code) == {"ok": {"ok": 5}, "same": False}


def test_another_package_that_holds_the_name_keeps_it_and_the_calls_work(server):
    code = """
del pd.DataFrame.llm, sys.modules["llmframe"], sys.modules["llmframe.accessor"]
class Other:
    def __init__(self, df): pass
Other.__module__ = "stranger.frames"
pd.api.extensions.register_dataframe_accessor("llm")(Other)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import llmframe as lf
tell(
    said=[str(w.message) for w in caught], files=[w.filename for w in caught],
    held=type(pd.DataFrame().llm).__name__, ok=counts(lf.tag(frame(5), "text", FIELDS)),
    also=counts(lf.llm(frame(5)).tag("text", FIELDS)),
)
"""
    reported = scripts.run(server, code)
    assert len(reported["said"]) == 1
    assert "stranger.frames.Other" in reported["said"][0]
    assert reported["files"] == ["<string>"]
    assert reported["held"] == "Other"
    assert reported["ok"] == reported["also"] == {"ok": 5}
