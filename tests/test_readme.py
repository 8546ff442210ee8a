"""The README's code runs as it stands, and its two commands are where a reader expects them."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_first_two_bash_blocks_are_one_line_each():
    commands = blocks("bash")
    assert len(commands) == 2
    assert all(command.count("\n") == 1 for command in commands)
    assert "pytest" in commands[1]


def test_the_python_blocks_run(monkeypatch):
    """With a loopback server as the provider; ``await`` is left to the tests of atag."""
    with testing.serve() as server:
        given = lf.configure
        monkeypatch.setattr(lf, "configure", lambda **_: given(model="m", base_url=server.url))
        names = {"df": pd.DataFrame({"text": ["Where is my parcel?", "Thank you"]})}
        for block in blocks("python"):
            given(progress=False)
            code = "\n".join(line for line in block.splitlines() if "await df" not in line)
            exec(compile(code, "README.md", "exec"), names)
            if "run" in names:
                names.pop("run").wait()
    assert list(names["out"]["llm_status"].unique()) == ["ok"]


def test_every_picture_is_there():
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (Path(__file__).parents[1] / picture).is_file(), picture


@pytest.mark.parametrize("word", ["TODO", "coming soon"])
def test_nothing_is_promised_that_is_not_there(word):
    assert word not in README
