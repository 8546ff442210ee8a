"""The floor: raw aiohttp with the same bodies; no checkpoint, no progress, no retries, no frame."""

import asyncio
import json

import aiohttp
from job import RESPONSE_FORMAT, Job, messages, run_client


async def tag_all(job: Job):
    answers = [None] * len(job.texts)
    rows = iter(enumerate(job.texts))
    url, headers = f"{job.url}/chat/completions", {"Authorization": "Bearer x"}

    async def worker(session):
        for row, text in rows:
            body = {
                "model": job.model,
                "messages": messages(text),
                "response_format": RESPONSE_FORMAT,
                "temperature": 0,
            }
            async with session.post(url, json=body) as response:
                reply = json.loads(await response.read())
            answers[row] = json.loads(reply["choices"][0]["message"]["content"])

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        await asyncio.gather(*(worker(session) for _ in range(job.concurrency)))
    return answers


def work(job: Job):
    return asyncio.run(tag_all(job))


if __name__ == "__main__":
    run_client(work)
