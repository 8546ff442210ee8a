"""The one place that decides which part of a reply's text is the answer.

A model's draft must never be taken for its answer. So an object counts only where its place
shows that it is the answer: it stands apart from the sentences around it, no mark of thoughts
is open before it, no other object contradicts it, and nothing after it takes it back. Where that
is not sure the reply is refused, and the model is asked again. docs/replies.md has the rules.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from llmframe.errors import OutputError
from llmframe.task.objects import Found, decode, find_objects
from llmframe.task.text import excerpt
from llmframe.task.thoughts import read_marks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

Values: TypeAlias = dict[str, Any]

LONG_LEAD, LONG_REST = 300, 150  # characters; prose of both lengths around an object is thinking
_BLANK = "\ufeff\u200b\u2060 \t\r\n\x0b\x0c"

_FENCE_BEFORE = re.compile(r"(?:`{3,}|~{3,})[^\n`\0]*\n?[\s\[{(\"']*$")
_FENCED = re.compile(r"(?:`{3,}|~{3,})\w*\s*(.*?)\s*(?:`{3,}|~{3,})", re.DOTALL)
_FENCE_AFTER = re.compile(r"[\s\]})\"']*(?:`{3,}|~{3,})")
# stray brackets, quotes and emphasis that may stand around an object
_TAIL = re.compile(r"[\s\ufeff\u200b\u2060\[{(\"'`“*_]*$")
_HEAD = re.compile(r"[\s\ufeff\u200b\u2060\]})\"'`”*_;.,]*")
_ITEM = re.compile(r"[-*•+\d]|[^\s:]+(?: [^\s:]+){0,2}:")
_SENTENCES = re.compile(r"[.?。？]\s|\n|[。？]")
_INSIDE_JSON = re.compile(r"(?:[\"'”]\s*[:：]|,)$")

# Words are a shortcut only: without them some replies would be taken that their writer doubts.
_TITLE = re.compile(r"\s*(?:#{1,6}\s|\*\*|__)[^\n]{1,80}$|\s*\S[^\n:：]{0,40}[:：]\s*$")
_MARKDOWN = ("#", "**", "__")
_FINAL = re.compile(r"final|corrected|最终|最終|endgültig|définiti|definitiv", re.IGNORECASE)
_ANSWER = re.compile(
    r"(?:(?:here|is|so|and|the|my|your|a|valid|in|as|final|corrected|json|最终|最終)\W+)*"
    r"(?:final|answer|output|result|response|reply|json|object|tag|label|classification|conclusion"
    r"|verdict|solution|antwort|ergebnis|réponse|résultat|respuesta|resultado|risposta|resposta"
    r"|ответ|результат|(?:最终|最終)?(?:答案|结果|結果|输出|回答|出力))s?(?:\W*\(?json\)?)?",
    re.IGNORECASE,
)
_FAREWELL = re.compile(
    r"\s*(?:(?:i )?hope (?:this|that|it) helps|let me know\b[^{}\n]{0,80}|thank you|thanks)\W*",
    re.I,
)
_POLITE = re.compile(
    r"(?:(?:sure|okay|ok|alright|yes|certainly|absolutely|of course|got it|done"
    r"|here (?:you go|it is))\W*){1,2}",
    re.IGNORECASE,
)
_THINKING = re.compile(
    r"think|thought|reason|analy[sz]|reflect|deliberat|ponder|scratch|draft|consider|brainstorm"
    r"|思考|推理|分析|草稿|überleg|gedanken|entwurf|réflexion|brouillon|razona|borrador|мысл",
    re.IGNORECASE,
)
_TENTATIVE = re.compile(
    r"\b(?:draft|maybe|perhaps|might|may be|could|would|should|guess|i think|thought|wrong|not"
    r"|tentativ\w*|example|instance|e\.g|hypothe\w*|possibl[ey]|hmm+|suppos\w+|assum\w+|option|try"
    r"|attempt|candidate|version|let me"
    r"|vielleicht|entwurf|peut-être|quizás?)\b|也许|可能|例如|草稿|たぶん",
    re.IGNORECASE,
)
_RETRACTED = re.compile(
    # where a sentence begins
    r"(?:^|[.!?\n—-]\s*)(?:but\b|(?:oh,? |but )?(?:wait|hmm+|no[,.!—]|nope|oops|actually|scratch)"
    r"|on (?:second thought|reflection)|let me (?:re|double|check|correct|think|see)|edit:|sorry"
    r"|correction|that(?:'s| is) (?:wrong|not)|等等|不对|不，|moment|nein[,.!]|non[,.!]|espera)"
    # anywhere
    r"|\b(?:i was wrong|i meant|my mistake|reconsider|incorrect|(?:is|was) (?:wrong|not right)"
    r"|(?:should|must|ought to) (?:rather |instead )?(?:be|have been))\b",
    re.IGNORECASE,
)


def find_answer(
    text: str,
    names: Collection[str],
    read: Callable[[Any], Values],
    *,
    alone: bool = False,
) -> tuple[Values, str]:
    """The values of a reply's answer, and the part of the text that holds them.

    names: the fields' names. read: an object -> the fields' values; raises OutputError for one
    that is no answer. alone: take it only where nothing but it stands outside of thoughts.
    Raises OutputError with the reason where there is no answer, or where it may be a draft.
    """
    if not text.strip(_BLANK):
        raise OutputError("the reply was blank")
    found = find_objects(text)
    if not found:
        return _find_encoded(text, names, read, alone=alone)
    return _Choice(text, found, names, read).answer(alone=alone)


def is_tentative(name: str) -> bool:
    """Whether a name says that what it names is a draft or a thought."""
    return bool(_THINKING.search(name) or _TENTATIVE.search(name))


def _find_encoded(
    text: str, names: Collection[str], read: Callable[[Any], Values], *, alone: bool
) -> tuple[Values, str]:
    """The answer in a text that is a JSON string itself, with or without its quotes."""
    bare = text.strip(_BLANK)
    fenced = _FENCED.fullmatch(bare)
    bare = fenced[1] if fenced else bare
    if "{\\" in bare:
        whole = bare if bare[0] == bare[-1] == '"' else f'"{bare}"'
        inner = decode(whole)
        if isinstance(inner, str) and len(inner) < len(whole):
            return find_answer(inner, names, read, alone=alone)
    raise OutputError(f"the reply holds no JSON object: {excerpt(text.strip(_BLANK))}")


class _Choice:
    """The objects of one reply, and which of them is the answer."""

    def __init__(
        self, text: str, found: list[Found], names: Collection[str], read: Callable[[Any], Values]
    ) -> None:
        self._text = text
        self._names = names
        self._marks = read_marks(_blanked(text, found))
        self._outline = self._marks.text
        self._free = [one for one in found if not self._marks.is_thought(one.begin)]
        if answers := self._marks.answers:  # a tag for the answer: what is outside is none
            inside = [one for one in self._free if _is_within(one, answers)]
            self._free = inside or self._free
        self._found = found
        self._whole: list[tuple[Found, Values]] = []
        self._errors: list[OutputError] = []
        for one in self._free:
            self._judge(one, read)

    def _judge(self, one: Found, read: Callable[[Any], Values]) -> None:
        if one.error is not None:
            self._errors.append(one.error)
            return
        try:
            self._whole.append((one, read(one.value)))
        except OutputError as error:
            self._errors.append(error)

    def answer(self, *, alone: bool) -> tuple[Values, str]:
        """The one answer; OutputError where there is none, or more than one."""
        if not self._free:
            raise OutputError(
                "the reply holds no JSON object outside of its thoughts, and one inside them may "
                "be a draft"
            )
        candidates = self._candidates()
        if not candidates:
            raise self._refusal("")
        chosen, values = candidates[-1]
        if any(other != values for _, other in candidates):
            raise self._refusal("")
        equal = [one for one, _ in candidates]
        doubt = self._doubt(chosen, equal, alone=alone)
        if doubt:
            raise self._refusal(doubt)
        return values, self._text[chosen.begin : chosen.end]

    def _candidates(self) -> list[tuple[Found, Values]]:
        """The objects that could be the answer: whole ones, before those that leave fields out."""
        full = [(one, values) for one, values in self._whole if not self._is_part(one)]
        candidates = full or self._whole
        # after a heading such as "Final answer" the ones before it count no more
        titles = [_last_title(self._before(one, [one])[0]) for one, _ in candidates]
        finals = [i for i, title in enumerate(titles) if _is_final(title)]
        last = len(titles) - 1
        if not finals and _ANSWER.fullmatch(_bare(titles[last] if titles else "")):
            # nor do those under a heading such as "Reasoning" before "Result"
            finals = [last] if all(map(_THINKING.search, titles[:last])) else []
        while len(finals) > 1 and candidates[finals[-1]][1] == candidates[finals[-2]][1]:
            finals.pop()  # the same answer once more
        return candidates[finals[-1] :] if finals else candidates

    def _is_part(self, one: Found) -> bool:
        held = one.value or {}
        return len(held) < len(self._names) and all(name in self._names for name in held)

    def _refusal(self, doubt: str) -> OutputError:
        """The reason in words: broken JSON first, then several objects, then the doubt."""
        broken = next((one.error for one in self._free if one.error is not None), None)
        if broken is not None:
            return broken
        if len(self._free) > 1:
            return OutputError(f"the reply holds {len(self._free)} JSON objects instead of one")
        if doubt:
            return OutputError(f"the object in the reply may be a draft: {doubt}")
        return self._errors[0]

    # What speaks against an object that reads well

    def _doubt(self, chosen: Found, equal: list[Found], *, alone: bool) -> str:
        """Why the chosen object may not be the answer, "" if it surely is."""
        marks = self._marks
        if marks.may_be_draft(chosen.begin):
            return f"{excerpt(marks.open_mark)} is never closed"
        later = [one for one in self._found if one.begin >= chosen.end]
        if any(self._contradicts(one) for one in later):
            return "another one follows it"
        lead, own_line, fenced = self._before(chosen, equal)
        rest, ends_line = self._after(chosen, fenced=fenced)
        rest = "" if _FAREWELL.fullmatch(rest) else rest
        if alone:
            return "text stands beside it" if lead or rest else ""
        stands_apart = own_line or not lead or lead[-1] in ":：=" or _POLITE.fullmatch(lead)
        if lead and (_INSIDE_JSON.search(lead) or not stands_apart):
            return "it stands within a sentence or another object"
        if rest and not (ends_line and (not lead or _introduces(lead))):
            return "it stands within text"
        heading = _heading(lead)
        if heading:
            return f"it stands under the heading {excerpt(heading)}"
        # a fence shows that what is in it is meant to be copied
        return ("" if fenced else _doubt_of_place(lead, rest)) or _doubt_of_words(lead, rest)

    def _contradicts(self, later: Found) -> bool:
        """Whether an object after the chosen one may be a correction of it."""
        if self._marks.is_thought(later.begin):
            return False
        if later.error is not None or any(later is one for one, _ in self._whole):
            return True
        if self._marks.may_be_draft(later.begin) or set(self._names) <= set(later.value or ()):
            return True
        lead, own_line, fenced = self._before(later, [later])
        rest, ends_line = self._after(later, fenced=fenced)
        stands_apart = own_line or not lead or lead[-1] in ":：="
        return stands_apart and (ends_line or not rest)

    def _before(self, one: Found, equal: list[Found]) -> tuple[str, bool, bool]:
        """The text that leads to an object, whether it begins its own line, and a fence."""
        begin, _ = self._marks.around(one.begin, len(self._text))
        lead = _without(self._outline, equal, begin, one.begin)
        fence = _FENCE_BEFORE.search(lead)
        lead = lead[: fence.start()] if fence else lead
        tail = _TAIL.search(lead)
        at = tail.start() if tail else len(lead)
        # the language of a fence that is gone, or the role that a template wrote
        at = 0 if lead[:at].casefold() in ("json", "assistant") else at
        return lead[:at], bool(fence) or "\n" in lead[at:] or not lead[:at], bool(fence)

    def _after(self, one: Found, *, fenced: bool) -> tuple[str, bool]:
        """The text that follows an object, and whether it begins on another line."""
        _, end = self._marks.around(one.begin, len(self._text))
        rest = self._outline[one.end : max(end, one.end)]
        closed = _FENCE_AFTER.match(rest) if fenced else None
        rest = rest[closed.end() :] if closed else rest
        head = _HEAD.match(rest)
        at = head.end() if head else 0
        return rest[at:].rstrip(_BLANK + "`"), bool(closed) or "\n" in rest[:at]


def _flows(rest: str) -> bool:
    """Whether text is more than a few words, and no list and nothing under a title."""
    first = rest.partition("\n")[0].lstrip()
    return len(rest) > LONG_REST // 2 and not (_ITEM.match(first) or _TITLE.match(first))


def _introduces(lead: str) -> bool:
    """Whether text leads to what follows it: by a colon, as a title, or in usual words."""
    is_title = bool(_ANSWER.fullmatch(_bare(lead.rpartition("\n")[2])))
    return lead[-1] in ":：=" or is_title or bool(_POLITE.fullmatch(lead))


def _is_cut(rest: str) -> bool:
    """Whether text ends in the middle of a sentence; an item of a list needs no full stop."""
    last = rest.rpartition("\n")[2].lstrip()
    return (
        bool(rest) and (rest[-1].isalnum() or rest[-1] in ",，、:：{[(") and not _ITEM.match(last)
    )


def _doubt_of_place(lead: str, rest: str) -> str:
    """What the prose around an object without a fence says against it."""
    if lead and not _introduces(lead):
        return "no word introduces it"
    if lead and rest and (_flows(rest) or _SENTENCES.search(lead)):
        return "flowing text stands on both sides of it"
    return "the text after it has no end" if _is_cut(rest) else ""


def _doubt_of_words(lead: str, rest: str) -> str:
    """What the prose around an object says against it."""
    if len(lead) > LONG_LEAD and len(rest) > LONG_REST:
        return "long text stands before and after it"
    line = lead.rpartition("\n")[2].rpartition("\0")[2]
    if _TENTATIVE.search(line):
        return f"{excerpt(line)} leads to it"
    if _RETRACTED.search(lead.rpartition("\n\n")[2]) and not _ANSWER.fullmatch(_bare(line)):
        return "the text before it is thinking aloud"
    if _RETRACTED.search(rest):
        return "the text after it takes it back"
    return ""


def _heading(lead: str) -> str:
    """The last heading that announces something else than an answer, "" if none counts."""
    for line in reversed(lead.splitlines()):
        title = line.strip()
        if title and _TITLE.match(title):
            bare = _bare(title)
            if _ANSWER.fullmatch(bare):
                return ""
            if title.startswith(_MARKDOWN) or _THINKING.search(bare):
                return bare
    return ""


def _last_title(lead: str) -> str:
    """The last line of a text that is a heading, "" if none is."""
    lines = (line.strip() for line in reversed(lead.splitlines()))
    return next((line for line in lines if line and _TITLE.match(line)), "")


def _is_final(title: str) -> bool:
    return bool(_FINAL.search(title) and _ANSWER.fullmatch(_bare(title)))


def _bare(title: str) -> str:
    return title.strip(" \t#*_:：-=.")


def _is_within(one: Found, spans: list[tuple[int, int]]) -> bool:
    return any(begin <= one.begin and one.end <= end for begin, end in spans)


def _blanked(text: str, found: list[Found]) -> str:
    """The text with NULs in place of its objects: same length, no word of a value in it."""
    pieces, at = [], 0
    for one in found:
        if one.error is None:
            pieces += [text[at : one.begin], "\0" * (one.end - one.begin)]
            at = one.end
    return "".join([*pieces, text[at:]])


def _without(outline: str, equal: list[Found], begin: int, end: int) -> str:
    """A part of the outline without the objects that are equal to the chosen one."""
    pieces, at = [], begin
    for one in equal:
        if begin <= one.begin and one.end <= end:
            pieces.append(outline[at : one.begin])
            at = one.end
    return "".join([*pieces, outline[at:end]])
