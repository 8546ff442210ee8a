"""What differs between two questions, in words: why answers that are stored are not used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llmframe.text import cut

if TYPE_CHECKING:
    from datetime import date

    from llmframe.task.keys import Question

SHOWN = 60  # characters of a value
MOST = 4  # differences that are named
_WORDS = {"logprobs": 'confidence="logprob"', "dimensions": "dimensions="}
_SIMPLE = {
    "model": "model",
    "endpoint": "endpoint",
    "instructions": "instructions",
    "served": "what the server tells about its model",
}


def differences(old: Question, new: Question) -> list[str]:
    """What differs, in words; empty for equal questions, and for those about something else.

    A question is about something else where fewer than half of the fields are the same: the same
    name, the same kind and, for a closed choice, at least one label in common.
    """
    fields, others = _fields(old), _fields(new)
    common = [name for name in others if _is_same_field(fields.get(name), others[name])]
    if not common or 2 * len(common) < len(fields.keys() | others.keys()):
        return []
    named = {word: (old.get(name), new.get(name)) for name, word in _SIMPLE.items()}
    was, now = old.get("sampling") or {}, new.get("sampling") or {}
    for name in sorted({*was, *now}):
        named[_WORDS.get(name, name)] = was.get(name), now.get(name)
    changed = [_change(name, *values) for name, values in named.items() if values[0] != values[1]]
    if old.get("examples") != new.get("examples"):
        changed.append("the examples")
    if old.get("version") != new.get("version"):
        changed.append("llmframe's own part of the prompt, which is newer")
    return changed + _field_changes(old, new)


def nearly_the_same(
    different: list[str], *, since: date, asked: int, rows: int, saved: int, share: float
) -> str:
    """The sentences for a call that asks rows again because its question has changed.

    since: when the other question was answered last. asked: rows that have no answer yet among
    the rows looked at, which are this share of all. saved: those answered under the other question.
    """

    def total(count: int) -> str:
        return f"{count:,}" if share == 1 else f"about {round(count / share, -2):,.0f}"

    name, _, values = different[0].removeprefix("the ").partition(" (")
    if len(different) == 1 and values:
        the, begin = ("", "") if "=" in name else ("the ", "The ")
        changed = f"{begin}{name} changed since {since:%Y-%m-%d} ({values}"
        back = f"Put {the}old {name} back" if the else "Ask as before"
    else:
        more = f"; and {len(different) - MOST} more" if len(different) > MOST else ""
        changed = f"Since {since:%Y-%m-%d} this changed: {'; '.join(different[:MOST])}{more}"
        back = "Ask as before"
    which = f"all {total(asked)}" if asked == rows else f"{total(asked)} of {total(rows)}"
    return (
        f"{changed}: {which} rows are asked and paid again. {back} to "
        f"reuse the {total(saved)} saved answers."
    )


def _fields(question: Question) -> dict[str, dict[str, Any]]:
    described = question.get("fields")
    listed = described.get("fields") if isinstance(described, dict) else None
    if not isinstance(listed, list):  # forged, as anything in a file may be
        return {}
    return {one["name"]: one for one in listed if isinstance(one, dict) and _is_named(one)}


def _is_named(field: dict[str, Any]) -> bool:
    labels = field.get("labels")
    return isinstance(field.get("name"), str) and (labels is None or isinstance(labels, list))


def _is_same_field(old: dict[str, Any] | None, new: dict[str, Any]) -> bool:
    if old is None or old.get("kind") != new.get("kind"):
        return False
    labels, others = old.get("labels") or [], new.get("labels") or []
    return not labels or any(label in others for label in labels)


def _field_changes(old: Question, new: Question) -> list[str]:
    was, now = _fields(old), _fields(new)
    changes = [f"the field {name!r} is new" for name in now if name not in was]
    changes += [f"the field {name!r} is gone" for name in was if name not in now]
    for name in now.keys() & was.keys():
        labels = was[name].get("labels") or [], now[name].get("labels") or []
        about = was[name].get("description"), now[name].get("description")
        if was[name] == now[name]:
            continue
        if labels[0] != labels[1]:
            changes.append(_change(f"the labels of {name!r}", *labels))
        elif about[0] != about[1]:
            changes.append(_change(f"the description of {name!r}", *about))
        else:
            changes.append(f"the type of the field {name!r}")
    if not changes and old.get("fields") != new.get("fields"):
        changes.append("the fields' order or descriptions")
    return changes


def _change(name: str, old: Any, new: Any) -> str:
    return f"{name} (was {_shown(old)}, now {_shown(new)})"


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "not given"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut(f"{' '.join(text.split())!r}" if isinstance(value, str) else text, SHOWN)
