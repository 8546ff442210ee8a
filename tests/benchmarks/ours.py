"""llmframe, as a notebook calls it: checkpoint and progress on."""

import pandas as pd
from job import FIELDS, INSTRUCTIONS, Job, run_client

import llmframe  # noqa: F401 - registers df.llm


def work(job: Job):
    return pd.DataFrame({"text": job.texts}).llm.tag(
        "text",
        FIELDS,
        instructions=INSTRUCTIONS,
        model=job.model,
        base_url=job.url,
        api_key="x",
        concurrency=job.concurrency,
        checkpoint=job.folder / "answers.jsonl",
        progress="tqdm",
    )


if __name__ == "__main__":
    run_client(work)
