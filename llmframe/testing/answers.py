"""What the server answers: a valid value for any JSON schema, computed from the row's text."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import zlib
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Answer = Callable[[str, dict[str, Any]], "dict[str, Any] | str"]

DEEPEST = 5  # a schema that contains itself ends here
FENCE = re.compile(r"<record (\S+)>\n(.*)\n</record \1>", re.DOTALL)
LISTED = re.compile(r'^- (".*?"): (one of |JSON by the schema )(["{].*)', re.MULTILINE)
MASK = (1 << 64) - 1


def content_text(content: object) -> str:
    """A message's content as one text: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part.get("text") or "" for part in parts if isinstance(part, dict))


def row_text(messages: list[dict[str, Any]]) -> str:
    """The row's text: what the last fenced user message holds, else the last user message.

    The fence is ``<record NONCE>``, the text and ``</record NONCE>``, each on lines of its own.
    Before it stand the fences of examples; after it a re-ask, which has none.
    """
    users = [content_text(m.get("content")) for m in messages if m.get("role") == "user"]
    for content in reversed(users):
        if fenced := FENCE.search(content):
            return fenced[2]
    return users[-1] if users else ""


def asked_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON schema of ``response_format``, else the first one written in the system message.

    Labels that the schema does not have, but the instructions do, are put into it: a model that
    is not held to a list reads it there.
    """
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and isinstance(wanted.get("json_schema"), dict):
        schema = wanted["json_schema"].get("schema")
        return with_listed(schema, body["messages"]) if isinstance(schema, dict) else None
    for message in body["messages"]:  # without a system message the first of the user's
        return written_schema(content_text(message.get("content")))
    return None


def with_listed(schema: dict[str, Any], messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The schema with the labels that the first message lists for properties without an enum."""
    properties = schema.get("properties", {})
    bare = [name for name, one in properties.items() if not [*enum_labels(one)]]
    if not bare or not messages:
        return schema
    listed = listed_labels(content_text(messages[0].get("content")))
    found = {name: listed[name] for name in bare if [*enum_labels(listed.get(name))]}
    return {**schema, "properties": {**properties, **found}}


@lru_cache(maxsize=64)
def listed_labels(text: str) -> dict[str, dict[str, Any]]:
    """Property -> schema with labels, by lines such as ``- "tone": one of "good", "bad"``."""
    found: dict[str, dict[str, Any]] = {}
    for line in LISTED.finditer(text):
        with contextlib.suppress(json.JSONDecodeError):  # a line of the person's own
            [name] = _values(line[1])
            if line[2] == "one of ":
                found[name] = {"enum": _values(line[3])}
            else:
                [found[name]] = _values(line[3])
    return found


def _values(text: str) -> list[Any]:
    """The JSON values at the beginning of a text, with commas between them."""
    decoder, values = json.JSONDecoder(), []
    while True:
        value, end = decoder.raw_decode(text)
        values.append(value)
        if not text.startswith(", ", end):
            return values
        text = text[end + 2 :]


def enum_labels(schema: Any) -> Iterator[Any]:
    """The values of all enums in a schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("enum"), list):
            yield from schema["enum"]
        for part in schema.values():
            yield from enum_labels(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from enum_labels(part)


@lru_cache(maxsize=64)
def written_schema(text: str) -> dict[str, Any] | None:
    """The first JSON object with ``properties`` in a text, None where there is none."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            found, _ = decoder.raw_decode(text, start)
        except json.JSONDecodeError:
            found = None
        if isinstance(found, dict) and "properties" in found:
            return found
        start = text.find("{", start + 1)
    return None


