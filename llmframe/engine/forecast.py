"""What the requests that are left will take: tokens, and the time under the known limits.

From what earlier answers took, where there are any; else from bytes, with wide ranges. Pure
functions of plain values.
"""

from __future__ import annotations

import json
import math
from itertools import dropwhile
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict, Unpack

from llmframe.engine.governor import FIRST_LIMIT, FIRST_LIMIT_AUTO, auto_cap
from llmframe.engine.governor.gcra import PACE
from llmframe.engine.governor.tokens import BYTES_A_TOKEN
from llmframe.results import Usage
from llmframe.task.definition import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.engine.governor import Learnt
    from llmframe.engine.rows.parts import Job
    from llmframe.providers.prices import Prices
    from llmframe.task.fields import FieldSpec

# UTF-8 bytes of values in JSON: short, usual and long ones
_SIZES = {
    Kind.INTEGER: (1, 2, 8),
    Kind.FLOAT: (1, 4, 20),
    Kind.BOOLEAN: (4, 5, 5),
    Kind.DATE: (12, 12, 12),
    Kind.OBJECT: (2, 80, 1500),
}
_TEXT = (2, 80, 800)
_AROUND = 5  # quotes, colon, comma and blank around a field's name and value
_BRACES = 2  # bytes
LEAST_DOUBT = 0.02  # of a mean: no sample says more
ONE_ALONE = 0.5  # of a single value, which says nothing about the others
RATIO_DOUBT = (0.7, 1.4)  # times what a ratio learnt under another prompt says
# Bytes of a token, where nothing was measured: English has 4 to 5, old vocabularies need a token
# for 2.5 bytes of Chinese.
MOST_BYTES, FEWEST_BYTES = 5.0, 2.5
AROUND_MESSAGES = 12  # tokens that a provider may add to each prompt
JSON_BYTES = (5.0, 4.0, 2.0)  # bytes of a token in a short, usual and long answer
THOUGHTS = 1.5  # times the answers that the model gave to other prompts
LATENCY_DOUBT = (0.6, 1.7)  # times the latest latency of the process
FEW = 5  # answers, of which none can be spared
WIDE = 1.5  # bytes a character
OF_A_KIND = 2  # answers to texts of a kind, from which it is forecast by itself: a line needs two
ANY_LATENCY = (0.2, 15.0)  # seconds, while no answer was seen
TIME_DOUBT = (0.85, 1.25)  # times the time that the limits and the latency allow
OWN = 0.003  # seconds of our own processor for a request


class Range(NamedTuple):
    """A number that is not known yet: the likely one, and between which it should lie."""

    low: float
    likely: float
    high: float

    def plus(self, other: Range) -> Range:
        """The range of a sum."""
        return Range(*map(sum, zip(self, other, strict=True)))

    def times(self, factor: float) -> Range:
        """The range of a multiple."""
        return Range(*(factor * each for each in self))


NOTHING = Range(0.0, 0.0, 0.0)


class Work(NamedTuple):
    """The requests that are left.

    text_bytes: UTF-8 bytes of their texts together. prompt: of the messages of each without its
    text. schema: of the schema that is sent beside them.
    """

    requests: int
    text_bytes: int
    prompt: int
    schema: int

    def plus(self, other: Work) -> Work:
        """Both together."""
        requests, text_bytes = self.requests + other.requests, self.text_bytes + other.text_bytes
        return self._replace(requests=requests, text_bytes=text_bytes)

    @property
    def total(self) -> int:
        """Bytes of all prompts, with the schema of each."""
        return self.text_bytes + self.requests * (self.prompt + self.schema)


class Answered(NamedTuple):
    """What one earlier answer took.

    size: UTF-8 bytes of its text; None if that is not known. usage: over all its requests.
    requests: how many. seconds: None if not known. is_wide: see ``is_wide``.
    """

    size: int | None
    usage: Usage
    requests: int
    seconds: float | None
    is_wide: bool = False


class Size(NamedTuple):
    """UTF-8 bytes of an answer: a short, a usual and a long one."""

    short: float
    usual: float
    long: float


