"""The lines that ``lf.check()`` shows."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmframe.engine.governor.headers import read_quotas
from llmframe.engine.probe import Finding
from llmframe.messages.remedy import Address, cause, cure
from llmframe.providers.destination import Destination
from llmframe.providers.discover import find_servers

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from llmframe.engine.wire.verdict import Verdict
    from llmframe.results import Usage

CAP = 256  # tokens of the answer; a model that thinks first may need all of them


MOST_LISTED = 8  # models


NAMES = (
    "reachable",
    "key accepted",
    "model",
    "response format",
    "logprobs",
    "rate-limit headers",
    "latency",
    "price",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at.

    ok: whether it is right; None where that could not be seen, or there is no right and wrong.
    """

    name: str
    found: str
    ok: bool | None = None
    cure: str = ""


def _lines(place: Destination, finding: Finding) -> tuple[Line, ...]:
    if finding.verdict is None:
        return _right(place, finding)
    return _wrong(place, finding, finding.verdict)


def _right(place: Destination, finding: Finding) -> tuple[Line, ...]:
    return (
        *_known(place, ("reachable", "key accepted", "model")),
        _format(finding, place.settings.max_output_tokens),
        _logprobs(finding),
        _headers(finding),
        Line("latency", f"{_seconds(finding.seconds)}{_requests(finding)}"),
        _price(place, finding),
    )


def _known(place: Destination, proven: Collection[str]) -> tuple[Line, ...]:
    """What was asked, by whose key, for which model; proven: the names of what is right."""
    found = {
        "reachable": place.notes[-1] if place.file else "it answers",
        "key accepted": _whose_key(place),
        "model": str(place.settings.model),
    }
    return tuple(Line(name, told, ok=name in proven or None) for name, told in found.items())


def _whose_key(place: Destination) -> str:
    endpoint = place.ready
    if place.file is not None or endpoint.is_keyless:
        return "none is needed"
    return f"from {endpoint.key_source}" if endpoint.key_source else "as given"


def _format(finding: Finding, cap: int | None) -> Line:
    """cap: tokens of the answer, as a run would send it; None where only check has one."""
    refused = [name for name in finding.refused if name != "logprobs"]
    told = f"; refused: {', '.join(refused)}" if refused else ""
    name = finding.dialect.response_format
    shown = "plain text, JSON asked for in words" if name == "plain" else name
    reply = finding.reply
    if finding.valid:
        return Line("response format", f"{shown}, and the answer keeps to it{told}", ok=True)
    if reply is not None and reply.finish_reason == "length" and cap is None:
        return Line(
            "response format",
            f"{shown} is accepted; the answer met the {CAP} tokens that check allows it "
            f"(a run sets no cap){told}",
            cure="The model may think first; to see all of it: lf.check(max_output_tokens=4000).",
        )
    if reply is not None and reply.finish_reason == "length":
        return Line(
            "response format",
            f"{shown}, but the answer met its cap{told}",
            ok=False,
            cure="The model may think first: raise max_output_tokens=, or turn that off.",
        )
    return Line(
        "response format",
        f"{shown} is accepted, but the answer does not keep to it{told}",
        ok=False,
        cure="Answers are checked, mended and asked for once more; expect failed rows, or take "
        "another model.",
    )


def _logprobs(finding: Finding) -> Line:
    if "logprobs" in finding.refused:
        return Line("logprobs", "no: they are refused")
    if "logprobs" in finding.dialect.dropped:
        return Line("logprobs", "no: this provider is known to refuse them")
    came = finding.reply is not None and finding.reply.tokens is not None
    return Line("logprobs", "yes" if came else "no: asked for, but none came")


def _headers(finding: Finding) -> Line:
    raw = getattr(getattr(finding.reply, "headers", None), "raw", ())
    quotas = read_quotas(raw)
    if not quotas:
        return Line("rate-limit headers", "none; limits are learnt from refusals")
    told = ", ".join(f"{quota.limit:,.0f} {unit}" for unit, quota in quotas.items())
    return Line("rate-limit headers", f"{told} a minute")


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1000 * seconds:.0f} ms"


def _requests(finding: Finding) -> str:
    if finding.requests == 1:
        return ""
    if not finding.refused:
        return f" ({finding.requests} requests: the first was lost)"
    return f" ({finding.requests} requests, as ways of asking were refused)"


def _price(place: Destination, finding: Finding) -> Line:
    usage = finding.reply.usage if finding.reply is not None else None
    if usage is None or not usage.tokens_in:
        return Line("price", "not known: the endpoint tells no tokens")
    tokens = f"{usage.tokens_in:,} tokens in, {usage.tokens_out:,} out each"
    cost, currency = _cost(place, usage)
    if cost is not None:
        shown = f"{1000 * cost:,.2f}" if cost >= 0.1 else f"{1000 * cost:.3g}"
        return Line("price", f"1,000 rows like this one cost {shown}, in {currency} ({tokens})")
    if place.file is not None:
        return Line("price", f"nothing is charged on this machine ({tokens})")
    if not place.priced_at:
        here = f"not known for a server on this machine ({tokens})"
        return Line("price", f"{here}: give prices= if it charges")
    thousand = f"{usage.tokens_in:,} k tokens in, {usage.tokens_out:,} k out"
    return Line("price", f"not known; 1,000 rows like this one take {thousand}: give prices=")


