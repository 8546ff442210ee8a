"""Fault 34 (mixed outputs to parquet), and the risks "CSV formula" and "df.attrs"."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from typing import Literal

import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel

import llmframe as lf
from llmframe import testing
from tests.kits import battery as kit
from tests.kits.export import FORMULAS

pytestmark = pytest.mark.battery

CALC = shutil.which("soffice") or shutil.which("localc")
needs_calc = pytest.mark.skipif(
    CALC is None,
    reason="needs LibreOffice Calc: apt-get install -y --no-install-recommends "
    "libreoffice-calc-nogui",
)
UTF8_CSV = "CSV:44,34,76,1"  # comma, quote, UTF-8, from the first line
TO_CSV = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false"


# -- fault 34 ----------------------------------------------------------------------------------


class Order(BaseModel):
    number: int | None
    items: list[str]


FIELDS = {
    "intent": ["refund", "delivery"], "level": [2, 1], "stars": int, "urgent": bool,
    "topics": list[Literal["price", "quality"]], "order": Order, "either": list[int | str],
}  # fmt: skip


@pytest.mark.parametrize("faults", [{}, {"refusal": 0.3, "off_list": 0.3}, {"content_filter": 1.0}])
def test_answers_and_failures_in_one_table_come_back_equal(tmp_path, faults):
    with testing.serve(faults=faults, seed=34) as server:
        out = kit.tag(kit.frame(40), server, None, fields=FIELDS, details=True)
    path = out.llm.to_parquet(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(lf.read_parquet(path), out)
    assert (out["llm_status"] == "failed").any() == bool(faults)


def test_objects_of_every_kind_in_one_column_are_text_with_a_warning(tmp_path):
    with testing.serve() as server:
        out = kit.tag(kit.frame(4), server, None)
    out["mine"] = [{"a": [1, None]}, "text", ValueError("boom"), None]
    with pytest.warns(UserWarning, match="'mine': parquet has no one type"):
        path = out.llm.to_parquet(tmp_path / "out.parquet")
    back = lf.read_parquet(path)
    assert back["mine"].tolist()[:3] == ['{"a": [1, null]}', "text", "boom"]
    pd.testing.assert_frame_equal(back.drop(columns="mine"), out.drop(columns="mine"))


# -- CSV formula --------------------------------------------------------------------------------


def payloads() -> pd.DataFrame:
    """The payloads as text, as categories, in JSON's place, as a header and as the index."""
    df = pd.DataFrame(
        {
            "text": FORMULAS,
            "category": pd.Categorical(FORMULAS),
            "objects": pd.Series([*FORMULAS[1:], ["=1+1"]], dtype=object),
            "number": range(-4, 4),
            "=1+2": -1.5,
        }
    )
    return df.set_index(pd.Index(FORMULAS, name="+key"))


def calc(source, kind: str, *options: str):
    """The file as LibreOffice Calc opens it and writes it again."""
    folder = source.parent / "calc"
    profile = f"-env:UserInstallation=file://{source.parent / 'profile'}"
    command = [CALC, profile, "--headless", *options, "--convert-to", kind]
    done = subprocess.run(
        [*command, "--outdir", str(folder), str(source)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    made = folder / f"{source.stem}.{kind.partition(':')[0]}"
    assert made.exists(), done
    return made


def formulas_in(path) -> list[str]:
    sheet = openpyxl.load_workbook(path).active
    return [str(cell.value) for row in sheet for cell in row if cell.data_type == "f"]


def as_shown(text: str) -> str:
    return text.replace("\r", "\n")  # the line end within a cell


@needs_calc
def test_no_payload_is_a_formula_when_calc_opens_the_csv(tmp_path):
    safe = payloads().llm.to_csv(tmp_path / "safe.csv")
    sheet = openpyxl.load_workbook(calc(safe, "xlsx", f"--infilter={UTF8_CSV}")).active
    header, *rows = [[cell.value for cell in row] for row in sheet]
    guarded = ["'" + as_shown(payload) for payload in FORMULAS]
    assert header == ["'+key", "text", "category", "objects", "number", "'=1+2"]
    assert [[row[at] for row in rows] for at in (0, 1, 2)] == [guarded] * 3
    assert [row[3] for row in rows] == [*guarded[1:], '["=1+1"]']
    assert [(row[4], row[5]) for row in rows] == [(n, -1.5) for n in range(-4, 4)]
    assert formulas_in(tmp_path / "calc" / "safe.xlsx") == []


@needs_calc
def test_without_the_guard_calc_would_have_run_them(tmp_path):
    risky = payloads().llm.to_csv(tmp_path / "risky.csv", excel_safe=False)
    assert "=1+1" in formulas_in(calc(risky, "xlsx", f"--infilter={UTF8_CSV}"))


@needs_calc
def test_no_payload_is_a_formula_when_calc_opens_the_workbook(tmp_path):
    book = payloads().llm.to_excel(tmp_path / "book.xlsx")
    assert formulas_in(book) == []
    assert formulas_in(calc(book, "xlsx")) == []
    with calc(book, TO_CSV).open(encoding="utf-8-sig", newline="") as handle:
        header, *rows = csv.reader(handle)
    shown = [as_shown(payload) for payload in FORMULAS]
    assert header == ["+key", "text", "category", "objects", "number", "=1+2"]
    assert [[row[at] for row in rows] for at in (0, 1, 2)] == [shown] * 3
    assert [row[4:] for row in rows] == [[str(n), "-1.5"] for n in range(-4, 4)]


def test_the_payloads_are_neutral_in_the_bytes_of_the_csv(tmp_path):
    path = payloads().llm.to_csv(tmp_path / "safe.csv")
    with path.open(encoding="utf-8-sig", newline="") as handle:
        cells = [cell for row in csv.reader(handle) for cell in row]
    texts = [cell for cell in cells if not cell.lstrip("-").replace(".", "").isdigit()]
    assert not [text for text in texts if text[:1] in set("=+-@\t\r\0\uff1d")]
    parquet = payloads()[["text"]].llm.to_parquet(tmp_path / "out.parquet")
    assert pd.read_parquet(parquet)["text"].tolist() == FORMULAS  # untouched there


# -- df.attrs -----------------------------------------------------------------------------------


def test_neither_key_nor_text_nor_prompt_is_in_attrs_or_metadata(tmp_path):
    key, row, secret = "sk-canary-0123456789abcdef", "canary of a row", "canary of a prompt"
    with testing.serve(faults={"500": 0.2}, key=key, echo_key=True) as server:
        out = kit.tag(
            kit.frame(20, row), server, tmp_path,
            api_key=key, instructions=f"Never say {secret}.",
        )  # fmt: skip
    merged = out.reset_index().merge(pd.DataFrame({"case": [10]}), on="case")
    joined = pd.concat([out, out])
    ours, theirs = tmp_path / "ours.parquet", tmp_path / "theirs.parquet"
    out.llm.to_parquet(ours)
    out.to_parquet(theirs)
    book = out.llm.to_excel(tmp_path / "book.xlsx")
    texts = [json.dumps(frame.attrs) for frame in (out, merged, joined)]
    texts += [str(pq.read_schema(path).metadata) for path in (ours, theirs)]
    texts += [json.dumps(lf.read_metadata(path)) for path in (ours, book)]
    assert [text for text in texts for canary in (key, row, secret) if canary in text] == []
    assert all("llmframe" in text for text in (texts[0], *texts[2:]))
    data = [path.read_bytes() for path in (ours, theirs, book)]
    assert not any(canary.encode() in held for held in data for canary in (key, secret))
    assert len(texts[0]) < 2000
