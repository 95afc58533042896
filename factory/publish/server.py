"""HTTP server of the index, for `factory serve` and for checks.

waitress serves (`factory.publish.http_server`) and werkzeug parses requests. Both are imported when an index is served,
since few commands serve one.
"""

from __future__ import annotations

import mimetypes
import os
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from packaging.utils import canonicalize_name

from factory.errors import PublishError
from factory.publish.file_response import file_response
from factory.publish.simple_api import JSON_NAME
from factory.util.atomic_files import is_file

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from werkzeug import Request, Response

    from factory.publish.http_server import IndexServer

HTML_V1 = "application/vnd.pypi.simple.v1+html"
JSON_V1 = "application/vnd.pypi.simple.v1+json"
# Content types of PEP 691. The first one wins if a client accepts several equally, as browsers do. A client that names
# this API gets JSON, which has more fields.
OFFERED = {
    "text/html": "text/html",
    JSON_V1: JSON_V1,
    HTML_V1: HTML_V1,
    "application/vnd.pypi.simple.latest+html": HTML_V1,
    "application/vnd.pypi.simple.latest+json": JSON_V1,
}
ANY = "application/octet-stream"
KINDS = {
    ".html": "text/html",
    ".json": "application/json",
    ".metadata": "text/plain",
    ".provenance": "application/json",
    ".jsonl": "application/jsonl",
    ".whl": ANY,
    ".v1+json": JSON_V1,
    ".xml": "application/xml",
    ".svg": "image/svg+xml",
}
# Characters of a method and of a path in the line for a request.
SHOWN = 200
# A host with an optional port (RFC 3986, 3.2), and the targets of requests for files (RFC 9112, 3.2).
PORT = r"(?::[0-9]{0,5})?"
AUTHORITY = rf"(?:\[[^][\s/?#@,]+\]|[\w.~!$&'()*+;=%-]*){PORT}"
TARGET = rf"/|(?i:https?)://(?=[^/:?#]){AUTHORITY}(?:[/?#]|$)"


