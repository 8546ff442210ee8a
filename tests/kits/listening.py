"""How a server of threads ends."""

from __future__ import annotations

import contextlib
import socket


def close(listener: socket.socket) -> None:
    """Close a listening socket, and end the thread that waits for its next connection.

    Closing it does not wake that thread, which waits on the number of a file. The next server may
    get the same number, and the old thread would take a connection of the new server.
    """
    with contextlib.suppress(OSError):  # nobody listens any more
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
