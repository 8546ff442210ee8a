"""Where the file lives, who may read it, and what happens where it cannot be written."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import time
from pathlib import Path

import pandas as pd
import pytest

from llmframe.errors import PlanError
from llmframe.frame.checkpoints import read_checkpoint
from llmframe.journal import open_checkpoint
from llmframe.journal.paths import cache_folder, default_folders
from llmframe.journal.store import Journal
from tests.kits.journal import (
    OTHER_TASK,
    TASK,
    FailingOps,
    QuickOps,
    answer,
    key,
    mode,
    opened,
    write_answers,
)

pytestmark = pytest.mark.usefixtures("folder")


def test_the_default_folder_and_its_files_are_for_their_owner_only(folder: Path) -> None:
    before = os.umask(0)
    try:
        path = write_answers(True, folder, range(1))
    finally:
        os.umask(before)
    assert path == folder / f"{TASK.digest.hex()}.jsonl"
    assert mode(folder) == 0o700
    assert {mode(file) for file in folder.iterdir()} == {0o600}
    assert {file.name for file in folder.iterdir()} == {
        ".gitignore",
        path.name,
    }
    assert (folder / ".gitignore").read_text() == "*\n"


def test_the_default_folder_is_under_the_working_directory(folder: Path) -> None:
    checkpoint = open_checkpoint(True, TASK)
    assert checkpoint is not None
    checkpoint.close()
    assert checkpoint.path.parent == folder


def test_a_gitignore_of_the_person_stays(folder: Path) -> None:
    folder.mkdir()
    (folder / ".gitignore").write_text("mine")
    write_answers(True, folder, range(1))
    assert (folder / ".gitignore").read_text() == "mine"


def test_missing_folders_of_an_own_path_are_made_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "mine.jsonl"
    write_answers(str(path), tmp_path / ".llmframe", range(1))
    assert mode(path) == 0o600
    assert mode(path.parent) == mode(tmp_path / "a") == 0o700
    assert not (tmp_path / ".llmframe").exists()


def test_an_own_path_in_the_default_folder_is_kept_out_of_git_too(folder: Path) -> None:
    write_answers(folder / "mine.jsonl", folder, range(1))
    assert (folder / ".gitignore").exists()


def test_an_own_path_may_begin_with_a_tilde(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with opened("~/mine.jsonl", folder) as checkpoint:
        assert checkpoint.path == tmp_path / "mine.jsonl"


def test_an_own_path_is_written_and_the_default_files_are_read_too(folder: Path) -> None:
    default = write_answers(True, folder, range(2))
    before = default.read_bytes()
    own = folder.parent / "mine.jsonl"
    with opened(own, folder) as checkpoint:
        assert checkpoint.path == own
        assert checkpoint.get(key(1)) == answer(1)
        checkpoint.append(key(2), answer(2))
    assert default.read_bytes() == before
    default.unlink()
    with opened(own, folder) as checkpoint:
        assert checkpoint.get(key(0)) is None
        assert checkpoint.get(key(1)) == answer(1)
        assert checkpoint.answers == 2


def test_what_the_default_file_gives_is_kept_in_an_own_file_once_with_its_ids(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(True, folder) as checkpoint:
        checkpoint.append(key(1), answer(1), id="a", text="the row")
    before = read_checkpoint(checkpoint.path)
    monkeypatch.setattr(time, "time", lambda: 5e9)
    own = folder.parent / "mine.jsonl"
    with opened(own, folder, ids=True) as checkpoint:
        assert not checkpoint.has_id(key(1), "a")
        assert checkpoint.get(key(1)) == checkpoint.get(key(1)) == answer(1)
        checkpoint.append_id(key(1), "a")
        assert checkpoint.has_id(key(1), "a")
    shutil.rmtree(folder)
    found = read_checkpoint(own)
    assert found["id"].tolist() == ["a"]
    pd.testing.assert_frame_equal(found, before)
    assert b"the row" not in own.read_bytes()


@pytest.mark.parametrize(("texts", "found"), [(True, True), (False, False)])
def test_the_texts_go_along_where_they_are_to_be_stored(
    folder: Path, texts: bool, found: bool
) -> None:
    with opened(True, folder) as checkpoint:
        checkpoint.append(key(1), answer(1), text="the row")
    own = folder.parent / "mine.jsonl"
    with opened(own, folder, texts=texts) as checkpoint:
        assert checkpoint.get(key(1)) == answer(1)
    assert (b"the row" in own.read_bytes()) is found


def test_an_answer_that_is_spoilt_while_it_is_taken_over_still_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_answers(True, folder, range(1))
    with opened(folder.parent / "mine.jsonl", folder) as checkpoint:
        monkeypatch.setattr(Journal, "content", lambda *_: None)
        assert checkpoint.get(key(0)) == answer(0)
        assert not checkpoint.written.index.answers


def test_a_default_file_is_not_filled_from_its_siblings(folder: Path) -> None:
    default = write_answers(True, folder, range(2))
    default.rename(default.with_suffix(".4711.jsonl"))
    with opened(True, folder) as checkpoint:
        assert checkpoint.get(key(1)) == answer(1)
        assert default.stat().st_size == 0


def test_other_tasks_and_other_files_of_the_folder_are_not_read(folder: Path) -> None:
    write_answers(True, folder, range(2), OTHER_TASK)
    (folder / f"{TASK.digest.hex()}.backup.jsonl").write_text("{}")
    with opened(True, folder) as checkpoint:
        assert checkpoint.answers == 0


def test_two_paths_to_one_file_are_one_file(folder: Path, tmp_path: Path) -> None:
    own, link = tmp_path / "mine.jsonl", tmp_path / "link.jsonl"
    link.symlink_to(own)
    with opened(own, folder) as first, opened(link, folder) as second:
        assert first.path == second.path == own
        first.append(key(1), answer(1))
        second.append(key(2), answer(2))
        assert second.get(key(1)) == answer(1)
    assert link.is_symlink()


def test_the_default_file_given_by_its_path_is_the_default_file(folder: Path) -> None:
    path = write_answers(True, folder, range(2))
    with opened(True, folder) as first, opened(path, folder) as second:
        second.append(key(2), answer(2))
        assert first.get(key(2)) == answer(2)
        assert second.answers == 3


def test_a_planted_link_in_the_default_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder.mkdir()
    (folder / f"{TASK.digest.hex()}.jsonl").symlink_to(victim)
    with opened(True, folder) as checkpoint:
        checkpoint.append(key(1), answer(1))
        assert checkpoint.path.is_relative_to(tmp_path / "cache")
    assert victim.read_text() == "precious"


def test_a_default_folder_that_cannot_be_written_gives_way_to_the_cache(
    folder: Path, tmp_path: Path
) -> None:
    folder.write_text("a file in its place")
    with opened(True, folder) as checkpoint:
        checkpoint.append(key(1), answer(1))
        assert checkpoint.path.is_relative_to(tmp_path / "cache" / "llmframe")
        assert len(checkpoint.notes) == 1
        assert f"{folder} cannot be written" in checkpoint.notes[0]
        assert str(checkpoint.path) in checkpoint.notes[0]
    folder.unlink()
    with opened(True, folder) as checkpoint:
        assert checkpoint.path.parent == folder
        assert checkpoint.get(key(1)) == answer(1)
        assert checkpoint.notes == []


def test_two_working_directories_have_two_places_in_the_cache(tmp_path: Path) -> None:
    assert cache_folder(tmp_path / "a") != cache_folder(tmp_path / "b")


@pytest.mark.parametrize("cache", ["", "relative/path"])
def test_without_a_cache_variable_the_home_folder_has_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    monkeypatch.setenv("HOME", str(tmp_path))
    found = cache_folder(tmp_path)
    assert found is not None
    assert found.parent == tmp_path / ".cache" / "llmframe"


def test_without_any_home_there_is_no_fall_back_and_the_error_has_the_cure(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: int) -> None:
        raise KeyError

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    folder.write_text("a file in its place")
    with pytest.raises(PlanError, match=r"cannot be written.*Nothing was sent.*checkpoint=False"):
        open_checkpoint(True, TASK, folder=folder)


def test_a_deleted_working_directory_gives_way_to_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert default_folders(Path(".llmframe"))[0] == Path(".llmframe")
    with opened(True, Path(".llmframe")) as checkpoint:
        assert checkpoint.path.is_relative_to(tmp_path / "cache")
    monkeypatch.chdir(tmp_path)


def test_a_disk_full_at_once_leaves_no_empty_gitignore(folder: Path) -> None:
    class FullDisk(QuickOps):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(PlanError, match="No space left"):
        open_checkpoint(True, TASK, folder=folder, ops=FullDisk())
    assert not (folder / ".gitignore").exists()


def test_a_read_only_system_is_an_error_before_anything_is_sent(tmp_path: Path) -> None:
    ops = FailingOps("mkdir", error=errno.EROFS)
    ops.broken = True
    with pytest.raises(PlanError, match=r"Read-only file system.*Nothing was sent"):
        open_checkpoint(tmp_path / "new" / "mine.jsonl", TASK, ops=ops)
    with pytest.raises(PlanError, match=r"Read-only.*; .*Read-only.*checkpoint=<path"):
        open_checkpoint(True, TASK, ops=ops)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_an_error_before_anything_is_sent(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(PlanError, match=r"Permission denied.*Nothing was sent"):
        open_checkpoint(closed / "mine.jsonl", TASK)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "is not a path"),
        ("  ", "is not a path"),
        ("a\0b", "is not a path"),
        (".", "is a folder"),
        ("runs/", "is a folder"),
        (Path(), "is a folder"),
        ("pipe", "is not a regular file"),
        ("/dev/null", "is not a regular file"),
        ("file/inside.jsonl", "cannot be used"),
        ("x" * 5000, "cannot be"),
        ("loop", "cannot be used"),
        (7, "must be True, False or a path"),
        (None, "must be True, False or a path"),
    ],
)
def test_a_path_without_room_for_a_file_is_refused(
    tmp_path: Path, where: object, message: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(PlanError, match=message):
        open_checkpoint(where, TASK)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content",
    ["id,text\n1,hello\n", "\n\nid,text\n", "no newline", '{\n "cells": []\n}\n', '[{"id": 1}]'],
)
@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_that_is_something_else_is_refused_and_left_alone(
    tmp_path: Path, content: str, read_only: bool
) -> None:
    path = tmp_path / "customers.csv"
    path.write_text(content)
    with pytest.raises(PlanError, match=r"is no checkpoint.*the file is as it was"):
        open_checkpoint(path, TASK, read_only=read_only)
    assert path.read_text() == content
    assert [file.name for file in tmp_path.iterdir()] == ["customers.csv"]


@pytest.mark.parametrize("content", ["", "\n", '{"k"', '{"k":"0123', '{"k":"torn\n', '{"id": 1}'])
def test_a_file_torn_at_its_very_beginning_is_taken(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(content)
    write_answers(path, tmp_path / ".llmframe", range(1))
    with opened(path, tmp_path / ".llmframe") as checkpoint:
        assert checkpoint.get(key(0)) == answer(0)
    assert path.read_text().startswith(content)


def test_a_sibling_that_cannot_be_read_is_left_out_with_a_warning(folder: Path) -> None:
    path = write_answers(True, folder, range(1))
    sibling = folder / f"{TASK.digest.hex()}.123.jsonl"
    path.rename(sibling)

    class Closed(QuickOps):
        def open(self, path: Path, flags: int) -> int:
            if path == sibling:
                raise PermissionError(errno.EACCES, "Permission denied")
            return super().open(path, flags)

    with opened(True, folder, ops=Closed()) as checkpoint:
        assert checkpoint.get(key(0)) is None
        assert checkpoint.notes == [
            f"{sibling} cannot be read (Permission denied) and is left out."
        ]


def test_a_sibling_that_vanishes_meanwhile_is_left_out(folder: Path) -> None:
    path = write_answers(True, folder, range(1))
    path.rename(folder / f"{TASK.digest.hex()}.123.jsonl")

    class Vanishing(QuickOps):
        def open(self, path: Path, flags: int) -> int:
            if ".123." in path.name:
                raise FileNotFoundError(errno.ENOENT, "gone")
            return super().open(path, flags)

    with opened(True, folder, ops=Vanishing()) as checkpoint:
        assert checkpoint.notes == []


# -- a database ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["answers.db", "ANSWERS.DB", "a.sqlite", "a.sqlite3"])
def test_a_database_is_refused_with_what_to_give_and_nothing_is_opened(
    tmp_path: Path, folder: Path, name: str
) -> None:
    path = tmp_path / name
    before = list(tmp_path.iterdir())
    for use in (
        lambda: open_checkpoint(path, TASK, folder=folder, ops=FailingOps("open", 1)),
        lambda: read_checkpoint(path),
    ):
        with pytest.raises(PlanError, match=rf"file of lines.*{path.stem}\.jsonl'$"):
            use()
    assert list(tmp_path.iterdir()) == before


def test_a_database_that_is_there_is_refused_and_left_as_it_was(folder: Path) -> None:
    path = folder.parent / "old.db"
    path.write_bytes(b"SQLite format 3\0")
    for use in (lambda: open_checkpoint(path, TASK, folder=folder), lambda: read_checkpoint(path)):
        with pytest.raises(PlanError, match="names a database"):
            use()
    assert path.read_bytes() == b"SQLite format 3\0"
