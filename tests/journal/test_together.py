"""Answers that are read together are those that are read one by one, whatever a line holds."""

from __future__ import annotations

import json
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmframe.journal import lines
from llmframe.results import RowResult, Usage
from tests.kits.journal import key, opened

NAMES = st.sampled_from(["id", "usage", "k", "v", "t", "n", ""]) | st.text(max_size=5)
NUMBERS = st.floats() | st.integers() | st.integers(10**300, 10**400) | st.booleans()
VALUES = st.recursive(
    st.none() | NUMBERS | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
    max_leaves=3,
)
ODD = [
    '{"a":1,"a":2}', '{"a":NaN,"b":-Infinity}', '{"a":1e999,"b":-0,"c":-0.0,"d":1.0}', "{}", "[]",
    '{"a":1},{"b":2}', '{"a":[{}', "{}]}", '{"a":01}', '{"a":"\\ud800"}', '{"a":"\t"}', '{"a":1} ',
    '{"a":"\\u0000é"}', '{"a":{"x":1,"id":5}}', '{},"v":{"a":1}', '{"usage":{"in":1}}', "{",
    '{"a":' + "1" * 5000 + "}", '{"a":' + "[" * 2000 + "]" * 2000 + "}",
]  # fmt: skip
ANSWERS = st.sampled_from(ODD) | st.builds(
    lambda value, ascii_: json.dumps(value, ensure_ascii=ascii_, separators=(",", ":")),
    st.dictionaries(NAMES, VALUES),
    st.booleans(),
)
USED = st.sampled_from(
    [
        '"usage":{"in":290,"out":30},"n":1', '"usage":{"in":290,"out":30,"cost":0.1},"n":2',
        '"usage":{"in":290,"out":30,"more":7},"n":1', '"usage":{"in":true,"out":1.0},"n":1',
        '"usage":{"in":1},"n":1', '"usage":{},"n":1', '"usage":{"in":1,"out":1},"n":01',
    ]
)  # fmt: skip
IDS = st.sampled_from(["", ',"id":7', ',"id":-1', ',"id":"a b"', ',"id":"é"', ',"id":01'])
ENDS = st.sampled_from([',"t":1}', ',"t":1,"p":{"a":0.5}}', ',"t":1,"text":"x"}', ',"t":01}', "}"])
TASKS = st.sampled_from(
    ["ABCDEF012345", '00000000000"', "0000000\\\\0000", "00000000000\t", "0" * 11]
)
# One part of a line is odd: two would hide each other.
PARTS = ('{"a":"b"}', '"usage":{"in":290,"out":30},"n":1', "", ',"t":1}', "0" * 12)
ODD_LINES = st.one_of(
    st.tuples(*(odd if at == odd_at else st.just(part) for at, part in enumerate(PARTS)))
    for odd_at, odd in enumerate([ANSWERS, USED, IDS, ENDS, TASKS])
)


def line(n: int, answer: str, used: str, row_id: str, end: str, task: str) -> bytes:
    """A line with a right checksum around anything."""
    before = b'{"k":"%b","c":"' % key(n).hex().encode()
    content = f'","task":"{task}","v":{answer}{row_id},{used}{end}'
    after = content.encode(errors="surrogatepass").replace(b"\n", b"")
    return b"%b%08x%b" % (before, crc32(after, crc32(before)), after)


def one_by_one(group: list[bytes]) -> list[RowResult | None]:
    return [lines.to_result(lines.read(each), key(n)) for n, each in enumerate(group)]


def together(group: list[bytes]) -> list[RowResult] | None:
    block = b"\n".join(group)
    starts = [sum(len(each) + 1 for each in group[:n]) for n in range(len(group))]
    found = lines.answers(block, starts, [key(n) for n in range(len(group))])
    return None if found is None else [each._replace(values=values) for each, values in found]


def same(found: list[RowResult], wanted: list[RowResult | None]) -> None:
    # repr: 1, 1.0 and True are equal, NaN is not
    assert [repr(each) for each in found] == [repr(each) for each in wanted]


@settings(deadline=None, max_examples=150)
@given(st.lists(ODD_LINES, min_size=1, max_size=3))
def test_wild_lines_are_read_together_as_one_by_one_or_not_at_all(wild) -> None:
    group = [line(n, *parts) for n, parts in enumerate(wild)]
    found = together(group)
    if found is not None:
        same(found, one_by_one(group))


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(st.dictionaries(NAMES, VALUES), st.none() | st.integers()), min_size=1, max_size=5
    )
)
def test_what_a_run_writes_is_read_together(answers) -> None:
    group, results = [], []
    for n, (values, row_id) in enumerate(answers):
        result = RowResult("ok", values, None, 1, Usage(n, 2 * n))
        try:
            body = lines.row(result, now=1, row_id=row_id)
            group.append(lines.encode(key(len(group)), "0" * 12, body)[:-1])
        except ValueError:  # NaN, or a number of too many digits, which are never written
            continue
        results.append(result)
    if group:
        found = together(group)
        assert found is not None
        same(found, one_by_one(group))
        assert len(found) == len(results)


@pytest.mark.parametrize("order", [1, -1, 37], ids=["in order", "backwards", "scattered"])
def test_many_answers_come_in_the_order_of_their_keys(folder: Path, order: int) -> None:
    with opened(True, folder) as checkpoint:
        for n in range(300):
            checkpoint.append(key(n), RowResult("ok", {"n": n}, None, 1, Usage(n, 1)))
    asked = [key(n * order % 301) for n in range(400)]
    with opened(True, folder) as again:
        found = again.get_all(asked)
        assert found == [
            None if (one := again.get(each)) is None else (one._replace(values=None), one.values)
            for each in asked
        ]
        assert sum(each is not None for each in found) > 290


@pytest.mark.parametrize("n", [0, 150, 299])
def test_a_line_damaged_while_the_file_is_open_is_no_answer_among_many(
    folder: Path, n: int
) -> None:
    with opened(True, folder) as checkpoint:
        for at in range(300):
            checkpoint.append(key(at), RowResult("ok", {"n": f"<{at}>"}, None, 1, Usage(1, 1)))
    with opened(True, folder) as again:
        content = again.path.read_bytes()
        again.path.write_bytes(content.replace(f"<{n}>".encode(), f"[{n}]".encode()))
        found = again.get_all([key(at) for at in range(300)])
        assert [at for at, each in enumerate(found) if each is None] == [n]
        assert again.damaged == 1