@contextmanager
def serve(
    root: Path, host: str = "127.0.0.1", port: int = 0, on_request: Callable[[str], None] | None = None
) -> Iterator[str]:
    """Serve the folder `root` from threads, and yield the base URL.

    The URL has no trailing slash. Port 0 selects a free port. `on_request` is called from several threads with a line
    for each request: method, path, status and size of the response body in bytes.

    Raises:
        PublishError: there is no index in `root`, or the address is in use or not local.
    """
    server = _open(root, host, port, on_request)
    thread = threading.Thread(target=server.serve, name="index-server", daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.stop()
        thread.join()


def _open(root: Path, host: str, port: int, on_request: Callable[[str], None] | None) -> IndexServer:
    """Return a server that already listens and responds once its `serve` runs."""
    from factory.publish.http_server import IndexServer

    if not (root / "simple").is_dir():
        raise PublishError(
            f"{root}: not an index: it has no folder simple/", hint="write one: factory index --output DIR"
        )
    try:
        return IndexServer(Application(root.resolve(), on_request), _bind(host, port))
    except (OSError, OverflowError, UnicodeError) as error:
        raise PublishError(
            f"{host} port {port}: cannot listen: {getattr(error, 'strerror', None) or error}",
            hint="choose another --host or --port",
        ) from error


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to the first address of `host`.

    All IPv6 addresses, `::`, include those of IPv4, whatever the machine's default is.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound


@dataclass(frozen=True, slots=True)
class Application:
    """WSGI application that serves the files below `root`, an absolute path."""

    root: Path
    on_request: Callable[[str], None] | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        from werkzeug import Request
        from werkzeug.exceptions import HTTPException

        request = Request(environ)
        try:
            _require_address(request)
            response = self._respond(request)
        except HTTPException as error:
            response = error.get_response(environ)
        # Error responses depend on these headers too.
        response.vary.update(["Accept", "Accept-Encoding"])
        # Caches must revalidate: uv would otherwise reuse a page for ten minutes.
        response.headers["Cache-Control"] = "no-cache"
        if self.on_request is not None:
            line = (_shortened(request.method), _shortened(quote(request.path)), response.status_code)
            self.on_request(" ".join(map(str, (*line, _sent(request, response)))))
        return response(environ, start_response)

    def _respond(self, request: Request) -> Response:
        from werkzeug.exceptions import MethodNotAllowed, NotFound
        from werkzeug.utils import redirect

        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(["GET", "HEAD"])
        location = self._redirection(request.path)
        if location is not None:
            return redirect(location, 301)
        name, kind = _page(request)
        path = self._readable(name)
        if path is None:
            page = self._readable("/404.html") if "text/html" in request.headers.get("Accept", "") else None
            raise NotFound if page is None else NotFound(response=_missing(page))
        return file_response(path, kind, request)

    def _redirection(self, path: str) -> str | None:
        """Return the path with normalized name and trailing slash, if it differs."""
        if path == "/simple" or (path == "/" and self._readable("/index.html") is None):
            return "/simple/"
        parts = path.strip("/").split("/")
        if len(parts) == 2 and parts[0] == "simple" and parts[1] not in (JSON_NAME, "index.html"):
            normalized = f"/simple/{canonicalize_name(parts[1])}/"
            return None if path == normalized else quote(normalized)
        folder = not path.endswith("/") and self._readable(f"{path}/index.html") is not None
        return quote(f"/{path.strip('/')}/") if folder else None

    def _readable(self, name: str) -> Path | None:
        """Return a file below the root, unless hidden or reached by a link that leads out."""
        from werkzeug.security import safe_join

        top = str(self.root)
        path = safe_join(top, name.lstrip("/"))
        if path is None or not is_file(path) or os.path.commonpath((os.path.realpath(path), top)) != top:
            return None
        return None if "/." in f"/{path.removeprefix(top)}" else Path(path)


def _require_address(request: Request) -> None:
    """Require a valid target and exactly one valid Host (RFC 9112, 3.2).

    waitress joins several Host headers with commas. HTTP/1.0 needs none.

    Raises:
        BadRequest: the target or the header Host is invalid, missing or repeated.
    """
    from werkzeug.exceptions import BadRequest

    needed = request.environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    host = request.environ.get("HTTP_HOST", None if needed else "")
    if host is None:
        raise BadRequest("The header Host is missing.")
    if re.fullmatch(AUTHORITY, host, re.ASCII) is None:
        raise BadRequest("The header Host is repeated or invalid.")
    target = request.environ["REQUEST_URI"]
    if re.match(TARGET, target) is None and (request.method, target) != ("OPTIONS", "*"):
        raise BadRequest("The target is neither a path nor an http address.")


def _sent(request: Request, response: Response) -> str:
    """Return the size of the body that is sent, in bytes."""
    bodiless = request.method == "HEAD" or response.status_code == HTTPStatus.NOT_MODIFIED
    return "0" if bodiless else response.headers.get("Content-Length", "0")


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _missing(page: Path) -> Response:
    """Return a 404 response with the site's own page."""
    from werkzeug import Response

    return Response(page.read_bytes(), 404, mimetype="text/html")


def _page(request: Request) -> tuple[str, str]:
    """Return the file name and the content type for a path.

    For a folder of the simple repository, the Accept header selects the page.

    Raises:
        NotAcceptable: the client accepts no form of the page.
    """
    from werkzeug.exceptions import NotAcceptable

    path = request.path
    if not path.endswith("/"):
        return path, _kind(path)
    if not path.startswith("/simple/"):
        return f"{path}index.html", "text/html"
    kind = negotiate(request.headers.get("Accept", ""))
    if kind is None:
        raise NotAcceptable
    return path + (JSON_NAME if kind == JSON_V1 else "index.html"), kind


@lru_cache(64)
def negotiate(accept: str) -> str | None:
    """Return the best content type for an Accept header, None if none is acceptable.

    An empty header accepts any type. Parameters such as a charset are ignored.
    """
    from werkzeug.datastructures import MIMEAccept
    from werkzeug.http import parse_accept_header

    accepted = parse_accept_header(accept or "*/*", MIMEAccept)
    wanted = MIMEAccept((kind.partition(";")[0].rstrip(), quality) for kind, quality in accepted)
    best = max(OFFERED, key=wanted.quality)
    return OFFERED[best] if wanted.quality(best) > 0 else None


def _kind(name: str) -> str:
    ours = next((kind for ending, kind in KINDS.items() if name.endswith(ending)), None)
    return ours or mimetypes.guess_type(name)[0] or ANY
