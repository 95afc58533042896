"""Web servers of a handler on loopback, by http or https."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class QuietHandler(BaseHTTPRequestHandler):
    """A handler that logs nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def handled(handler: type[QuietHandler], certificate: Path | None = None) -> Iterator[str]:
    """Serve requests by a handler, by https with a certificate; yields the base URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        http.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            http.socket = context.wrap_socket(http.socket, server_side=True)
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"{'http' if certificate is None else 'https'}://127.0.0.1:{http.server_port}"
        http.shutdown()
