"""An HTTP server for the static index: `factory serve`, and the local index that checks install from.

werkzeug reads requests and sends ranges, cheroot serves; here is which file a request means, and whether all of it is
sent (RFC 9110). Both are imported where an index is served, since most commands serve none.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import mimetypes
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from packaging.utils import canonicalize_name

from factory.errors import PublishError
from factory.publish.simple_api import JSON_NAME
from factory.util.atomic_files import is_file

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from cheroot.wsgi import Server
    from werkzeug import Request, Response
    from werkzeug.datastructures import Range

HTML_V1 = "application/vnd.pypi.simple.v1+html"
JSON_V1 = "application/vnd.pypi.simple.v1+json"
# What PEP 691 lets a client ask for. The first wins where a client likes several equally: browsers do. One that names
# this API gets JSON, which tells more.
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
    ".whl": ANY,
    ".v1+json": JSON_V1,
    ".xml": "application/xml",
    ".svg": "image/svg+xml",
}
COMPRESSED = ("text/", "application/json", "application/xml", "image/svg+xml", "application/vnd.pypi.")
THREADS = 32
IDLE_SECONDS = 60
DIGESTS_KEPT, PAGES_KEPT = 1 << 17, 256


@contextmanager
def serve(
    root: Path, host: str = "127.0.0.1", port: int = 0, on_request: Callable[[str], None] | None = None
) -> Iterator[str]:
    """Serve the folder `root` from threads while the context lasts; gives the base URL, without a slash at its end.

    Port 0 takes a free one. `on_request` gets a line a request, from several threads: the method, the path, the status
    and how many bytes the answer's body has.

    Raises:
        PublishError: there is no index in `root`, or the address is taken or not ours.
    """
    server = _open(root, host, port, on_request)
    thread = threading.Thread(target=server.serve, name="index-server", daemon=True)
    thread.start()
    try:
        yield _url(server)
    finally:
        server.stop()
        thread.join()


def _open(root: Path, host: str, port: int, on_request: Callable[[str], None] | None) -> Server:
    """A server that listens already and answers once its `serve` runs."""
    from cheroot.wsgi import Server

    if not (root / "simple").is_dir():
        raise PublishError(f"there is no index in {root}", hint="write one with: factory index --output DIR")
    server = Server((host, port), Application(root.resolve(), on_request), numthreads=THREADS, timeout=IDLE_SECONDS)
    server.software = "factory-index"
    try:
        server.prepare()
    except (OSError, OverflowError) as error:
        server.stop()
        raise PublishError(
            f"can't listen at {host}, port {port}: {error}", hint="choose another --host or --port"
        ) from error
    return server


def _url(server: Server) -> str:
    host, port = server.bind_addr[:2]
    return f"http://[{host}]:{port}" if ":" in str(host) else f"http://{host}:{port}"


@dataclass(frozen=True, slots=True)
class Application:
    """The files below `root`, an absolute path, as a WSGI application."""

    root: Path
    on_request: Callable[[str], None] | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        from werkzeug import Request
        from werkzeug.exceptions import HTTPException

        request = Request(environ)
        try:
            response = self._answer(request)
        except HTTPException as error:
            response = error.get_response(environ)
        # What is refused, or isn't there, depends on them as well.
        response.vary.update(["Accept", "Accept-Encoding"])
        # A cache must ask each time: uv would keep a page for ten minutes unasked.
        response.headers["Cache-Control"] = "no-cache"
        if self.on_request is not None:
            size = response.headers.get("Content-Length", "0")
            self.on_request(f"{request.method} {quote(request.path)} {response.status_code} {size}")
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
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
            own = self._readable("/404.html") if "text/html" in request.headers.get("Accept", "") else None
            raise NotFound if own is None else NotFound(response=_missing(own))
        return _send(path, kind, request)

    def _redirection(self, path: str) -> str | None:
        """Where a request belongs that misses its normalized name or its last slash (PEP 503)."""
        if path == "/simple" or (path == "/" and self._readable("/index.html") is None):
            return "/simple/"
        parts = path.strip("/").split("/")
        if len(parts) == 2 and parts[0] == "simple" and parts[1] not in (JSON_NAME, "index.html"):
            right = f"/simple/{canonicalize_name(parts[1])}/"
            return None if path == right else quote(right)
        folder = not path.endswith("/") and self._readable(f"{path}/index.html") is not None
        return quote(f"/{path.strip('/')}/") if folder else None

    def _readable(self, name: str) -> Path | None:
        """A file below the root, no hidden one, and reached by no link that leads out."""
        from werkzeug.security import safe_join

        joined = safe_join(str(self.root), name.lstrip("/"))
        if joined is None or not is_file(joined):
            return None
        path = Path(joined)
        if not path.resolve().is_relative_to(self.root):
            return None
        return None if any(part.startswith(".") for part in path.relative_to(self.root).parts) else path


def _missing(page: Path) -> Response:
    """The site's own page for what is not there."""
    from werkzeug import Response

    return Response(page.read_bytes(), 404, mimetype="text/html")


