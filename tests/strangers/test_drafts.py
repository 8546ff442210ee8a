"""Thoughts around an answer, as strangers' models write them: a draft is never taken.

A line is a reply; G stands for the answer and D for a draft. The sources are public reports; the
words are ours. The next report is one more line.
"""

from __future__ import annotations

import json
import re

import pytest

from llmframe.errors import OutputError
from llmframe.task.fields import resolve_fields
from llmframe.task.parse import parse_reply, read_answer

FIELDS = resolve_fields(
    {"intent": ["refund", "delivery", "billing"], "urgency": ["low", "high"], "note": str}
)
GOLD = {"intent": "delivery", "urgency": "high", "note": "a parcel </think> [x]"}
DRAFT = {"intent": "refund", "urgency": "high", "note": "a draft"}


def filled(reply: str) -> str:
    values = {"G": json.dumps(GOLD), "D": json.dumps(DRAFT)}
    return re.sub("[GD](?![a-z])", lambda letter: values[letter[0]], reply)


TAKEN = [
    # in tags: zettelrobbe#74, flight-finder#201; Magistral's template; mem0#4662
    "<think>\nmaybe D? no.\n</think>\n\nG",
    "<THINK>D</THINK>```json\nG\n```",
    "[THINK]D[/THINK]G",
    "<reasoning>D</reasoning>\nG",
    "<|begin_of_thought|>D<|end_of_thought|>\nG",
    "<seed:think>D</seed:think>G",
    "◁think▷D◁/think▷G",
    "<think><think>D</think>D</think>G",
    "<think>I close it with </think> later: D</think>G",
    "<|channel>thought\nD<channel|>G",
    # names that nobody uses yet
    "<pondering>D</pondering>\nG",
    "<brood intensity='3'>D</brood>G",
    "【思考】D【/思考】G",
    "⟨мысли⟩D⟨/мысли⟩G",
    "<|mull_start|>D<|mull_end|>G",
    # only the closing mark: perplexityai#177, vllm#22507
    "so it might be D. Wait, no.\n</think>\n\nG",
    "so it might be D. Wait, no.◁/think▷G",
    "it may be D<|end_of_musing|>G",
    # channels: mlx-lm#1867, imp#768, openai/harmony#56
    "<|channel|>analysis<|message|>Draft: D<|end|><|start|>assistant<|channel|>final"
    " <|constrain|>json<|message|>G",
    "<|channel|>final<|message|>G<|return|>",
    "analysisWe need JSON: D no.assistantfinalG",
    # in fences, comments and folded parts
    "```thinking\nhm D\n```\n```json\nG\n```",
    "<!-- D -->\nG",
    "<details><summary>Thoughts</summary>\nD\n</details>\n\nG",
    # under headings
    "**Reasoning**\nThe text says D\n\n**Final answer:**\nG",
    "# Thoughts\n\nD\n\n## Final Answer\n\n```json\nG\n```",
    "First draft: D\nFinal: G",
    "## Reasoning\nD\n## Output\nG",
    "**Thought process:**\n\nD\n\n**Result:**\n\nG",
    # after the answer
    "G\n<think>Was it D?</think>",
    # in tags for the answer
    "<answer>G</answer>",
    "I think D. <answer>G</answer>",
    "<think>D</think><output>\nG\n</output>",
    # what a template leaves at its ends
    "<|start_header_id|>assistant<|end_header_id|>\n\nG<|eot_id|>",
    "<s>G</s>",
    # prose around it: vm0#35863; a fragment beside it: bx-ai#222, flight-finder#208
    "Sure:\n```json\nG\n```\nAnything else?",
    "Sure! Here is the JSON:\n\nG\n\nLet me know if you need more.",
    "Sure! G",
    "Okay. G Hope this helps!",
    "**Answer:** G",
    "Here it is:\n```json\nG\n```\n\n**Why**\n- intent: the text asks where it is",
    'I first thought {"intent": "refund"}.\n```json\nG\n```',
    "The text asks where the parcel is, so it is a delivery.\n\n```json\nG\n```",
    "The text asks where the parcel is.\nThe answer:\nG",
    'G\n\nNote: {"intent": "refund"} would be wrong here.',
]

NEVER_TAKEN = [
    # thoughts that never end: page-assist#753, sglang#4711
    "<think>\nso perhaps D. But wait, because",
    "<think>D",
    "[THINK] D",
    "<pondering>\nD\n",
    "<|channel|>analysis<|message|>We need JSON. D",
    "<|channel>thought\nD",
    "<!-- D",
    "```thinking\nD",
    "<think>a<think>D</think>D",
    # without any mark
    "Okay, so it might be D. Wait, no.",
    "Let me see.\n\nD\n\nThe text says the opposite, because",
    "Okay, then it looks like this:\nD\nBut the last sentence says",
    "Now the text reads:\nD\nThe last sentence of the record says the opposite, and so the label"
    " has to change.",
    "Do not answer like this:\nD",
    "Not D",
    "The customer is angry. Check the label again.\nD",
    "The customer is angry. The JSON: D\nThe urgency is high.",
    "Wait, that is off.\n```json\nD\n```",
    "Reasoning:\nThis is how it looks:\nD",
    "> D",
    "他想要退款。\nD\n他写得很清楚。",
    "Draft: D",
    "Thinking:\nD",
    "**Deliberation**\n\nD",
    "# Überlegung\nD",
    # no answer after them
    "<think>D</think>",
    "<scratchpad>D</scratchpad>",
    "D</think>",
    "```reasoning\nD\n```",
    "<|channel|>analysis<|message|>D<|end|>",
    # taken back, or corrected by something that cannot be read
    "D\n\nActually, no. It is a delivery.",
    "D\n\nThe intent should rather be delivery.",
    "D is wrong.",
    "D\n{",
    'D\n\nNo, rather:\n{"intent": "deliv',
    'D\n\nCorrection: {"intent": "delivery"}',
    "G\n<think>Or is it D?",
    # two answers
    "D\nG",
    "1. D\n2. G",
    '{"draft": D, "answer": G}',
    '{"answers": [G, D]}',
    '{"thoughts": D}',
    # a part of something else
    '{"a": D, "b": ',
    '"name": "root", "children": [D]}',
    '{"items": [\n  D,\n  {"inte',
]


@pytest.mark.parametrize("reply", TAKEN)
def test_the_answer_is_taken_and_no_draft(reply):
    values, text = read_answer(filled(reply), FIELDS)
    assert values == GOLD
    assert json.loads(text) == GOLD  # what llm_raw shows, and where confidence looks


@pytest.mark.parametrize("reply", NEVER_TAKEN)
def test_what_may_be_a_draft_is_never_taken(reply):
    with pytest.raises(OutputError) as caught:
        parse_reply(filled(reply), FIELDS)
    assert str(caught.value)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("<mulling>D", "may be a draft: '<mulling>' is never closed"),
        ("<think>D</think>", "no JSON object outside of its thoughts"),
        ("# Plan\nD", "it stands under the heading 'Plan'"),
        ("D\nWait, no.", "the text after it takes it back"),
        ("so D it is", "it stands within a sentence"),
    ],
)
def test_the_reason_says_why_an_object_may_be_a_draft(reply, reason):
    with pytest.raises(OutputError, match=reason):
        parse_reply(filled(reply), FIELDS)
