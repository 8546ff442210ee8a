"""A quote is found where it stands in a text, after NFKC and blanks alone, and nowhere else."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmframe.task.trust.quotes import find_quote, is_boundary

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
CODER = "\U0001f469\u200d\U0001f4bb"
WAVE = "\U0001f44b\U0001f3fd"  # with a skin tone
FLAGS = "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7"  # of Germany and France
JAMO = "\u1112\u1161\u11ab\u1100\u1173\u11af"

FOUND = {
    "as it is": ("I want my money back", "my money", "my money"),
    "line breaks": ("my\r\nmoney\n  back", "my money back", "my\r\nmoney\n  back"),
    "no-break space": ("10\xa0kg of rice", "10 kg", "10\xa0kg"),
    "blanks around": ("money back", " money ", "money"),
    "Chinese": ("我想退款，谢谢。", "退款", "退款"),
    "Chinese over a line break": ("我想退\n款，谢谢。", "想退款", "想退\n款"),
    "full width": ("订单号ＡＢＣ１２３已取消", "ABC123", "ＡＢＣ１２３"),
    "full-width punctuation": ("退款，谢谢！", "退款,谢谢!", "退款，谢谢！"),
    "ideographic space": ("山田\u3000太郎", "山田 太郎", "山田\u3000太郎"),
    "half-width kana": ("ﾊﾞﾅﾅを返品", "バナナ", "ﾊﾞﾅﾅ"),
    "composed marks": ("Cafe\u0301 fermé", "Café", "Cafe\u0301"),
    "decomposed marks": ("Café fermé", "Cafe\u0301", "Café"),
    "two marks in another order": ("a\u0323\u0301b", "a\u0301\u0323b", "a\u0323\u0301b"),
    "Hangul jamo": (f"{JAMO} 환불", "한글", JAMO),
    "ligature": ("the oﬃce ﬁle", "office file", "oﬃce ﬁle"),
    "fraction": ("about 1½ hours", "11⁄2 hours", "1½ hours"),
    "Hebrew": ("אני רוצה החזר כספי", "החזר כספי", "החזר כספי"),
    "Arabic presentation forms": ("ﻼ بأس", "لا بأس", "ﻼ بأس"),
    "Arabic with vowels": ("أُرِيدُ", "أُرِيدُ", "أُرِيدُ"),
    "emoji": (f"great {CODER} work", CODER, CODER),
    "a flag": (FLAGS, FLAGS[2:], FLAGS[2:]),
    "the second place": (f"{CODER} \U0001f469!", "\U0001f469", "\U0001f469"),
    "Devanagari": ("पैसे वापस चाहिए", "वापस", "वापस"),
    "Thai": ("ต้องการเงินคืน", "เงินคืน", "เงินคืน"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "quote", "stands"), FOUND.values(), ids=FOUND)
def test_a_quote_is_found_as_the_text_has_it(text, quote, stands):
    begin, end = find_quote(quote, text)
    assert text[begin:end] == stands


NOT_FOUND = {
    "invented": ("I want my money back", "a full refund"),
    "stitched": ("I want my money back, today", "I want today"),
    "another case": ("Money back", "money back"),
    "blanks left out": ("no table here", "notable"),
    "blanks put in": ("notable here", "not able"),
    "a letter without its mark": ("Cafe\u0301 fermé", "Cafe"),
    "a mark without its letter": ("Cafe\u0301", "\u0301"),
    "half a ligature": ("the ﬁle", "the f"),
    "half a syllable": ("\u1112\u1161\u11ab", "\u1112\u1161"),
    "half a family": (f"a {FAMILY} b", "\U0001f469"),
    "a person without the job": (f"a {CODER} b", "\U0001f469"),
    "a hand without its tone": (WAVE, WAVE[0]),
    "a tone": (WAVE, WAVE[1]),
    "halves of two flags": (FLAGS, FLAGS[1:3]),
    "a heart without its selector": ("I \u2764\ufe0f it", "\u2764"),
    "nothing": ("a text", ""),
    "blanks": ("a text", " \n"),
    "a blank text": ("", "a"),
    "an ellipsis": ("I want my money back", "I want ... back"),
    "a translation": ("我想退款", "I want a refund"),
}


@pytest.mark.parametrize(("text", "quote"), NOT_FOUND.values(), ids=NOT_FOUND)
def test_what_does_not_stand_in_the_text_is_not_found(text, quote):
    assert find_quote(quote, text) is None


PIECES = st.sampled_from(
    ["a", "b", " ", "\n", "\r\n", "\u3000", "\xa0", "退", "款", "，", "e", "\u0301", "\u0323", "é",
     "ﬁ", "Ａ", "½", "ﾊ", "ﾞ", "\u1112", "\u1161", "\u11ab", "한", "ㄱ", "ㅏ", "א", "ל\u05b8", "ﻼ",
     "\u200d", "\ufe0f", "\U0001f469", "\U0001f4bb", "\U0001f3fd", "\U0001f1e9", "\U0001f1ea",
     "ำ", "का", "\u200c", "\u200f", "\ud800", "´", "ſ\u0323\u0307"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=20).map("".join) | st.text(max_size=30)


def bare(text):
    return re.sub(r"\s+", "", unicodedata.normalize("NFKD", text))


@given(TEXTS, TEXTS)
def test_what_is_found_is_the_quote_but_for_its_form_and_its_blanks(text, quote):
    found = find_quote(quote, text)
    if found is not None:
        begin, end = found
        assert 0 <= begin < end <= len(text)
        assert bare(text[begin:end]) == bare(quote) != ""
        assert is_boundary(text, begin)
        assert is_boundary(text, end)


@given(TEXTS, st.data(), st.sampled_from(["", "NFC", "NFKC", "NFD", "blanks"]))
@example("ﾊﾞﾅﾅ", None, "NFKC")
def test_every_whole_part_of_a_text_is_found_again_in_any_form(text, data, form):
    edges = [at for at in range(len(text) + 1) if is_boundary(text, at)]
    if data is None:
        begin, end = 0, len(text)
    else:
        begin, end = sorted(data.draw(st.tuples(st.sampled_from(edges), st.sampled_from(edges))))
    part = text[begin:end]
    quote = part
    if form == "blanks":
        quote = re.sub(r"\s+", "  ", part)
    elif form:
        # what Unicode composes across the edges of characters may be another text
        quote = unicodedata.normalize(form, part)
    found = find_quote(quote, text)
    if part.strip() and (form in ("", "blanks") or quote == part):
        assert found is not None
    if found is not None:
        assert bare(text[slice(*found)]) == bare(part)
