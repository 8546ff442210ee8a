"""Servers on this machine: found fast, believed only when they answer like the API."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from llmframe import testing
from llmframe.providers.discover import (
    USUAL,
    are_different,
    find_servers,
    is_listening,
    list_models,
    served_model,
)
from tests.kits.foreign import serve_raw


def test_the_usual_ports_are_those_of_the_four_servers():
    assert [url.rpartition(":")[2] for _, url in USUAL] == [
        "11434/v1", "8000/v1", "1234/v1", "8080/v1"
    ]  # fmt: skip
    assert all(url.startswith("http://localhost:") for _, url in USUAL)


def test_a_server_is_found_with_its_models():
    with testing.serve(models=("a", "b")) as server:
        found = find_servers((("vllm", server.url),), patience=5.0)
    assert [(one.provider, one.base_url, one.models) for one in found] == [
        ("vllm", server.url, ("a", "b"))
    ]


def test_a_server_that_asks_for_a_key_or_has_gone_is_not_found():
    with testing.serve(key="sk-secret-1234") as server:
        assert list_models(server.url, patience=5.0) is None
    assert list_models(server.url) is None


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"status":"ok"}',
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
)
def test_what_does_not_answer_like_the_api_is_no_server(answer):
    with serve_raw(answer) as port:
        assert list_models(f"http://127.0.0.1:{port}/v1", patience=5.0) is None


BUSY = 10.0  # seconds more that a busy machine may take; these servers never end their answer


@contextmanager
def silent():
    """A port that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_looking_never_takes_longer_than_it_may():
    with silent() as port, serve_raw(b"HTTP/1.1 200 OK\r\nX: ", drip=b".") as dripping:
        places = tuple(
            (name, f"http://127.0.0.1:{at}/v1")
            for name, at in (("ollama", port), ("vllm", port), ("lmstudio", dripping))
        )
        began, threads = time.monotonic(), threading.active_count()
        assert find_servers(places) == []
        assert time.monotonic() - began < 0.3 + BUSY
        assert threading.active_count() <= threads + 10


def test_listing_the_models_of_one_server_takes_no_longer_either():
    with serve_raw(b"HTTP/1.1 200 OK\r\nX: ", drip=b".") as dripping:
        began = time.monotonic()
        assert list_models(f"http://127.0.0.1:{dripping}/v1") is None
        assert time.monotonic() - began < 0.3 + BUSY  # each byte in time, and never the last one


def test_it_is_known_whether_anything_listens():
    with silent() as port:
        assert is_listening(f"http://localhost:{port}/v1")
    assert not is_listening(f"http://localhost:{port}/v1")


@contextmanager
def serving(**pages):
    """A server with these pages: ``v1_models=[...]`` is the list at /v1/models."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            page = pages.get(self.path.strip("/").replace("/", "_"))
            body = json.dumps(page).encode()
            self.send_response(404 if page is None else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def test_ollama_tells_a_models_digest():
    models = [{"id": "qwen:latest", "owned_by": "library", "created": 5}, {"id": "x"}]
    tags = [{"name": "x", "digest": "1"}, {"name": "qwen:latest", "digest": "2", "size": 7}]
    pages = {"v1_models": {"data": models}, "api_tags": {"models": tags}}
    with serving(**pages) as url:
        found = served_model(url, "qwen:latest", patience=5.0)
    assert found == {"id": "qwen:latest", "owned_by": "library", "digest": "2"}


def test_llama_cpp_tells_what_its_one_model_is_whatever_it_is_called():
    meta = {"size": 100, "n_params": 9, "n_ctx_train": 2048, "n_vocab": [3]}
    with serving(
        v1_models={"data": [{"id": "a.gguf", "owned_by": "llamacpp", "meta": meta}]}
    ) as url:
        found = served_model(url, "any", patience=5.0)
    assert found == {"id": "a.gguf", "owned_by": "llamacpp", "size": 100, "n_params": 9}


@pytest.mark.parametrize("models", [{}, [], {"data": [{"id": "a"}, {"id": "b"}]}, {"data": [3]}])
def test_a_list_without_the_model_tells_nothing(models):
    with serving(v1_models=models) as url:
        assert served_model(url, "m", patience=5.0) is None


def test_what_only_one_of_two_servers_tells_shows_nothing():
    assert are_different({"id": "a", "size": 1}, {"id": "a", "size": 2})
    assert not are_different({"id": "a", "size": 1}, {"id": "a", "digest": "x"})
    assert not are_different({}, {"id": "a"})
