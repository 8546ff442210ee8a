"""Servers that are not ours: raw bytes, or one page for every request."""

from __future__ import annotations

import http.server
import socket
import threading
from contextlib import contextmanager, suppress

from tests.kits import listening

PAGE = b"<html><head><title>Sign in</title></head><body>Please sign in.</body></html>"


@contextmanager
def serve_raw(answer, *, drip=b""):
    """A port that answers every connection with these bytes; drip: and then so, without end."""
    closing = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk(connection):
            with suppress(OSError), connection:
                connection.sendall(answer)
                while drip and not closing.is_set():
                    connection.sendall(drip)
                    closing.wait(0.02)

        def accept():
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=talk, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        closing.set()
        listening.close(listener)


@contextmanager
def serve_page(status=200, body=PAGE, kind="text/html"):
    """A server with one answer for every request; yields its root and the paths asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 - the standard library's name

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
