"""Replies that are no answer, or not quite: mended where that is certain, else one row fails."""

from __future__ import annotations

import json
import random

import pytest

from llmframe import testing
from tests.kits.battery import check, frame, kinds, says, statuses, tag, uninterrupted
from tests.kits.raw import Raw, completion, good, http

pytestmark = pytest.mark.battery

BAD = "record 7 wants something"


def one_bad(bad, n=12, **options):
    """A run in which the replies to one row are bad: frame, its error, requests for it."""

    def script(asked):
        return bad(asked) if asked.row == BAD else good(asked)

    with Raw(script) as server:
        out = tag(frame(n), server.url, None, concurrency=4, details=True, **options)
    asked = server.rows()
    assert sum(asked[text] for text in out["text"] if text != BAD) == n - 1  # none is asked twice
    row = out.set_index("text").loc[BAD]
    assert statuses(out)["ok"] == n - (row["llm_status"] == "failed")
    return out, row["llm_error"], asked[BAD]


def body(value):
    return lambda asked: http(value if isinstance(value, bytes) else json.dumps(value).encode())


def content(value, **changes):
    return lambda asked: http(completion(value, **changes))


# -- 10: what is no completion at all -----------------------------------------------------------

NO_COMPLETION = {
    "empty": body(b""),
    "blanks": body(b"  \n"),
    "null": body(b"null"),
    "a list": body(b"[]"),
    "a text": body(b'"OK"'),
    "a number": body(b"42"),
    "an empty object": body(b"{}"),
    "cut JSON": lambda asked: http(json.dumps(completion(asked.content)).encode()[:-20]),
    "HTML": lambda asked: http(b"<!doctype html><b>Sign in</b>", content_type="text/html"),
    "no UTF-8": body(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'),
    "ten thousand levels": body(b"[" * 10_000 + b"]" * 10_000),
    "ten thousand objects": body(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "no choices": body(completion("x", choices=[])),
    "choices null": body(completion("x", choices=None)),
    "choices a text": body(completion("x", choices="yes")),
    "a choice that is null": body(completion("x", choices=[None])),
    "an error under 200": body({"error": {"message": "upstream is down", "code": 502}}),
    "an error as text under 200": body({"error": "upstream is down"}),
}


@pytest.mark.parametrize("how", NO_COMPLETION)
def test_what_is_no_completion_is_tried_again_and_fails_its_row_with_a_reason(how):
    _, error, requests = one_bad(NO_COMPLETION[how], max_attempts=3)
    assert requests == 3
    assert error.startswith("server: ")
    assert len(error) <= 260
    says(error, "after 3 attempts")
    assert not any(word in error for word in ("NoneType", "Attribute", "IndexError", "Traceback"))


NO_ANSWER = {
    "no message": content("x", choices=[{"index": 0, "finish_reason": "stop"}]),
    "message null": content("x", choices=[{"message": None, "finish_reason": "stop"}]),
    "content null": content(None),
    "content a number": content(7),
    "content an object": content({"intent": "refund"}),
    "blank": content(" \n "),
    "only thoughts": content("", message={"reasoning_content": "The customer wants ..."}),
    "only a tool call": content(
        None, finish="tool_calls",
        message={"tool_calls": [{"function": {"name": "f", "arguments": '{"intent": "refund"}'}}]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", NO_ANSWER)
def test_an_answer_without_content_is_asked_for_again_and_then_fails_its_row(how):
    _, error, requests = one_bad(NO_ANSWER[how])
    assert requests == 3  # as it was, then with the reason; three paid replies are the end
    assert error == "output: the reply was blank"


# -- 11, 12: cut, refused, withheld -------------------------------------------------------------


def test_a_cut_answer_gets_one_larger_cap_and_half_of_it_is_never_taken():
    caps = []

    def cut(asked):
        caps.append(asked.body.get("max_completion_tokens"))
        return http(completion(asked.content, finish="length"))  # whole as it looks, it is cut

    _, error, requests = one_bad(cut, max_output_tokens=400)
    assert requests == 2
    assert caps == [400, 1024]
    says(error, "truncated", "max_output_tokens")


def test_a_cut_answer_that_fits_the_larger_cap_is_the_answer():
    def cut(asked):
        finish = "length" if asked.attempt == 0 else "stop"
        return http(completion(asked.content[: None if asked.attempt else 20], finish=finish))

    out, _, requests = one_bad(cut)
    assert requests == 2
    assert statuses(out) == {"ok": 12}


REFUSALS = {
    "refusal": (content(None, message={"refusal": "I can't."}), "refusal"),
    "withheld": (content("", finish="content_filter"), "content_filter"),
    "withheld half way": (content('{"intent": "ref', finish="content_filter"), "content_filter"),
    "filtered": (
        lambda asked: http(
            {"error": {"message": "flagged", "code": "content_filter"}}, "400 Bad Request"
        ),
        "content_filter",
    ),
    "not to be processed": (
        lambda asked: http({"error": {"message": "no such field"}}, "422 Unprocessable"),
        "bad_request",
    ),
}


@pytest.mark.parametrize("how", REFUSALS)
def test_what_is_refused_is_not_asked_again_and_has_its_own_kind(how):
    bad, kind = REFUSALS[how]
    _, error, requests = one_bad(bad)
    assert requests == 1
    assert error.startswith(f"{kind}: ")


# -- 13: nearly right ---------------------------------------------------------------------------


def wrapped(form):
    """The right answer in another form."""
    return lambda asked: http(completion(form(asked.answer)))


def dump(answer, **changes):
    return json.dumps(answer | changes)


MENDABLE = {
    "fenced": lambda a: f"```json\n{dump(a)}\n```",
    "text around": lambda a: f"Sure! Here it is:\n{dump(a)}\nAnything else?",
    "thoughts before": lambda a: f"<think>\nIs it {{...}}?\n</think>\n{dump(a)}",
    "a byte order mark": lambda a: "\ufeff" + dump(a),
    "labels in capitals": lambda a: dump(a, intent=a["intent"].upper()),
    "labels with blanks": lambda a: dump(a, urgency=f" {a['urgency']}\n"),
    "names in capitals": lambda a: json.dumps({k.upper(): v for k, v in a.items()}),
    "one property more": lambda a: dump(a, reason="because"),
    "said twice alike": lambda a: dump(a)[:-1] + f', "intent": "{a["intent"]}"}}',
    "control characters": lambda a: dump(a, summary="x").replace('"x"', json.dumps(a["summary"])),
}


@pytest.mark.parametrize("how", MENDABLE)
def test_what_is_meant_for_certain_is_mended_without_another_request(how):
    out, _, requests = one_bad(wrapped(MENDABLE[how]))
    assert requests == 1
    wanted = uninterrupted(frame(12), details=True)
    columns = ["text", "intent", "urgency", "summary", "llm_status", "llm_error"]
    assert out[columns].equals(wanted[columns])


WRONG = {
    "off the list": (lambda a: dump(a, intent="praise"), "intent='praise' is not one of"),
    "two labels": (lambda a: dump(a, intent="refund, billing"), "intent="),
    "null": (lambda a: dump(a, urgency=None), "urgency"),
    "missing": (lambda a: '{"intent": "refund", "urgency": "low"}', "has no 'summary'"),
    "another shape": (lambda a: '{"unexpected": 1}', "has no"),
    "a list of answers": (lambda a: f"[{dump(a)}, {dump(a, intent='other')}]", "2 JSON objects"),
    "two answers": (lambda a: dump(a) + "\n" + dump(a, intent="other"), "2 JSON objects"),
    "said twice otherwise": (
        lambda a: dump(a, intent="other")[:-1] + ', "intent": "refund"}',
        "says 'intent' twice: 'other' and 'refund'",
    ),
    "not a number": (lambda a: dump(a).replace(f'"{a["urgency"]}"', "NaN"), "NaN"),
    "cut": (lambda a: dump(a)[:-5], "broken JSON"),
    "prose": (lambda a: "I think this is a refund.", "no JSON object"),
    "deep": (lambda a: '{"intent": ' + "[" * 10_000 + "]" * 10_000 + "}", "deeply"),
    "a number of 5,000 digits": (lambda a: '{"intent": ' + "9" * 5000 + "}", "number"),
    "a number without end": (lambda a: dump(a).replace(f'"{a["urgency"]}"', "1e999"), "too large"),
}


@pytest.mark.parametrize("how", WRONG)
def test_what_is_wrong_is_put_to_the_model_once_and_then_fails_its_row(how):
    form, words = WRONG[how]
    corrections = []

    def bad(asked):
        corrections.append(asked.body["messages"][2:])
        return wrapped(form)(asked)

    out, error, requests = one_bad(bad)
    assert requests == 2
    assert error.startswith("output: ")
    says(error, words)
    assert corrections[0] == []
    says(corrections[1][-1]["content"], words.split(":")[0])
    assert len(error) < 600
    assert out.set_index("text").loc[BAD, ["intent", "urgency", "summary"]].isna().all()


def test_what_the_model_corrects_on_the_re_ask_is_the_answer():
    def bad(asked):
        form = WRONG["off the list"][0] if asked.attempt == 0 else dump
        return wrapped(form)(asked)

    out, _, requests = one_bad(bad)
    assert requests == 2
    assert statuses(out) == {"ok": 12}


# -- strange, but an answer ---------------------------------------------------------------------

STRANGE = {
    "no id": lambda a: {k: v for k, v in completion(a).items() if k not in ("id", "object")},
    "no usage": lambda a: completion(a, usage=None),
    "no finish reason": lambda a: completion(a, finish=None),
    "negative tokens": lambda a: completion(a, usage={"prompt_tokens": -5}),
    "broken tokens": lambda a: completion(a, usage={"prompt_tokens": 10.7}),
    "tokens as text": lambda a: completion(a, usage={"prompt_tokens": "10"}),
    "tokens true": lambda a: completion(a, usage={"prompt_tokens": True}),
    "tokens a list": lambda a: completion(a, usage=[1, 2]),
    "more tokens than there are": lambda a: completion(a, usage={"prompt_tokens": 10**400}),
    "two choices": lambda a: completion(a, choices=completion(a)["choices"] * 2),
    "parts": lambda a: completion([{"type": "text", "text": part} for part in (a[:9], a[9:])]),
    "thoughts beside": lambda a: completion(a, message={"reasoning_content": "hm"}),
    "a refusal beside": lambda a: completion(a, message={"refusal": "no"}),
}  # fmt: skip


@pytest.mark.parametrize("how", [*STRANGE, "NaN tokens", "a byte order mark"])
def test_a_strange_completion_is_an_answer_all_the_same(how):
    def script(asked):
        if how == "NaN tokens":
            return http(completion(asked.content, usage={"prompt_tokens": float("nan")}))
        if how == "a byte order mark":
            return http(b"\xef\xbb\xbf" + json.dumps(completion(asked.content)).encode())
        return http(STRANGE[how](asked.content))

    with Raw(script) as server:
        out = tag(frame(12), server.url, None, details=True)
        assert len(server.asked) == 12
    assert statuses(out) == {"ok": 12}
    assert (out["llm_tokens_in"] >= 0).all()
    assert (out["llm_tokens_in"] <= 10**15).all()


# -- whatever comes -----------------------------------------------------------------------------


def spoilt(rng, asked):
    """A good answer with a few bytes of its body changed, dropped or doubled."""
    text = bytearray(json.dumps(completion(asked.content)).encode())
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text))
        text[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
    return bytes(text)


def test_replies_with_flipped_bytes_never_end_a_run_nor_touch_another_row():
    rng = random.Random(7)
    hurt = set()

    def script(asked):
        if asked.number % 3 == 0 and asked.attempt == 0:
            hurt.add(asked.row)
            return http(spoilt(rng, asked))
        return good(asked)

    with Raw(script) as server:
        out = tag(frame(300), server.url, None)
    assert set(kinds(out)) <= {"output", "refusal", "content_filter", "truncated", "bad_request"}
    wanted = uninterrupted(frame(300))
    whole = ~out["text"].isin(hurt)
    assert out[whole].equals(wanted[whole])
    assert statuses(out)["ok"] >= 290


def test_every_kind_of_bad_reply_at_once_loses_nothing(tmp_path):
    faults = dict.fromkeys(["500", "drop", "malformed", "html", "blank", "schema", "length"], 0.04)
    with testing.serve(faults=faults, latency=0.002) as server:
        out = tag(frame(200), server, tmp_path, max_attempts=12)
        failed = statuses(out).get("failed", 0)
        assert failed <= 6  # a second bad reply of one kind in a row fails its row
        check(out, frame(200), server, failed=failed)
