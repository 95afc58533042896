"""HTTP connections of the index's server: waitress, with bounds on what clients can hold.

One thread reads requests and sends responses of all connections, so silent and slow clients occupy no worker. A few
workers run the application.
"""

from __future__ import annotations

import logging
import resource
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.wasyncore import dispatcher

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

SOFTWARE = "factory-index"
WORKERS = 8
# The kernel's queue of connections that are not accepted yet.
BACKLOG = 4096
CONNECTIONS = 4096
# File descriptors of this process besides connections; each response can have an open file too.
OTHER_FILES = 100
HEADER_BYTES = 16 << 10
BODY_BYTES = 64 << 10
# A connection may be silent, and a request's headers may take, this long.
IDLE_SECONDS = 60
HEADER_SECONDS = 30
CLEANUP_SECONDS = 5
# Connections accepted before others are served again.
ACCEPTED_AT_ONCE = 64


class _Parser(HTTPRequestParser):
    """A parser that refuses a request with an impossible address.

    waitress ends the connection.
    """

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            raise ParsingError(f"Invalid address: {error}") from error


class _Channel(HTTPChannel):
    """A connection that knows when its unfinished request began."""

    parser_class = _Parser
    begun = 0.0

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self.begun = time.time()
        return super().received(data)


class IndexServer(TcpWSGIServer):
    """A server on a bound socket, which responds while `serve` runs."""

    channel_class = _Channel

    def __init__(self, application: WSGIApplication, bound: socket.socket) -> None:
        # A client that disconnects early is no news.
        logging.getLogger("waitress").setLevel(logging.CRITICAL)
        settings = Adjustments(
            sockets=[bound],
            threads=WORKERS,
            backlog=BACKLOG,
            connection_limit=_connection_limit(),
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=CLEANUP_SECONDS,
            max_request_header_size=HEADER_BYTES,
            max_request_body_size=BODY_BYTES,
            ident=SOFTWARE,
            log_socket_errors=False,
        )
        self._stopping, self._woken = threading.Event(), threading.Event()
        self._connections: dict[int, dispatcher] = {}
        self.url = url_of(*bound.getsockname()[:2])
        described = (bound.family, bound.type, bound.proto, bound.getsockname())
        connections: Any = self._connections  # which the stubs take for sockets
        super().__init__(application, connections, _sock=bound, adj=settings, sockinfo=described, bind_socket=False)

    def serve(self) -> None:
        """Serve until `stop` is called from another thread."""
        while not self._stopping.is_set():
            self.asyncore.loop(timeout=1, use_poll=True, map=self._connections, count=1)
        self._woken.wait()  # `stop` may still write to the pipe that is closed here
        self.task_dispatcher.shutdown()
        self.asyncore.close_all(self._connections)

    def stop(self) -> None:
        """Let `serve` return."""
        self._stopping.set()
        self.trigger.pull_trigger()  # type: ignore[attr-defined] # the stubs take it for a number
        self._woken.set()

    def handle_accept(self) -> None:
        """Accept the waiting connections, not one for each look at all of them."""
        for _ in range(ACCEPTED_AT_ONCE):
            before = len(self._connections)
            super().handle_accept()
            if len(self._connections) in (before, self.adj.connection_limit):
                break

    def maintenance(self, now: float) -> None:
        """Close idle connections, and those whose headers take too long."""
        super().maintenance(now)  # type: ignore[arg-type] # it is given time.time()
        for channel in self.active_channels.values():  # type: ignore[attr-defined] # a dictionary
            if channel.request is not None and channel.begun < now - HEADER_SECONDS:
                channel.will_close = True


def url_of(host: str, port: int) -> str:
    """Return the URL of an address without a trailing slash."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _connection_limit() -> int:
    """Return the number of connections for which there are file descriptors.

    The soft limit is raised before.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTIONS + OTHER_FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(CONNECTIONS, max((soft - OTHER_FILES) // 2, 16))
