"""Serve one file of weights until stdin closes: the script that ``LocalServer`` starts.

It imports nothing of llmframe. The order comes as a line of JSON on stdin, so that no key
shows in the list of processes; the answer is a line of JSON on stdout.
"""

import json
import os
import sys
from typing import Any


def start(order: dict[str, Any]) -> Any:
    """Start llama.cpp's own server; ``LocalServer`` writes the order."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = order["weights"]
    params.model_alias = {order["name"]}
    params.n_parallel = order["slots"]
    params.n_ctx = order["slots"] * order["context"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = order["threads"]
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    params.port = 0  # a free one, of 127.0.0.1
    params.api_keys = [order["key"]]
    params.cors_origins = ""  # no page of a browser may ask it
    params.ui = params.endpoint_slots = params.warmup = False
    params.cache_ram_mib = 0
    params.verbosity = order["verbosity"]
    if order["embeds"]:
        params.embedding = True
        params.n_batch = params.n_ubatch = order["context"]  # a text is read in one step
    return xllamacpp.Server(params)


def main() -> None:
    """Start, print the address, and end with the process that started us."""
    order = json.loads(sys.stdin.readline())
    sys.path[:] = order["path"]
    try:
        server = start(order)
    except (ImportError, RuntimeError, OSError) as exc:
        answer = {"error": f"{exc}"}
    else:
        answer = {"address": server.listening_address}
    print(json.dumps(answer), flush=True)  # noqa: T201 - the process that started us reads it
    if "address" in answer:
        sys.stdin.read()
    os._exit(0)  # its destructor would wait for answers under way


if __name__ == "__main__":
    main()
