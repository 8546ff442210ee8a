"""One request, however a call spells it: bought once. And calls that are nearly the same."""

from __future__ import annotations

import runpy
import shutil
import warnings
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
import pytest
from pydantic import BaseModel, Field

import llmframe as lf

DATA = Path(__file__).parents[1] / "data" / "earlier_spellings"
MADE = runpy.run_path(str(DATA / "make.py"))


class Tone(Enum):
    GOOD = "good"
    BAD = "bad"


class Asked(BaseModel):
    tone: Literal["good", "bad"]


FIELDS = {"tone": ["good", "bad"]}
AS = {"instructions": "Tag it.", "extra_body": {"top_p": 1, "user": "a"}}

# Reported in 2024-2026 by people who bought a table twice, in our own words: each line is one
# call for the same request.
SPELLINGS = {
    "the temperature that is sent anyway": {"temperature": 0},
    "the same as a float": {"temperature": 0.0},
    "the same by extra_body": {"extra_body": {"temperature": 0, "top_p": 1, "user": "a"}},
    "a newline after the instructions": {"instructions": "Tag it.\n"},
    "blanks round the instructions": {"instructions": "\n  Tag it. \t"},
    "extra_body in another order": {"extra_body": {"user": "a", "top_p": 1}},
    "a whole number as a float": {"extra_body": {"top_p": 1.0, "user": "a"}},
    "messages that ours replace": {"extra_body": {"top_p": 1, "user": "a", "messages": []}},
    "options that are None": {"temperature": None, "seed": None, "max_output_tokens": None},
    "the model by extra_body": {
        "model": "other",
        "extra_body": {"top_p": 1, "user": "a", "model": "test-model"},
    },
    "another key": {"api_key": "sk-test-another-1"},
    "other limits": {"concurrency": 3, "timeout": 9, "max_attempts": 2, "rpm": 9000},
    "a tuple": {"fields": {"tone": ("good", "bad")}},
    "a Literal": {"fields": {"tone": Literal["good", "bad"]}},
    "an annotated Literal": {"fields": {"tone": Annotated[Literal["good", "bad"], Field()]}},
    "a blank description": {
        "fields": {"tone": Annotated[Literal["good", "bad"], Field(description=" \n")]}
    },
    "an Enum": {"fields": {"tone": Tone}},
    "descriptions that are empty": {"fields": {"tone": {"good": "", "bad": " "}}},
    "a model": {"fields": Asked},
    "one field with a name": {"fields": ["good", "bad"], "into": "tone"},
    "a person's own file": {"checkpoint": "mine.jsonl"},
}
ADDRESSES = {
    "a name": ("127.0.0.1", "localhost"),
    "a slash": ("/v1", "/v1/"),
    "upper case": ("http://127.0.0.1", "HTTP://LocalHost"),
    "every address": ("127.0.0.1", "0.0.0.0"),
    "two slashes": ("/v1", "//v1"),
}


@pytest.fixture
def df():
    return pd.DataFrame({"text": [f"record {i}" for i in range(24)]})


def ask(df, server, **changed):
    options = {"model": "test-model", "base_url": server.url, "progress": False, **AS, **changed}
    fields = options.pop("fields", FIELDS)
    return df.llm.tag("text", fields, **options)


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_the_same_request_in_another_spelling_is_not_bought_again(df, server, spelling):
    first = ask(df, server)
    sent = len(server.ledger)
    again = ask(df, server, **spelling)
    assert len(server.ledger) == sent
    assert again["tone"].tolist() == first["tone"].tolist()


@pytest.mark.parametrize("spelling", ADDRESSES.values(), ids=ADDRESSES)
def test_the_same_server_by_another_name_is_the_same(df, server, spelling):
    ask(df, server)
    sent = len(server.ledger)
    ask(df, server, base_url=server.url.replace(*spelling))
    assert len(server.ledger) == sent


OTHERS = {
    "another temperature": ({"temperature": 0.5}, "temperature"),
    "another temperature by extra_body": ({"extra_body": {"temperature": 1}}, "temperature"),
    "a seed": ({"seed": 1}, "seed"),
    "a cap": ({"max_output_tokens": 500}, "max_output_tokens"),
    "other instructions": ({"instructions": "Tag it well."}, "(was 'Tag it.', now 'Tag it well.')"),
    "another model": ({"model": "test-model-2"}, "'test-model', now 'test-model-2'"),
    "one more label": ({"fields": {"tone": ["good", "bad", "mixed"]}}, "labels of 'tone'"),
    "labels in another order": ({"fields": {"tone": ["bad", "good"]}}, "labels of 'tone'"),
    "one more field": ({"fields": {**FIELDS, "n": int}}, "field 'n' is new"),
    "a description": ({"fields": {"tone": {"good": "glad", "bad": "sad"}}}, "description of"),
    "probabilities": ({"confidence": "logprob"}, "confidence"),
}


@pytest.mark.parametrize(("changed", "named"), OTHERS.values(), ids=OTHERS)
def test_a_call_that_is_nearly_the_same_says_what_differs_before_it_pays(
    df, server, changed, named
):
    ask(df, server)
    sent = len(server.ledger)
    with pytest.warns(UserWarning, match="all 24 rows are asked and paid again") as caught:
        ask(df, server, **changed)
    assert named in str(caught[0].message)
    assert caught[0].filename == __file__  # the person's own line, not a library's
    assert len(server.ledger) > sent
    ask(df, server, **changed)  # it is answered now: no word


