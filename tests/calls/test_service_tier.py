"""The provider's tier: sent as it is given, refused aloud, and no part of what makes answers."""

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import PlanError

FIELDS = {"label": ["refund", "other"]}
CALL = {"model": "m", "progress": False, "service_tier": "flex"}


def tag(rows, **options):
    df = pd.DataFrame({"text": [f"row {n}" for n in range(rows)]})
    return lf.tag(df, "text", FIELDS, **CALL | options)


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_it_is_in_every_request_and_answers_hold_for_every_tier(api, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []

    def answer(text, body):
        seen.append(body.get("service_tier"))
        return {"label": "other"}

    with testing.serve(answer=answer) as server:
        tag(3, base_url=server.url, api=api)
        assert seen == ["flex"] * 3
        tag(4, base_url=server.url, api=api, service_tier=None)
        assert seen[3:] == [None]


def test_a_tier_without_a_known_price_needs_one_for_a_budget():
    pytest.importorskip("genai_prices")
    openai = {"base_url": "https://api.openai.com/v1", "api_key": "no", "model": "gpt-5"}
    with pytest.raises(PlanError, match="prices"):
        tag(1, **openai, service_tier="no-such-tier", max_cost=1.0)


def test_a_tier_is_a_name():
    with pytest.raises(PlanError, match="service_tier"):
        tag(1, service_tier="")
