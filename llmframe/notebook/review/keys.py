"""Which key means which label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.errors import PlanError
from llmframe.task.text import excerpt, fold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UNDO, SKIP, HELP, QUIT = "undo", "skip", "help", "quit"
COMMANDS = {"u": UNDO, "n": SKIP, "h": HELP}
KEYS = "123456789abcdefgijklmopqrstvwxyz"  # without the commands'
_SHAPE = 'a dict of labels and keys, {"refund": "r"}, or one character for each label, "rdb"'


class Keys:
    """The keys of some labels; of too many labels none, so that their names are typed.

    labels: as texts, in their order. wanted: other keys than 1-9 and the letters: label -> key,
    or one character a label. Raises PlanError for keys that collide.
    """

    def __init__(
        self, labels: Sequence[str], wanted: Mapping[object, str] | str | None = None
    ) -> None:
        self.labels = tuple(labels)
        chosen = _wanted(self.labels, wanted)
        free = (key for key in KEYS if key not in chosen.values())
        pairs = [(label, chosen.get(label) or next(free, "")) for label in self.labels]
        self.are_single = all(key for _, key in pairs)
        self.of: tuple[str, ...] = tuple(key if self.are_single else "" for _, key in pairs)

    def read(self, typed: str) -> int | str | None:
        """What one key means: the position of a label, a command, or nothing (None)."""
        key = fold(typed)  # a full-width digit is a digit
        if key in COMMANDS:
            return COMMANDS[key]
        return self.of.index(key) if key and key in self.of else None

    def read_line(self, line: str) -> int | str | None:
        """What a typed line means: a key, or a label's name or its unique beginning."""
        names = [fold(label) for label in self.labels]
        typed = fold(line)
        if not typed:
            return None
        if typed in names:
            return names.index(typed)
        if len(typed) == 1 and (found := self.read(typed)) is not None:
            return found
        if typed in ("q", QUIT):  # of 24 labels or more one has the key q, and was found above
            return QUIT
        if typed in (UNDO, SKIP, HELP):
            return typed
        # only a beginning that fits one label: a guess would be a wrong judgement
        begin = [at for at, name in enumerate(names) if name.startswith(typed)]
        return begin[0] if len(begin) == 1 else None


def _wanted(labels: Sequence[str], wanted: Mapping[object, str] | str | None) -> dict[str, str]:
    """Label -> key, checked."""
    if wanted is None:
        return {}
    if isinstance(wanted, str):
        if len(wanted) != len(labels):
            raise PlanError(f"keys={wanted!r} has {len(wanted)} keys for {len(labels)} labels")
        wanted = dict(zip(labels, wanted, strict=True))
    if not hasattr(wanted, "items"):
        raise PlanError(f"keys={excerpt(wanted)}: give {_SHAPE}")
    chosen: dict[str, str] = {}
    for label, key in wanted.items():
        name = str(label)
        if name not in labels:
            raise PlanError(f"keys= names {excerpt(label)}, which is no label: {excerpt(labels)}")
        if not isinstance(key, str) or len(fold(key)) != 1:
            raise PlanError(f"keys= gives {excerpt(label)} {excerpt(key)}: a key is one character")
        if fold(key) in COMMANDS:
            raise PlanError(f"keys= gives {excerpt(label)} {key!r}: u, n and h undo, skip and help")
        if fold(key) in chosen.values():
            raise PlanError(f"keys= gives {key!r} to two labels")
        chosen[name] = fold(key)
    return chosen