def test_another_model_for_chosen_rows_is_wanted_and_gets_no_warning(df, server):
    ask(df, server)
    ask(df, server, where=[True] * 24, model="test-model-2")
    assert len(server.ledger) == 48
    with pytest.warns(UserWarning, match="instructions"):
        ask(df, server, where=[True] * 24, model="test-model-2", instructions="Tag it well.")


@pytest.mark.parametrize("where", [True, "all.jsonl"], ids=["default", "own"])
@pytest.mark.parametrize(
    "changed",
    [{"fields": {"place": str}}, {"fields": {"tone": ["loud", "soft"]}}, {"fields": {"tone": str}}],
    ids=["another field", "other labels", "another type"],
)
def test_a_call_about_something_else_says_nothing(df, server, changed, where):
    ask(df, server, checkpoint=where)
    ask(df, server, **changed, checkpoint=where)
    assert len(server.ledger) == 48


def test_a_changed_question_about_other_rows_says_nothing(df, server):
    ask(df, server)
    ask(df + " more", server, instructions="Tag it well.")
    assert len(server.ledger) == 48


def test_of_many_rows_the_number_is_an_estimate(server):
    df = pd.DataFrame({"text": [f"record {i}" for i in range(3000)]})
    ask(df, server)
    with pytest.warns(
        UserWarning, match=r"about 3,000 rows are asked.* reuse the about 3,000 saved"
    ):
        ask(df, server, model="m")


# -- what earlier versions stored ------------------------------------------------------------


@pytest.fixture
def stored(tmp_path):
    return Path(shutil.copy(DATA / "checkpoint.jsonl", tmp_path / "mine.jsonl"))


NORMAL = {"instructions": "Tag the record.", "extra_body": {"top_p": 1}}


@pytest.mark.parametrize("spelled", [MADE["SPELLED"], NORMAL], ids=["as then", "otherwise"])
@pytest.mark.parametrize("where", ["own", "default", "both"])
def test_answers_under_the_keys_of_an_earlier_version_are_found(server, stored, spelled, where):
    task = "673edaa158c5b2467eb361abc9735278"
    if where != "own":
        Path(".llmframe").mkdir()
        stored.rename(f".llmframe/{task}.jsonl")
    checkpoint = True if where == "default" else stored
    for _ in range(2):
        out = lf.tag(
            MADE["frame"](), "text", MADE["FIELDS"], **MADE["options"](server.url, checkpoint),
            **spelled,
        )  # fmt: skip
        assert len(server.ledger) == 0
        assert set(out["llm_status"]) == {"ok"}


def test_a_persons_own_file_gets_what_an_earlier_version_stored_elsewhere(server, stored):
    Path(".llmframe").mkdir()
    stored.rename(".llmframe/673edaa158c5b2467eb361abc9735278.jsonl")
    options = MADE["options"](server.url, "own.jsonl")
    lf.tag(MADE["frame"](), "text", MADE["FIELDS"], **options, **NORMAL)
    shutil.rmtree(".llmframe")
    lf.tag(MADE["frame"](), "text", MADE["FIELDS"], **options, **NORMAL)
    assert len(server.ledger) == 0
    assert len(lf.read_checkpoint("own.jsonl")) == 12


def test_what_an_earlier_version_paid_counts_in_the_budget(server, stored):
    options = MADE["options"](server.url, stored)
    rows = pd.DataFrame({"text": [f"record {i}" for i in range(20)]})
    with pytest.warns(lf.errors.IncompleteWarning):
        lf.tag(rows, "text", MADE["FIELDS"], **options, **NORMAL, max_tokens=1500)
    assert len(server.ledger) <= 2  # 12 x 121 tokens were spent


# -- the working directory ----------------------------------------------------------------------


def test_after_a_change_of_directory_the_folder_of_before_is_found(df, server, monkeypatch):
    ask(df, server)
    first = lf.last_run().report.checkpoint
    Path("sub").mkdir()
    monkeypatch.chdir("sub")
    with pytest.warns(UserWarning, match="began in another working directory") as caught:
        ask(df, server)
    assert first in str(caught[0].message)
    assert lf.last_run().report.checkpoint == first
    assert len(server.ledger) == 24
    assert not Path(".llmframe").exists()


def test_a_file_in_the_new_directory_is_written_and_and_no_word_is_said(df, server, monkeypatch):
    home = Path.cwd()
    (home / "sub").mkdir()
    ask(df, server)
    shutil.copytree(home / ".llmframe", home / "sub" / ".llmframe")
    monkeypatch.chdir("sub")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ask(df, server)
    assert Path(lf.last_run().report.checkpoint).parent == home / "sub" / ".llmframe"
    assert len(server.ledger) == 24


def test_another_task_is_kept_in_the_new_directory(df, server, monkeypatch):
    ask(df, server)
    Path("sub").mkdir()
    monkeypatch.chdir("sub")
    ask(df, server, fields={"place": str})
    assert Path(lf.last_run().report.checkpoint).parent == Path.cwd() / ".llmframe"


def test_a_reset_forgets_the_folders_of_before(df, server, monkeypatch):
    ask(df, server)
    Path("sub").mkdir()
    monkeypatch.chdir("sub")
    lf.configure(reset=True)
    ask(df, server)
    assert len(server.ledger) == 48


def test_fewer_than_twenty_rows_are_no_loss_to_speak_of(df, server):
    ask(df.head(19), server)
    ask(df.head(19), server, instructions="Tag it well.")
    assert len(server.ledger) == 38