def _page(request: Request) -> tuple[str, str]:
    """The name of the file that a path means, and its content type: of a folder it is the page that the client likes.

    Raises:
        NotAcceptable: it likes none.
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


def negotiate(accept: str) -> str | None:
    """The content type that fits an Accept header best; None if none fits. No header means any.

    Parameters, such as a charset, choose nothing here.
    """
    from werkzeug.datastructures import MIMEAccept
    from werkzeug.http import parse_accept_header

    asked = parse_accept_header(accept or "*/*", MIMEAccept)
    wanted = MIMEAccept((kind.partition(";")[0].rstrip(), quality) for kind, quality in asked)
    best = max(OFFERED, key=wanted.quality)
    return OFFERED[best] if wanted.quality(best) > 0 else None


def _kind(name: str) -> str:
    ours = next((kind for ending, kind in KINDS.items() if name.endswith(ending)), None)
    return ours or mimetypes.guess_type(name)[0] or ANY


@dataclass(frozen=True, slots=True)
class _File:
    """An open file; as long as these numbers are the same, so are its bytes."""

    path: Path
    inode: int
    changed: int
    size: int
    content: io.BufferedReader = field(compare=False)


def _send(path: Path, kind: str, request: Request) -> Response:
    """The file as it is or compressed, whole, in part, or not at all where the client has it.

    Raises:
        HTTPException: the client wants another file than this one, or a part that it doesn't have.
    """
    from werkzeug.exceptions import HTTPException

    response = _open_whole(path, kind, request)
    try:
        return _as_asked(response, request)
    except HTTPException:
        response.close()
        raise


def _open_whole(path: Path, kind: str, request: Request) -> Response:
    from werkzeug import Response
    from werkzeug.wsgi import wrap_file

    content = path.open("rb")
    status = os.fstat(content.fileno())
    file = _File(path, status.st_ino, status.st_mtime_ns, status.st_size, content)
    tag, size = _digest(file), file.size
    body: IO[bytes] = content
    compressed = kind.startswith(COMPRESSED) and _likes_gzip(request)
    if compressed:
        packed = _pack(file)
        content.close()
        tag, size, body = f"{tag}-gzip", len(packed), io.BytesIO(packed)
    response = Response(wrap_file(request.environ, body), mimetype=kind, direct_passthrough=True)
    response.call_on_close(body.close)
    response.content_length = size
    response.last_modified = int(status.st_mtime)  # type: ignore[assignment]
    response.set_etag(tag)
    if compressed:
        response.headers["Content-Encoding"] = "gzip"
    return response


def _likes_gzip(request: Request) -> bool:
    """A range is one of the file's own bytes."""
    encodings = request.accept_encodings
    return _asked_part(request) is None and encodings.quality("gzip") > encodings.quality("identity")


def _as_asked(response: Response, request: Request) -> Response:
    """The conditions first, then the range. werkzeug, which has them the other way round, gets the range alone."""
    from werkzeug.exceptions import PreconditionFailed

    if _is_another(response, request):
        raise PreconditionFailed
    if _is_known(response, request):
        response.status_code = 304
        return response
    size, asked = response.content_length or 0, _asked_part(request)
    environ = {"REQUEST_METHOD": request.method}
    if asked is not None and _has_the_rest(response, request):
        environ["HTTP_RANGE"] = _within(asked, size).to_header()
    return response.make_conditional(environ, accept_ranges=True, complete_length=size)


def _is_another(response: Response, request: Request) -> bool:
    """Whether it isn't the file that the client wants; a time says so only where there is no tag."""
    if request.if_match:
        return (response.get_etag()[0] or "") not in request.if_match
    since, changed = request.if_unmodified_since, response.last_modified
    return since is not None and changed is not None and changed > since


def _is_known(response: Response, request: Request) -> bool:
    """Whether the client has the file already; a time says so only where there is no tag."""
    if request.if_none_match:
        return request.if_none_match.contains_weak(response.get_etag()[0] or "")
    since, changed = request.if_modified_since, response.last_modified
    return since is not None and changed is not None and changed <= since


def _asked_part(request: Request) -> Range | None:
    """What a GET asks for with one range of bytes. Other ranges may be ignored, and that of HEAD has to be."""
    asked = request.range if request.method == "GET" else None
    return asked if asked is not None and asked.units == "bytes" and len(asked.ranges) == 1 else None


def _has_the_rest(response: Response, request: Request) -> bool:
    """Whether a part fits what the client has: its tag, which a weak one isn't, or time, to the letter."""
    had = request.headers.get("If-Range")
    return had is None or had in (response.headers["ETag"], response.headers["Last-Modified"])


def _within(asked: Range, size: int) -> Range:
    """The end of a file that is shorter is all of it."""
    from werkzeug.datastructures import Range

    ((start, end),) = asked.ranges
    return Range(asked.units, [(max(start, -size), end)])


@lru_cache(DIGESTS_KEPT)
def _digest(file: _File) -> str:
    digest = hashlib.file_digest(file.content, "sha256").hexdigest()
    file.content.seek(0)
    return digest


@lru_cache(PAGES_KEPT)
def _pack(file: _File) -> bytes:
    return gzip.compress(file.content.read(), mtime=0)
