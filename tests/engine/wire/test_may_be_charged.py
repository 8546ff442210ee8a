"""Whether a request that failed may have been answered, and charged for, without being read."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import httpx2
import openai
import pytest

from llmframe.engine.wire.verdict import BadReply, ServerGone, may_be_charged
from tests.kits.engine import URL, lost_connection, status_error

REQUEST = httpx2.Request("POST", URL)


def caused(error, cause):
    error.__cause__ = cause
    return error


def connection(cause):
    return caused(openai.APIConnectionError(request=REQUEST), cause)


def time_out(cause):
    return caused(openai.APITimeoutError(request=REQUEST), cause)


@pytest.mark.parametrize(
    "exc",
    [
        asyncio.CancelledError(),
        TimeoutError(),
        ConnectionResetError(104, "reset"),
        time_out(httpx2.ReadTimeout("")),
        connection(httpx2.ReadError("")),
        connection(httpx2.RemoteProtocolError("")),
        connection(aiohttp.ServerDisconnectedError()),
        connection(caused(aiohttp.ClientOSError(), ConnectionResetError(104, "reset"))),
        aiohttp.ClientPayloadError(),
    ],
    ids=repr,
)
def test_what_left_and_was_not_read_may_be_charged(exc):
    assert may_be_charged(exc)


@pytest.mark.parametrize(
    "exc",
    [
        status_error(400),
        status_error(429),
        status_error(500),
        BadReply("no completion"),
        ServerGone("gone"),
        lost_connection(),
        connection(socket.gaierror(-2, "unknown name")),
        connection(httpx2.ConnectError("")),
        time_out(httpx2.ConnectTimeout("")),
        time_out(httpx2.PoolTimeout("")),
        time_out(aiohttp.ConnectionTimeoutError()),
        ValueError("our own"),
    ],
    ids=repr,
)
def test_what_was_read_or_never_left_is_free(exc):
    assert not may_be_charged(exc)