def expected(text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The answer the server gives by default to ``text`` under a JSON schema.

    Closed choices, numbers and dates follow a stable hash of the text and the property's name;
    strings are the text's first words. Without ``properties`` the answer is ``{}``.
    """
    seed = int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
    value = _Walk(text, schema).value(schema, seed, 0)
    return value if isinstance(value, dict) else {}


def first_words(text: str, at_least: int = 0, at_most: int = 60) -> str:
    """The first eight words of a text, within a length in characters."""
    words = " ".join(text[:400].split()[:8])[: min(at_most, 60)].rstrip()
    return words.ljust(at_least, ".")


def _mix(seed: int, name: str) -> int:
    """A new 64-bit number from a seed and a name; the same on every machine."""
    mixed = (seed ^ (zlib.crc32(name.encode("utf-8", "surrogatepass")) * 0x9E3779B97F4A7C15)) & MASK
    mixed = ((mixed ^ (mixed >> 31)) * 0xBF58476D1CE4E5B9) & MASK
    return mixed ^ (mixed >> 29)


class _Walk:
    """One walk through a schema, filling it from one text."""

    def __init__(self, text: str, root: Mapping[str, Any]) -> None:
        self.text = text
        self.root = root

    def value(self, schema: Mapping[str, Any], seed: int, depth: int) -> Any:
        """A value that is valid under ``schema``."""
        schema = resolve(schema, self.root)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][seed % len(schema["enum"])]
        branches = schema.get("anyOf") or schema.get("oneOf")
        if branches:
            return self.branch(branches, seed, depth)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            return self.branch([{**schema, "type": one} for one in kind], seed, depth)
        return self.typed(kind, schema, seed, depth)

    def typed(self, kind: str, schema: Mapping[str, Any], seed: int, depth: int) -> Any:
        match kind:
            case "object":
                return self.object(schema, seed, depth)
            case "array":
                return self.array(schema, seed, depth)
            case "integer":
                return integer(schema, seed)
            case "number":
                return number(schema, seed)
            case "boolean":
                return bool(seed & 1)
            case "null":
                return None
            case _:
                return self.string(schema, seed)

    def branch(self, branches: list[dict[str, Any]], seed: int, depth: int) -> Any:
        if depth >= DEEPEST:
            branches = [b for b in branches if b.get("type") == "null"] or branches
        return self.value(branches[seed % len(branches)], _mix(seed, "branch"), depth + 1)

    def object(self, schema: Mapping[str, Any], seed: int, depth: int) -> dict[str, Any]:
        wanted = schema.get("properties", {}) if depth <= DEEPEST else {}
        return {name: self.value(s, _mix(seed, name), depth + 1) for name, s in wanted.items()}

    def array(self, schema: Mapping[str, Any], seed: int, depth: int) -> list[Any]:
        item = resolve(schema.get("items", {}), self.root)
        fewest = schema.get("minItems", 0)
        most = min(schema.get("maxItems", 3), max(fewest, 3 if depth < DEEPEST else 0))
        count = fewest + seed % (most - fewest + 1)
        if "enum" in item:  # several labels: distinct, as a person would give them
            labels, start = item["enum"], _mix(seed, "start")
            count = max(min(count, len(labels)), fewest)
            return [labels[(start + i) % len(labels)] for i in range(count)]
        return [self.value(item, _mix(seed, str(i)), depth + 1) for i in range(count)]

    def string(self, schema: Mapping[str, Any], seed: int) -> str:
        day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=seed % 525_600)
        match schema.get("format"):
            case "date":
                return day.date().isoformat()
            case "date-time":
                return day.isoformat()
            case "time":
                return day.timetz().isoformat()
            case _:
                return first_words(
                    self.text, schema.get("minLength", 0), schema.get("maxLength", 60)
                )


def integer(schema: Mapping[str, Any], seed: int) -> int:
    """A whole number within the schema's bounds, 0 to 100 without them."""
    low = int(schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1))
    high = int(schema.get("maximum", schema.get("exclusiveMaximum", low + 101) - 1))
    step = int(schema.get("multipleOf", 1))
    first = -(-low // step)
    return (first + seed % max(high // step - first + 1, 1)) * step


def number(schema: Mapping[str, Any], seed: int) -> float:
    """A number inside the schema's bounds, between 0 and 1 without them."""
    low = float(schema.get("minimum", schema.get("exclusiveMinimum", 0)))
    high = float(schema.get("maximum", schema.get("exclusiveMaximum", low + 1)))
    return low + (high - low) * (seed % 999 + 1) / 1000


def resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema with its ``$ref`` followed and a lone ``allOf`` unwrapped."""
    while True:
        if "$ref" in schema:
            target: Any = root
            for step in schema["$ref"].removeprefix("#/").split("/"):
                target = target[step] if step != "#" else root
            schema = target
        elif len(schema.get("allOf", ())) == 1:
            schema = {**schema["allOf"][0], **{k: v for k, v in schema.items() if k != "allOf"}}
        else:
            return schema


def lookup_answer(known: Mapping[str, Any]) -> Answer:
    """Answers from a mapping of row texts; what it lacks comes from ``expected``.

    A string is the whole content; a dict gives those fields that the schema asks for and allows.
    """

    def answer(text: str, body: dict[str, Any]) -> dict[str, Any] | str:
        schema = asked_schema(body) or {}
        found = known.get(text.strip(), {})
        if isinstance(found, str):
            return found
        properties = schema.get("properties", {})
        fitting = {k: v for k, v in found.items() if allows(properties.get(k), v, schema)}
        return expected(text, schema) | fitting

    return answer


def first_label(share: float) -> Answer:
    """Answers that in this share of the rows depend on the labels' order.

    There every closed choice gets the first label that the schema shows; elsewhere its label
    follows from the text alone, whatever the order.
    """

    def answer(text: str, body: dict[str, Any]) -> dict[str, Any]:
        schema = asked_schema(body) or {}
        shown = schema.get("properties", {})
        choices = {name: node for name, node in shown.items() if "enum" in node}
        if zlib.crc32(text.encode()) % 1000 < 1000 * share:
            return expected(text, schema) | {n: node["enum"][0] for n, node in choices.items()}
        for name, node in choices.items():
            choices[name] = {**node, "enum": sorted(node["enum"], key=str)}
        return expected(text, {**schema, "properties": shown | choices})

    return answer


def closed_choice(schema: Mapping[str, Any], root: Mapping[str, Any]) -> list[Any] | None:
    """The labels of a closed choice, nullable or not; None for any other schema."""
    schema = resolve(schema, root)
    if "enum" in schema or "const" in schema:
        return list(schema.get("enum", [schema.get("const")]))
    branches = [resolve(b, root) for b in schema.get("anyOf", ())]
    choices = [closed_choice(b, root) for b in branches if b.get("type") != "null"]
    if not choices or None in choices:
        return None
    return [label for labels in choices for label in labels or ()]


def allows(wanted: Mapping[str, Any] | None, value: object, root: Mapping[str, Any]) -> bool:
    """Whether a property exists and, being a closed choice, has this value."""
    if wanted is None:
        return not root
    labels = closed_choice(wanted, root)
    return labels is None or value in labels


def gold_answer(seed: int) -> Answer:
    """Answers from ``records(20_000, seed)`` by text; ``expected`` where the text is another."""
    from llmframe.testing.records import GOLD, records

    rows = records(20_000, seed)
    return lookup_answer({row["text"].strip(): {name: row[name] for name in GOLD} for row in rows})


def make_answer(answer: Mapping[str, Any] | Answer | str | None) -> Answer:
    """The function that answers a row, from the server's ``answer`` option."""
    if answer is None:
        return lookup_answer({})
    if isinstance(answer, str):
        return gold_answer(int(answer.removeprefix("gold").removeprefix(":") or 0))
    return answer if callable(answer) else lookup_answer(answer)
