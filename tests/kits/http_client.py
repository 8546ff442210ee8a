"""Requests to the test server by a plain HTTP client, not by the SDK."""

from __future__ import annotations

import asyncio
import json

import aiohttp

SCHEMA = {
    "type": "object",
    "properties": {
        "intent": {"type": "string", "enum": ["refund", "delivery", "other"]},
        "urgency": {"anyOf": [{"enum": ["low", "high"]}, {"type": "null"}]},
        "summary": {"type": "string"},
    },
    "required": ["intent", "urgency", "summary"],
    "additionalProperties": False,
}


FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": SCHEMA}}


def body(text, **more):
    messages = [
        {"role": "system", "content": "Tag it."},
        {"role": "user", "content": f"<record n1>\n{text}\n</record n1>"},
    ]
    return {"model": "m", "messages": messages, "response_format": FORMAT} | more


class Answer:
    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def content(self):
        return self.json["choices"][0]["message"]["content"]

    @property
    def values(self):
        return json.loads(self.content)


async def send(session, server, request, **headers):
    headers = {"Authorization": "Bearer k", **headers}
    url = server.url + "/chat/completions"
    async with session.post(url, json=request, headers=headers) as response:
        return Answer(response.status, response.headers, await response.text())


def ask_all(server, requests, *, concurrent=False, timeout=10.0):
    """The answers to requests (bodies or texts), one after another or all at once."""

    async def main():
        limit = aiohttp.ClientTimeout(total=timeout)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=limit, connector=connector) as session:
            made = [send(session, server, r if isinstance(r, dict) else body(r)) for r in requests]
            if concurrent:
                return await asyncio.gather(*made, return_exceptions=True)
            return [await one for one in made]

    return asyncio.run(main())


def ask(server, request, **more):
    return ask_all(server, [request], **more)[0]
