"""Which parts of a reply's text are thoughts, by the marks around them, whatever their names.

A mark is a tag in any brackets (``<think>``, ``[THINK]``, ``<|begin_of_thought|>``), a channel
of gpt-oss, an HTML comment, or a fence with a language that holds no data. What a mark opens and
closes is set aside; so is everything before a closing mark that nothing opened, because a chat
template may have opened it. What a mark opens and nothing closes may be a draft.

The names known here only save a request: of an unknown name the worst is assumed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MOST_MARKS = 1000  # a text with more is no answer, and each costs time

_MARK = re.compile(
    r"""(?P<comment><!--|-->)
    |^[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[^\s`\0]*)
    |[<\[◁【〈《⟨«‹](?P<lead>[|｜/!]*)(?P<name>[^\W\d_][\w:.\-▁]*)(?:[ \t][^<>\n]{0,200}?)?
     (?P<tail>[|｜/]*)[>\]▷】〉》⟩»›]""",
    re.VERBOSE | re.MULTILINE,
)
_BEGINS = re.compile(r"^(?:begin|start)(?:[_\-▁]of)?[_\-▁]|[_\-▁](?:begin|start)$")
_ENDS = re.compile(r"^(?:end|close|stop)(?:[_\-▁]of)?[_\-▁]|[_\-▁](?:end|close|stop)$")

# harmony: gpt-oss names what follows, and its answer is in the channel "final"
_CHANNEL = re.compile(r"<[|｜]channel[|｜]>")
_FINAL = re.compile(
    r"<[|｜]channel[|｜]>\s*final\b.*?<[|｜]message[|｜]>|\bassistant\s*final(?=\s*[`\[\0])",
    re.DOTALL,
)
_SPECIAL = re.compile(r"<[|｜]")

_ANSWER = re.compile(r"(?:final_?)?answer|final|output|result|response|json|tool_call|tag|data")
# what ends a text or only formats it
_NEUTRAL = re.compile(
    r"im_end|im_start|eot|eot_id|eom_id|endoftext|end_of_(?:text|turn|sentence)|return|eos|bos|pad"
    r"|s|start|end|channel|message|constrain|call|assistant|user|system"
    r"|br|hr|p|b|i|u|em|strong|code|pre|div|span|html|body|ul|li"
)
# languages of a fence that holds no thoughts
_DATA = re.compile(
    r"|json[c5l]?|javascript|js|typescript|ts|python|py|te?xt|plaintext|plain|yaml"
    r"|output|result|answer|response|data"
)


@dataclass(slots=True)
class Marks:
    """What the marks of a text say about each place in it.

    text: the text with blanks in place of marks without meaning. settled: everything before it is
    thoughts. closed: thoughts with a beginning and an end.
    answers: what a tag for the answer encloses. open_at: where a mark opens that nothing closes;
    open_mark: this mark.
    """

    text: str
    settled: int = 0
    closed: list[tuple[int, int]] = field(default_factory=list)
    answers: list[tuple[int, int]] = field(default_factory=list)
    open_at: int | None = None
    open_mark: str = ""

    def is_thought(self, at: int) -> bool:
        """Whether this place lies in thoughts that have ended."""
        return at < self.settled or any(begin <= at < end for begin, end in self.closed)

    def may_be_draft(self, at: int) -> bool:
        """Whether this place follows a mark that nothing closes."""
        return self.open_at is not None and at >= self.open_at

    def around(self, at: int, length: int) -> tuple[int, int]:
        """Begin and end of the text around a place, as far as the next marks."""
        spans = [*self.closed, *self.answers]
        begins = [self.settled, *(end for _, end in self.closed if end <= at)]
        begins += [begin for begin, _ in self.answers if begin <= at]
        ends = [begin for begin, _ in spans if begin > at]
        ends += [end for begin, end in self.answers if begin <= at < end]
        if self.open_at is not None and self.open_at > at:
            ends.append(self.open_at)
        return max(begins), min(ends, default=length)


def read_marks(text: str) -> Marks:
    """The marks of a text whose objects are blanked out with NULs, so that no value counts."""
    marks = Marks(text)
    opened: list[tuple[str, re.Match[str]]] = []
    pieces, at = [], 0
    for number, match in enumerate(_MARK.finditer(text)):
        if number == MOST_MARKS:
            marks.open_at, marks.open_mark = 0, f"one of more than {MOST_MARKS} marks"
            return marks
        name, closes = _named(match, opened)
        if not name:
            pieces += [text[at : match.start()], " " * (match.end() - match.start())]
            at = match.end()
            continue
        if not closes:
            opened.append((name, match))
        else:
            _close(marks, opened, name, match)
    marks.text = "".join([*pieces, text[at:]])
    _read_channels(marks, text)
    _leave_open(marks, opened, len(text))
    marks.answers = [
        (begin, end)
        for begin, end in marks.answers
        if not marks.is_thought(begin) and not marks.may_be_draft(begin)
    ]
    return marks


def _named(match: re.Match[str], opened: list[tuple[str, re.Match[str]]]) -> tuple[str, bool]:
    """A mark's name, "" for one without meaning, and whether it closes what it names."""
    if match["comment"]:
        return "!--", match["comment"] == "-->"
    if match["fence"]:
        fences = [name for name, _ in opened if name.startswith("```")]
        if fences and not match["language"]:  # a language always opens
            return fences[-1], True
        return "```" if _DATA.fullmatch(match["language"].lower()) else "```thoughts", False
    name = match["name"].lower()
    bars, end_bars = match["lead"].strip("/!"), match["tail"].strip("/")
    if "/" in match["tail"] or (_NEUTRAL.fullmatch(name) and bool(bars) == bool(end_bars)):
        return "", False
    bare = _BEGINS.sub("", _ENDS.sub("", name))
    # <|channel> opens and <channel|> closes
    by_bars = bool(end_bars) and not bars
    return bare, "/" in match["lead"] or bool(_ENDS.search(name)) or by_bars


def _close(
    marks: Marks, opened: list[tuple[str, re.Match[str]]], name: str, match: re.Match[str]
) -> None:
    at = next((i for i in reversed(range(len(opened))) if opened[i][0] == name), None)
    if at is not None:
        begin = opened[at][1]
        del opened[at:]  # what was opened inside and not closed ends here too
        if _ANSWER.fullmatch(name):
            marks.answers.append((begin.end(), match.start()))
        elif name != "```":
            marks.closed.append((begin.start(), match.end()))
    elif not _ANSWER.fullmatch(name):
        marks.settled = match.end()
        opened.clear()


def _leave_open(marks: Marks, opened: list[tuple[str, re.Match[str]]], length: int) -> None:
    for name, match in opened:
        if match.start() < marks.settled:
            continue
        if _ANSWER.fullmatch(name) and marks.open_at is None:
            marks.answers.append((match.end(), length))
        elif name != "```" and (marks.open_at is None or match.start() < marks.open_at):
            marks.open_at, marks.open_mark = match.start(), match[0].strip()


def _read_channels(marks: Marks, text: str) -> None:
    finals = list(_FINAL.finditer(text))
    if finals:
        end = finals[-1].end()
        marks.settled = max(marks.settled, end)
        after = _SPECIAL.search(text, end)
        if after:
            marks.closed.append((after.start(), len(text)))
        return
    channel = _CHANNEL.search(text)
    if channel:
        marks.open_at, marks.open_mark = channel.start(), channel[0]
