"""The code of the READMEs and the recipes runs as it stands; commands and figures are right."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from tests.benchmarks import costs

ROOT = Path(__file__).parents[1]
READMES = ["README.md", "README.zh-CN.md"]
PAGES = [*READMES, "docs/recipes.md"]


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(language, page="README.md"):
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", READMES)
def test_the_first_two_bash_blocks_are_one_line_each(page):
    commands = blocks("bash", page)
    assert len(commands) == 2
    assert all(command.count("\n") == 1 for command in commands)
    assert commands[0] == "python3 notebooks/first_run.py\n"
    assert "pytest" in commands[1]
    assert commands == blocks("bash")


@pytest.mark.parametrize("page", PAGES)
def test_the_python_blocks_run(page, monkeypatch):
    """With a loopback server as the provider; ``await`` is left to the tests of atag."""
    with testing.serve() as server:
        given = lf.configure
        monkeypatch.setattr(lf, "configure", lambda **_: given(model="m", base_url=server.url))
        lf.configure()
        df = pd.DataFrame({"text": ["Where is my parcel?", "Thank you"]})
        names = {"df": df, "lf": lf, "pd": pd}
        for block in blocks("python", page):
            given(progress=False)
            code = "\n".join(line for line in block.splitlines() if "await df" not in line)
            exec(compile(code, page, "exec"), names)
            if "run" in names:
                names.pop("run").wait()
    last = names["described" if page == "docs/recipes.md" else "out"]
    assert list(last["llm_status"].unique()) == ["ok"]


@pytest.mark.parametrize("page", READMES)
def test_every_picture_and_page_is_there(page):
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)\)", text_of(page)):
        assert (ROOT / target).exists(), target


@pytest.fixture(scope="module")
def row():
    return costs.tokens()


@pytest.mark.parametrize(("page", "currency"), [("README.md", "USD"), ("README.zh-CN.md", "CNY")])
def test_what_10_000_rows_cost_is_what_the_command_computes(page, currency, row):
    prices = [price for price in costs.PRICES if price.currency == currency]
    assert len(prices) == 3
    for price in prices:
        assert costs.amount(price, row) in text_of(page)
        assert f"`{price.model}`" in text_of(page)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("word", ["TODO", "coming soon", "待补充"])
def test_nothing_is_promised_that_is_not_there(page, word):
    assert word not in text_of(page)
