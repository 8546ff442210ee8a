"""What a hostile file, or a name from outside, could do to a checkpoint, and who may read it."""

from __future__ import annotations

import json
import os
import pickle
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import CheckpointError, PlanError
from llmframe.journal import lines, open_checkpoint
from tests.kits.battery import frame, tag
from tests.kits.journal import TASK, key

if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = [pytest.mark.battery, pytest.mark.usefixtures("folder")]


# -- hostile files and names ----------------------------------------------------------


class Bomb:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, ("touch exploded",)


YAML = b"!!python/object/apply:os.system ['touch exploded']\n"
CODE = "__import__('os').system('touch exploded')"


def hostile(kind: str, path: Path) -> None:
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb()))
    elif kind == "yaml":
        path.write_bytes(YAML)
    elif kind == "code in JSON":
        line = {"py/object": "os.system", "py/reduce": [CODE], "id": 1, "intent": CODE}
        path.write_text(json.dumps(line) + "\n")
    else:
        used = {"usage": {"in": 1, "out": 1}, "n": 1}
        settings = {"model": CODE, "fields": {"fields": [{"name": CODE, "kind": CODE}]}}
        path.write_bytes(
            lines.encode(TASK.digest, TASK.short, {"settings": settings})
            + lines.encode(key(1), TASK.short, {"v": {CODE: CODE}, **used, "id": CODE})
        )


@pytest.mark.parametrize("kind", ["pickle", "yaml", "code in JSON", "code in our line"])
def test_no_file_can_make_us_run_code(tmp_path, monkeypatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "rows.jsonl"
    hostile(kind, path)
    for use in (
        lambda: lf.read_checkpoint(path),
        lambda: open_checkpoint(path, TASK).close(),
    ):
        try:
            use()
        except (PlanError, CheckpointError):
            continue
    assert not list(tmp_path.rglob("exploded"))


NAMES = [
    "../outside", "..\\outside", "/outside", "C:\\outside", "a/../../outside", "~/outside",
    "outside\0.jsonl", "CON", "outside\n", "$(touch outside)", "\u202eoutside", "." * 300,
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=range(12))
def test_no_name_from_outside_leads_out_of_the_folder(tmp_path, monkeypatch, name: str) -> None:
    """Files are named by a hash: what a task, a model, a field or a row says is only read."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    df = frame(2).assign(case=[name, "b"])
    fields = {name.replace("\0", "-"): ["a", "b"]}
    with testing.serve() as server:
        tag(df, server, None, checkpoint=True, model=name, instructions=name, id="case",
            fields=fields, on_error="keep")  # fmt: skip
    with pytest.raises(PlanError, match="no task begins with"):
        lf.read_checkpoint(".llmframe", task=name)
    (path,) = (home / ".llmframe").glob("*.jsonl")
    assert {file.name for file in (home / ".llmframe").iterdir()} == {
        ".gitignore", path.name,
    }  # fmt: skip
    assert len(path.stem) == 32
    assert [file.name for file in home.iterdir()] == [".llmframe"]
    assert [file.name for file in tmp_path.iterdir()] == ["home"]


def test_what_a_run_keeps_is_for_its_owner_only(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = os.umask(0)
    seen: dict[str, int] = {}
    try:
        with testing.serve(latency=0.05) as server:
            run = lf.start(
                frame(30), "text", {"intent": ["a", "b"]}, model="m", base_url=server.url,
                api_key="sk-mode", progress=False, checkpoint=".llmframe/run.jsonl",
            )  # fmt: skip
            while run.status == "running":
                for file in (tmp_path / ".llmframe").iterdir():
                    seen[file.name] = modes(file)
                time.sleep(0.01)
            run.result()
    finally:
        os.umask(before)
    assert modes(tmp_path / ".llmframe") == 0o700
    assert (tmp_path / ".llmframe" / ".gitignore").read_text() == "*\n"
    assert set(seen.values()) == {0o600}
    assert {"run.jsonl", "run.jsonl.lock", ".gitignore"} <= set(seen)
    assert all(modes(file) == 0o600 for file in (tmp_path / ".llmframe").iterdir())


def modes(file: Path) -> int:
    try:
        return stat.S_IMODE(file.stat().st_mode)
    except FileNotFoundError:  # just put away
        return 0o600


def test_the_journal_knows_no_format_that_runs_code() -> None:
    """The linter forbids pickle, eval and yaml everywhere; here they are not even named."""
    for source in Path(lines.__file__).parent.glob("*.py"):
        text = source.read_text("utf-8")
        assert not any(word in text for word in ("pickle", "eval(", "exec(", "yaml", "marshal"))


def test_a_folder_put_in_the_place_of_the_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl.lock").mkdir()
    with pytest.raises(PlanError, match="Nothing was sent"):
        open_checkpoint(tmp_path / "rows.jsonl", TASK, folder=tmp_path / "x")