class Known(TypedDict):
    """What is known without any answer to the question.

    learnt: about the model, from any prompt. size: of an answer, by its fields. cap: tokens of an
    answer at most.
    """

    learnt: Learnt | None
    size: Size
    cap: int | None


class Tokens(NamedTuple):
    """What all requests together will take.

    source: what tokens_in is made from: earlier answers, the ratio that other prompts have shown,
    or bytes alone.
    """

    tokens_in: Range
    tokens_cached: Range
    tokens_out: Range
    source: Literal["answers", "ratio", "bytes"]

    @property
    def together(self) -> Range:
        """In and out."""
        return self.tokens_in.plus(self.tokens_out)


class Pace(NamedTuple):
    """How fast requests may leave.

    start, most: requests at a time at first, and at most. rounds: of answers until twice as many
    are tried. finds_own: "most" is what the run may find, not what it is known to get. is_new: the
    first request goes alone, to show what the endpoint understands. rpm, tpm: a minute;
    spare_requests, spare_tokens: what may leave above these.
    """

    start: int
    most: int
    rounds: int = 1
    finds_own: bool = False
    is_new: bool = True
    rpm: float | None = None
    tpm: float | None = None
    spare_requests: float = 0.0
    spare_tokens: float = 0.0


def is_wide(text: str, size: int) -> bool:
    """Whether most letters of a text take several bytes, as Chinese ones do. size: its bytes."""
    return size > WIDE * len(text)


def pace_of(job: Job, learnt: Learnt | None) -> Pace:
    """How fast the requests of a job may leave, as far as that is known."""
    settings, cap = job.settings, job.cap
    most = auto_cap() if cap is None else cap
    start = min(most, FIRST_LIMIT if cap is not None else job.slots or FIRST_LIMIT_AUTO)
    # a limit that finds itself waits for answers that were sent under it, and then measures
    pace = Pace(start, most, rounds=2 if cap is None else 1, finds_own=cap is None)
    pace = pace._replace(rpm=settings.rpm, tpm=settings.tpm)
    if learnt is None or not learnt.answers:
        return pace
    most = min(most, learnt.limit) if learnt.is_most else most
    return pace._replace(
        # the governor keeps what it has learnt: a later run starts there, not at the first limit
        start=most if learnt.is_most else max(start, min(most, learnt.limit)),
        most=most,
        finds_own=pace.finds_own and not learnt.is_most,
        is_new=False,
        # a limit that the person gives counts, not the one that the provider states
        rpm=settings.rpm or learnt.rpm,
        tpm=settings.tpm or learnt.tpm,
        spare_requests=0.0 if settings.rpm else learnt.spare_requests,
        spare_tokens=0.0 if settings.tpm else learnt.spare_tokens,
    )


def answer_size(specs: Sequence[FieldSpec]) -> Size:
    """The size of an answer to these fields, without the thoughts of a model that thinks."""
    names = _BRACES + sum(len(spec.name.encode()) + _AROUND for spec in specs)
    return Size(*(names + sum(sizes) for sizes in zip(*map(_value_size, specs), strict=True)))


def _value_size(spec: FieldSpec) -> tuple[float, float, float]:
    if not spec.labels:
        return _SIZES.get(spec.kind, _TEXT)
    labels = [len(json.dumps(label, ensure_ascii=False).encode()) for label in spec.labels]
    return min(labels), fmean(labels), max(labels)


def mean_of(values: Sequence[float]) -> Range:
    """The mean of what these are a sample of."""
    mean, n = fmean(values), len(values)
    doubt = ONE_ALONE * mean if n == 1 else _deviations(n) * stdev(values) / math.sqrt(n)
    doubt = max(doubt, LEAST_DOUBT * mean)
    return Range(max(0.0, mean - doubt), mean, mean + doubt)


def _deviations(n: int) -> float:
    """Standard errors on each side of a mean of n values that hold the truth 19 times of 20."""
    # wider than Student's t (4.3 for n = 3, 2.3 for n = 10): tokens and seconds have long tails
    return 2.5 + 8.0 / n


