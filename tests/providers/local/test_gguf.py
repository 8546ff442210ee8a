"""The head of a file of weights: read as far as it is needed, never believed blindly."""

from __future__ import annotations

import contextlib
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.providers.local import machine
from llmframe.providers.local.gguf import Weights, read_head
from llmframe.providers.local.machine import CONTEXT, SLOTS, Sizes, cores, fit, free_memory


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf(values, *, extra=b""):
    """A file's head: names -> ints, texts or lists of ints."""
    body = b""
    for name, value in values.items():
        if isinstance(value, str):
            body += text(name) + struct.pack("<I", 8) + text(value)
        elif isinstance(value, list):
            body += text(name) + struct.pack("<IIQ", 9, 4, len(value))
            body += b"".join(struct.pack("<I", one) for one in value)
        else:
            body += text(name) + struct.pack("<II", 4, value)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(values)) + body + extra


SMOL = {
    "general.architecture": "llama", "llama.context_length": 8192, "llama.block_count": 30,
    "llama.embedding_length": 576, "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
}  # fmt: skip


def head(tmp_path, raw):
    path = tmp_path / "m.gguf"
    path.write_bytes(raw)
    return read_head(path)


def test_context_and_memory_are_read(tmp_path):
    assert head(tmp_path, gguf(SMOL)) == Weights(8192, 2 * 30 * 3 * 64 * 2)


def test_reading_ends_at_the_vocabulary(tmp_path):
    raw = gguf({**SMOL, "tokenizer.ggml.model": "gpt2"}, extra=b"")
    assert head(tmp_path, raw[:-16]) == Weights(8192, 23040)  # the name, and no value


def test_what_is_not_said_is_not_known(tmp_path):
    assert head(tmp_path, gguf({"general.architecture": "x"})) == Weights(None, None)
    header = {**SMOL, "llama.attention.head_count_kv": [3, 1], "llama.attention.key_length": 128}
    assert head(tmp_path, gguf(header)).token_bytes == 2 * 30 * 3 * 128 * 2


@pytest.mark.parametrize("raw", [b"", b"GGML....", b"GGUF", gguf(SMOL)[:60]])
def test_what_is_no_gguf_file_is_a_value_error(tmp_path, raw):
    with pytest.raises(ValueError, match=r"GGUF|head"):
        head(tmp_path, raw)


HOSTILE = {
    "a text of 2**62 bytes": struct.pack("<IQ", 8, 1 << 62),
    "a text of 2**64 - 1 bytes": struct.pack("<IQ", 8, (1 << 64) - 1),
    "an array of 2**62 numbers": struct.pack("<IIQ", 9, 4, 1 << 62),
    "an array of 2**62 texts": struct.pack("<IIQ", 9, 8, 1 << 62) + bytes(1 << 16),
    "an array in an array, a hundred thousand deep": struct.pack("<I", 9)
    + struct.pack("<IQ", 9, 1) * 100_000,
    "an unknown type": struct.pack("<I", 99),
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_a_claim_that_cannot_be_true_costs_nothing(tmp_path, value):
    raw = b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60) + text("x") + value
    with pytest.raises(ValueError, match="its head cannot be read"):
        head(tmp_path, raw)


def test_no_more_of_a_file_is_read_than_a_head_can_be(tmp_path, monkeypatch):
    monkeypatch.setattr("llmframe.providers.local.gguf.HEAD", 64)
    with pytest.raises(ValueError, match="its head cannot be read"):
        head(tmp_path, gguf(SMOL))


@given(st.binary(max_size=200))
def test_junk_after_the_magic_is_never_more_than_a_value_error(tmp_path_factory, junk):
    path = tmp_path_factory.mktemp("junk") / "m.gguf"
    path.write_bytes(b"GGUF" + junk)
    with contextlib.suppress(ValueError):
        read_head(path)


# -- what the machine can do ----------------------------------------------------------------

SMALL = Weights(8192, 23040)


def test_a_small_model_gets_all_slots_and_the_usual_context():
    assert fit(SMALL, need=500, cores=2, free=8 << 30) == Sizes(SLOTS, CONTEXT, threads=2)


def test_a_long_prompt_gets_a_longer_context_as_far_as_the_model_goes():
    assert fit(SMALL, need=6000, cores=8, free=8 << 30) == Sizes(SLOTS, 6144, threads=7)
    assert fit(SMALL, need=60_000, cores=8, free=8 << 30).context == 8192
    assert fit(Weights(2048, 23040), need=500, cores=2, free=8 << 30).context == 2048


def test_where_memory_is_short_slots_go_before_context():
    assert fit(SMALL, need=500, cores=2, free=800 << 20) == Sizes(2, CONTEXT, threads=2)
    assert fit(SMALL, need=500, cores=2, free=1 << 20) == Sizes(1, 1024, threads=2)


@given(
    st.one_of(st.none(), st.integers(1, 1 << 20)), st.one_of(st.none(), st.integers(1, 1 << 20)),
    st.integers(0, 1 << 20), st.integers(1, 256), st.integers(0, 1 << 40),
)  # fmt: skip
def test_sizes_are_always_possible(context, token_bytes, need, cores, free):
    sizes = fit(Weights(context, token_bytes), need=need, cores=cores, free=free)
    assert 1 <= sizes.slots <= SLOTS
    assert 1 <= sizes.context <= (context or max(CONTEXT, sizes.context))
    assert 1 <= sizes.threads <= cores


def test_a_containers_limits_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    seen, memory = cores(), free_memory()
    for name, text in {
        "cpu.max": "100000 100000\n", "memory.max": "3000000\n", "memory.current": "2500000\n",
        "memory.stat": "anon 5\ninactive_file 400000\nfile 7\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    assert cores() == 1
    assert free_memory() == 900_000
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert cores() == seen
    assert free_memory() == pytest.approx(memory, rel=0.2)


def test_this_machine_has_cores_and_memory():
    assert cores() >= 1
    assert free_memory() > 0


def test_without_psutil_a_careful_guess_holds_and_a_containers_limit_too(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    assert free_memory() == machine.UNKNOWN_MEMORY
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert free_memory() == 2_000_000


@pytest.mark.parametrize(("pooling", "embeds"), [(None, False), (0, False), (1, True), (3, True)])
def test_a_model_for_embeddings_names_its_pooling(tmp_path, pooling, embeds):
    named = {} if pooling is None else {"llama.pooling_type": pooling}
    assert head(tmp_path, gguf({**SMOL, **named})).embeds is embeds
