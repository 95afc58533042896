"""An HTTP server for the static index: `factory serve`, and the local index that checks install from."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import canonicalize_name

from factory.errors import PublishError
from factory.publish.simple import JSON_NAME

HTML_V1 = "application/vnd.pypi.simple.v1+html"
JSON_V1 = "application/vnd.pypi.simple.v1+json"
# What PEP 691 lets a client ask for, the plainest first: it wins where a client likes several equally.
OFFERED = {
    "text/html": "text/html",
    HTML_V1: HTML_V1,
    JSON_V1: JSON_V1,
    "application/vnd.pypi.simple.latest+html": HTML_V1,
    "application/vnd.pypi.simple.latest+json": JSON_V1,
}
IDLE_SECONDS = 60.0


@contextmanager
def serve(
    root: Path, host: str = "127.0.0.1", port: int = 0, on_request: Callable[[str], None] | None = None
) -> Iterator[str]:
    """Serve the folder `root` from a thread while the context lasts; gives the base URL, without a slash at its end.

    Port 0 takes a free one. `on_request` gets a line a request, from several threads.

    Raises:
        PublishError: there is no index in `root`, or the address is taken or not ours.
    """
    server = open_server(root, host, port, on_request)
    thread = threading.Thread(target=server.serve_forever, name="index-server", daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def open_server(root: Path, host: str, port: int, on_request: Callable[[str], None] | None = None) -> IndexServer:
    """A server that listens already and answers once its `serve_forever` runs.

    Raises:
        PublishError: as `serve`.
    """
    if not (root / "simple").is_dir():
        raise PublishError(f"there is no index in {root}", hint="write one with: factory index --output DIR")
    try:
        return IndexServer(root, host, port, on_request)
    except (OSError, OverflowError) as error:
        raise PublishError(
            f"can't listen at {host}, port {port}: {error}", hint="choose another --host or --port"
        ) from error


class IndexServer(ThreadingHTTPServer):
    """Answers each connection in a thread of its own."""

    daemon_threads = True

    def __init__(self, root: Path, host: str, port: int, on_request: Callable[[str], None] | None) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        handler = partial(_Handler, directory=str(root.resolve()), on_request=on_request)
        super().__init__((host, port), handler)

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, bytes | bytearray) else host
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no event; anything else is a bug and shows its traceback."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(SimpleHTTPRequestHandler):
    """SimpleHTTPRequestHandler sends the files; here is which file a request means."""

    protocol_version = "HTTP/1.1"
    server_version = "factory-index"
    sys_version = ""
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    extensions_map = {  # noqa: RUF012 - the base class's attribute
        **SimpleHTTPRequestHandler.extensions_map,
        "": "application/octet-stream",
        ".html": "text/html; charset=utf-8",
        ".json": "application/json",
        ".metadata": "text/plain; charset=utf-8",
        ".whl": "application/octet-stream",
        ".v1+json": JSON_V1,
    }

    def __init__(self, *args: object, on_request: Callable[[str], None] | None, directory: str) -> None:
        self._on_request = on_request
        self._negotiated: str | None = None
        super().__init__(*args, directory=directory)  # type: ignore[arg-type]

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Choose the file for GET and HEAD alike, then let the base class open it."""
        self._negotiated = None
        path = unquote(urlsplit(self.path).path)
        location, status = _redirect(path), self._choose_page(path)
        if location is not None:
            self._send_elsewhere(location)
        elif status is not None:
            self._refuse(status)
        else:
            return super().send_head()
        return None

    def _choose_page(self, path: str) -> HTTPStatus | None:
        """Turn a folder of the repository into one of its pages; returns why a request can't be answered."""
        if path.startswith("/simple/") and path.endswith("/"):
            self._negotiated = negotiate(self.headers.get("Accept", ""))
            if self._negotiated is None:
                return HTTPStatus.NOT_ACCEPTABLE
            self.path = quote(path) + (JSON_NAME if self._negotiated == JSON_V1 else "index.html")
        return None if self._may_be_read() else HTTPStatus.NOT_FOUND

    def _may_be_read(self) -> bool:
        """Whether the request means a file below the root, no hidden one, and reached by no link that leads out."""
        root, file = Path(self.directory), Path(self.translate_path(self.path))
        if not file.is_file() or not file.resolve().is_relative_to(root):
            return False
        return not any(part.startswith(".") for part in file.relative_to(root).parts)

    def _refuse(self, status: HTTPStatus) -> None:
        self._negotiated = None
        self.send_error(status)

    def _send_elsewhere(self, location: str) -> None:
        self.send_response(HTTPStatus.MOVED_PERMANENTLY)
        self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def guess_type(self, path: object) -> str:
        """The negotiated type for a page; by the file's name for the rest."""
        if self._negotiated is not None:
            return "text/html; charset=utf-8" if self._negotiated == "text/html" else self._negotiated
        return JSON_V1 if str(path).endswith(JSON_NAME) else super().guess_type(str(path))

    def end_headers(self) -> None:
        """Caches must keep the forms of a page apart, and ask again: uv would keep a page for ten minutes unasked."""
        self.send_header("Cache-Control", "no-cache")
        if self._negotiated is not None:
            self.send_header("Vary", "Accept")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """One line a request, for the callback; silent without one."""
        if self._on_request is not None:
            self._on_request(format % args)


def _redirect(path: str) -> str | None:
    """Where a request that misses its normalized name or its last slash belongs (PEP 503)."""
    if path in ("/", "/simple"):
        return "/simple/"
    parts = path.strip("/").split("/")
    if len(parts) != 2 or parts[0] != "simple" or parts[1] in (JSON_NAME, "index.html"):
        return None
    right = f"/simple/{canonicalize_name(parts[1])}/"
    return None if path == right else quote(right)


def negotiate(accept: str) -> str | None:
    """The content type that fits an Accept header best; None if none fits. No header means any.

    PEP 691: the highest q wins; among equals we offer the plainest.
    """
    weights = {}
    for part in (accept or "*/*").split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weights[name.lower()] = next((_weight(text[2:]) for text in parameters if text.startswith("q=")), 1.0)
    ranked = {
        name: weights.get(name, weights.get(name.partition("/")[0] + "/*", weights.get("*/*", 0.0))) for name in OFFERED
    }
    best = max(ranked, key=lambda name: ranked[name])
    return OFFERED[best] if ranked[best] > 0 else None


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
