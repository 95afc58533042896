"""Package index on the loopback interface that can fail as real ones do."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


@dataclass(kw_only=True)
class IndexServer:
    """Files, failures and requests of an index. The next answers break off after `cuts` bytes."""

    files: dict[str, bytes] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    credentials: str | None = None
    yanked: str | None = None
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    @property
    def simple(self) -> str:
        return f"{self.url}/simple/"

    def add(self, name: str, content: bytes, sha256: str | None = None) -> str:
        """Serve a file; the index states its hash, or the one given. Returns the true hash."""
        self.files[name] = content
        self.hashes[name] = hashlib.sha256(content).hexdigest() if sha256 is None else sha256
        return hashlib.sha256(content).hexdigest()

    def downloads(self) -> list[str]:
        """Return the Range headers of the requests for files."""
        return [headers.get("Range", "all") for path, headers in self.requests if path.startswith("/files/")]

    def page(self, project: str) -> bytes | None:
        names = [name for name in self.files if name.lower().replace("_", "-").startswith(f"{project}-")]
        yanked = "" if self.yanked is None else f' data-yanked="{self.yanked}"'
        links = [f'<a href="../../files/{name}#sha256={self.hashes[name]}"{yanked}>{name}</a>' for name in names]
        return "<!DOCTYPE html><html><body>{}</body></html>".format("\n".join(links)).encode() if names else None


@contextmanager
def serve() -> Iterator[IndexServer]:
    index = IndexServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self, index)

        def do_HEAD(self) -> None:
            answer(self, index)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        index.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield index
        server.shutdown()


def answer(request: BaseHTTPRequestHandler, index: IndexServer) -> None:
    index.requests.append((request.path, dict(request.headers)))
    kind, _, name = unquote(request.path).strip("/").partition("/")
    content = index.page(name) if kind == "simple" else index.files.get(name)
    if index.credentials is not None and request.headers.get("Authorization") != index.credentials:
        send(request, 401, b"", index)
    elif kind == "files" and index.statuses:
        send(request, index.statuses.pop(0), b"", index)
    elif content is None:
        send(request, 404, b"", index)
    elif kind == "files" and index.ranges and "Range" in request.headers:
        send_rest(request, content, index)
    else:
        send(request, 200, content, index, cut=kind == "files")


def send_rest(request: BaseHTTPRequestHandler, content: bytes, index: IndexServer) -> None:
    start = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    if start >= len(content):
        send(request, 416, b"", index)
        return
    where = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
    send(request, 206, content[start:], index, cut=True, headers=where)


def send(
    request: BaseHTTPRequestHandler,
    status: int,
    content: bytes,
    index: IndexServer,
    *,
    cut: bool = False,
    headers: dict[str, str] | None = None,
) -> None:
    request.send_response(status)
    for name, value in {"Content-Type": "text/html", "Content-Length": str(len(content)), **(headers or {})}.items():
        request.send_header(name, value)
    request.end_headers()
    if request.command == "HEAD":
        return
    if cut and index.cuts:
        request.wfile.write(content[: index.cuts.pop(0)])
        request.close_connection = True
    else:
        request.wfile.write(content)
