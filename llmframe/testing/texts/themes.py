"""A model for the test server that groups texts by their words, as a small language model might.

    from llmframe.testing import serve
    from llmframe.testing.texts import themes

    with serve(answer=themes.answer) as server:
        ...                      # df.llm.propose_labels, or a tag by the labels it named

It sees nothing but the request. It knows what the words below mean, and no gold label.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from hashlib import blake2b
from typing import Any

from llmframe.testing.answers import asked_schema, content_text, enum_labels, expected

# matter -> its names, what it is, and the words by which it is known
MATTERS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "refund": (
        ("refund", "money back", "退款"),
        "The customer wants money back.",
        r"refund|money back|return|smashed|different shade|by mistake|give .{0,8}back|has one"
        r"|smaller than|not happy|switch on|kept the money|repair|broken|crack"
        r"|退款|退货|钱.{0,4}退|退掉|退给我|退回来|坏|罢工|送人",
    ),
    "delivery": (
        ("delivery", "shipping", "物流配送"),
        "Where a parcel is, or when it comes.",
        r"parcel|courier|deliver|tracking|customs|driver|redirect|pre-order|\bship\b|boxes"
        r"|old address|still (nothing|waiting)|nobody was home|depot|stairwell"
        r"|快递|物流|发货|派送|签收|驿站|寄到|箱子|收货|老地址|还没到",
    ),
    "billing": (
        ("billing", "payment", "账单支付"),
        "Charges, invoices and payments.",
        r"charge[ds]?\b|invoice|\bbill|payment|statement|subscription"
        r"|发票|扣|账单|支付|结账|付款",
    ),
    "account": (
        ("account", "login", "账号"),
        "Access to an account, and its data.",
        r"account|log ?in|password|profile|two-step|the codes|账号|登录|密码|绑定|验证|实名",
    ),
    "praise": (
        ("praise", "compliment", "表扬"),
        "The customer is happy and says so.",
        r"thank you|thanks to|love it|wonderful|amazing|brilliant|great|better than|patient"
        r"|without any fuss|表扬|赞|满意|好评|感谢|神速|态度真好|好用|耐心|没得说|处理得很好",
    ),
    "questions": (
        ("questions", "general enquiry", "咨询建议"),
        "Questions before a purchase.",
        r"does the|suitable|adapter|opening hours|in stock|journalist|pieces of|suggestion"
        r"|how do i clean|manual|dark mode|thought about|plug|is the|showroom|shop near"
        r"|size guide|which side|will the|your website"
        r"|实体店|什么意思|有.{0,6}的吗|适合|充电|噪音|补货|关门|批量|合作|建议|清洗|说明书|希望",
    ),
}
NAMES = {name: matter for matter, (names, _, _) in MATTERS.items() for name in names}
UNSURE, OTHER = "unsure", "other"


def answer(text: str, body: dict[str, Any]) -> dict[str, Any]:
    """Groups for ``propose_labels``, else a label for each closed choice that is asked for.

    The server calls it with a row's text and the request's body.
    """
    schema = asked_schema(body) or {}
    if "groups" in schema.get("properties", {}):
        return {"groups": groups(text, content_text(body["messages"][0]["content"]))}
    made = expected(text, schema)
    for name, field in schema.get("properties", {}).items():
        if labels := [*enum_labels(field)]:
            made[name] = label(text, labels)
    return made


def label(text: str, labels: list[Any]) -> Any:
    """The label of the text's matter; "unsure" where its words do not say, "other" for the rest."""
    known = {matter_of(str(one)): one for one in labels}
    matter = clear_matter(text)
    likely = known.get(matter, OTHER) if matter else UNSURE
    return next((one for one in (likely, OTHER) if one in labels), labels[0])


def counted(text: str) -> dict[str, int]:
    """Matter -> how many words of a text are about it."""
    return {m: len(re.findall(words, text, re.IGNORECASE)) for m, (_, _, words) in MATTERS.items()}


def matter_of(text: str) -> str | None:
    """The matter that most of a text's words are about; None where none of them says anything."""
    if named := NAMES.get(text.casefold()):
        return named
    found = counted(text)
    best = max(found, key=found.__getitem__)
    return best if found[best] else None


def clear_matter(text: str) -> str | None:
    """The matter that more words are about than any other; None where two have as many."""
    found = counted(text)
    first, second = sorted(found.values(), reverse=True)[:2]
    return matter_of(text) if first > second else None


def groups(text: str, system: str) -> list[dict[str, Any]]:
    """The groups of one record, the largest first.

    system: the instructions, which say what labels exist, and perhaps the number of groups.
    Each request for texts calls a matter by another of its names, as models do, so that only
    grouping the names makes one list; that request takes the first name.
    """
    entries = [json.loads(line) for line in text.splitlines()]
    numbers = defaultdict(list)
    for entry in entries:
        if matter := matter_of(entry.get("text") or entry["label"]):
            numbers[matter].append(entry["number"])
    are_labels = "label" in entries[0]
    pick = 0 if are_labels else blake2b(text.encode(), digest_size=1).digest()[0]
    kept = [json.loads(one) for one in re.findall(r'^{"label": (".*?")[,}]', system, re.MULTILINE)]
    kept_of = {matter_of(one): one for one in kept}
    made = [
        {
            "label": kept_of.get(matter, MATTERS[matter][0][pick % 3]),
            "description": MATTERS[matter][1],
            "entries": of_matter,
        }
        for matter, of_matter in sorted(numbers.items(), key=lambda one: -len(one[1]))
    ]
    exactly = re.search(r"exactly (\d+) groups", system)
    return made[: int(exactly[1])] if exactly and are_labels else made
