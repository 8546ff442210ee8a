"""A file is replaced whole or not at all, whatever the disk and the other programs do."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmframe.errors import LLMFrameError, PlanError
from llmframe.system import atomic
from tests.kits.export import CALLS, EVERY, tagged
from tests.kits.scripts import ROOT

OLD = b"the old file"


def export(call, path, **options):
    return getattr(tagged().llm, call)(path, **options)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(atomic, "PAUSE", 0)


# -- what comes back --------------------------------------------------------------------------


@EVERY
def test_the_path_comes_back_and_nothing_else_is_left(tmp_path, call, name):
    path = export(call, str(tmp_path / name))
    assert path == tmp_path / name
    assert list(tmp_path.iterdir()) == [path]
    assert export(call, path) == path  # over itself


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert export("to_jsonl", "~/out.jsonl") == tmp_path / "out.jsonl"


def test_a_new_file_may_be_read_by_whom_the_umask_allows(tmp_path):
    before = os.umask(0o027)
    try:
        path = export("to_csv", tmp_path / "out.csv")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path):
    path = tmp_path / "out.csv"
    path.write_bytes(OLD)
    path.chmod(0o600)
    export("to_csv", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "out.csv"
    link.symlink_to(tmp_path / "real" / "data.csv")
    export("to_csv", link)
    assert link.is_symlink()
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["data.csv"]


def test_names_of_any_length_and_script_are_written(tmp_path):
    for name in ("a" * 250 + ".csv", "\u9000" * 80 + ".csv", ".hidden"):
        assert export("to_csv", tmp_path / name).stat().st_size > 0


# -- paths that cannot be -----------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("missing/{}", r"there is no folder .*missing.*mkdir\(parents=True\)"),
        ("", "is a folder; give the name of a file in it"),
        ("s3://bucket/{}", "s3:// is not a place on this machine"),
        ("a\0{}", "names no file"),
    ],
)
def test_a_path_that_names_no_file_is_refused(tmp_path, monkeypatch, call, name, where, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PlanError, match=said):
        export(call, where.format(name) or str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_buffer_is_no_path():
    with pytest.raises(PlanError, match=r"path is a BytesIO.*; give the name of a file"):
        export("to_parquet", io.BytesIO())


def test_a_pipe_is_no_ordinary_file(tmp_path):
    os.mkfifo(tmp_path / "out.csv")
    with pytest.raises(PlanError, match="is no ordinary file"):
        export("to_csv", tmp_path / "out.csv")


def test_a_folder_that_may_not_be_written_is_named_before_anything_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(PlanError, match=r"the folder .* may not be written by you"):
        export("to_csv", tmp_path / "out.csv")


# -- what goes wrong on the way -----------------------------------------------------------------


def failing_at(n, real, error):
    calls = [0]

    def call(*args, **kwargs):
        calls[0] += 1
        if calls[0] == n:
            raise error
        return real(*args, **kwargs)

    return call


class Flaky(io.FileIO):
    """A file whose n-th write fails."""

    writes_left = 0

    def write(self, data):
        type(self).writes_left -= 1
        if self.writes_left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data[:4096])


def outcome(path, call, monkeypatch):
    """Export over an old file with what is patched; what was said, None where all went well."""
    path.write_bytes(OLD)
    said = None
    try:
        export(call, path)
    except LLMFrameError as exc:
        said = f"{exc} / {type(exc.__cause__).__name__}"
    monkeypatch.undo()
    assert list(path.parent.iterdir()) == [path]
    return said


@EVERY
def test_the_nth_write_fails_and_the_old_file_is_whole(tmp_path, monkeypatch, call, name):
    for n in range(1, 50):
        Flaky.writes_left = n
        monkeypatch.setattr(
            atomic.os, "fdopen", lambda fd, mode: io.BufferedWriter(Flaky(fd, mode))
        )
        said = outcome(tmp_path / name, call, monkeypatch)
        if said is None:
            break
        assert (tmp_path / name).read_bytes() == OLD
        assert "The file that was there is whole" in said
        assert said.endswith("/ OSError")
    assert n > 1
    assert (tmp_path / name).read_bytes() != OLD


@EVERY
@pytest.mark.parametrize("what", ["open", "fsync", "replace", "fchmod"])
def test_the_nth_call_of_the_system_fails_and_a_whole_file_is_there(
    tmp_path, monkeypatch, call, name, what
):
    for n in range(1, 10):
        broken = failing_at(n, getattr(os, what), OSError(errno.EIO, "Input/output error"))
        monkeypatch.setattr(os, what, broken)
        said = outcome(tmp_path / name, call, monkeypatch)
        if said is None:
            break
        in_place = "is written and in its place" in said
        assert in_place == ((tmp_path / name).read_bytes() != OLD)
        assert in_place or "The file that was there is whole" in said or "a file that was" in said
    assert n > 1


def test_a_full_disk_is_said_with_what_is_safe_and_what_to_do(tmp_path, monkeypatch):
    Flaky.writes_left = 1
    monkeypatch.setattr(atomic.os, "fdopen", lambda fd, mode: io.BufferedWriter(Flaky(fd, mode)))
    with pytest.raises(LLMFrameError) as caught:
        export("to_parquet", tmp_path / "out.parquet")
    assert str(caught.value) == (
        f"there is no room for {tmp_path / 'out.parquet'} (No space left on device). The frame is "
        "unharmed and no half file is left. Make room or give another path, and export again"
    )


@EVERY
def test_a_limit_on_the_size_of_files_is_a_full_disk(tmp_path, call, name):
    code = f"""
