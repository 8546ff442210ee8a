"""Keys: a hash of what was asked, not of how it was sent.

A row's key names its answer in the checkpoint; a task's digest, the same without the
row's text, names the checkpoint's file. Whatever changes a key buys every answer again,
so what is not set adds nothing: later options must keep that.

A question is the JSON that keys are made from: prompt version, model, endpoint, instructions,
fields and sampling. Its normal form follows what is sent, so that the same request has the same
key however a call spells it.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, TypeAlias

from llmframe.errors import PlanError
from llmframe.task.prompt import sent_instructions

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_BYTES = 16
SHORT = 12  # hex digits of a prompt's hash

Question: TypeAlias = dict[str, Any]

_SENT = ("temperature", "response_format", "logprobs", "max_tokens", "max_completion_tokens")
_NOT_READ = ("model", "endpoint", "served", "sampling", "fields", "examples")
_OWN_OPTIONS = ("temperature", "seed")  # extra_body may set these too, and then its value is sent


class KeyMaker:
    """Keys of one task.

    asked: JSON-able description of all that is asked of every row: the prompt's version,
        fields, instructions, model, endpoint and the sampling parameters. Raises PlanError if
        it is no JSON.
    earlier: keys of the same task in other spellings, for which answers are stored.
    """

    def __init__(self, asked: dict[str, Any]) -> None:
        try:
            text = json.dumps(asked, sort_keys=True, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as exc:
            raise PlanError(f"an option holds what JSON cannot: {exc}") from exc
        self._state = hashlib.blake2b(text.encode(), digest_size=KEY_BYTES)
        self.digest = self._state.digest()
        self._state.update(b"\n")  # JSON ends here; what follows is the row's text
        self.earlier: tuple[KeyMaker, ...] = ()

    def key(self, text: str) -> bytes:
        """The key of a rendered row: 16 bytes."""
        state = self._state.copy()
        state.update(text.encode())
        return state.digest()


def prompt_hashes(
    question: Question, form: object, shown: Mapping[str, list[str]] | None = None
) -> dict[str, str]:
    """For each field a hash of what the model reads about it, whichever model that is.

    question: in its normal form. form: the input, as JSON. What is hashed is the instructions
    (all of the question that is not about the endpoint), the field's description, and the input.
    shown: field -> the digests of the examples of its answers.
    """
    described = question["fields"]
    common = {name: value for name, value in question.items() if name not in _NOT_READ}
    common |= {"about": described.get("description"), "input": form}
    hashes = {}
    for field in described["fields"]:
        examples = (shown or {}).get(field["name"])
        asked: Question = {**common, "field": field} | ({"examples": examples} if examples else {})
        if "$ref" in json.dumps(field):  # a model within it, which may be shared
            asked["$defs"] = described.get("$defs")
        hashes[field["name"]] = KeyMaker(asked).digest.hex()[:SHORT]
    return hashes


def normal_form(question: Question) -> Question:
    """The question as it is sent; a normal form is its own normal form.

    The spelling that most calls use is the normal one, so that its keys stay what they were.
    """
    sampling = dict(question.get("sampling", {}))
    extra = _whole_numbers(sampling.pop("extra_body", {}))
    extra.pop("messages", None)  # ours are sent
    # None leaves a parameter out, which changes the request only where we send it
    extra = {k: v for k, v in extra.items() if v is not None or k in _SENT}
    given = {name: sampling.pop(name) for name in _OWN_OPTIONS if name in sampling}
    given |= {name: extra.pop(name) for name in _OWN_OPTIONS if extra.get(name) is not None}
    if isinstance(given.get("temperature"), int | float):
        given["temperature"] = float(given["temperature"])  # as it always was in keys
    sampling |= {name: value for name, value in given.items() if _changes(name, value)}
    normal = question | {
        "model": extra.pop("model", question["model"]),
        "instructions": sent_instructions(question["instructions"]),
        "fields": _without_blank_ends(question["fields"]),
    }
    normal.pop("sampling", None)  # an empty entry would change the keys of all that give nothing
    sampling |= {"extra_body": extra} if extra else {}
    return normal | ({"sampling": sampling} if sampling else {})


def _changes(name: str, value: Any) -> bool:
    """Whether an option changes the request; a temperature of 0 is sent anyway."""
    return name != "temperature" or value != 0


def _whole_numbers(value: Any) -> Any:
    """A copy of JSON with 1.0 as 1: one number to every endpoint."""
    if isinstance(value, dict):
        return {name: _whole_numbers(held) for name, held in value.items()}
    if isinstance(value, list):
        return [*map(_whole_numbers, value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _without_blank_ends(fields: Any) -> Any:
    """A copy of the fields' description without blank ends of texts, as schemas have them."""
    if isinstance(fields, list):
        return [*map(_without_blank_ends, fields)]
    if not isinstance(fields, dict):
        return fields
    copy = {}
    for name, value in fields.items():
        if name != "description" or not isinstance(value, str):
            copy[name] = _without_blank_ends(value)
        elif value.strip():
            copy[name] = value.strip()
    return copy
