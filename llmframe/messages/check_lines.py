"""The lines that ``lf.check()`` shows: for each, what was found and what to do about it."""

from __future__ import annotations

import difflib
import math
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from llmframe.messages.causes import Address, explain, is_redirect
from llmframe.providers.discover import find_servers
from llmframe.providers.responses.limit_headers import read_quotas
from llmframe.task.text import listing
from llmframe.text import money

if TYPE_CHECKING:
    from collections.abc import Collection

    from llmframe.engine.probe import Finding
    from llmframe.engine.wire.verdict import Verdict
    from llmframe.providers.destination import Destination

CAP = 256  # tokens of the answer; a model that thinks first may need all of them
NAMES = (
    *("reachable", "key accepted", "model", "response format"),
    *("logprobs", "rate-limit headers", "latency", "price"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was checked.

    ok: None if it could not be checked, or is neither right nor wrong.
    """

    name: str
    _: KW_ONLY
    found: str
    ok: bool | None = None
    cure: str = ""


def check_lines(destination: Destination, finding: Finding) -> tuple[Line, ...]:
    """All lines, in the order of NAMES."""
    if finding.verdict is not None:
        return _up_to_the_failure(destination, finding, finding.verdict)
    return (
        *_basics(destination, NAMES),
        _response_format(finding, destination.settings.max_output_tokens),
        _logprobs(finding),
        _rate_limit_headers(finding),
        latency_line(finding),
        price_line(destination, finding),
    )


def unreachable_lines(cure: str) -> tuple[Line, ...]:
    """All lines where nothing listens at the address; the rest could not be checked."""
    reachable = Line("reachable", found="nothing answers there", ok=False, cure=cure)
    return (reachable, *(Line(name, found="not checked") for name in NAMES[1:]))


def _basics(destination: Destination, proven: Collection[str]) -> tuple[Line, ...]:
    """The endpoint, the key and the model. proven: names of the lines known to be right."""
    endpoint, local = destination.endpoint, destination.file is not None
    key = f"from {endpoint.key_source}" if endpoint.key_source else "as given"
    found = {
        "reachable": destination.notes[-1] if local else "it answers",
        "key accepted": "no key is needed" if local or endpoint.is_keyless else key,
        "model": str(destination.settings.model),
    }
    return tuple(Line(name, found=text, ok=name in proven or None) for name, text in found.items())


def _response_format(finding: Finding, cap: int | None) -> Line:
    """cap: tokens of an answer in a run; None if only this check has a cap."""
    name = finding.dialect.response_format
    shown = "plain text (the prompt asks for JSON)" if name == "plain" else name
    others = [name for name in finding.refused if name != "logprobs"]
    refused = f"; not accepted: {', '.join(others)}" if others else ""
    ok: bool | None = None  # a run works, with some failed rows
    if finding.valid:
        ok, found, cure = True, f"{shown}, and the answer follows it", ""
    elif finding.reply is None or finding.reply.finish_reason != "length":
        found = f"{shown} is accepted, but the answer does not follow it"
        cure = (
            "Expect some failed rows, or use another model; llmframe checks and repairs answers, "
            "and asks once more."
        )
    elif cap is None:  # the cap is ours, so a run may well go right
        ok, found = None, f"{shown} is accepted; the answer was cut at check's own {CAP} tokens"
        cure = "The model may think first; to see the whole: lf.check(max_output_tokens=4000)."
    else:
        ok, found = False, f"{shown}, but the answer was cut at max_output_tokens"
        cure = "The model may think first: raise max_output_tokens=, or turn thinking off."
    return Line("response format", found=found + refused, ok=ok, cure=cure)


def _logprobs(finding: Finding) -> Line:
    found = "no: requested, but none came"
    if "logprobs" in finding.refused:
        found = "no: the endpoint does not accept them"
    elif "logprobs" in finding.dialect.dropped:
        found = "no: this provider is known not to accept them"
    elif finding.reply is not None and finding.reply.tokens is not None:
        found = "yes"
    return Line("logprobs", found=found)


def _rate_limit_headers(finding: Finding) -> Line:
    raw = getattr(getattr(finding.reply, "headers", None), "raw", ())
    limits = [f"{quota.limit:,.0f} {unit}" for unit, quota in read_quotas(raw).items()]
    found = f"{', '.join(limits)} a minute" if limits else "none; a run finds the limits by itself"
    return Line("rate-limit headers", found=found)


def latency_line(finding: Finding) -> Line:
    """How long the answered request took, and how many requests there were."""
    seconds, requests = finding.seconds, ""
    if finding.requests > 1:
        why = "some request formats were not accepted" if finding.refused else "the first was lost"
        requests = f" ({finding.requests} requests: {why})"
    shown = f"{seconds:.2f} s" if seconds >= 0.1 else f"{1000 * seconds:.0f} ms"
    return Line("latency", found=shown + requests)


def price_line(destination: Destination, finding: Finding) -> Line:
    """What 1,000 such rows cost, as far as that is known."""
    usage = finding.reply.usage if finding.reply is not None else None
    if usage is None or not usage.tokens_in:
        return Line("price", found="not known: the endpoint does not count tokens")
    each = f"({usage.tokens_in:,} tokens in, {usage.tokens_out:,} out each)"
    prices = destination.prices
    cost, currency, whose = usage.cost, usage.currency, "the currency that the endpoint charges in"
    if cost is None and prices is not None:
        cost, currency, whose = prices.cost(usage), prices.currency, "the currency of the prices"
    if cost is not None:
        shown = money(1000 * cost, currency) + ("" if currency else f", in {whose}")
        found = f"1,000 rows like this one cost {shown} {each}"
    elif destination.file is not None:
        found = f"free on this machine {each}"
    elif not destination.priced_at:
        found = f"not known for a server on this machine {each}: give prices= if it charges"
    else:
        thousand = f"{usage.tokens_in:,} k tokens in, {usage.tokens_out:,} k out"
        found = f"not known; 1,000 rows like this one take {thousand}: give prices="
    return Line("price", found=found)


def _up_to_the_failure(
    destination: Destination, finding: Finding, verdict: Verdict
) -> tuple[Line, ...]:
    """What is known of the lines before the failing one; those after it were not checked."""
    failing = _failing_line(destination, finding, verdict)
    # An API checks the key before the model, and only a model has a content filter. A rate limit
    # may be the address's own, and a bad request may be refused before anything is checked.
    proven = set() if verdict.status is None else {"reachable"}
    if verdict.about == "model" or verdict.kind == "content_filter":
        proven.add("key accepted")
    if verdict.kind == "content_filter":
        proven.add("model")
    lines = {name: Line(name, found="not checked") for name in NAMES}
    for line in _basics(destination, proven):
        if NAMES.index(line.name) < NAMES.index(failing.name):
            lines[line.name] = line
    return tuple((lines | {failing.name: failing}).values())


def _failing_line(destination: Destination, finding: Finding, verdict: Verdict) -> Line:
    endpoint = destination.endpoint
    address = Address(
        destination.title,
        model=str(destination.settings.model),
        key_source=endpoint.key_source,
        keyless=endpoint.is_keyless,
        api=endpoint.api,
    )
    # the table's title shows the URL already
    name = "" if destination.file is not None else "this address"
    line, cause, cure = _line_of(
        verdict, name or address.url, *explain(verdict, address, name=name)
    )
    if line == "model":
        cure = _cure_of_model(address.model, finding.models)
    if verdict.kind == "connection" and address.is_here and not verdict.about:
        found = [f'provider="{server.provider}" at {server.base_url}' for server in find_servers()]
        cure += f" These servers answer here: {', '.join(found)}." if found else ""
    ok = None if verdict.action == "refused" else False
    return Line(line, found=f"{cause}: {verdict.message}", ok=ok, cure=cure)


def _line_of(verdict: Verdict, name: str, cause: str, cure: str) -> tuple[str, str, str]:
    """The line that a failure belongs to, with its cause and cure for one request, not a run."""
    if verdict.about == "model":
        return "model", cause, cure
    if verdict.action == "refused":
        wait = verdict.retry_after
        cause = "" if wait is None else f"; the provider asks to wait {math.ceil(wait):,} s"
        cure = "Check again after that time, or in a minute; a run waits by itself."
        return "rate-limit headers", f"rate-limited for now{cause}", cure
    if verdict.kind == "rate_limit" and verdict.action == "fail_row":
        return "rate-limit headers", "one small request is more than the limit allows", cure
    # a rate limit that ends a run is a quota, which belongs to the key
    if verdict.status in (401, 403) or verdict.kind == "rate_limit":
        return "key accepted", cause, cure
    if verdict.about or verdict.kind == "connection" or is_redirect(verdict):
        return "reachable", cause, cure
    if verdict.kind == "timeout":
        cure = "A server that loads its model first may need longer: lf.check(timeout=120)."
        return "reachable", f"{name} does not answer in time", cure
    if verdict.kind == "server":
        cure = "Try again in a minute; check the provider's status page, or the server's log."
        return "reachable", f"{name} cannot answer right now", cure
    if verdict.status in (400, 422):
        cause = "the request was rejected"
    return "response format", cause, cure


def _cure_of_model(model: str, models: tuple[str, ...]) -> str:
    if not models:
        return "Check model=, letter by letter; the endpoint does not list its models."
    if model in models:  # some gateways list more than a key may use, embeddings among them
        return f"The endpoint lists {model!r}, but perhaps not for this key, or not for chat."
    if near := difflib.get_close_matches(model, models, n=3):
        return f"Did you mean {' or '.join(map(repr, near))}?"
    return f"It serves {listing(models)}."