def _cost(place: Destination, usage: Usage) -> tuple[float | None, str]:
    """Of one row, and its currency: the endpoint's own word, else by the prices."""
    if usage.cost is not None:
        return usage.cost, "the currency that the endpoint charges in"
    cost = None if place.prices is None else place.prices.cost(usage)
    return cost, "US dollars" if place.settings.prices is None else "the currency of the prices"


def _wrong(place: Destination, finding: Finding, verdict: Verdict) -> tuple[Line, ...]:
    """What stands before the failing line is told as far as it is known; the rest was not seen."""
    failing = _where(verdict)
    lines = {name: Line(name, "not seen") for name in NAMES}
    for line in _known(place, _proven(verdict)):
        if NAMES.index(line.name) < NAMES.index(failing):
            lines[line.name] = line
    endpoint, model = place.ready, str(place.settings.model)
    address = Address(place.title, model, endpoint.key_source, endpoint.is_keyless)
    # the title has the address already
    said = _cause(verdict, address if place.file else replace(address, url="this address"))
    lines[failing] = Line(
        failing,
        f"{said}: {verdict.message}",
        ok=None if verdict.action == "refused" else False,
        cure=_cure(verdict, address, finding.models),
    )
    return tuple(lines.values())


def _proven(verdict: Verdict) -> set[str]:
    """The lines that a failure behind them shows to be right.

    An API looks at the key before it looks for a model, and a filter is a model's. A limit may
    be of the address alone, and a bad request may be refused before anything is looked at.
    """
    proven = set() if verdict.status is None else {"reachable"}
    if verdict.about == "model" or verdict.kind == "content_filter":
        proven.add("key accepted")
    if verdict.kind == "content_filter":
        proven.add("model")
    return proven


def _where(verdict: Verdict) -> str:
    """The line that a failure belongs to."""
    if verdict.about == "model":
        return "model"
    if verdict.kind == "rate_limit" and verdict.action != "end_run":
        return "rate-limit headers"
    if verdict.status in (401, 403) or verdict.kind == "rate_limit":
        return "key accepted"
    if verdict.kind in ("connection", "timeout", "server") or verdict.about:
        return "reachable"
    if verdict.status is not None and 300 <= verdict.status < 400:
        return "reachable"
    return "response format"


def _cause(verdict: Verdict, address: Address) -> str:
    words: Mapping[str, str] = {
        "timeout": f"{address.url} does not answer in time",
        "server": f"{address.url} cannot answer now",
    }
    if verdict.action == "refused":
        wait = verdict.retry_after
        asked = "" if wait is None else f", and asked to wait {math.ceil(wait):,} s"
        return f"refused for now{asked}"
    if verdict.kind == "rate_limit" and verdict.action == "fail_row":
        return "one small request is more than the limit allows"
    if verdict.kind in words and not verdict.about:
        return words[verdict.kind]
    if verdict.status in (400, 422) and not verdict.about:
        return "the request was refused"
    return cause(verdict, address)


def _cure(verdict: Verdict, address: Address, models: tuple[str, ...]) -> str:
    if verdict.action == "refused":
        return "Check again after that time, or in a minute; a run waits by itself."
    if verdict.kind == "timeout":
        return "A server that loads its model first may need longer: lf.check(timeout=120)."
    if verdict.kind == "server" and not verdict.about:
        return "Try again in a minute; look at the provider's status page, or the server's log."
    if verdict.about == "model":
        return _cure_of_model(address.model, models)
    said = cure(verdict, address)
    if verdict.kind == "connection" and address.is_here:
        return said + _servers_here()
    return said


def _cure_of_model(model: str, models: tuple[str, ...]) -> str:
    if not models:
        return "Check model=, letter by letter; the endpoint does not list what it serves."
    if model in models:
        return f"It serves {model!r} by its own list, but perhaps not to this key, or not for chat."
    if near := difflib.get_close_matches(model, models, n=3):
        return f"Did you mean {' or '.join(map(repr, near))}?"
    more = f" and {len(models) - MOST_LISTED:,} more" if len(models) > MOST_LISTED else ""
    return f"It serves {', '.join(map(repr, models[:MOST_LISTED]))}{more}."


def _servers_here() -> str:
    found = [f'provider="{server.provider}" at {server.base_url}' for server in find_servers()]
    return f" What answers here: {', '.join(found)}." if found else ""
