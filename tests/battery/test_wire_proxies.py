"""TLS and proxies of the environment: trusted, tunnelled, left out; by both ways of a request."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from tests.kits import battery as kit
from tests.kits.raw import Raw, good
from tests.kits.scripts import run
from tests.kits.tls import Tunnel, self_signed
from tests.kits.ways import BY_SDK

pytestmark = pytest.mark.battery

TAG = """
out = lf.tag(frame(5), "text", FIELDS, api_key="sk-0123456789ab", checkpoint=False)
tell(counts=counts(out))
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def program(way):
    """The code of a program that goes one of the two ways."""
    return (BY_SDK if way == "sdk" else "") + TAG


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_certificate_in_ssl_cert_file_is_trusted(certificate, program, monkeypatch):
    context, cert = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    with Raw(good, context=context) as server:
        assert run(server, program) == {"counts": {"ok": 5}}
        assert len(server.asked) == 5


@pytest.mark.parametrize(
    ("variable", "login"), [("HTTPS_PROXY", ""), ("ALL_PROXY", "user:pass%20word@")]
)
def test_https_goes_through_the_proxys_tunnel(certificate, program, monkeypatch, variable, login):
    context, cert = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    with Raw(good, context=context) as server, Tunnel() as tunnel:
        monkeypatch.setenv(variable, f"http://{login}127.0.0.1:{tunnel.port}")
        gateway = SimpleNamespace(url=f"https://gateway.example:{server.port}/v1")
        assert run(gateway, program, warn="ignore") == {"counts": {"ok": 5}}
        assert len(server.asked) == 5
    assert all(head.startswith(f"CONNECT gateway.example:{server.port} ") for head in tunnel.heads)
    assert all(("Basic dXNlcjpwYXNzIHdvcmQ=" in head) == bool(login) for head in tunnel.heads)
    assert not any("sk-0123456789ab" in head for head in tunnel.heads)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("names", ["gateway.example", ".example", "*.example", "x.org, *"])
def test_a_host_that_no_proxy_names_is_asked_directly(names, monkeypatch):
    lookup = socket.getaddrinfo
    here = lambda host, *args, **options: lookup("127.0.0.1", *args, **options)  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", here)
    with Raw(good) as proxy, Raw(good) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", names)
        url = server.url.replace("127.0.0.1", "gateway.example")
        out = kit.tag(kit.frame(3), url, None, allow_http=True)
        assert kit.statuses(out) == {"ok": 3}
        assert (len(proxy.asked), len(server.asked)) == (0, 3)
