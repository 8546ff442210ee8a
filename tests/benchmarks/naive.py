"""The obvious script: AsyncOpenAI, a semaphore, gather, tenacity, tqdm, JSONL with a flush."""

import asyncio
import json

import pandas as pd
from job import RESPONSE_FORMAT, Job, messages, run_client
from openai import AsyncOpenAI
from tenacity import retry, stop_after_attempt, wait_random_exponential
from tqdm.asyncio import tqdm


async def tag_all(df, job):
    client = AsyncOpenAI(base_url=job.url, api_key="x")
    semaphore = asyncio.Semaphore(job.concurrency)

    @retry(wait=wait_random_exponential(min=1, max=60), stop=stop_after_attempt(6))
    async def tag(text):
        completion = await client.chat.completions.create(
            model=job.model,
            messages=messages(text),
            response_format=RESPONSE_FORMAT,
            temperature=0,
        )
        return json.loads(completion.choices[0].message.content)

    with (job.folder / "answers.jsonl").open("a", encoding="utf-8") as file:

        async def tag_row(row, text):
            async with semaphore:
                answer = await tag(text)
            file.write(json.dumps({"row": row, **answer}, ensure_ascii=False) + "\n")
            file.flush()
            return answer

        tasks = [tag_row(row, text) for row, text in df["text"].items()]
        answers = await tqdm.gather(*tasks)
    await client.close()
    return df.join(pd.DataFrame(answers, index=df.index))


def work(job: Job):
    return asyncio.run(tag_all(pd.DataFrame({"text": job.texts}), job))


if __name__ == "__main__":
    run_client(work)
