"""Which stored answers are a call's own: the same request in any spelling; and which nearly."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmframe.errors import PlanError
from llmframe.journal.paths import DEFAULT_FOLDER, default_folders
from llmframe.journal.shared import open_stores
from llmframe.journal.stored_tasks import StoredTask, count_answers, first_tasks, tasks_at
from llmframe.messages.differences import differences, nearly_the_same
from llmframe.providers.address import earlier_identity, endpoint_identity, is_loopback
from llmframe.providers.discover import are_different, served_model
from llmframe.runs.session import registry
from llmframe.task.keys import KeyMaker, Question, normal_form, prompt_hashes
from llmframe.task.prompt import PROMPT_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from llmframe.engine.rows.parts import Job
    from llmframe.journal import Checkpoint
    from llmframe.options.settings import Settings
    from llmframe.providers.destination import Destination
    from llmframe.task.prompt import Prompt

SAMPLE = 1000  # rows, spread over the frame, whose answers under other questions are counted
LEAST = 20  # rows; fewer are no loss worth a warning
MOST_NEAR = 3  # nearly equal tasks whose files are read, the newest


def question_of(prompt: Prompt, destination: Destination, dimensions: int | None) -> Question:
    """The question put to every row, in its normal form: keys are made from it.

    dimensions: numbers of an embedding, where they are asked for.
    """
    return normal_form(_as_given(prompt, destination, dimensions, destination.identity))


def earlier_question(
    prompt: Prompt, destination: Destination, dimensions: int | None, *, served: object = None
) -> Question:
    """The question as version 0.1 made keys from it: spelled as the call spells it.

    served: what the server tells about its model, where that is part of the question.
    """
    url = destination.endpoint.base_url
    identity = earlier_identity(url) if destination.file is None else destination.identity
    question = _as_given(prompt, destination, dimensions, identity)
    return question | ({} if served is None else {"served": served})


def _as_given(
    prompt: Prompt, destination: Destination, dimensions: int | None, endpoint: str
) -> Question:
    settings = destination.settings
    question = _said(prompt) | {"model": settings.model, "endpoint": endpoint}
    sampling = sampling_of(settings)
    if destination.endpoint.api == "embeddings":  # another question than a chat model answers
        question |= {"api": "embeddings"}
        extra = {name: value for name, value in sampling.items() if name == "extra_body"}
        sampling = extra if dimensions is None else extra | {"dimensions": dimensions}
    if prompt.examples:
        question |= {"examples": [example.digest for example in prompt.examples]}
    # An empty entry would change the keys of all calls that give none of these options.
    return question | ({"sampling": sampling} if sampling else {})


def sampling_of(settings: Settings) -> dict[str, Any]:
    """How a model that writes is to answer: only what was given."""
    given = {
        "temperature": None if settings.temperature is None else float(settings.temperature),
        "seed": settings.seed,
        "max_output_tokens": settings.max_output_tokens,
        "extra_body": dict(settings.extra_body) if settings.extra_body else None,
        "logprobs": settings.confidence == "logprob" or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _said(prompt: Prompt) -> Question:
    """What the model reads, whichever model that is."""
    return {
        "version": PROMPT_VERSION,
        "instructions": prompt.instructions,
        "fields": prompt.fields.canonical,
    }


def prompts_of(prompt: Prompt, form: object) -> dict[str, str]:
    """For each field the hash of its prompt, by which ``extend=True`` knows answers again.

    form: the input as JSON. Model, endpoint and sampling do not count.
    """
    shown = {
        name: [example.only({name}).digest for example in prompt.examples]
        for name in prompt.fields.names
    }
    return prompt_hashes(normal_form(_said(prompt) | {"model": ""}), form, shown)


def server_of(destination: Destination) -> dict[str, Any] | None:
    """The server on this machine that a call asks, as its checkpoint notes it; None for others.

    Asks it for its models, which costs nothing; a client of the person's own is left alone.
    """
    url = destination.endpoint.base_url
    is_own = destination.file is not None or destination.endpoint.client is not None
    if is_own or not is_loopback(urlsplit(url).hostname or ""):
        return None
    stated = served_model(url, str(destination.settings.model))
    return {"address": url.rstrip("/")} | ({"model": stated} if stated else {})


def told_apart(
    asked: Question, server: dict[str, Any] | None, tasks: Iterable[StoredTask]
) -> Question:
    """The question; with what the server tells where another server's model answered it before.

    Ports are no part of an address on this machine, so the same question at two of them has the
    same keys otherwise.
    """
    stated = (server or {}).get("model")
    if not isinstance(stated, dict):
        return asked
    for task in tasks:
        held = task.server.get("model")
        differ = isinstance(held, dict) and are_different(held, stated)
        if differ and normal_of(task.settings) == asked:
            return asked | {"served": stated}
    return asked


def tasks_before(where: Path | None) -> Iterator[StoredTask]:
    """The tasks of runs that are alive, of a person's own file, and of the default folders."""
    for session in registry.alive():
        if checkpoint := session.execution.job.checkpoint:
            task = checkpoint.task
            yield StoredTask(checkpoint.path, task.digest, task.settings, task.server or {})
    yield from tasks_at(where) if where is not None else ()
    yield from first_tasks(default_folders(DEFAULT_FOLDER))


