"""TCP relay from ccache in a sealed root to the remote storage of a fleet.

A root without network has its own loopback interface. There this file, run as a program, listens for ccache and relays
to a Unix socket in the root. On the host, the factory relays from that socket to the server. So a build reaches that
server and nothing else.

Usage in a root: python relay.py PORT SOCKET. It returns as soon as it listens and continues in the background. It needs
only the standard library.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIZE = 1 << 16
# Builds wait for ccache, which waits for the relay: do not contact a server that failed for this long.
REST_SECONDS = 60.0
# At once. A build opens as many as it likes, and each takes two open files of the host; compilers need one each.
CONNECTIONS = max(64, 4 * (os.cpu_count() or 1))


class Relay:
    """Server on a listening socket that relays each connection to a new one from `connect`.

    The far side has `patience` seconds to answer (None: no limit). After a failure to connect or to answer, the relay
    closes connections at once for REST_SECONDS. More than `connections` wait for others to end.
    """

    def __init__(
        self,
        listener: socket.socket,
        connect: Callable[[], socket.socket],
        patience: float | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        self._listener = listener
        self._connect = connect
        self._patience = patience
        self._resume = 0.0
        self._free = threading.BoundedSemaphore(connections)

    def serve(self) -> None:
        """Serve until the listening socket is shut down."""
        while True:
            self._free.acquire()
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_one, args=(near,), daemon=True).start()

    def _serve_one(self, near: socket.socket) -> None:
        with self._counted(), near:
            if time.monotonic() < self._resume:
                return
            try:
                with self._connect() as far:
                    far.settimeout(self._patience)
                    self._pass_on(near, far)
            except OSError:
                self._resume = time.monotonic() + REST_SECONDS

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._free.release()

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        """Copy both ways until one side closes. Raises OSError if the far side fails."""
        with selectors.DefaultSelector() as selector:
            for side in (near, far):
                selector.register(side, selectors.EVENT_READ)
            asked = False
            while True:
                ready = [key.fileobj for key, _ in selector.select(self._patience if asked else None)]
                if not ready:
                    raise TimeoutError
                if near in ready:
                    if not (question := _received(near)):
                        return
                    far.sendall(question)
                    asked = True
                if far in ready:
                    if not ((answer := far.recv(SIZE)) and _sent(near, answer)):
                        return
                    asked = False


def _received(near: socket.socket) -> bytes:
    try:
        return near.recv(SIZE)
    except OSError:
        return b""


def _sent(near: socket.socket, content: bytes) -> bool:
    try:
        near.sendall(content)
    except OSError:
        return False
    return True


def main(port: str, path: str) -> None:
    """Listen on the loopback interface in the background, unless another process does."""
    try:
        listener = socket.create_server(("127.0.0.1", int(port)))
    except OSError:
        return
    if os.fork():
        return
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)  # readers of the build's output must not wait for the relay
    Relay(listener, lambda: connect_locally(path)).serve()


def connect_locally(path: str) -> socket.socket:
    """Connect to a Unix socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection


if __name__ == "__main__":
    main(*sys.argv[1:])
