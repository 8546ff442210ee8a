"""Files and batches of the test server, by the SDK's own client."""

from __future__ import annotations

import json
from contextlib import contextmanager

from openai import OpenAI

from tests.kits.http_client import body
from tests.kits.until import until

CHAT = "/v1/chat/completions"


@contextmanager
def client_of(server):
    """A client that sends everything once."""
    with OpenAI(base_url=server.url, api_key="k", max_retries=0, timeout=20) as client:
        yield client


def request(text, name=None, **more):
    """One request of a file: a row's text, by default under the text as its custom_id."""
    return {"custom_id": name or text, "method": "POST", "url": CHAT, "body": body(text)} | more


def lines(requests):
    """The file of requests; a text stands for the request for it, bytes for themselves."""
    made = [request(each) if isinstance(each, str) else each for each in requests]
    return b"".join(
        (each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in made
    )


def upload(client, requests):
    return client.files.create(file=("in.jsonl", lines(requests)), purpose="batch")


def create(client, requests, **more):
    """A batch of requests."""
    file = upload(client, requests)
    given = {"endpoint": CHAT, "completion_window": "24h"} | more
    return client.batches.create(input_file_id=file.id, **given)


def reaches(client, batch, *statuses):
    """The batch once it is in one of these states."""

    def found():
        now = client.batches.retrieve(batch.id)
        return now if now.status in statuses else None

    return until(found)


def results(client, name):
    """The lines of a result or error file; [] where there is none."""
    if name is None:
        return []
    return [json.loads(line) for line in client.files.content(name).read().splitlines()]
