"""A loopback model that names the themes of what it is shown, as a small language model might.

It sees nothing but the request: the entries of the record, and what the instructions say about
the number of groups and the labels that exist. It knows what words mean (below), and no gold
label. It calls one matter by several names, a different one in each request, so that only
grouping them makes one list.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from hashlib import blake2b

# matter -> its names, what it is, and the words by which it is known
MATTERS = {
    "refund": (
        ("refund request", "money back", "退款"),
        "The customer wants money back.",
        r"refund|money back|return|smashed|different shade|by mistake|give .{0,8}back|has one"
        r"|smaller than|not happy|switch on|kept the money|repair|broken|crack"
        r"|退款|退货|钱.{0,4}退|退掉|退给我|退回来|坏|罢工|送人",
    ),
    "delivery": (
        ("parcel delivery", "shipping", "物流配送"),
        "Where a parcel is, or when it comes.",
        r"parcel|courier|deliver|tracking|customs|driver|redirect|pre-order|\bship\b|boxes"
        r"|old address|still (nothing|waiting)|nobody was home|depot|stairwell"
        r"|快递|物流|发货|派送|签收|驿站|寄到|箱子|收货|老地址|还没到",
    ),
    "billing": (
        ("invoice and charges", "payment", "账单支付"),
        "Charges, invoices and payments.",
        r"charge[ds]?\b|invoice|\bbill|payment|statement|subscription"
        r"|发票|扣|账单|支付|结账|付款",
    ),
    "account": (
        ("account access", "login", "账号"),
        "Access to an account, and its data.",
        r"account|log ?in|password|profile|two-step|the codes|账号|登录|密码|绑定|验证|实名",
    ),
    "praise": (
        ("thanks", "compliment", "表扬"),
        "The customer is happy and says so.",
        r"thank you|thanks to|love it|wonderful|amazing|brilliant|great|better than|patient"
        r"|without any fuss|表扬|赞|满意|好评|感谢|神速|态度真好|好用|耐心|没得说|处理得很好",
    ),
    "questions": (
        ("product question", "general enquiry", "咨询建议"),
        "Questions before a purchase.",
        r"does the|suitable|adapter|opening hours|in stock|journalist|pieces of|suggestion"
        r"|how do i clean|manual|dark mode|thought about|plug|is the|showroom|shop near"
        r"|size guide|which side|will the|your website"
        r"|实体店|什么意思|有.{0,6}的吗|适合|充电|噪音|补货|关门|批量|合作|建议|清洗|说明书|希望",
    ),
}
NAMES = {name: matter for matter, (names, _, _) in MATTERS.items() for name in names}


def matter_of(text):
    """The matter that most of a text's words are about; None where none of them says anything."""
    known = {name.casefold(): matter for name, matter in NAMES.items()}
    if text.casefold() in known:
        return known[text.casefold()]
    found = {m: len(re.findall(words, text, re.I)) for m, (_, _, words) in MATTERS.items()}
    best = max(found, key=found.get)
    return best if found[best] else None


def answer(text, body):
    """The groups of one record; called as the test server calls its ``answer``."""
    entries = [json.loads(line) for line in text.splitlines()]
    groups = defaultdict(list)
    for entry in entries:
        shown = entry.get("text") or entry["label"]
        groups[matter_of(shown) or "unclear"].append(entry["number"])
    groups.pop("unclear", None)
    system = body["messages"][0]["content"]
    kept = [json.loads(label) for label in re.findall(r'^{"label": (".*?")[,}]', system, re.M)]
    kept_of = {matter_of(label): label for label in kept}
    pick = blake2b(text.encode(), digest_size=1).digest()[0]
    named = [
        {
            "label": kept_of.get(matter, MATTERS[matter][0][pick % 3]),
            "description": MATTERS[matter][1],
            "entries": numbers,
        }
        for matter, numbers in sorted(groups.items(), key=lambda one: -len(one[1]))
    ]
    exactly = re.search(r"exactly (\d+) groups", system)
    if exactly and "label" in entries[0]:
        named = named[: int(exactly[1])]
    return {"groups": named}
