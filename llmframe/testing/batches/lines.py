"""The lines of files: what may stand in a request's, and what is written into a result's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llmframe.testing.wire import dump

if TYPE_CHECKING:
    from llmframe.testing.wire import Reply

MOST_PROBLEMS = 50  # a failed batch does not list more
LONGEST_ID = 64
EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}
NO_REPLY = {"code": "request_timeout", "message": "The request did not complete in time."}


def problem(code: str, message: str, line: int | None = None) -> dict[str, Any]:
    """One entry of a failed batch's errors."""
    return {"code": code, "message": message, "param": None, "line": line}


class Check:
    """Looks at the requests of one file in turn, and collects what is wrong with them."""

    def __init__(self, url: str) -> None:
        self.problems: list[dict[str, Any]] = []
        self.model: str | None = None
        self._url = url
        self._names: set[str] = set()

    def add(self, line: bytes, number: int) -> None:
        """Look at the next request; number: of its line, from 1."""
        found = self._wrong(line)
        if found and len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem(*found, number))

    def _wrong(self, line: bytes) -> tuple[str, str] | None:
        try:
            asked = json.loads(line)
            name, method, url, body = (
                asked.get(key) for key in ("custom_id", "method", "url", "body")
            )
        except (ValueError, AttributeError):
            return "invalid_json_line", "This line is not parseable as valid JSON."
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_ID:
            return "invalid_custom_id", f"custom_id is a text of 1 to {LONGEST_ID} characters."
        if name in self._names:
            return "duplicate_custom_id", f"The custom_id '{name}' is used more than once."
        self._names.add(name)
        if method != "POST":
            return "invalid_method", f"The method {method!r} is not supported."
        if url != self._url:
            return "mismatched_url", f"The URL {url!r} is not the batch's, {self._url!r}."
        if not isinstance(body, dict) or not isinstance(body.get("model"), str):
            return "missing_required_parameter", "Missing required parameter: 'body.model'."
        self.model = self.model or body["model"]
        if body["model"] != self.model:
            return "mismatched_model", "All requests of a batch are for the same model."
        return None


def result(
    number: str, name: str, reply: Reply | None, error: dict[str, str] | None = None
) -> bytes:
    """A line of a result or error file: a request's reply, or why there is none."""
    answered = b"null"
    if reply is not None:
        # the body is JSON already: parsing it again would double the work for a row
        head = f'{{"status_code":{reply.status},"request_id":"req_{number}","body":'
        answered = head.encode() + reply.body + b"}"
    elif error is None:
        error = NO_REPLY
    head = f'{{"id":"batch_req_{number}","custom_id":{json.dumps(name)},"response":'
    return head.encode() + answered + b',"error":' + dump(error) + b"}\n"


def spoilt(lines: list[bytes], how: str | None) -> list[bytes]:
    """What is written in place of a result's line; how: a name of rules.LINES, None for nothing."""
    match how:
        case "broken":
            return [line[: len(line) // 2] + b"\n" for line in lines]
        case "repeated":
            return lines * 2
        case "absent":
            return []
    return lines
