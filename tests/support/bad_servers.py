"""Web servers on loopback that hang, trickle, break off, redirect or never end."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.handler_server import QuietHandler, handled

Write = Callable[[bytes], None]


@dataclass(kw_only=True)
class BadServer:
    """A server's address, its requests (path, headers), and the event of its end."""

    url: str = ""
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def simple(self) -> str:
        return f"{self.url}/simple/"


# Writes a whole HTTP answer to a request; its connection is closed afterwards.
Answer = Callable[[BadServer, str, Write], None]


@contextmanager
def bad_server(answer: Answer, certificate: Path | None = None) -> Iterator[BadServer]:
    """Serve `answer`, by https with a certificate."""
    server = BadServer()

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            server.requests.append((self.path, dict(self.headers)))
            with suppress(OSError):  # the client has gone
                answer(server, self.path, self.write)
            self.close_connection = True

        def write(self, data: bytes) -> None:
            self.wfile.write(data)
            self.wfile.flush()

    with handled(Handler, certificate) as server.url:
        yield server
        server.ended.set()


def head(*headers: str, status: str = "200 OK") -> bytes:
    """Return the head of an answer."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()


def silent(server: BadServer, _path: str, _write: Write) -> None:
    """Take the request and answer nothing."""
    server.ended.wait()


def silent_after_head(server: BadServer, _path: str, write: Write) -> None:
    write(head("Content-Type: text/html", "Content-Length: 1000000"))
    server.ended.wait()


def silent_within_body(server: BadServer, _path: str, write: Write) -> None:
    write(head("Content-Type: text/html", "Content-Length: 1000000") + b"<html>" + b" " * 100_000)
    server.ended.wait()


def trickling_head(server: BadServer, _path: str, write: Write) -> None:
    write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not server.ended.wait(0.05):
        write(b"x")


def trickling_body(server: BadServer, _path: str, write: Write) -> None:
    write(head("Content-Type: text/html", "Content-Length: 1000000"))
    while not server.ended.wait(0.05):
        write(b"x")


def trickling_chunks(server: BadServer, _path: str, write: Write) -> None:
    write(head("Content-Type: text/html", "Transfer-Encoding: chunked"))
    while not server.ended.wait(0.05):
        write(b"1\r\nx\r\n")


def endless(server: BadServer, _path: str, write: Write) -> None:
    write(head("Content-Type: text/html"))
    while not server.ended.is_set():
        write(b" " * 1_000_000)


def endless_chunks(server: BadServer, _path: str, write: Write) -> None:
    write(head("Content-Type: text/html", "Transfer-Encoding: chunked"))
    while not server.ended.is_set():
        write(b"f4240\r\n" + b" " * 1_000_000 + b"\r\n")


def make_certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 that signs itself; the file has its key too."""
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    both.write_text(key.read_text() + certificate.read_text())
    return both
