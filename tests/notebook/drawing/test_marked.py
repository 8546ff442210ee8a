"""Quotes are highlighted in the text that they stand in, and all of it is safe to show."""

from llmframe.notebook.drawing.escape import html, marked
from llmframe.notebook.drawing.preview import rows_html
from llmframe.notebook.view import PreviewRow


def test_a_quote_is_highlighted_where_it_stands_and_nothing_else_changes():
    text = "Hello,\nI want <b>my money</b> back, $5"
    shown = marked(text, ["want <b>my", "Hello,\nI", "nowhere"])
    assert shown.count("<mark") == 2
    assert ">want &lt;b&gt;my</mark>" in shown
    assert ">Hello, I</mark>" in shown
    bare = shown.replace("</mark>", "")
    while "<mark" in bare:
        begin = bare.index("<mark")
        bare = bare[:begin] + bare[bare.index(">", begin) + 1 :]
    assert bare == html(text)


def test_a_text_without_quotes_is_shown_as_it_was():
    assert marked("a <b>", []) == marked("a <b>", [" "]) == html("a <b>")


def test_a_preview_highlights_the_evidence_in_its_texts():
    values = {"intent": "refund", "intent_evidence": "money", "note": "want"}
    row = PreviewRow("0", text="I want my money", state="done", values=values)
    shown = rows_html([row])
    assert shown.count("<mark") == 1
    assert ">money</mark>" in shown
