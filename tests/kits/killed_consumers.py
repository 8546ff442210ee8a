"""Consumers of a stream that are killed again and again, and what that may cost at most."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import llmframe as lf
from tests.kits.kills import Lives, Round, answers, arrived, size
from tests.kits.recipes import Consumer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import redis

    from llmframe.testing import Server

CONCURRENCY = 20  # requests in flight, at most: as recipes.py configures it
ROW = 170  # bytes of an answer in the checkpoint, about


@dataclass
class Killed(Lives):
    """What happened. unsaved: acknowledged messages whose answers a kill has taken."""

    unsaved: list[Any] = field(default_factory=list)


def kill_consumers(
    start: Callable[[], Consumer],
    *,
    server: Server,
    checkpoint: Path,
    n: int,
    kills: int,
    acknowledged: Callable[[], set[str]],
) -> Killed:
    """Start consumers of n messages and kill them, then one more until all is acknowledged.

    acknowledged: the ids of messages that will not be delivered again.
    """
    chance, lives = random.Random(7), Killed()
    each = ROW * n / (kills + 1)
    while len(lives.rounds) < kills:
        goal = size(checkpoint) + chance.uniform(0.2, 1.4) * each
        start().kill_when(lambda goal=goal: size(checkpoint) > goal or answers(checkpoint) == n)
        lives.rounds.append(Round(arrived(server), answers(checkpoint)))
        lives.unsaved += acknowledged() - saved(checkpoint)
    start().kill_when(lambda: len(acknowledged()) == n)
    lives.unsaved += acknowledged() - saved(checkpoint)
    return lives


def saved(checkpoint: Path) -> set[str]:
    """The ids of the messages whose answers are in the checkpoint."""
    if not checkpoint.exists():
        return set()
    return {str(each) for each in lf.read_checkpoint(checkpoint)["id"].dropna()}


def redis_consumer(url: str, redis_url: str, folder: Path) -> Consumer:
    """A consumer of the recipe for Redis."""
    call = 'asyncio.run(consume("tagger-1", "complaints.jsonl"))'
    return Consumer("Redis", call, url=url, folder=folder, constants={"URL": redis_url})


def acknowledged_entries(client: redis.Redis, stream: str, group: str) -> set[str]:
    """The entries of a stream that were delivered to a group and acknowledged."""
    groups = client.xinfo_groups(stream) if client.exists(stream) else []
    if not groups:
        return set()
    delivered = client.xrange(stream, max=groups[0]["last-delivered-id"])
    if not groups[0]["last-delivered-id"].strip("0-"):  # nothing is delivered yet
        return set()
    waiting = client.xpending_range(stream, group, "-", "+", len(delivered) or 1)
    return {entry for entry, _ in delivered} - {each["message_id"] for each in waiting}
