"""Servers on this machine: found fast, believed only when they answer like the API."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from llmframe import testing
from llmframe.providers.discover import USUAL, find_servers, is_listening, list_models
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
        assert time.monotonic() - began < 1.0  # 0.3 s, on a busy machine
        assert threading.active_count() <= threads + 10


def test_listing_the_models_of_one_server_takes_no_longer_either():
    with serve_raw(b"HTTP/1.1 200 OK\r\nX: ", drip=b".") as dripping:
        began = time.monotonic()
        assert list_models(f"http://127.0.0.1:{dripping}/v1") is None
        assert time.monotonic() - began < 1.0  # a step on the wire never took so long


def test_it_is_known_whether_anything_listens():
    with silent() as port:
        assert is_listening(f"http://localhost:{port}/v1")
    assert not is_listening(f"http://localhost:{port}/v1")
