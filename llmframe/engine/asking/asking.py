"""The legs of a row: what is sent at each, and what a reply means for the row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.engine.wire.responses_api import as_response_request
from llmframe.errors import OutputError
from llmframe.providers.responses.finish_reason import ending
from llmframe.results import RowResult
from llmframe.task.confidence import confidences
from llmframe.task.parse import answer_or_error
from llmframe.task.prompt import as_one
from llmframe.task.text import excerpt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.engine.row import Row
    from llmframe.engine.wire.reply import Reply
    from llmframe.options.settings import Settings
    from llmframe.providers.dialect import Dialect, Feature
    from llmframe.task.labels.enums import EnumSize
    from llmframe.task.parse import Answer
    from llmframe.task.prompt import Prompt, ResponseFormat

MAX_PAID = 3  # replies paid for one row, at most
LEAST_LARGER_CAP = 1024  # tokens
OWN_CAP = 16  # tokens; no server's own cap is smaller
ALTERNATIVES = 5  # tokens beside each one: all endpoints that give any allow as many
_CAP: frozenset[Feature] = frozenset({"max_completion_tokens"})
_OWN_SEED: frozenset[Feature] = frozenset({"seed"})  # of a later vote
_PARTS = (("logprobs", "top_logprobs"), ("stream", "stream_options"))
CAPS = frozenset({"max_completion_tokens", "max_tokens"})  # both names of one parameter


class Asker:
    """Turns rows into requests and replies into results.

    enums: of the schema, where they are so long that an endpoint may refuse them, else None.
    nonce: the run's, for the fence round the row's text. streams: answers come as they are
    written. are_shares: whether all confidences so far are a label's share among all labels; None
    before the first. later_votes: the prompts of a row's second and further votes, which are asked
    with seeds of their own, too. is_capped: the person has set an end to the answers. recheck:
    whether stored values are valid for the model given now, None where they always are.
    runs_own_code: reading an answer runs validators of the person's, which may take any time.
    """

    most_texts = 1  # of one request
    most_bytes = 0  # of the texts of one request with several

    def __init__(
        self,
        prompt: Prompt,
        settings: Settings,
        *,
        nonce: str,
        streams: bool = False,
        later_votes: Sequence[Prompt] = (),
    ) -> None:
        self._prompt = prompt
        self._prompts = (prompt, *later_votes)
        self._nonce = nonce
        self._settings = settings
        self.streams = streams
        self.is_capped = settings.max_output_tokens is not None
        fields = prompt.fields
        self.recheck = fields.holds if fields.has_hidden_rules else None
        self.runs_own_code = fields.runs_own_code
        self.are_shares: bool | None = None
        self._static: dict[tuple[Dialect, int], dict[str, Any]] = {}
        self._frame = prompt.size() + len(str(prompt.response_format("json_schema")))
        self._extra = dict(settings.extra_body or {})
        self._features = _features(settings, streams=streams)
        own_format = "response_format" in self._extra
        self.enums: EnumSize | None = None if own_format else prompt.long_enums

    def body(self, row: Row, dialect: Dialect) -> dict[str, Any]:
        """The request of the row's next leg, written so that the endpoint understands it."""
        # the same for every row: built once a dialect, and a vote
        static = self._static.get((dialect, row.vote))
        if static is None:
            static = self._static[dialect, row.vote] = self._parameters(dialect, row)
        messages = self._prompts[row.vote].messages(row.text, self._nonce, self._format(dialect))
        if not dialect.system:
            messages = as_one(messages)
        body = {**static, "messages": messages + row.correction}
        cap = self.cap(row)
        if cap is not None and CAPS.isdisjoint(self._extra):
            body[dialect.cap] = cap
        return body if self._settings.api == "chat" else as_response_request(body)

    def texts(self, row: Row) -> tuple[str, ...]:
        """The texts of the row's request, which an error may quote."""
        return (row.text, *self._prompts[row.vote].texts())

    def features(self, row: Row) -> frozenset[Feature]:
        """What the row's request makes use of, and is not the person's own."""
        capped = self.cap(row) is not None and CAPS.isdisjoint(self._extra)
        features = self._features
        if capped:
            features = features | _CAP
        if row.vote and self._settings.seed is None and "seed" not in self._extra:
            features = features | _OWN_SEED
        return features

    def cap(self, row: Row) -> int | None:
        """The answer's token limit, None if there is none."""
        return row.cap or self._settings.max_output_tokens

    def size(self, row: Row) -> int:
        """UTF-8 bytes of the row's prompt, about: what its tokens are reckoned from."""
        return self._frame + len(row.text.encode())

    def _parameters(self, dialect: Dialect, row: Row) -> dict[str, Any]:
        """All that is the same for every row of the same vote."""
        settings = self._settings
        given: dict[str, Any] = {
            "model": str(settings.model),
            "temperature": settings.temperature or 0.0,
        }
        if settings.seed is not None or row.vote:
            given["seed"] = (settings.seed or 0) + row.vote
        if settings.service_tier is not None:
            given["service_tier"] = settings.service_tier
        if settings.confidence:
            given |= {"logprobs": True, "top_logprobs": ALTERNATIVES}
        if self.streams:
            given["stream"] = True
            if settings.api == "chat":  # of a response the usage comes in any case
                given["stream_options"] = {"include_usage": True}
        if settings.api == "responses":
            given["store"] = False  # a provider keeps responses unless it is asked not to
        # what another run left out stays if it is the person's own: it is refused aloud
        dropped = dialect.dropped & self.features(row)
        for name, part in _PARTS:  # refused alone
            dropped |= {part} if name in dropped else set()
        body: dict[str, Any] = {k: v for k, v in given.items() if k not in dropped}
        response_format = self._prompts[row.vote].response_format(
            dialect.response_format, enums=dialect.enums
        )
        if response_format is not None:
            body["response_format"] = response_format
        body |= self._extra  # the person's own wins, and None leaves a parameter out
        if row.vote and isinstance(body.get("seed"), int) and "seed" in self._extra:
            body["seed"] += row.vote
        return {k: v for k, v in body.items() if v is not None or k not in self._extra}

    def _format(self, dialect: Dialect) -> ResponseFormat:
        """How JSON is asked for, which decides what the instructions have to say."""
        if "response_format" not in self._extra:
            return dialect.response_format
        own = self._extra["response_format"]
        kind = own.get("type") if isinstance(own, dict) else None
        return kind if kind in ("json_schema", "json_object") else "plain"

    def parse(self, reply: Reply) -> Answer | OutputError:
        """The answer in a reply, or what is wrong with it."""
        return answer_or_error(self._prompt.fields, reply.content, reply.elsewhere)

    def valid(self, row: Row, reply: Reply) -> RowResult | None:
        """The result if the reply is valid as it is, else None; the row's legs are not touched."""
        if ending(reply.finish_reason) != "whole":
            return None
        parsed = reply.parsed or self.parse(reply)
        if isinstance(parsed, OutputError):
            return None
        result = self._answered(row, reply, *parsed)
        return result._replace(attempts=row.sent + 1, usage=row.usage + reply.usage)

    def results(self, row: Row, reply: Reply, *, final: bool) -> Sequence[RowResult | None]:
        """What ``read`` returns, for the one row that a request is about."""
        return [self.read(row, reply, final=final)]

    def read(self, row: Row, reply: Reply, *, final: bool) -> RowResult | None:
        """The row's result, or None when it needs one more leg, which row now describes.

        final: no attempt is left.
        """
        row.paid += 1
        final = final or row.paid >= MAX_PAID  # a row that is never valid must not cost for ever
        row.usage += reply.usage
        if self._settings.details:  # the last reply, where there is no answer
            row.raw = reply.content
        # some models send a refusal along with a valid answer: then the answer counts
        if reply.refusal and not (reply.content or "").strip():
            return row.failed("refusal", f"the model refused to answer: {excerpt(reply.refusal)}")
        ended = ending(reply.finish_reason)
        if ended == "withheld":
            return row.failed("content_filter", "the provider's filter withheld the answer")
        if ended == "cut":
            return self._cut(row, reply, final=final)
        parsed = reply.parsed or self.parse(reply)
        if isinstance(parsed, OutputError):
            if not (reply.content or "").strip() and not (row.again or final):
                row.again = True
                return None
            return self._correct(row, reply.content or "", parsed, final=final)
        return self._answered(row, reply, *parsed)

    def _answered(self, row: Row, reply: Reply, values: dict[str, Any], text: str) -> RowResult:
        raw = text if self._settings.details else None
        confidence = self._confidence(reply, text)
        return RowResult("ok", values, None, row.sent, row.usage, row.elapsed, raw, confidence)

    def _confidence(self, reply: Reply, text: str) -> dict[str, float] | None:
        """By field; None where it was not asked for, or the endpoint does not tell."""
        if not self._settings.confidence or reply.tokens is None:
            return None
        self.are_shares = self.are_shares is not False and bool(reply.alternatives)
        return confidences(reply.tokens, self._prompt.fields, text, reply.alternatives)

    def _cut(self, row: Row, reply: Reply, *, final: bool) -> RowResult | None:
        """The answer met its cap: ask once more with a larger one, or by its other name."""
        if row.larger and not final and self._is_ignored(row, reply):
            row.rewrite(row.dialect.without("max_completion_tokens"))
            return None
        if row.larger or final:
            if self.is_capped:
                cure = "the answer was cut off; raise max_output_tokens"
            else:
                cure = "the answer was cut off by the endpoint's own cap; give max_output_tokens="
            return row.failed("truncated", cure)
        row.larger = True
        # twice what was not enough: the answer's length is not known, only that it is longer
        row.cap = 2 * max(self.cap(row) or 0, reply.usage.tokens_out, LEAST_LARGER_CAP // 2)
        return None

    def _is_ignored(self, row: Row, reply: Reply) -> bool:
        """Whether the answer was cut below the cap that was asked for: by another one."""
        cap, used = self.cap(row), reply.usage
        is_below = cap is not None and not used.estimated and OWN_CAP <= used.tokens_out < cap
        is_sent = row.dialect.has("max_completion_tokens") and CAPS.isdisjoint(self._extra)
        return is_below and is_sent

    def _correct(
        self, row: Row, content: str, error: OutputError, *, final: bool
    ) -> RowResult | None:
        """The answer is not what was asked for: put the error to the model, once."""
        if row.reasked or final:
            return row.failed(error.kind, str(error))
        row.reasked = True
        row.correction = self._prompt.reask(content, error)
        return None


def _features(settings: Settings, *, streams: bool) -> frozenset[Feature]:
    """The features of every request that the person did not ask for by name."""
    extra = frozenset(settings.extra_body or ())
    features: set[Feature] = {"system"}
    if "response_format" not in extra:
        features |= {"json_schema", "json_object"}
    if settings.temperature is None and "temperature" not in extra:
        features.add("temperature")
    if settings.confidence and "logprobs" not in extra:  # there are answers without them
        features |= {"logprobs"} if "top_logprobs" in extra else {"logprobs", "top_logprobs"}
    streamed: tuple[Feature, ...] = ("stream", "stream_options") if streams else ()
    features.update(each for each in streamed if each not in extra)
    return frozenset(features)
