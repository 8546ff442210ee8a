"""What it costs to tag 10,000 customer-service records at some providers.

``python -m tests.benchmarks.costs``: 500 of the records are tagged with three fields against
the test server, which counts the tokens of what is sent and answered (UTF-8 bytes / 4, within 5 %
of a real tokenizer for English and Chinese); the fields' description is part of each prompt. The
rest is prices. Nothing is taken off for cached input, and nothing is added for thinking.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

import llmframe as lf
from llmframe import testing

ROWS, SAMPLE = 10_000, 500
FIELDS = {
    "intent": ["refund", "delivery", "billing", "other"],
    "urgency": ["low", "mid", "high"],
    "summary": str,
}


@dataclass(frozen=True)
class Price:
    """Money per million tokens, as read at the source; currency: three letters."""

    provider: str
    model: str
    tokens_in: float
    tokens_out: float
    currency: str
    source: str


PRICES = (  # read in November 2026
    Price("DeepSeek", "deepseek-flash", 1.0, 4.0, "CNY",
          "api-docs.deepseek.com/zh-cn/quick_start/pricing, off-peak; twice as much at peak"),
    Price("Qwen", "qwen3.7-flash", 0.2, 0.8, "CNY",
          "help.aliyun.com/zh/model-studio/qwen3-7-flash, Beijing, prompts to 32 K tokens"),
    Price("Zhipu", "glm-5.3-flash", 0.8, 2.8, "CNY",
          "docs.bigmodel.cn/cn/guide/start/pricing, list price"),
    Price("DeepSeek", "deepseek-flash", 0.15, 0.6, "USD",
          "genai-prices 0.2.3, off-peak; twice as much at peak"),
    Price("OpenAI", "gpt-5.4-nano", 0.2, 1.25, "USD", "genai-prices 0.2.3"),
    Price("Gemini", "gemini-3.1-flash-lite", 0.25, 1.5, "USD", "genai-prices 0.2.3"),
)  # fmt: skip


def tokens() -> tuple[float, float]:
    """Tokens of a row, in and out, on average over the sample."""
    df = pd.DataFrame(testing.records(ROWS)).head(SAMPLE)[["text"]]
    with (
        tempfile.TemporaryDirectory() as folder,
        testing.serve(answer="gold", unsupported=("json_schema",)) as server,
    ):
        df.llm.tag(
            "text", FIELDS, instructions="Tag this customer-service record.",
            model="any", base_url=server.url, progress=False, checkpoint=Path(folder) / "c.jsonl",
        )  # fmt: skip
    report = lf.last_run().report
    return report.tokens_in / report.ok, report.tokens_out / report.ok


def amount(price: Price, row: tuple[float, float]) -> str:
    """What 10,000 rows cost, with two significant digits and a sign."""
    cost = ROWS * (row[0] * price.tokens_in + row[1] * price.tokens_out) / 1e6
    sign = {"CNY": "¥", "USD": "$"}[price.currency]
    return f"{sign}{float(f'{cost:.2g}'):.2f}"


def main() -> None:
    """Print a line for each provider."""
    row = tokens()
    print(f"a row: {row[0]:.0f} tokens in, {row[1]:.0f} out")
    for price in PRICES:
        print(f"{price.provider:9} {price.model:22} {amount(price, row):>6}   {price.source}")


if __name__ == "__main__":
    main()
