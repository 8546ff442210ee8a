"""``tag_stream``: tag records that come one by one, from a source that may never end."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Any, Unpack

from llmframe.errors import PlanError
from llmframe.options.layers import settle, whole_number
from llmframe.options.settings import OPTIONS, Options
from llmframe.options.signature import with_options
from llmframe.runs.thread import refuse_own_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llmframe.runs.stream import TagStream

WITHOUT = tuple(name for name, option in OPTIONS.items() if option.of_frames)


@with_options(without=WITHOUT)
def tag_stream(
    records: object,
    fields: object,
    *,
    input: object = None,  # noqa: A002 - the contract's name
    ordered: bool = False,
    buffer: int = 1000,
    **options: Unpack[Options],
) -> TagStream:
    """Ask a model about every record of a source, which may be endless, and yield the answers.

    Examples::

        for result in lf.tag_stream(read_lines(), ["spam", "ham"]):
            print(result.record, result.values, result.status)

        async with lf.tag_stream(queue, {"intent": ["refund", "other"]}, input="text") as results:
            async for result in results:
                await acknowledge(result.record)

    records: dicts or texts from any iterable, generator, async iterable, ``asyncio.Queue`` or
        ``queue.Queue`` (None in a queue ends it). A blocking source is read in a thread of its
        own; an async one needs ``async for``.
    fields: as in ``tag``.
    input: what to ask about: a key of the dicts, a template such as ``"{subject}: {body}"``, or a
        list of keys, which is sent as JSON. None: the whole dict as JSON. A text is sent as it is.
    ordered: True: in the order of the records; else as they are answered.
    buffer: records between source and consumer, at most: when the consumer is slow, nothing more
        is taken from the source, so memory is bounded.

    {options}

    Returns a TagStream, which yields a TagResult (record, values, status, error, usage) for every
    record: a record that fails says why and ends nothing. It keeps no answers unless
    ``checkpoint=`` is given; equal records among the last ``buffer`` are asked once. Leave the
    loop, or call ``close()`` or ``await aclose()``, and it stops within a second; what is in
    flight then comes back into the checkpoint. It shows no progress, whatever ``progress=`` says:
    ``.run`` has the counts and the cost, and can pause it.

    Raises PlanError for a mistake in the call, before anything is sent or taken. While it is
    read: what the source raises, after the answers to all that it gave; RunAborted when no
    record can succeed; CheckpointError when answers can no longer be saved.
    """
    from llmframe.calls.opening import open_run
    from llmframe.calls.plan import plan_stream
    from llmframe.runs.stream import Flow, TagStream, begin

    refuse_own_thread()
    settings = settle({"checkpoint": False, **options}, without=WITHOUT, call="a stream")
    source = _source(records)
    if not isinstance(ordered, bool):
        raise PlanError(f"ordered={ordered!r}; it takes True or False")
    buffer = whole_number("buffer", buffer, least=1)
    with open_run(plan_stream(input, fields, settings, buffer=buffer)) as session:
        flow = Flow(session, ordered=ordered)
        begin(session, flow)
    return TagStream(source, session, flow)


def _source(records: Any) -> Any:
    """The records as something to iterate over; PlanError for what is no stream of records."""
    if isinstance(records, asyncio.Queue):
        return _AsyncQueue(records)
    if isinstance(records, queue.Queue | queue.SimpleQueue):
        return iter(records.get, None)
    named = type(records).__name__
    if hasattr(records, "columns") and hasattr(records, "iloc"):
        raise PlanError(
            "records is a DataFrame; call df.llm.tag(...) for it, or give "
            'df.to_dict("records") to stream its rows'
        )
    if isinstance(records, str | bytes | dict):
        raise PlanError(f"records is one {named}; give a list of them, or another iterable")
    if not isinstance(records, Iterable | AsyncIterable):
        raise PlanError(
            f"records takes an iterable of dicts or texts, not {named}; a function that yields "
            "them has to be called: tag_stream(read(), ...)"
        )
    return records


class _AsyncQueue:
    """A queue as an async iterable that None ends."""

    def __init__(self, held: asyncio.Queue[Any]) -> None:
        self._held = held

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (record := await self._held.get()) is not None:
            yield record
