"""A review by keys in a notebook, with ipywidgets alone.

A text box catches the keys, because notebooks leave keys alone while a text box has the focus.
What was typed stays in it: the new characters are the keys, and clearing it would lose those that
are on their way. Its letters are transparent. The page itself shows whether the box has the focus
(``:focus-within``), and every button gives it back.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from llmframe.errors import LLMFrameError
from llmframe.notebook import hosts
from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.escape import plain
from llmframe.notebook.hosts import bundle, close_widget, free_route, show, show_widget
from llmframe.notebook.review.drawing import question_html
from llmframe.notebook.review.keys import HELP, SKIP, UNDO
from llmframe.notebook.review.question import act

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.notebook.review.question import Question, Reviewing

GUARD = 0.2  # seconds after a row was drawn in which no key counts: nobody has read it
FOCUS = 1.0  # seconds until the page has drawn the box, which then can take the focus
_LABEL = 60  # characters of a button
_CLASS = "llmframe-review"
# one sheet for all reviews of a page; without it all still works, and both sentences show
_SHEET = f"""<style>
.{_CLASS} .llmframe-keys input {{color:transparent !important;caret-color:auto}}
.{_CLASS} .llmframe-off {{color:#d03a30;font-weight:600}}
.{_CLASS} .llmframe-on {{display:none;color:#2e9d6a;font-weight:600}}
.{_CLASS}:focus-within .llmframe-on {{display:inline}}
.{_CLASS}:focus-within .llmframe-off {{display:none}}
</style>"""
_FOCUS = (
    f'{_SHEET}<span class="llmframe-on">keys are on</span>'
    '<span class="llmframe-off">keys are off: click on the box or on a button</span>'
)
_TYPED = (
    f'{_SHEET}<span class="llmframe-on">type the beginning of a label, then Enter</span>'
    '<span class="llmframe-off">click on the box to type</span>'
)
_LEFT_OPEN = "llmframe: a review that was not ended here; run the cell again to go on"


class ReviewWidget:
    """One review in the cell that opens it.

    review: what is asked. clock: in seconds, for the guard.
    """

    def __init__(self, review: Reviewing, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.review = review
        review.changed = self.draw
        self._clock = clock
        self._seen = ""
        self._help = False
        self._message = ""
        self._drawn = -GUARD  # nothing is drawn yet, so nothing is guarded
        self._lock = threading.RLock()
        self._cells: set[str] = set()
        self._handles: list[Any] = []
        self.closed = False

    def open(self) -> None:
        """Show the first row in the running cell."""
        import ipywidgets

        self.body = ipywidgets.HTML("")
        keys = self.review.keys
        wide = {"width": "150px" if keys.are_single else "320px"}
        shared: Any = {"layout": wide, "style": {"description_width": "auto"}}
        if keys.are_single:
            self.box: Any = ipywidgets.Text(description="keys", continuous_update=True, **shared)
            self.box.add_class("llmframe-keys")
        else:  # it completes what is typed
            options = [plain(label) for label in keys.labels]
            self.box = ipywidgets.Combobox(description="label", options=options, **shared)
        self.box.observe(self._typed, "value")
        self.box.on_msg(self._message_of)
        self.labels = [self._label(at) for at in range(len(keys.labels) if keys.are_single else 0)]
        self.commands = [
            self._button("u undo", UNDO, "undo"),
            self._button("n put last", SKIP, "forward"),
            self._button("h help", HELP, "question"),
        ]
        wrap = {"flex_flow": "row wrap", "max_width": style.WIDTH}
        focus = ipywidgets.HTML(_FOCUS if keys.are_single else _TYPED)
        labels = ipywidgets.HBox(self.labels, layout=wrap)
        below = ipywidgets.HBox([self.box, focus, *self.commands], layout=wrap)
        self._parts = (self.body, self.box, focus, labels, below)
        self.whole = ipywidgets.VBox([self.body, labels, below])
        self.whole.add_class(_CLASS)
        self.draw()
        self._display()
        self._focus_soon()

    def _display(self) -> None:
        self._cells.add(hosts.running_cell())
        self._handles.append(show_widget(self.whole, _LEFT_OPEN))
        for widget in (self.box, *self.labels, *self.commands):
            free_route(widget)  # keys reach the kernel while another cell runs

    def _focus_soon(self) -> None:
        """Give the box the focus once it is drawn, unless the person has run another cell."""
        count = getattr(hosts.shell(), "execution_count", None)

        def focus() -> None:
            # the count of the running cell is raised when it ends
            if getattr(hosts.shell(), "execution_count", None) in (count, (count or 0) + 1):
                self.box.focus()

        timer = threading.Timer(FOCUS, focus)
        timer.daemon = True
        timer.start()

    def _label(self, at: int) -> Any:
        keys = self.review.keys
        words = f"{keys.of[at]} {plain(keys.labels[at], limit=_LABEL)}"
        return self._button(words, at, "", tooltip=plain(keys.labels[at]))

    def _button(self, words: str, meant: int | str, icon: str, tooltip: str = "") -> Any:
        import ipywidgets

        button = ipywidgets.Button(
            description=words, icon=icon, tooltip=tooltip or words, layout={"width": "auto"}
        )

        def click(_: object) -> None:
            self._do(meant, guarded=False)  # who clicks has aimed
            self.box.focus()

        button.on_click(click)
        return button

    def draw(self) -> None:
        """Show what the review asks now."""
        with self._lock:
            if self.closed:
                return
            question = self.review.question()
            self.body.value = question_html(question, help_shown=self._help, message=self._message)
            self._drawn = self._clock()

    def show_again(self) -> bool:
        """Show the review in another cell that displays it; once in each cell."""
        if hosts.running_cell() in self._cells:
            return True
        if self.closed:
            question = self.review.question()
            show(bundle(question_html(question, help_shown=False, message=""), _text(question)))
        else:
            self._display()
        return True

    def close(self) -> None:
        """Put what was found in the place of the widgets."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            question = self.review.question()
            card = question_html(question, help_shown=False, message="")
            for widget in (*self.labels, *self.commands, *self._parts, self.whole):
                close_widget(widget)
            for handle in self._handles:
                handle.update(bundle(card, _text(question)), raw=True)

    def _typed(self, change: Any) -> None:
        """Take the new characters of the box as keys."""
        old, self._seen = self._seen, change["new"]
        if self.review.keys.are_single:
            for key in inserted(old, self._seen):
                self._do(self.review.keys.read(key), guarded=True)
        free_route(self.box)  # the kernel has answered the page, which binds the box to this shell

    def _message_of(self, _: object, content: Any, __: object) -> None:
        if content.get("event") == "submit" and not self.review.keys.are_single:
            self.enter()

    def enter(self) -> None:
        """Take what was typed as a label's name, where labels have no keys."""
        typed = self.box.value
        meant = self.review.keys.read_line(typed)
        self._do(meant, guarded=False)
        if meant is None and typed:
            self._message = f"{typed} is no label, or the beginning of several"
            self.draw()
        self.box.value = self._seen = ""

    def _do(self, meant: int | str | None, *, guarded: bool) -> None:
        # without the lock: code may answer at the same time, and its answer is drawn here
        too_early = self._clock() - self._drawn < GUARD
        if meant is None or (guarded and too_early and meant != UNDO):  # to undo harms nothing
            return
        self._help ^= meant == HELP
        self._message = ""
        try:
            if act(self.review, meant):  # the review has had the next row drawn
                return
        except LLMFrameError as exc:  # a full disk: the row stays, and says so
            self._message = str(exc)
        self.draw()


def _text(question: Question) -> str:
    return "\n".join((f"llmframe: {question.progress}", *question.closing))


def inserted(old: str, new: str) -> str:
    """The characters that were typed into a box, wherever its caret was."""
    begin = 0
    while begin < min(len(old), len(new)) and old[begin] == new[begin]:
        begin += 1
    end = 0
    while end < min(len(old), len(new)) - begin and old[-1 - end] == new[-1 - end]:
        end += 1
    return new[begin : len(new) - end]