def forecast_tokens(
    plain: Work, wide: Work, answered: Sequence[Answered], **known: Unpack[Known]
) -> Tokens:
    """The tokens of all requests.

    plain, wide: those with texts of either kind. A sample has its own mixture of languages, so
    that each kind is forecast by itself where enough answers of it are known.
    answered: earlier answers under the same prompt, in their order.
    """
    parts = [
        (work, [one for one in answered if one.size is not None and one.is_wide == kind])
        for work, kind in ((plain, False), (wide, True))
        if work.requests
    ]
    # with one kind alone, or too few answers of one, all answers together say more
    if len(parts) < 2 or any(len(same) < OF_A_KIND for _, same in parts):
        return _tokens(plain.plus(wide), answered, **known)
    one, other = (_tokens(work, same, **known) for work, same in parts)
    return Tokens(
        one.tokens_in.plus(other.tokens_in),
        one.tokens_cached.plus(other.tokens_cached),
        one.tokens_out.plus(other.tokens_out),
        one.source,
    )


def _tokens(
    work: Work, answered: Sequence[Answered], *, learnt: Learnt | None, size: Size, cap: int | None
) -> Tokens:
    n, sized = work.requests, [each for each in answered if each.size is not None]
    if sized:
        tokens_in: Range = _in_by_answers(work, sized)
    elif learnt is not None and learnt.ratio is not None:
        # the ratio is of other prompts, whose share of instructions and schema differs
        low, high = RATIO_DOUBT
        likely = work.total / BYTES_A_TOKEN * learnt.ratio
        tokens_in = Range(low * likely, likely, high * likely)
    else:
        tokens_in = Range(
            # whether a provider counts the schema is not known: the low end leaves it out
            (work.total - n * work.schema) / MOST_BYTES,
            work.total / BYTES_A_TOKEN,
            work.total / FEWEST_BYTES + n * AROUND_MESSAGES,
        )
    if answered:
        cached, out = (
            _cached_by_answers(answered),
            mean_of([one.usage.tokens_out for one in answered]),
        )
    else:
        # what all prompts begin with may be cached, and nobody knows whether it is
        begins_alike = n * work.prompt / max(1, work.total)
        cached = Range(0.0, 0.0, begins_alike * tokens_in.low / max(1, n))
        out = _out_by_schema(size, learnt, cap)
    is_ratio = learnt is not None and learnt.ratio is not None
    source: Literal["answers", "ratio", "bytes"] = (
        "answers" if sized else "ratio" if is_ratio else "bytes"
    )
    return Tokens(tokens_in, cached.times(n), out.times(n), source)


def _in_by_answers(work: Work, sized: Sequence[Answered]) -> Range:
    """A line through the answers' bytes and tokens, at the mean size of the work's texts.

    Texts and instructions may have different bytes a token, which a ratio alone would mix up.
    """
    # a second request for a row holds the first answer, too: it is no part of the line
    plain = [one for one in sized if one.requests == 1] or sized
    sizes = [float(one.size or 0) for one in plain]
    tokens = [float(one.usage.tokens_in) for one in plain]
    n, size, mean = len(plain), fmean(sizes), fmean(tokens)
    # least squares: slope is tokens per byte of text; what is left of the mean is the instructions
    spread = sum((each - size) ** 2 for each in sizes)
    pairs = [*zip(sizes, tokens, strict=True)]
    slope = sum((x - size) * (y - mean) for x, y in pairs) / spread if spread else 0.0
    if not 0.0 < slope * size <= mean:  # too few texts, or all alike: in proportion to all bytes
        slope = mean / max(1.0, size + work.prompt + work.schema)
    ahead = work.text_bytes / max(1, work.requests) - size
    # the standard error of a forecast by a line: noise, the mean's doubt, and the distance from it
    off = sum((y - mean - slope * (x - size)) ** 2 for x, y in pairs)
    parts = 1 / n + 1 / max(1, work.requests) + (ahead**2 / spread if spread else 0.0)
    likely = max(1.0, mean + slope * ahead)
    doubt = _deviations(n) * math.sqrt(off / max(1, n - 1) * parts)
    doubt = ONE_ALONE * likely if n == 1 else max(doubt, LEAST_DOUBT * likely)
    # rows that were asked twice cost more than the line says: scale by how much
    predicted = sum(mean + slope * ((one.size or 0) - size) for one in sized)
    repeats = sum(one.usage.tokens_in for one in sized) / max(1.0, predicted)
    one_row = Range(max(0.0, likely - doubt), likely, likely + doubt)
    return one_row.times(repeats * work.requests)


