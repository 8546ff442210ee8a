"""The panel's sentence about batches."""

import pytest

from llmframe.engine.batch.part import Part
from llmframe.engine.batch.state import Remote
from llmframe.engine.batch.words import batch_words

CLOSE = "this may be closed: the same call collects the answers later"


def part(n, status="", done=0, **more):
    made = Part(keys=tuple(bytes(16) for _ in range(n)), id="b" if status else "", **more)
    made.remote = Remote(id="b", status=status, answered=done) if status else None
    return made


@pytest.mark.parametrize(
    ("parts", "waiting", "full", "wanted"),
    [
        ([], 0, "", ""),
        ([], 1, "", "preparing 1 row for a batch"),
        ([part(2000)], 7, "", "uploading 2,000 rows"),
        ([part(2000, file="f")], 7, "", "starting a batch of 2,000 rows"),
        ([part(2, file="f", unsure=True)], 0, "",
         "finding out whether the provider has a batch of an earlier call"),
        ([part(2000, "validating")], 0, "",
         f"1 batch with 2,000 rows at the provider (being checked); last looked 40 s ago; {CLOSE}"),
        ([part(3, "in_progress", 1), part(4, "in_progress", 2), part(5, "finalizing")], 0, "",
         "3 batches with 12 rows at the provider (2 at work, 1 about to come back, 3 answered "
         f"there); last looked 40 s ago; {CLOSE}"),
        ([part(3, "completed")], 0, "", "taking 3 rows back from a batch"),
        ([part(3, "in_progress")], 7, "Enqueued token limit reached",
         '1 batch with 3 rows at the provider (at work); the provider takes no more right now '
         '("Enqueued token limit reached"): 7 rows follow, next try in 4 min; '
         "last looked 40 s ago"),
        ([part(3, "in_progress", failing="HTTP 503")], 0, "",
         "1 batch with 3 rows at the provider (at work); the provider cannot be asked right now "
         "(HTTP 503); tried again"),
    ],
)  # fmt: skip
def test_the_sentence_says_where_the_rows_are(parts, waiting, full, wanted):
    assert batch_words(parts, waiting=waiting, looked=40.0, full=full, left=240.0) == wanted
