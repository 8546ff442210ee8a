"""Evidence on many texts: ``python -m tests.benchmarks.evidence [rows]``.

Texts of several scripts are tagged with quotes that a model may give: as they stand, in another
form, with other blanks, stitched together or invented; some rows are redacted, some are cut. Fails
unless every quote in the columns is the slice of the person's own text that its place names, and
no planted one is among them.
"""

from __future__ import annotations

import random
import re
import sys
import tempfile
import unicodedata
from pathlib import Path

import pandas as pd

import llmframe as lf
from llmframe import testing
from llmframe.task.trust.quotes import is_boundary


def words(text: str) -> list[str]:
    return text.split()


WORDS = {
    "Latin": words("I want my money back naïve Cafe\u0301 oﬃce ﬁne 1½ ＡＢＣ"),
    "Chinese": words("我 想 退 款 订单 １２３ 谢谢 。 ， 快递"),
    "Japanese": words("返品 バナナ ﾊﾞﾅﾅ した い です 。"),
    "Korean": words("환불 \u1112\u1161\u11ab\u1100\u1173\u11af 주세요 ㅋㅋ 배송"),
    "Hebrew": words("אני רוצה שָׁלוֹם החזר כספי"),
    "Arabic": words("أُرِيدُ ﻼ استرداد المال \u200fنعم"),
    "Hindi": words("पैसे वापस चाहिए मुझे क्षमा"),
    "emoji": ["\U0001f469\u200d\U0001f4bb", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "ok",
              "\U0001f1e9\U0001f1ea", "\U0001f44b\U0001f3fd", "\u2764\ufe0f", "1\ufe0f\u20e3"],
}  # fmt: skip
BLANKS = [" ", "  ", "\r\n", "\n\t", "\u3000", "\xa0"]
KINDS = ("as it stands", "another form", "other blanks", "stitched", "invented", "redacted")
SECRET = "Zoe"


def make_text(rng: random.Random, number: int) -> str:
    script = rng.choice([*WORDS])
    glue = ["", *BLANKS] if script == "Chinese" else BLANKS
    parts = [rng.choice(WORDS[script]) + rng.choice(glue) for _ in range(rng.randrange(6, 30))]
    return f"{number} {''.join(parts)} {SECRET}"


def make_quote(rng: random.Random, text: str, kind: str) -> str:
    edges = [at for at in range(len(text) + 1) if is_boundary(text, at)]
    part = ""
    while not part.strip():
        begin = rng.randrange(len(edges) - 2)
        end = rng.randrange(begin + 1, min(begin + 12, len(edges)))
        part = text[edges[begin] : edges[end]]
    match kind:
        case "another form":
            return unicodedata.normalize(rng.choice(["NFKC", "NFC", "NFD"]), part)
        case "other blanks":
            return re.sub(r"\s+", rng.choice(BLANKS), part)
        case "stitched":
            return f"{text[: edges[3]]} ... {text[edges[-4] :]}"
        case "invented":
            return part + "\U0001f984 never written"
        case "redacted":
            return "[NAME]"
    return part


def main(rows: int = 10_000) -> int:
    rng = random.Random(16)
    texts = [make_text(rng, number) for number in range(rows)]
    kinds = [KINDS[number % len(KINDS)] for number in range(rows)]
    quotes = [make_quote(rng, text, kind) for text, kind in zip(texts, kinds, strict=True)]

    def answer(text: str, body: dict[str, object]) -> dict[str, object]:
        number = int(text.split(maxsplit=1)[0])
        return {"label": "a", "label_evidence": quotes[number]}

    with tempfile.TemporaryDirectory() as folder, testing.serve(answer=answer) as server:
        out = lf.tag(
            pd.DataFrame({"text": texts}),
            "text",
            ["a", "b"],
            evidence=True,
            model="m",
            base_url=server.url,
            checkpoint=Path(folder) / "c.jsonl",
            redact=lambda text: text.replace(SECRET, "[NAME]"),
            max_input_tokens=30,
            on_long="truncate",
            concurrency=16,
            progress=False,
        )
    found = out["label_evidence"].notna()
    places = out.loc[found, "label_evidence_at"]
    slices = [texts[row][begin:end] for row, (begin, end) in places.items()]
    equal = sum(a == b for a, b in zip(slices, out.loc[found, "label_evidence"], strict=True))
    by_kind = found.groupby(pd.Series(kinds)).mean()
    print(by_kind.to_string(float_format="{:.3f}".format))
    planted = int(found[pd.Series(kinds).isin(["stitched", "invented", "redacted"])].sum())
    print(f"slice equals quote in {equal} of {len(slices)}; planted quotes accepted: {planted}")
    print(out.attrs["llmframe"]["evidence"])
    return int(equal < len(slices) or planted > 0 or by_kind["as it stands"] < 0.99)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
