"""How a request is written so that an endpoint accepts it, and what may be left out of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

ResponseFormat: TypeAlias = Literal["json_schema", "json_object", "plain"]
Feature: TypeAlias = Literal[
    "json_schema", "json_object", "system", "temperature", "logprobs", "top_logprobs",
    "max_completion_tokens", "encoding_format", "seed", "stream_options", "stream",
]  # fmt: skip
"""A part of a request that some endpoints refuse."""

# the order in which they are tried again: what makes the answers better comes first
FEATURES: tuple[Feature, ...] = (
    "json_schema", "json_object", "system", "temperature", "logprobs", "top_logprobs",
    "max_completion_tokens", "encoding_format", "seed", "stream", "stream_options",
)  # fmt: skip
# How a message names a feature, in any language: these are the API's own words.
_NAMES: dict[Feature, re.Pattern[str]] = {
    "max_completion_tokens": re.compile(r"max_completion_tokens", re.I),
    "temperature": re.compile(r"\btemperature\b", re.I),
    "logprobs": re.compile(r"(?<!top_)logprobs", re.I),
    "top_logprobs": re.compile(r"top_logprobs", re.I),
    "encoding_format": re.compile(r"encoding_format|base64", re.I),
    "seed": re.compile(r"\bseed\b", re.I),
    "stream_options": re.compile(r"stream_options|include_usage", re.I),
    "stream": re.compile(r"\bstream(ing|ed|s)?\b", re.I),
    "system": re.compile(
        r"messages\W{1,2}0\W{1,3}role|system[ _](role|message|prompt)|role\W{1,3}system\b"
        r"|\bsystem\W{1,3}(role|message)|developer (instruction|message)", re.I,
    ),
}  # fmt: skip
_STREAMED = ("stream", "stream_options")
_FORMAT = re.compile(
    r"response_?format|text\.format|json_?schema|json_object|response_?schema|structured.?output"
    r"|json.?(mode|output)|\bschema\b|\bgrammar\b|guided.?(json|decoding)",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a request is written.

    response_format: how JSON is asked for. cap: the parameter that limits the output.
    dropped: parameters that this endpoint refuses. system: the instructions have a message of
    their own; else they stand at the head of the user's. enums: long lists of labels stand in the
    schema, too; else in the instructions alone.
    """

    response_format: ResponseFormat = "json_schema"
    cap: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    dropped: frozenset[str] = frozenset()
    system: bool = True
    enums: bool = True

    @property
    def lists_labels(self) -> bool:
        """Whether a long list of labels stands in the request's schema."""
        return self.enums and self.response_format == "json_schema"

    def has(self, feature: Feature) -> bool:
        """Whether a request in this dialect makes use of the feature."""
        if feature == "json_schema":
            return self.response_format == "json_schema"
        if feature == "json_object":  # a schema asks for JSON, too
            return self.response_format != "plain"
        if feature == "max_completion_tokens":
            return self.cap == feature
        return self.system if feature == "system" else feature not in self.dropped

    def without(self, feature: Feature) -> Dialect:
        """The same without the feature; the simplest thing that does its work comes instead."""
        if feature == "json_schema" and self.response_format == "json_schema":
            return replace(self, response_format="json_object")
        if feature in ("json_schema", "json_object"):
            return replace(self, response_format="plain")
        if feature == "max_completion_tokens":
            return replace(self, cap="max_tokens")
        if feature == "system":
            return replace(self, system=False)
        return replace(self, dropped=self.dropped | {feature})

    def including(self, feature: Feature) -> Dialect:
        """The same with the feature."""
        if feature == "json_schema" or feature == "json_object":
            return replace(self, response_format=feature)
        if feature == "max_completion_tokens":
            return replace(self, cap=feature)
        if feature == "system":
            return replace(self, system=True)
        return replace(self, dropped=self.dropped - {feature})

    def simplest(self, features: frozenset[Feature]) -> Dialect:
        """The same without any of these features."""
        simpler = self
        for feature in FEATURES:
            if feature in features and simpler.has(feature):
                simpler = simpler.without(feature)
        return simpler

    def named(
        self, param: str | None, message: str, features: frozenset[Feature] = frozenset()
    ) -> Feature | None:
        """The feature in use that a refusal names; None if it names none of them.

        param, message: of the error, without the row's own text. features: of the request.
        """
        text = f"{param or ''} {message}"
        for feature, names in _NAMES.items():
            if feature in _STREAMED and feature not in features:
                continue  # most requests do not ask for a stream
            if self.has(feature) and names.search(text):
                return feature
        if self.response_format != "plain" and _FORMAT.search(text):
            return self.response_format
        return None


FULL_DIALECT = Dialect()
