"""Serve one file of weights until stdin closes: the process that ``local`` starts.

It is run as a script and loads nothing of llmframe. The order comes as a line of JSON on
stdin, so that no key stands in the list of processes; the answer goes as one to stdout.
"""

import json
import os
import sys
from typing import Any


def start(order: dict[str, Any]) -> Any:
    """llama.cpp's own server; see ``local`` for the order."""
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
    return xllamacpp.Server(params)


def main() -> None:
    """Start, tell where, and end with whoever started us."""
    order = json.loads(sys.stdin.readline())
    sys.path[:] = order["path"]
    try:
        server = start(order)
    except (ImportError, RuntimeError, OSError) as exc:
        told = {"error": f"{exc}"}
    else:
        told = {"address": server.listening_address}
    print(json.dumps(told), flush=True)  # noqa: T201 - it is read by who started us
    if "address" in told:
        sys.stdin.read()
    os._exit(0)  # its destructor would wait for answers under way


if __name__ == "__main__":
    main()
