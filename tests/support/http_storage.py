"""HTTP server that stores ccache's objects."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Storage(BaseHTTPRequestHandler):
    """Handler for ccache: bytes by URL, including the requested host name."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]

    def do_GET(self) -> None:
        self._answer(200 if self._url in self.objects else 404, self.objects.get(self._url, b""))

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        self.objects[self._url] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201)

    def do_DELETE(self) -> None:
        self._answer(200 if self.objects.pop(self._url, None) else 404)

    @property
    def _url(self) -> str:
        return f"http://{self.headers['Host']}{self.path}"

    def _answer(self, status: int, content: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def http_storage() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Run a server; yield its URL and its objects."""
    objects: dict[str, bytes] = {}
    handler = type("Storage", (Storage,), {"objects": objects})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/ccache", objects
        server.shutdown()