def _cached_by_answers(answered: Sequence[Answered]) -> Range:
    """Cached tokens of a request; the first answers, which filled the cache, do not count."""
    cached = [one.usage.tokens_cached for one in answered]
    hits = [*dropwhile(lambda tokens: not tokens, cached)]
    return mean_of(hits) if hits else NOTHING


def _out_by_schema(size: Size, learnt: Learnt | None, cap: int | None) -> Range:
    short, usual, long = (each / by for each, by in zip(size, JSON_BYTES, strict=True))
    if learnt is not None and learnt.answers:  # a model that thinks does so for any prompt
        long = max(long, THOUGHTS * learnt.tokens_out)
    most = math.inf if cap is None else cap
    return Range(min(short, most), min(usual, most), min(long, most))


def forecast_cost(tokens: Tokens, prices: Prices) -> Range:
    """What the tokens cost."""

    def cost(tokens_in: float, cached: float, tokens_out: float) -> float:
        held = round(min(cached, tokens_in))
        return prices.cost(Usage(round(tokens_in), round(tokens_out), tokens_cached=held))

    ins, cached, outs, _ = tokens
    return Range(
        # cached tokens are cheaper, so many of them belong to the low end
        cost(ins.low, cached.high, outs.low),
        cost(ins.likely, cached.likely, outs.likely),
        cost(ins.high, cached.low, outs.high),
    )


def latency_of(answered: Sequence[Answered], learnt: Learnt | None) -> Range | None:
    """Seconds that a request takes; None while nothing has shown it."""
    seen = [one.seconds for one in answered if one.seconds is not None and one.requests == 1]
    if len(seen) > FEW:  # the first has made the connection, too
        seen = seen[1:]
    if seen:
        return mean_of(seen)
    if learnt is None or learnt.seconds is None:
        return None
    low, high = LATENCY_DOUBT
    return Range(low * learnt.seconds, learnt.seconds, high * learnt.seconds)


def forecast_seconds(work: Work, tokens: Tokens, *, latency: Range | None, pace: Pace) -> Range:
    """Seconds until all is answered; the likely ones are not known (nan) without a latency."""
    if not work.requests:
        return NOTHING
    # without any answer the range still holds, but a likely time would be a guess
    each = Range(ANY_LATENCY[0], math.nan, ANY_LATENCY[1]) if latency is None else latency
    counted = tokens.tokens_in.likely + tokens.tokens_out.likely

    def took(latency: float, *, grows: bool = True) -> float:
        return max(_by_latency(work.requests, latency, pace, grows=grows),
                   _by_rates(work.requests, counted, pace))  # fmt: skip

    low, high = TIME_DOUBT
    likely = math.nan if latency is None else took(latency.likely)
    return Range(low * took(each.low), likely, high * took(each.high, grows=not pace.finds_own))


def _by_latency(requests: int, latency: float, pace: Pace, *, grows: bool) -> float:
    """Seconds by the requests at a time, and by our own work."""
    left, level, most = float(requests), pace.start, pace.most if grows else pace.start
    took = latency if pace.is_new and requests > 1 else 0.0
    while level < most and left > pace.rounds * level:
        left -= pace.rounds * level
        took += pace.rounds * latency
        level = min(2 * level, most)
    # one request takes its latency, however few are left; at the end, places stay empty until the
    # slowest is answered, which takes about one latency more (Graham's bound for list scheduling)
    took += latency * (1.0 + (left - 1.0) / level)
    return max(took, requests * OWN)


def _by_rates(requests: int, tokens: float, pace: Pace) -> float:
    """Seconds by the limits a minute."""
    limits = (
        (requests, pace.rpm, pace.spare_requests),
        (tokens, pace.tpm, pace.spare_tokens),
    )
    waits = [
        # what is spare leaves above the rate, but the governor paces it
        60.0 * max(units - spare, units / PACE) / rate
        for units, rate, spare in limits
        if rate
    ]
    return max(waits, default=0.0)
