"""Tests of the relay: whole streams pass, and a failed server is not contacted for a while."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from factory.stages.builders.inside.relay import REST_SECONDS, Relay

PATIENCE = 0.3


class Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while line := self.rfile.readline():
            self.wfile.write(line)


class Silent(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.rfile.read()


@contextmanager
def server(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """Run a server on the loopback interface; yield its port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as listening:
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield listening.server_address[1]
        listening.shutdown()


@contextmanager
def relayed(port: int, connections: int = 8) -> Iterator[Callable[[], socket.socket]]:
    """Run a relay to that port; yield a function that connects to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = Relay(listener, lambda: socket.create_connection(("127.0.0.1", port)), PATIENCE, connections)
        thread = threading.Thread(target=relay.serve)
        thread.start()
        yield lambda: socket.create_connection(listener.getsockname(), timeout=10)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        assert not thread.is_alive()


def test_relay_passes_bytes_of_parallel_connections() -> None:
    with server(Echo) as port, relayed(port) as connect, connect() as one, connect() as two:
        large = b"x" * 3_000_000 + b"\n"
        sender = threading.Thread(target=one.sendall, args=(large,))
        sender.start()
        two.sendall(b"small\n")
        assert two.makefile("rb").readline() == b"small\n"
        assert one.makefile("rb").readline() == large
        sender.join()


def test_relay_keeps_idle_connection_open() -> None:
    with server(Echo) as port, relayed(port) as connect, connect() as one:
        answers = one.makefile("rb")
        one.sendall(b"first\n")
        assert answers.readline() == b"first\n"
        time.sleep(2 * PATIENCE)  # an idle time that is longer than the relay's patience
        one.sendall(b"second\n")
        assert answers.readline() == b"second\n"


@pytest.mark.parametrize("handler", [None, Silent], ids=["down", "silent"])
def test_relay_rests_after_failed_server(handler: type[socketserver.BaseRequestHandler] | None) -> None:
    with server(handler or Echo) as port:
        if handler is not None:
            waited = ask_twice(port)
    if handler is None:
        waited = ask_twice(port)
    assert waited[0] < PATIENCE + 1
    assert waited[1] < PATIENCE
    assert REST_SECONDS >= 30


def ask_twice(port: int) -> list[float]:
    """Return the seconds that two connections in turn took to end without an answer."""
    waited = []
    with relayed(port) as connect:
        for _ in range(2):
            started = time.monotonic()
            with connect() as one:
                try:
                    one.sendall(b"question\n")
                    assert one.recv(1) == b""
                except ConnectionError:
                    pass
            waited.append(time.monotonic() - started)
    return waited


def test_relay_lets_further_connections_wait() -> None:
    with server(Echo) as port, relayed(port, connections=2) as connect, connect() as one, connect() as two:
        for each in (one, two):
            each.sendall(b"asked\n")
            assert each.recv(10) == b"asked\n"
        with connect() as third:
            third.sendall(b"asked\n")
            third.settimeout(0.3)
            with pytest.raises(TimeoutError):
                third.recv(10)
            one.close()
            third.settimeout(10)
            assert third.recv(10) == b"asked\n"
