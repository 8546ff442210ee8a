"""The HTTP side of files and batches: one request in, one answer out."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections import Counter
from typing import IO, TYPE_CHECKING, Any

from aiohttp import web

from llmframe.testing.batches.batch import Batch, Context
from llmframe.testing.batches.clock import Clock
from llmframe.testing.batches.files import Files, page
from llmframe.testing.batches.lines import problem
from llmframe.testing.batches.multipart import parts
from llmframe.testing.batches.rules import STEPS
from llmframe.testing.faults import ApiError
from llmframe.testing.wire import Reply, dump, error

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.testing.batches.batch import Answer
    from llmframe.testing.batches.files import Stored
    from llmframe.testing.batches.rules import Rules
    from llmframe.testing.ledger import Ledger

    # a text is the name of the fault to answer with
    Done = Reply | web.StreamResponse | str

PATH = re.compile(r"/(files|batches)(?:/([^/]+))?(?:/(content|cancel))?$")
CHUNK = 1 << 20
KNOWN = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings")


class RequestError(Exception):
    """A request that cannot be served."""

    def __init__(self, message: str, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.reply = error(ApiError(status, message, "invalid_request_error", code))


class Batches:
    """The files and batches of one server. Lives on its loop."""

    def __init__(self, *, ledger: Ledger, rules: Callable[[], Rules], answer: Answer) -> None:
        self.clock = Clock()
        self._ledger = ledger
        self._rules = rules
        self._files = Files(self.clock)
        self._batches: dict[str, Batch] = {}
        self._context = Context(self.clock, self._files, rules, answer)
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns: Counter[str] = Counter()

    def rules_changed(self) -> None:
        """Lists of faults begin anew, and who waits asks again until when."""
        self._turns.clear()
        self.clock.wake()

    def serves(self, request: web.BaseRequest) -> bool:
        """Whether a request is for files or batches."""
        return _step(request) is not None

    async def reply(self, request: web.BaseRequest) -> Done:
        """The answer, or the name of the fault to answer with."""
        step, name = _step(request) or ("", "")
        self._ledger.note(step)
        fault = self._rules().fault(step, self._turns[step]) or ""
        self._turns[step] += 1
        await asyncio.sleep(self._rules().delays.get(step, 0.0))
        if request.transport is None:  # the client has left: nothing is done for nobody
            return "drop"
        try:
            return await self._faulty(request, step, name, fault)
        except RequestError as exc:
            return exc.reply
        except ConnectionError:  # the client has left in the middle of its request
            return "drop"
        except (ValueError, AttributeError) as exc:  # no JSON, no number, no multipart
            return RequestError(f"We could not parse the request: {exc}").reply

    async def _faulty(self, request: web.BaseRequest, step: str, name: str, fault: str) -> Done:
        """Do a step, or meet its fault before or after it is done."""
        when, _, what = fault.rpartition(":")
        if what and not when:
            if step == "upload":  # read before the reply: half of it where the connection ends
                half = (request.content_length or 0) // 2
                await self._discard(request, half if what == "drop" else None)
            if what == "cut":
                return await self._cut(request, self._files.by_id[name])
            if what == "missing":
                raise RequestError("No such object.", status=404)
            return what
        done = await self._do(request, step, name)
        return what or done

    async def _do(self, request: web.BaseRequest, step: str, name: str) -> Done:
        """One step without a fault."""
        match step:
            case "upload":
                return _json((await self._upload(request)).shown)
            case "create":
                return _json(self._create(json.loads(await request.content.read())).shown)
            case "list" | "list_files":
                return _json(self._list(step, request))
            case "retrieve":
                return _json(self._batch(name).shown)
            case "cancel":
                return _json(self._cancel(name).shown)
        stored = self._file(name)
        if step == "download":
            return web.FileResponse(stored.path)
        if step == "delete_file":
            self._files.remove(name)
            return _json({"id": name, "object": "file", "deleted": True})
        return _json(stored.shown)

    async def _upload(self, request: web.BaseRequest) -> Stored:
        """Write a file to disk as it comes."""
        body, path, name, purpose = self._files.new_path(), self._files.new_path(), "", ""
        with body.open("wb") as file:
            async for chunk in request.content.iter_any():
                file.write(chunk)
        for part, filename, content in parts(body, request.headers.get("Content-Type", "")):
            if part == "purpose":
                purpose = bytes(content).decode()
            elif part == "file":
                name = filename
                path.write_bytes(content)
        body.unlink()
        if purpose != "batch" or not name.endswith(".jsonl"):
            raise RequestError("A file for batches is a .jsonl file with purpose 'batch'.")
        if path.stat().st_size > (most := self._rules().max_bytes):
            path.unlink()
            raise RequestError(f"The file is larger than {most:,} bytes.", "file_too_large")
        stored = self._files.add(path, name, purpose, lag=self._rules().lag)
        self._ledger.note("upload", stored.shown)
        return stored

    def _create(self, asked: dict[str, Any]) -> Batch:
        """Start a batch."""
        source, rules = self._file(str(asked.get("input_file_id"))), self._rules()
        if asked.get("endpoint") not in KNOWN or asked.get("completion_window") != "24h":
            raise RequestError("This endpoint or completion_window is not supported.")
        _check_metadata(asked.get("metadata") or {})
        with source.path.open("rb") as file:
            if _count_lines(file) > rules.max_requests:
                raise RequestError(f"A batch has at most {rules.max_requests:,} requests.")
        queued = sum(each.tokens for each in self._batches.values() if not each.has_ended())
        number = next(self._numbers)
        batch = Batch(
            self._object(number, asked),
            source=source,
            outcome=rules.outcome(number),
            context=self._context,
        )
        if queued + batch.tokens <= rules.max_enqueued:
            task = asyncio.get_running_loop().create_task(batch.run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            message = f"Enqueued token limit reached. Limit: {rules.max_enqueued:,.0f} tokens."
            if rules.over_quota == "429":
                raise RequestError(message, "token_limit_exceeded", 429)
            batch.fail(problem("token_limit_exceeded", message))
        self._batches[batch.shown["id"]] = batch
        self._ledger.note("create", batch.shown)
        return batch

    def _object(self, number: int, asked: dict[str, Any]) -> dict[str, Any]:
        """A new batch as the API shows it."""
        now = int(self.clock.now())
        times = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling",
                 "cancelled")  # fmt: skip
        return {
            "id": f"batch_{number + 1:08d}",
            "object": "batch",
            "endpoint": asked["endpoint"],
            "model": None,
            "errors": None,
            "input_file_id": asked["input_file_id"],
            "completion_window": "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "expires_at": int(now + self._rules().window),
            **{f"{name}_at": None for name in times},
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "usage": None,
            "metadata": asked.get("metadata"),
        }

    def _list(self, step: str, request: web.BaseRequest) -> dict[str, Any]:
        is_files = step == "list_files"
        held = (self._files.by_id if is_files else self._batches).values()
        shown = [each.shown for each in held if each.listed <= self.clock.now()]
        if purpose := request.query.get("purpose"):
            shown = [each for each in shown if each.get("purpose") == purpose]
        most = 10_000 if is_files else 100
        return page(shown, request.query, usual=most if is_files else 20, most=most)

    def _cancel(self, name: str) -> Batch:
        batch = self._batch(name)
        status = batch.shown["status"]
        if status not in ("validating", "in_progress", "cancelling"):
            raise RequestError(f"Cannot cancel a batch with status '{status}'.", status=409)
        if status != "cancelling":
            batch.cancel()
        return batch

    def _batch(self, name: str) -> Batch:
        if name not in self._batches:
            raise RequestError(f"No batch found with id '{name}'.", status=404)
        return self._batches[name]

    def _file(self, name: str) -> Stored:
        if name not in self._files.by_id:
            raise RequestError(f"No such File object: {name}", status=404)
        return self._files.by_id[name]

    @staticmethod
    async def _discard(request: web.BaseRequest, most: int | None) -> None:
        """Read a body, or the first bytes of it, for nothing."""
        read = 0
        async for chunk in request.content.iter_any():
            read += len(chunk)
            if most is not None and read >= most:
                return

    @staticmethod
    async def _cut(request: web.BaseRequest, stored: Stored) -> web.StreamResponse:
        """Send half of a file, and end the connection."""
        response = web.StreamResponse()
        response.content_length = stored.path.stat().st_size
        await response.prepare(request)
        await response.write(stored.path.read_bytes()[: response.content_length // 2])
        if request.transport is not None:
            request.transport.close()
        return response


def _step(request: web.BaseRequest) -> tuple[str, str] | None:
    """The step that a request is for, and the id that it names; None for the paths of others."""
    found = PATH.search(request.path)
    if found is None:
        return None
    kind, name, tail = found.groups()
    step = STEPS.get((request.method, kind, name is not None, tail))
    return None if step is None else (step, name or "")


def _json(value: object) -> Reply:
    return Reply(200, dump(value))


def _count_lines(file: IO[bytes]) -> int:
    return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(CHUNK), b""))


def _check_metadata(metadata: dict[str, str]) -> None:
    if len(metadata) > 16:
        raise RequestError("metadata has at most 16 pairs.")
    if any(len(key) > 64 or len(value) > 512 for key, value in metadata.items()):
        raise RequestError("metadata has keys of up to 64 and values of up to 512 characters.")
