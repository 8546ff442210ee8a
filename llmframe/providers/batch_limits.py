"""What a provider takes in one batch, and how its Batch API differs from OpenAI's."""

from __future__ import annotations

from dataclasses import dataclass

from llmframe.options.presets import preset_of

MB = 1_000_000  # the smaller meaning of the word: a file within it is within the other, too


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """The limits of one batch.

    requests, size: of one file; size in bytes. purpose: of the upload, as the API calls it.
    """

    requests: int = 50_000
    size: int = 100 * MB
    purpose: str = "batch"


# Where the figures are documented, as read in November 2026:
#   openai     the SDK's own docstring of batches.create, from OpenAI's API description
#   azure      learn.microsoft.com/azure/foundry/reference/rest/batches-create-batch
#   together   docs.together.ai/docs/inference/batch/overview, and /tutorial for the purpose
#   perplexity docs.perplexity.ai/api-reference/files-create-post
# Groq has the same API; its page of limits could not be read, so it gets the cautious default.
_LIMITS = {
    "openai": BatchLimits(size=200 * MB),
    "azure": BatchLimits(size=200 * MB),
    "together": BatchLimits(purpose="batch-api"),
    "perplexity": BatchLimits(size=200 * MB),
    "groq": BatchLimits(),
}
# They have a Batch API of another shape, or none; an endpoint that is not listed is asked.
_WITHOUT = frozenset({"anthropic", "deepseek", "local", "mistral", "ollama", "openrouter"})
DEFAULT = BatchLimits()


def batch_limits(base_url: str) -> BatchLimits | None:
    """The limits at an address; None where the provider is known to have no such API."""
    preset = preset_of(base_url)
    if preset is None:
        return _LIMITS["perplexity"] if "//api.perplexity.ai" in base_url else DEFAULT
    return None if preset.name in _WITHOUT else _LIMITS.get(preset.name, DEFAULT)
