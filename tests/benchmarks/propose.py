"""``python -m tests.benchmarks.propose``: labels proposed for records with six hidden intents.

The model is llmframe/testing/texts/themes.py on the loopback server: it sees the requests alone.
With ``--local`` the small real model of this machine is asked instead.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import pandas as pd

from llmframe import testing
from llmframe.testing.texts import themes


def intents_matched(labels: dict[str, str], gold: pd.Series) -> dict[str, str]:
    """Label -> intent, one to one: pairs by how many texts they share, the most first."""
    sample = labels.sample
    pairs = Counter(zip(sample["label"], gold.loc[sample.index], strict=True))
    matched: dict[str, str] = {}
    for (label, intent), _ in pairs.most_common():
        if isinstance(label, str) and label not in matched and intent not in matched.values():
            matched[label] = intent
    return {
        label: intent
        for label, intent in matched.items()
        if pairs[label, intent] * 2 > sum(n for (one, _), n in pairs.items() if one == label)
    }


def propose(df: pd.DataFrame, **options: object) -> tuple[dict[str, str], int]:
    """The labels, and how many requests they took."""
    with testing.serve(answer=themes.answer) as server:
        labels = df.llm.propose_labels(
            "text", model="themes", base_url=server.url, progress=False, **options
        )
        return labels, len(server.ledger)


def main() -> None:
    """Print the figures; exit 1 where one is missed."""
    df = pd.DataFrame(testing.records(300)).set_index("id")
    if "--local" in sys.argv:
        labels = df.llm.propose_labels("text", provider="local", n=60, checkpoint=False)
        print(labels)
        print(intents_matched(labels, df["intent"]))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.jsonl"
        labels, requests = propose(df, checkpoint=path)
        again, more = propose(df, checkpoint=path)
    matched = intents_matched(labels, df["intent"])
    print(labels)
    print(f"{len(matched)} of 6 intents matched: {matched}")
    print(f"other {labels.other:.1%}, {requests} requests, the second time {more}")
    good = len(matched) >= 5 and labels.other <= 0.1 and requests <= 15
    sys.exit(not (good and more == 0 and again == labels))


if __name__ == "__main__":
    main()
