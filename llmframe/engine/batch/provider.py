"""The calls of a provider's Batch API; no policy, no retry."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from llmframe.engine.batch.state import Remote, read_remote
from llmframe.engine.wire.reply import read_json
from llmframe.engine.wire.verdict import BadReply

if TYPE_CHECKING:
    from openai import AsyncOpenAI

PAGE = 100  # batches listed at once
PAGES = 50  # the most that are read: 5,000 batches
WINDOW = "24h"  # the only one that all providers know


class BatchProvider:
    """Files and batches of one endpoint; every call raises as ``Backend.send`` does.

    url: of the API in each line of a file. purpose: of an upload.
    """

    def __init__(self, client: AsyncOpenAI, *, url: str, purpose: str) -> None:
        import httpx2

        self._sdk = client
        self._url = url
        self._purpose: Any = purpose
        self._response = httpx2.Response

    async def upload(self, file: IO[bytes], name: str) -> str:
        """Upload a file of requests; returns its id."""
        file.seek(0)
        upload = (name, file, "application/jsonl")
        files = self._sdk.files.with_raw_response
        answer = await files.create(file=upload, purpose=self._purpose)
        data = read_json(answer.http_response)
        file_id = data.get("id") if isinstance(data, dict) else None
        if not isinstance(file_id, str) or not file_id:
            # without an id the same file would be uploaded again, at once and for ever
            raise BadReply("the endpoint answered an upload with no file")
        return file_id

    async def create(self, file: str, nonce: str, *, metadata: dict[str, str]) -> Remote:
        """Start a batch of an uploaded file. nonce: by which it is known again."""
        body = {
            "input_file_id": file,
            "endpoint": self._url,
            "completion_window": WINDOW,
            "metadata": {"llmframe": nonce, **metadata},
        }
        # for providers that know the header: the same request again starts nothing new
        options: Any = {"headers": {"Idempotency-Key": nonce}, "follow_redirects": False}
        return self._read(
            await self._sdk.post("/batches", body=body, cast_to=self._response, options=options)
        )

    async def look(self, batch: str) -> Remote:
        """A batch as it is now."""
        return self._read(await self._sdk.get(f"/batches/{batch}", cast_to=self._response))

    async def cancel(self, batch: str) -> Remote:
        """Ask the provider to end a batch; what it has answered by then is kept and paid."""
        return self._read(await self._sdk.post(f"/batches/{batch}/cancel", cast_to=self._response))

    async def find(self, nonce: str, file: str) -> list[Remote]:
        """The batches with this nonce or, where a provider keeps none, with this input file."""
        found: list[Remote] = []
        params: dict[str, Any] = {"limit": PAGE}
        for _ in range(PAGES):
            options: Any = {"params": params}
            data = read_json(
                await self._sdk.get("/batches", cast_to=self._response, options=options)
            )
            listed = data if isinstance(data, list) else data.get("data") or []
            page = [read_remote(one) for one in listed]
            found += [one for one in page if _is_meant(one, nonce, file)]
            if isinstance(data, list) or not data.get("has_more") or not page:
                break
            params["after"] = page[-1].id
        return found

    async def download(self, file: str, to: IO[bytes]) -> None:
        """Write a file's content."""
        async with self._sdk.files.with_streaming_response.content(file) as response:
            async for part in response.iter_bytes():
                to.write(part)

    def _read(self, response: Any) -> Remote:
        try:
            return read_remote(read_json(response))
        except ValueError as exc:
            raise BadReply("the endpoint answered with no batch") from exc


def _is_meant(remote: Remote, nonce: str, file: str) -> bool:
    return remote.nonce == nonce or (not remote.nonce and bool(file) and remote.file == file)
