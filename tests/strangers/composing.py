"""Replies composed from parts: thoughts, drafts, wrappers, fences, ends and channels.

It knows from how a reply was built what may come of it, and shares no code with the parser.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

INTENTS, URGENCIES = ["refund", "delivery", "billing"], ["low", "mid", "high"]
FIELDS: dict[str, Any] = {"intent": INTENTS, "urgency_level": URGENCIES, "note": str, "count": int}

# marks around thoughts: beginning and end; the last ones are names that nobody uses yet
MARKS = [
    ("<think>", "</think>"),
    ("<THINK>\n", "\n</THINK>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>\n", "\n</reasoning>\n"),
    ("<seed:think>", "</seed:think>"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>",
    ),
    ("<|channel>thought\n", "<channel|>"),
    ("```thinking\n", "\n```\n"),
    ("<!-- ", " -->"),
    ("<details><summary>Reasoning</summary>\n", "\n</details>\n"),
    ("**Reasoning**\n", "\n\n**Final answer:**\n"),
    ("# Thoughts\n\n", "\n\n# Final Answer\n\n"),
    ("<scratchpad>", "</scratchpad>"),
    ("<pensée>", "</pensée>"),
    ("【思考】", "【/思考】"),
    ("<|mull|>", "<|/mull|>"),
    ("<rumination depth='2'>", "</rumination>"),
    ("⟨ponder⟩", "⟨/ponder⟩"),
]
# how answers end, and in which words; most of them are whole
ENDS = [
    *[("whole", word) for word in ("stop", "end_turn", "eos", None, "STOP", "complete")] * 4,
    ("cut", "length"), ("cut", "MAX_TOKENS"), ("cut", "model_length"),
    ("withheld", "content_filter"), ("withheld", "SAFETY"), ("withheld", "sensitive"),
    ("broken", "error"), ("broken", "network_error"), ("broken", "abort"),
]  # fmt: skip
PROSE = [
    "The customer writes about an order.",
    "Okay, let me look at the text again.",
    "It could be about {money}, or about a parcel.",
    "Hmm. The labels are given, so one of them must fit",
    "他想要退款。",
    "a < b and c > d",
    "The form would be {'intent': ..., 'note': ...}",
    "1. Read it.\n2. Choose a label.\n",
    "But wait, the last sentence says the opposite, because",
]
TAGGED = ["as in List<String>", "so it says [sic]"]  # may be marks of thoughts, for all we know
LEADS = [
    "",
    "",
    "Here is the JSON:\n",
    "Sure!\n\n",
    "Answer: ",
    "**Answer:**\n",
    "The result is:\n",
]
RETRACTIONS = [
    "Wait, the last sentence says the opposite.",
    f"\nNo, it is rather the other label:\n```json\n{json.dumps({'intent': 'other'})[:-1]}",
    "\nActually, the intent should be another one.",
    '\nCorrection: {"intent": "deliv',
    "\nBut then again, because",
]
AFTER = ["", "", "", "\n", "\n\nExplanation: the text asks for it.", "<|im_end|>", "</s>"]


@dataclass(frozen=True)
class Composed:
    """One reply.

    sure: a reader can only take the answer from it. holds: whether one is in it. end: how it
    ended: whole, cut, withheld or broken.
    """

    completion: dict[str, Any]
    sure: bool
    holds: bool
    end: str = "whole"


def record(rng: random.Random) -> dict[str, Any]:
    return {
        "intent": rng.choice(INTENTS),
        "urgency_level": rng.choice(URGENCIES),
        "note": rng.choice(["a lamp, broken", 'said "no" </think>', "two\nlines", "灯坏了 {x}"]),
        "count": rng.randrange(2000),
    }


def draft_of(gold: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    other = INTENTS[(INTENTS.index(gold["intent"]) + rng.choice((1, 2))) % 3]
    return {**gold, "intent": other, "note": "a draft"}


def written(value: dict[str, Any], rng: random.Random) -> str:
    return json.dumps(value, ensure_ascii=False, indent=rng.choice((None, None, 2)))


def thoughts(gold: dict[str, Any], rng: random.Random) -> str:
    """Prose with drafts in it, in all ways in which a model writes them down."""
    pieces = [rng.choice(PROSE)]
    for _ in range(rng.choice((0, 1, 1, 2))):
        draft = written(draft_of(gold, rng), rng)
        pieces.append(
            rng.choice(
                (
                    f"So perhaps {draft}?",
                    f"Draft:\n{draft}\nno.",
                    f"\n```json\n{draft}\n```\n",
                    f"\n{draft}\n",
                    f"It may be {json.dumps({'intent': 'refund'})} or {draft}",
                    f"Final answer: {draft}. Wait.",
                )
            )
        )
        pieces.append(rng.choice(PROSE))
    return " ".join(pieces)


def near_json(gold: dict[str, Any], rng: random.Random) -> str:
    """The answer in a form that is no strict JSON, or not the one asked for."""
    text = json.dumps(gold, ensure_ascii=False)
    forms = [
        text,
        json.dumps(gold, ensure_ascii=False, indent=2),
        text[:-1] + ",}",
        text.replace("{", "{ // as asked\n", 1) if "{x}" not in text else text,
        text.replace('"intent": ', '"intent": /* the wish */ '),
        repr(gold).replace("\\n", "\\n"),
        text.replace("urgency_level", "urgency\\_level"),
        text.replace("urgency_level", "urgencyLevel"),
        text.replace(f'"{gold["intent"]}"', f'"{gold["intent"].upper()}."'),
        text.replace(str(gold["count"]), f'"{gold["count"]}"'),
        text.replace(f"{gold['count']}}}", f'"{gold["count"]}.0"}}'),
        json.dumps({"answer": gold}, ensure_ascii=False),
        json.dumps({"type": "object", "properties": gold}, ensure_ascii=False),
        json.dumps([gold], ensure_ascii=False),
        text + text,
        text + "\n" + text,
    ]
    return rng.choice(forms)


def fenced(text: str, rng: random.Random) -> str:
    return rng.choice(
        (text, text, f"```json\n{text}\n```", f"```\n{text}\n```", f"~~~\n{text}\n~~~")
    )


def content(gold: dict[str, Any], rng: random.Random) -> tuple[str, bool, bool]:
    """A reply's text, whether its reading is sure, and whether it holds the answer at all."""
    begin, end = rng.choice(MARKS)
    inner = thoughts(gold, rng)
    if begin[0] not in "*#`":  # what ends there ends all that began in it
        inner += rng.choice(("", *TAGGED))
    answer = fenced(near_json(gold, rng), rng)
    shapes = ("plain", "closed", "closed", "half", "open", "none", "after", "bare", "taken back")
    shape = rng.choice(shapes)
    if shape == "plain":
        lead = rng.choice(LEADS)
        return lead + answer + rng.choice(AFTER), True, True
    if shape == "closed":
        return f"{begin}{inner}{end}\n{answer}", True, True
    if shape == "half":  # the chat template has opened the thoughts
        by_name = "/" in end or "end_of" in end or "final" in end
        return f"{inner}{end}\n{answer}", by_name, True
    if shape == "open":  # the model stops inside its thoughts
        return f"{begin}{inner}", False, False
    if shape == "none":  # thoughts alone
        return rng.choice((f"{begin}{inner}{end}", inner)), False, False
    if shape == "taken back":
        draft = fenced(written(draft_of(gold, rng), rng), rng)
        return f"{rng.choice(LEADS)}{draft}\n{rng.choice(RETRACTIONS)}", False, False
    if shape == "after":
        return f"{answer}\n{begin}{inner}{end}", False, True
    return f"{inner}\n\n{answer}", False, True  # without any mark