def answered_elsewhere(checkpoint: Checkpoint, server: dict[str, Any] | None) -> str:
    """The sentence about answers that another address of this machine gave; "" without any."""
    here = (server or {}).get("address")
    digests = {checkpoint.task.digest, *checkpoint.earlier}
    others = {str(t.server["address"]) for t in checkpoint.tasks() if t.digest in digests
              and t.server.get("address")} - {here}  # fmt: skip
    if here is None or not others:
        return ""
    return (
        f"Answers from {', '.join(sorted(others))} are reused, though this call asks {here}: "
        "nothing tells the two servers' models apart. reuse=False asks again."
    )


class StoredQuestions:
    """The tasks that the default folders and a checkpoint hold, compared with one question.

    asked: the question in its normal form. keys: of it. earlier: the question as the call spells
    it.
    """

    def __init__(self, asked: Question, keys: KeyMaker, earlier: Question) -> None:
        self._asked = asked
        self._keys = keys
        self._given = KeyMaker(earlier)
        self._tasks = first_tasks(default_folders(DEFAULT_FOLDER))
        self._in_use = open_stores()

    @property
    def same(self) -> tuple[bytes, ...]:
        """The digests of the question's other spellings, stored or given."""
        spelled = [self._given, *self._other_spellings(self._tasks)]
        digests = dict.fromkeys(keys.digest for keys in spelled)
        return tuple(digest for digest in digests if digest != self._keys.digest)

    def read(self, checkpoint: Checkpoint) -> None:
        """Let the call find the answers that a checkpoint holds for other spellings."""
        held = [*checkpoint.tasks()]
        stored = {task.digest for task in held}
        spelled = [self._given, *self._other_spellings(held)]
        found = {keys.digest: keys for keys in spelled if keys.digest in stored}
        found.pop(self._keys.digest, None)
        self._keys.earlier, checkpoint.earlier = tuple(found.values()), tuple(found)
        self._tasks = [*held[::-1], *self._tasks]

    def warning(self, job: Job, checkpoint: Checkpoint) -> str:
        """What differs from a question that these rows were answered under, if that is all.

        "" where there is none, or where this question is answered already.
        """
        near = [(task, keys) for task, keys in self._near() if keys.digest not in self.same]
        if job.settings.where is not None:  # another model for chosen rows is what the person wants
            near = [one for one in near if not _differ_in_model(one[0], self._asked)]
        # a function of the person's may take any time, and without it no key can be made
        if not near or not job.settings.reuse or job.rules.redact is not None:
            return ""
        texts, share = _sample(job)
        unanswered = [text for text in texts if not checkpoint.holds(self._keys.key(text))]
        if len(unanswered) < LEAST:
            return ""
        counts = [count_answers(task.path, map(keys.key, unanswered)) for task, keys in near]
        most = max(counts)
        if most < LEAST:
            return ""
        task, _ = near[counts.index(most)]
        different = differences(normal_of(task.settings), self._asked)
        return nearly_the_same(
            different,
            since=date.fromtimestamp(task.path.stat().st_mtime),
            asked=len(unanswered),
            rows=len(texts),
            saved=most,
            share=share,
        )

    def _other_spellings(self, tasks: Iterable[StoredTask]) -> list[KeyMaker]:
        return [
            keys
            for task in tasks
            if normal_of(task.settings) == self._asked and (keys := _keys_of(task)) is not None
        ]

    def _near(self) -> list[tuple[StoredTask, KeyMaker]]:
        found: dict[tuple[Path, bytes], tuple[StoredTask, KeyMaker]] = {}
        for task in self._tasks:
            if len(found) == MOST_NEAR:
                break
            if task.path in self._in_use:  # two questions that are asked side by side on purpose
                continue
            if differences(normal_of(task.settings), self._asked) and (keys := _keys_of(task)):
                found[task.path, task.digest] = task, keys
        return [*found.values()]


def normal_of(settings: dict[str, Any]) -> Question:
    """A stored task's question in its normal form; {} if it is none."""
    try:
        endpoint = endpoint_identity(settings["endpoint"])
        return normal_form({**settings, "endpoint": endpoint})
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, PlanError):
        return {}  # forged


def _differ_in_model(task: StoredTask, asked: Question) -> bool:
    """Whether a stored task asks the same of another model, at this endpoint or another."""
    different = dict.fromkeys(("model", "endpoint", "served"))
    return {**normal_of(task.settings), **different} == {**asked, **different}


def keys_of_settings(digest: str, settings: dict[str, Any]) -> KeyMaker | None:
    """The keys of a stored task; None where its settings are not all in its line.

    digest: of the task, 32 hex digits.
    """
    try:
        keys = KeyMaker(settings)
    except PlanError:
        return None
    return keys if keys.digest.hex() == digest else None  # a password in it was hidden


def _keys_of(task: StoredTask) -> KeyMaker | None:
    return keys_of_settings(task.digest.hex(), task.settings)


def _sample(job: Job) -> tuple[list[str], float]:
    """Texts of rows as they are sent, spread over the frame; and how many of the rows they are."""
    texts = [*job.texts(SAMPLE)]
    sent = [text for text in texts if isinstance(text, str)]
    return sent, len(texts) / job.rows.n if job.rows.n else 1.0
