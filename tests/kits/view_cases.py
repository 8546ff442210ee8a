"""Everything that a person is shown, ready to be displayed: for pictures and for axe-core.

The answers come from the loopback server, so that the frames are real ones.
"""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pandas as pd
import pydantic
from IPython.display import HTML

import llmframe as lf
from llmframe import testing
from llmframe.messages.check_lines import Line
from llmframe.notebook import make_view
from llmframe.notebook.check_view import Check
from llmframe.notebook.drawing.card import card_html
from llmframe.notebook.estimate_view import Estimate
from llmframe.notebook.proposed_labels import ProposedLabels
from llmframe.notebook.review.widget import ReviewWidget
from llmframe.notebook.view import Ending, PreviewRow, ShownRow
from llmframe.quality.drawing import Wish
from llmframe.quality.review_session import Manner, ReviewSession
from tests.kits import trust_cases as trust_cases  # the cells take it from here
from tests.kits.notebook_cases import FINISHED, REPORT, RUNNING, Rows
from tests.kits.notebook_screen import Clicks
from tests.kits.reviews import judge, tagged

CALL = {"model": "test-model", "checkpoint": False, "progress": False}
SIXTY = [f"{area} / {part}" for area in (
    "Delivery", "Invoices and payment", "Returns", "Account", "Technical fault", "Praise",
) for part in (
    "late", "lost on the way", "damaged when it arrived", "wrong item", "asked twice", "address",
    "refund not received after two weeks", "question", "complaint about a person", "other",
)]  # fmt: skip
CHINESE = ["退款申请", "物流配送延误或丢失", "账单与发票问题", "账户登录", "其他"]
TEXTS = (
    "I ordered shoes two weeks ago, and they have not arrived. The courier says that nobody was "
    "at home, but I was there all day. Please send them again or give my money back.",
    "我上周买的鞋子还没有到，快递说没人在家，可是我一整天都在家里等，请尽快退款。",
    "لم يصل طلبي منذ أسبوعين، أرجو إعادة المبلغ",
    "😡😡 third time this month!!! 🚚💨",
)


class Place(pydantic.BaseModel):
    """A nested answer."""

    city: str
    postcode: str | None


class Answers(pydantic.BaseModel):
    """Every kind of field."""

    stars: int
    price: float
    angry: bool
    day: datetime.date
    topics: list[str]
    place: Place
    summary: str


def _number(text: str) -> int:
    return int(text.split()[0])


def _every_kind(text: str, _: Any) -> dict[str, Any]:
    n = _number(text)
    return {
        "stars": 1 + n % 5,
        "price": round(3 + (n * 37 % 101) ** 1.5 / 9, 2),
        "angry": n % 3 == 0,
        "day": str(datetime.date(2026, 1, 1) + datetime.timedelta(days=n * 7 % 200)),
        "topics": [SIXTY[n % 7 * 3], CHINESE[n % 5]][: 1 + n % 2],
        "place": {"city": TEXTS[1][:4] if n % 2 else "Paris", "postcode": None if n % 3 else "75"},
        "summary": TEXTS[n % 4][: 20 + 3 * n],
    }


def _sixty(text: str, _: Any) -> dict[str, Any]:
    n = _number(text)
    at = int((n * 61 % 300) ** 2 / 1600) % 55
    return {"topic": SIXTY[at], "类别": CHINESE[n * n % 4], "kind": "refund" if n % 50 else "other"}


def _frame(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"text": [f"{n} {TEXTS[n % 4]}" for n in range(rows)]})


def _tagged(rows: int, fields: Any, **server: Any) -> pd.DataFrame:
    with testing.serve(**server) as running:
        return lf.tag(_frame(rows), "text", fields, base_url=running.url, **CALL)


def many_labels() -> Any:
    """60 long labels, Chinese ones, and one label that took nearly all."""
    fields = {"topic": SIXTY, "类别": CHINESE, "kind": ["refund", "delivery", "other"]}
    return _tagged(300, fields, answer=_sixty).llm.summary()


def every_kind() -> Any:
    """Numbers, dates, true or false, lists, nested models, texts of four scripts."""
    return _tagged(60, Answers, answer=_every_kind).llm.summary()