def compose(gold: dict[str, Any], rng: random.Random) -> Composed:
    """One reply with the answer gold, or with drafts only."""
    text, sure, holds = content(gold, rng)
    message: dict[str, Any] = {"role": "assistant", "content": text}
    channel = rng.choice(("content", "content", "content", "parts", "elsewhere", "tool"))
    alone = json.dumps(gold)
    if channel == "parts":
        draft = {"type": "thinking", "thinking": [{"type": "text", "text": thoughts(gold, rng)}]}
        message["content"] = [draft, {"type": "text", "text": text}]
    elif channel == "elsewhere":
        name = rng.choice(("reasoning_content", "reasoning"))
        whole = rng.random() < 0.5
        said = alone if whole else f"{rng.choice(PROSE)} {written(draft_of(gold, rng), rng)}?"
        message |= {"content": rng.choice((None, "", " \n")), name: said}
        sure = holds = whole
    elif channel == "tool":
        function = {"name": "answer", "arguments": alone}
        message |= {"content": None, "tool_calls": [{"function": function}]}
        sure = holds = True
    end, word = rng.choice(ENDS)
    choice = {"index": 0, "finish_reason": word, "message": message}
    if end == "broken" and rng.random() < 0.5:
        choice |= {"finish_reason": rng.choice((None, "stop")), "error": {"code": 502}}
    usage = {"prompt_tokens": 100, "completion_tokens": 30}
    completion = {"choices": [choice], "usage": usage}
    is_whole = end == "whole"
    return Composed(completion, sure=sure and is_whole, holds=holds and is_whole, end=end)


def as_stream(completion: dict[str, Any], rng: random.Random) -> bytes:
    """The body of a completion, sometimes as the chunks of a stream or with its end behind it."""
    choice = completion["choices"][0]
    message = choice["message"]
    if "error" in choice:
        return json.dumps(completion).encode()
    way = rng.choice(("json", "json", "json", "done", "chunks"))
    if way == "json" or (way == "chunks" and not isinstance(message["content"], str)):
        return json.dumps(completion).encode()
    if way == "done":
        return json.dumps(completion).encode() + b"\n\ndata: [DONE]\n\n"
    text, step = message["content"], rng.randrange(1, 40)
    deltas = [text[at : at + step] for at in range(0, len(text), step)]
    rest = {name: said for name, said in message.items() if name not in ("role", "content")}
    chunks = [{"choices": [{"index": 0, "delta": {"content": delta}}]} for delta in deltas]
    chunks.append(
        {"choices": [{"index": 0, "delta": rest, "finish_reason": choice["finish_reason"]}]}
    )
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()
