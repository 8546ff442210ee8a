"""A server that answers with exactly the bytes of a script, for replies no sane server sends.

    with Raw(lambda asked: http(b"<html>")) as server: ...   # server.url, server.asked

A script gets an Asked and returns what to send: bytes, or a list of bytes, seconds to wait, and
CLOSE. A connection is kept where the answer is HTTP/1.1 without ``connection: close``.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from llmframe.testing import expected
from llmframe.testing.answers import asked_schema, row_text
from tests.kits import listening

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    Script = Callable[["Asked"], "bytes | list[bytes | float | str]"]

CHECKED = 200  # bytes of an answer that are checked for whether the connection is kept
CLOSE = "close"  # in a script's list: end the connection here


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. number: from 0, over all; attempt: the same of its row. peer: client's port.

    line: the first of the request, with its target.
    """

    body: dict[str, Any]
    headers: dict[str, str]
    row: str
    number: int
    attempt: int
    peer: int
    at: float
    line: str = ""

    @property
    def answer(self) -> dict[str, Any]:
        """The right answer, the same that ``testing.serve`` gives."""
        return expected(self.row, asked_schema(self.body) or {})

    @property
    def content(self) -> str:
        """The right answer as a message's content."""
        return json.dumps(self.answer)


def completion(content: object, **changes: Any) -> dict[str, Any]:
    """A chat completion as JSON; changes: of its top level, ``message`` and ``finish`` inside."""
    message = {"role": "assistant", "content": content} | changes.pop("message", {})
    choice = {"index": 0, "message": message, "finish_reason": changes.pop("finish", "stop")}
    body = {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [choice],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }  # fmt: skip
    return body | changes


def http(body: object, status: str = "200 OK", **headers: str) -> bytes:
    """An HTTP/1.1 answer; what is no bytes is sent as JSON. headers: ``retry_after="1"``."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"content-type": "application/json", "content-length": str(len(content))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + content


def good(asked: Asked) -> bytes:
    """The right answer."""
    return http(completion(asked.content))


class Raw:
    """A server in threads, one for each connection; a context manager.

    context: for TLS. asked: all requests so far.
    """

    def __init__(self, script: Script, *, context: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._context = context
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._rows: Counter[str] = Counter()
        self.asked: list[Asked] = []
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._closed.set()
        listening.close(self._listener)
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def rows(self) -> Counter[str]:
        """How many requests came for each row."""
        return Counter(asked.row for asked in list(self.asked))

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, (_, peer) = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection, peer), daemon=True).start()

    def _serve(self, connection: socket.socket, peer: int) -> None:
        with contextlib.suppress(OSError, ValueError), connection:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with self._lock:
                self._open.add(connection)
            # once more, as TLS has put another socket in its place
            with connection, connection.makefile("rb") as reader:
                while self._answer(connection, reader, peer):
                    pass
            with self._lock:
                self._open.discard(connection)

    def _answer(self, connection: socket.socket, reader: Any, peer: int) -> bool:
        """Answer one request; whether the connection is kept."""
        if not (first := reader.readline()):
            return False
        headers = {}
        while (line := reader.readline().strip().decode("latin-1")) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if first.startswith(b"GET ") and b"/models" in first:  # no request of a script's
            connection.sendall(http({}, "404 Not Found"))
            return True
        body = json.loads(reader.read(int(headers.get("content-length", 0))) or b"{}")
        reply = self._script(self._note(first.decode().strip(), body, headers, peer))
        sent = b""
        for part in [reply] if isinstance(reply, bytes) else reply:
            if part == CLOSE:
                return False
            if isinstance(part, bytes):
                connection.sendall(part)
                sent += part[:CHECKED]
            else:
                self._closed.wait(part)
        return sent.startswith(b"HTTP/1.1") and b"connection: close" not in sent

    def _note(self, line: str, body: dict[str, Any], headers: dict[str, str], peer: int) -> Asked:
        row = row_text(body.get("messages", []))
        with self._lock:
            attempt = self._rows[row]
            self._rows[row] += 1
            asked = Asked(
                body, headers, row, len(self.asked), attempt, peer, time.monotonic(), line
            )  # fmt: skip
            self.asked.append(asked)
        return asked
