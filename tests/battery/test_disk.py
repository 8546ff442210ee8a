"""Faults 18 and 19: the disk is full, or nothing may be written. What is paid is handed over."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from llmframe import testing
from llmframe.errors import CheckpointError
from tests.kits import battery as kit
from tests.kits.children import NOBODY, numbered

pytestmark = pytest.mark.battery
CONCURRENCY = 20
IS_ROOT = hasattr(os, "getuid") and os.getuid() == 0


@pytest.fixture
def server():
    with testing.serve(process=True, latency=0.01) as running:
        yield running


@pytest.fixture
def place():
    """A folder that anybody may enter, and nobody but its owner may write."""
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o755)  # noqa: PTH101 - it is a text
        yield Path(made)


def assert_handed_over(result, server, n):
    """The error names cause, safe rows and cure; every answer is in the frame; sending stopped."""
    out = result["frame"]
    assert result["error"] == "CheckpointError"
    kit.says(result["message"], "cannot write the checkpoint", "rows are answered", "make room")
    kit.says(result["message"], "lf.last_run().partial()", "run the same call again")
    assert kit.lost(out, server.ledger) == []
    assert kit.statuses(out)["ok"] == len(kit.answered(server.ledger)) < n
    kept = result["message"].partition(" answers are in it")[0].rpartition(" ")[2]
    assert len(server.ledger) <= int(kept) + CONCURRENCY + 1  # in flight, and the one that failed


def test_a_file_that_may_not_grow_ends_the_run_with_every_answer_in_the_frame(
    nursery, tmp_path, server
):
    path = tmp_path / "run.jsonl"
    child = nursery.tag(600, server.url, path, concurrency=CONCURRENCY, file_limit=60_000)
    result = child.end()
    assert_handed_over(result, server, 600)
    paid = len(server.ledger)
    again = nursery.tag(600, server.url, path, concurrency=CONCURRENCY).end()
    assert kit.statuses(again["frame"]) == {"ok": 600}
    assert kit.paid_twice(server.ledger) <= CONCURRENCY + 1
    assert again["report"].reused >= paid - CONCURRENCY - 1


@contextlib.contextmanager
def tiny_disk(place: Path, size: str):
    """A file system of so many bytes; skips where it may not be made."""
    options = ["-t", "tmpfs", "-o", f"size={size}"]
    made = IS_ROOT and subprocess.run(["mount", *options, "tmpfs", str(place)], check=False)
    if not made or made.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_ends_the_run_and_with_room_made_it_goes_on(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    with tiny_disk(disk, "64k"), testing.serve(latency=0.005) as server:
        with pytest.raises(CheckpointError) as caught:
            kit.tag(kit.frame(600), server, disk)
        out = caught.value.run.partial()
        report = {"frame": out, "error": "CheckpointError", "message": str(caught.value)}
        assert_handed_over(report, server, 600)
        kit.says(caught.value, "No space left on device")
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        with pytest.warns(UserWarning, match="Damaged lines in .*: 1, skipped"):
            whole = kit.tag(kit.frame(600), server, disk)
        kit.check(whole, kit.frame(600), server, twice=CONCURRENCY + 1)


# -- a folder that cannot be written ----


@pytest.fixture
def tag_as_nobody(nursery, place, server):
    """Tag in a folder that is not ours to write; returns what the child reported."""
    if not IS_ROOT:
        place.chmod(0o555)
    user = NOBODY if IS_ROOT else None

    def tag(checkpoint, cache):
        child = nursery.tag(
            20, server.url, checkpoint, user=user, cwd=str(place),
            environment={"XDG_CACHE_HOME": str(cache)},
        )  # fmt: skip
        return child.end()

    yield tag
    place.chmod(0o755)


def test_a_path_that_cannot_be_written_is_an_error_before_anything_is_sent(
    tag_as_nobody, place, server
):
    result = tag_as_nobody(place / "run.jsonl", place / "cache")
    assert result["error"] == "PlanError"
    kit.says(
        result["message"], "run.jsonl cannot be written", "Nothing was sent", "checkpoint=False"
    )
    assert len(server.ledger) == 0


def test_a_default_folder_that_cannot_be_written_gives_way_to_the_cache(tag_as_nobody):
    with tempfile.TemporaryDirectory() as cache:
        os.chmod(cache, 0o777)  # noqa: PTH101 - anybody may have a cache
        result = tag_as_nobody(True, cache)
    assert result["error"] is None
    assert kit.statuses(result["frame"]) == {"ok": 20}
    [warning] = result["warnings"]
    kit.says(warning, "cannot be written", cache)
    assert result["report"].checkpoint.startswith(cache)


def test_where_nothing_can_be_written_nothing_is_sent(tag_as_nobody, place, server):
    result = tag_as_nobody(True, place / "cache")
    assert result["error"] == "PlanError"
    kit.says(result["message"], "no checkpoint can be kept", "Nothing was sent", "checkpoint=False")
    assert len(server.ledger) == 0


def test_a_folder_that_can_only_be_read_is_no_obstacle_without_a_checkpoint(tag_as_nobody, place):
    result = tag_as_nobody(False, place / "cache")
    assert kit.statuses(result["frame"]) == {"ok": 20}
    assert result["frame"]["text"].tolist() == numbered(20)["text"].tolist()