def errors() -> pd.DataFrame:
    """Failures of several kinds, with replies."""
    faults = ["off_list", "refusal", "length", "context", "content_filter", "malformed"]
    rows = {f"{n} {TEXTS[n % 4]}": faults[n // 2 % 6] for n in range(0, 60, 2)}
    fields = {"intent": ["refund", "other"], "summary": str}
    with testing.serve(fault_rows=rows) as running:
        out = lf.tag(_frame(60), "text", fields, base_url=running.url, details=True, **CALL)
    return out.llm.errors()


def _intent(text: str, _: Any) -> dict[str, Any]:
    n = _number(text)
    intents = ["refund", "delivery", "other", "refund", "billing", "other", "delivery", "refund"]
    summary = TEXTS[n % 4][:90] if n % 3 else "Wants the money back."
    return {"intent": intents[n % 8], "类别": CHINESE[n % 5], "urgent": n % 2 > 0, "note": summary}


def preview() -> pd.DataFrame:
    """Answers of four scripts, repeated texts, two failures."""
    fields = {
        "intent": ["refund", "delivery", "billing", "other"],
        "类别": CHINESE,
        "urgent": bool,
        "note": str,
    }
    df = pd.concat([_frame(40), _frame(8), _frame(8)], ignore_index=True)
    faults = {f"{n} {TEXTS[n % 4]}": "content_filter" if n % 2 else "off_list" for n in (2, 9, 17)}
    with testing.serve(answer=_intent, fault_rows=faults) as running:
        return lf.preview(df, "text", fields, 10, seed=7, base_url=running.url, **CALL)


class Writing:
    """A live preview in its middle."""

    def rows(self) -> list[PreviewRow]:
        done = {"intent": "delivery", "urgent": "true", "note": TEXTS[0]}
        brief = frozenset({"intent", "urgent"})
        rows = [
            PreviewRow("3", text=TEXTS[0], state="done", values=done),
            PreviewRow("12", text=TEXTS[1], state="writing", values={"intent": "ref▍"}),
            PreviewRow(
                "17", text=TEXTS[2], state="writing", values={"intent": "other", "note": "Ask▍"}
            ),
            PreviewRow("18", text=TEXTS[3], state="failed", error="refusal: the model refused"),
            PreviewRow("40", text="Where is my parcel?", state="waiting"),
        ]
        return [replace(row, brief=brief) for row in rows]


def check() -> Check:
    """Lines that are right, wrong and unknown, with their cures."""
    long = "https://a-rather-long-name.of-a-gateway.example.com/openai/deployments/gpt-4o-mini/v1"
    return Check(
        f"{long}, gpt-4o-mini",
        (
            Line("reachable", found="it answers", ok=True),
            Line("key accepted", found="from OPENAI_API_KEY", ok=True),
            Line("model", found=f"no such model: {long}", ok=False, cure="Did you mean 'gpt-4o'?"),
            Line("response format", found="not checked"),
            Line("price", found="not known; 1,000 rows like this one take 120 k tokens in"),
        ),
    )


ESTIMATE = Estimate(
    1_000,
    distinct=972,
    done=60,
    skipped=8,
    unsent=2,
    unanswered=912,
    requests=912,
    tokens_in=412_000,
    tokens_cached=255_000,
    tokens_out=31_200,
    cost=0.41,
    minutes=3.4,
    tokens_in_range=(400_000.0, 424_000.0),
    tokens_out_range=(29_900.0, 32_500.0),
    cost_range=(0.38, 0.45),
    minutes_range=(2.7, 4.8),
    currency="USD",
    model="gpt-4o-mini",
    mode="live",
    based_on="measured on 20 answers of this task",
    measured=20,
    checkpoint=".llmframe/0f1e2d3c4b5a69788796a5b4c3d2e1f0.jsonl",
    sample={
        "messages": [
            {"role": "system", "content": 'Tag this record.\n\n- intent: one of "refund", "other"'},
            {"role": "user", "content": f"<record 1f>\n{TEXTS[1]}\n</record 1f>"},
        ],
        "schema": {"properties": {"intent": {"enum": CHINESE}}},
    },
    batch_saves=0.2,
    extend_saves=None,
    is_free=False,
    notes=(
        "max_cost=0.3 will stop this call after about 667 of 912 requests: all of them should take "
        "about $0.41 ($0.38 to $0.45). What is answered by then is kept",
    ),
)


def estimate() -> Any:
    """An estimate with a limit that will stop the call, and its sample open."""
    return HTML(ESTIMATE._repr_html_().replace("<details", "<details open"))


def proposed() -> ProposedLabels:
    """Labels in two scripts, one added by hand, and texts that none covers."""
    named = [*CHINESE[:3], SIXTY[1], None]
    labels = {label: f"What customers write about {label}." for label in named if label}
    sample = [(named[n * n % 5], f"{n} {TEXTS[n % 4]}") for n in range(60)]
    index = pd.Index([f"CS-{n:05}" for n in range(60)])
    all_labels = labels | {"warranty": ""}
    return ProposedLabels(all_labels, sample=sample, index=index, rows=2_000, unread=30)


KINDS = {"output": 38, "refusal": 19, "context_length": 16, "timeout": 11, "truncated": 1}
FAILED = replace(
    FINISHED,
    report=replace(
        REPORT, ok=9_876, failed=85, errors_by_kind=KINDS, limited_by="latency", refusals=0,
    ),
    next_step=(
        "Run the cell again to retry the 85 failed rows; nothing else is paid for again. A re-run "
        "may mend the 38 invalid answers, 11 timed out; the others need a change: 19 refused by "
        "the model (other instructions, or another model), 16 too long for the model (shorter "
        'texts, or max_input_tokens= with on_long="truncate"), 1 cut off (a larger '
        "max_output_tokens=)."
    ),
    notes=('intent: 98 % are "退款申请"; if that is unexpected, check the prompt',),
    time_went_to="82 % waiting for answers, 15 % pauses that the provider asked for",
    next_lines=("out.llm.errors()", "out.llm.summary()"),
)  # fmt: skip
CLEAN = replace(
    FINISHED,
    report=replace(REPORT, failed=0, ok=9_961, errors_by_kind={}, retries=0, refusals=0),
    next_step="",
    next_lines=("out.llm.summary()",),
)
STOPPED = replace(
    FINISHED,
    snapshot=replace(RUNNING, status="stopped"),
    report=replace(REPORT, ok=6_118, failed=0, pending=3_843, done=6_157, errors_by_kind={}),
    headline="stopped",
    next_step="Run the cell again to continue where it stopped; answered rows are not paid for a "
    "second time.",
)
ABORTED = replace(
    FINISHED,
    snapshot=replace(
        RUNNING,
        status="aborted",
        message="https://api.example.com/v1 does not accept the API key (HTTP 401): Incorrect API "
        "key provided. Give the right api_key= for this endpoint (it came from OPENAI_API_KEY).",
    ),
    report=replace(
        REPORT, ok=0, failed=0, skipped=0, pending=10_000, done=0, reused=0, shared=0,
        rows_per_second=0.0, errors_by_kind={}, cost=None,
    ),
    headline="aborted",
    next_step="Nothing is lost: run the cell again when that is mended.",
)  # fmt: skip


def card(ending: Ending) -> HTML:
    return HTML(card_html(ending))


class LongRows(Rows):
    """Answers of four scripts, and failures of two kinds."""

    def __init__(self) -> None:
        labels = [SIXTY[6], CHINESE[1], "refund", "😡"]
        self._rows = [
            ShownRow(str(n), text=TEXTS[n], values={"topic": labels[n], "summary": TEXTS[n][:40]})
            for n in range(3)
        ]
        self._failures = [
            ShownRow(
                "17", text=TEXTS[1], error="output: intent='退钱' is not one of refund, other"
            ),
            ShownRow("18", text=TEXTS[2], error="refusal: the model refused: 'No.'"),
        ]

    def newest(self, most: int = 3) -> list[ShownRow]:
        return self._rows[:most]

    def failures(self) -> list[ShownRow]:
        return self._failures


class LiveRows(LongRows):
    live = Writing()


def panel(latest: Any = None, **changes: Any) -> None:
    view = make_view("widget", controls=Clicks(), blocking=False, latest=latest or LongRows())
    view.open()
    view.refresh(replace(RUNNING, **changes))


def review(order: str = "design", *, n: int = 100, done: int = 0, many: bool = False) -> None:
    """A review of long and short texts in several scripts, some of them judged."""
    labels = tuple(SIXTY) if many else ("refund", "delivery", "退款申请", "other")
    df = tagged(400, labels=labels, task=f"{n}{many}".encode().hex())
    df["text"] = [f"{at}: {TEXTS[at % 4] * (1 + at % 3 * 5)}" for at in range(len(df))]
    df["intent_evidence"] = TEXTS[0][:24]
    session = ReviewSession(df, "intent", Wish(n, order=order), Manner())  # type: ignore[arg-type]
    judge(session, df, done - session.done)
    view = ReviewWidget(session)
    view.open()
    if session.row is None:
        view.close()


CELLS = {
    "panel": "panel()",
    "card-failed": "card(FAILED)",
    "card-clean": "card(CLEAN)",
    "card-stopped": "card(STOPPED)",
    "card-aborted": "card(ABORTED)",
    "summary-labels": "many_labels()",
    "summary-kinds": "every_kind()",
    "errors": "errors()",
    "preview": "preview()",
    "preview-live": "panel(LiveRows())",
    "check": "check()",
    "review-blind": "review(done=34)",
    "review-shown": 'review(order="confidence")',
    "review-typed": "review(many=True)",
    "review-end": "review(done=20, n=20)",
    "estimate": "estimate()",
    "proposed-labels": "proposed()",
    "score": "trust_cases.score()",
    "score-no-sample": "trust_cases.no_sample()",
    "shares": "trust_cases.shares()",
    "compare": "trust_cases.compare()",
    "threshold": "trust_cases.threshold()",
}
"""name -> the code of the cell that shows it, after BEGIN."""
BEGIN = "from tests.kits.view_cases import *"