import resource, sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from tests.kits.export import tagged
from llmframe.errors import LLMFrameError
df = tagged(texts=["x" * 20000, "y", "z"])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    df.llm.{call}({str(tmp_path / name)!r})
except LLMFrameError as exc:
    print(exc)
"""
    (tmp_path / name).write_bytes(OLD)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    begins = "there is no room for", "the temporary folder"  # in which openpyxl works first
    assert done.stdout.startswith(begins[call == "to_excel"]), done
    assert "File too large" in done.stdout
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: OLD}


def test_an_interrupt_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "out.csv"
    path.write_bytes(OLD)
    monkeypatch.setattr(os, "fsync", failing_at(1, os.fsync, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        export("to_csv", path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"out.csv": OLD}


def test_a_file_that_another_program_holds_open_is_tried_again(tmp_path, monkeypatch):
    path = tmp_path / "out.csv"
    path.write_bytes(OLD)
    real, refusals = Path.replace, []

    def replace(self, target):
        if len(refusals) < 5:
            refusals.append(PermissionError(errno.EACCES, "Access is denied"))
            raise refusals[-1]
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    export("to_csv", path)
    assert len(refusals) == 5
    assert path.read_bytes() != OLD


def test_a_file_that_stays_held_open_is_said(tmp_path, monkeypatch):
    path = tmp_path / "out.csv"
    path.write_bytes(OLD)

    def replace(self, target):
        raise PermissionError(errno.EACCES, "Access is denied")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(LLMFrameError, match=r"such as Excel, may have it open\. .* Close it there"):
        export("to_csv", path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"out.csv": OLD}


# -- what killed exports have left ---------------------------------------------------------------


def leftover(folder, *, age):
    path = folder / f".out.csv.1-abcd{atomic.SUFFIX}"
    path.write_bytes(b"half a file")
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def test_what_a_killed_export_has_left_is_harmless_and_removed_later(tmp_path):
    fresh = leftover(tmp_path, age=0)
    path = export("to_csv", tmp_path / "out.csv")
    assert fresh.exists()  # it may be of a process that lives
    leftover(tmp_path, age=100)
    export("to_csv", path)
    assert list(tmp_path.iterdir()) == [path]


def test_what_another_process_is_writing_is_left_alone(tmp_path):
    path = leftover(tmp_path, age=100)
    with path.open("rb") as handle:
        assert atomic.SYSTEM.lock(handle.fileno())
        export("to_csv", tmp_path / "out.csv")
        assert path.exists()


def test_two_exports_of_one_path_at_once_leave_one_whole_file(tmp_path):
    path = tmp_path / "out.csv"
    with atomic.replacing(path) as first, atomic.replacing(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"out.csv": b"first"}


def test_no_file_stays_open(tmp_path):
    opened = Path("/proc/self/fd")
    before = len(list(opened.iterdir()))
    for call, name in CALLS.items():
        export(call, tmp_path / name)
    assert len(list(opened.iterdir())) == before
