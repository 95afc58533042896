"""Transfers from servers that hang, trickle, never end or send bombs."""

from __future__ import annotations

import gzip
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from factory.errors import TimeLimitReached
from factory.host import index_session, transfer
from factory.host.index_page import UNREADABLE, read_page
from factory.host.index_session import IndexConfig, open_session
from factory.host.transfer import TransferLimit
from factory.util import cancellation
from tests.support import bad_servers
from tests.support.bad_servers import Answer, BadServer, Write, bad_server, head, make_certificate

HANGING = (
    bad_servers.silent,
    bad_servers.silent_after_head,
    bad_servers.silent_within_body,
    bad_servers.trickling_head,
    bad_servers.trickling_body,
    bad_servers.trickling_chunks,
)
ENDLESS = (bad_servers.endless, bad_servers.endless_chunks)
LIMIT_SECONDS = 5.0


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setattr(index_session, "BACKOFF_SECONDS", 0.001)


def page(server: BadServer) -> object:
    with open_session(IndexConfig(url=server.simple)) as session:
        return read_page("spam", server.simple, session)


@pytest.mark.parametrize("answer", [*HANGING, *ENDLESS], ids=lambda answer: answer.__name__)
def test_time_limit_ends_any_transfer_at_once(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAGE_BYTES", 1 << 40)
    started = time.monotonic()
    with bad_server(slowed(answer)) as server, cancellation.time_limit(0.5, TimeLimitReached):
        with pytest.raises(TimeLimitReached):
            page(server)
        assert time.monotonic() - started < LIMIT_SECONDS


def slowed(answer: Answer) -> Answer:
    """Keep an endless answer from filling the memory of the test."""

    def write_slowly(server: BadServer, path: str, write: Write) -> None:
        def slow(data: bytes) -> None:
            write(data)
            time.sleep(0.02)

        answer(server, path, slow)

    return write_slowly


@pytest.mark.parametrize("answer", HANGING, ids=lambda answer: answer.__name__)
def test_hanging_page_ends_by_itself(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(transfer, "RATE_SECONDS", 0.5)
    monkeypatch.setattr("factory.host.index_page.TIMEOUT_SECONDS", (1.0, 0.7))
    started = time.monotonic()
    with bad_server(answer) as server, pytest.raises(requests.RequestException):
        page(server)
    assert time.monotonic() - started < LIMIT_SECONDS


@pytest.mark.parametrize("answer", ENDLESS, ids=lambda answer: answer.__name__)
def test_endless_page_is_refused(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAGE_BYTES", 3_000_000)
    with bad_server(answer) as server, pytest.raises(TransferLimit, match="larger than 3 MB"):
        page(server)


@pytest.mark.parametrize("answer", ENDLESS, ids=lambda answer: answer.__name__)
def test_endless_streamed_file_is_refused(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A published file is compared with its hash as it arrives: it must end."""
    monkeypatch.setattr(transfer, "FILE_BYTES", 3_000_000)
    with (
        bad_server(answer) as server,
        open_session(IndexConfig(url=server.simple)) as session,
        session.get(server.url, stream=True, timeout=5) as response,
        pytest.raises(TransferLimit),
    ):
        list(response.iter_content(1 << 16))


def test_gzip_bomb_of_page_is_bounded_in_memory() -> None:
    bomb = gzip.compress(bytes(3_000_000_000 // 100))
    bomb = bomb * 100  # members of a gzip file may follow each other

    def answer(_server: BadServer, _path: str, write: Write) -> None:
        write(head("Content-Type: text/html", "Content-Encoding: gzip", f"Content-Length: {len(bomb)}") + bomb)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with bad_server(answer) as server, pytest.raises(TransferLimit, match="larger than"):
        page(server)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB


def test_slow_but_steady_page_arrives() -> None:
    def answer(_server: BadServer, _path: str, write: Write) -> None:
        text = b'<html><a href="spam-1.0.tar.gz">spam-1.0.tar.gz</a></html>'
        write(head("Content-Type: text/html", f"Content-Length: {len(text)}"))
        for byte in text:
            write(bytes([byte]))
            time.sleep(0.005)

    with bad_server(answer) as server:
        found = page(server)
    assert [each.filename for each in found.packages] == ["spam-1.0.tar.gz"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("cut", [0, 1, 30, 60])
@pytest.mark.parametrize("framing", ["length", "chunked", "json"])
def test_truncated_page_is_requested_again(cut: int, framing: str) -> None:
    html = b'<html><a href="spam-1.0.tar.gz">spam-1.0.tar.gz</a>' + b" " * 20 + b"</html>"
    json = (
        b'{"meta": {"api-version": "1.1"}, "name": "spam", "versions": ["1.0"], "files": [{"filename": '
        b'"spam-1.0.tar.gz", "url": "spam-1.0.tar.gz", "hashes": {}, "size": 1}]}'
    )

    def answer(server: BadServer, _path: str, write: Write) -> None:
        whole = len(server.requests) > 2
        if framing == "length":
            write(head("Content-Type: text/html", f"Content-Length: {len(html)}") + (html if whole else html[:cut]))
        elif framing == "chunked":
            write(head("Content-Type: text/html", "Transfer-Encoding: chunked") + f"{len(html):x}\r\n".encode())
            write(html + b"\r\n0\r\n\r\n" if whole else html[:cut])
        else:
            write(head("Content-Type: application/vnd.pypi.simple.v1+json") + (json if whole else json[:cut]))

    with bad_server(answer) as server:
        found = page(server)
        assert len(server.requests) == 3
    assert [each.filename for each in found.packages] == ["spam-1.0.tar.gz"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    [b"[]", b"null", b"7", b'"x"', b"{}", b'{"files": 1}', b'{"meta": {}, "name": [], "files": {}}', b"[" * 90_000],
)
def test_json_of_another_shape_is_one_error(text: bytes) -> None:
    def answer(_server: BadServer, _path: str, write: Write) -> None:
        kind = "Content-Type: application/vnd.pypi.simple.v1+json"
        write(head(kind, f"Content-Length: {len(text)}") + text)

    with bad_server(answer) as server, pytest.raises(UNREADABLE) as caught:
        page(server)
    assert "\n" not in str(caught.value)


LOGINS = {
    "form": b"<!doctype html><html><form action=/in><input name=u><input type=password name=p></form></html>",
    "script": b"<html><script src=app.js></script><h1>Sign in</h1></html>",
    "saml": b'<HTML><BODY onload="f()"><FORM method=post><input type=hidden name=SAMLRequest></FORM></BODY></HTML>',
}


@pytest.mark.parametrize("redirected", [False, True])
@pytest.mark.parametrize("name", LOGINS)
def test_login_page_is_named(name: str, redirected: bool) -> None:
    def answer(_server: BadServer, path: str, write: Write) -> None:
        if redirected and path.startswith("/simple/"):
            write(head("Location: /oauth?state=secret", "Content-Length: 0", status="302 Found"))
        else:
            write(head("Content-Type: text/html", f"Content-Length: {len(LOGINS[name])}") + LOGINS[name])

    with bad_server(answer) as server, pytest.raises(ValueError, match="answers with a login page") as caught:
        page(server)
    assert ("/oauth" if redirected else "/simple/spam/") in str(caught.value)
    assert "secret" not in str(caught.value)


def test_project_without_files_is_no_login_page() -> None:
    def answer(_server: BadServer, _path: str, write: Write) -> None:
        write(head("Content-Type: text/html") + b"<!DOCTYPE html><html><body><h1>Links for login</h1></body></html>")

    with bad_server(answer) as server:
        assert page(server).packages == []  # type: ignore[attr-defined]


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a certificate that requests trusts."""
    path = make_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    return path


def redirect_to(target: Callable[[], str]) -> Answer:
    def answer(_server: BadServer, _path: str, write: Write) -> None:
        write(head(f"Location: {target()}", "Content-Length: 0", status="302 Found"))

    return answer


def plain(_server: BadServer, path: str, write: Write) -> None:
    if path == "/again":
        write(head("Location: /end", "Content-Length: 0", status="302 Found"))
    else:
        write(head("Content-Type: text/html", "Content-Length: 2") + b"ok")


@pytest.mark.parametrize("path", ["/end", "/again"])
@pytest.mark.parametrize("source", ["netrc", "configured"])
def test_redirect_to_http_sends_no_credentials(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, source: str
) -> None:
    credentials = None
    if source == "netrc":
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    else:
        credentials = ("me", "s3cret")
    with bad_server(plain) as http, bad_server(redirect_to(lambda: http.url + path), certificate) as https:
        config = IndexConfig(url=https.simple, credentials=credentials, ca_bundle=str(certificate))
        with open_session(config) as session:
            assert session.get(https.simple, timeout=5).text == "ok"
    assert "Authorization" in https.requests[0][1]
    assert http.requests
    assert not [headers for _, headers in http.requests if "Authorization" in headers]


def test_http_link_of_https_index_gets_no_credentials(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with bad_server(plain) as http:
        config = IndexConfig(
            url="https://127.0.0.1:1/simple/", credentials=("me", "s3cret"), ca_bundle=str(certificate)
        )
        with open_session(config) as session:
            session.get(f"{http.url}/end", timeout=5)
    assert "Authorization" not in http.requests[0][1]


def test_abandoned_request_ends_its_thread() -> None:
    with bad_server(bad_servers.silent) as server, cancellation.time_limit(0.3, TimeLimitReached):
        with pytest.raises(TimeLimitReached):
            page(server)
        server.ended.set()
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline and any(each.name == "request" for each in threading.enumerate()):
            time.sleep(0.05)
    assert not [each for each in threading.enumerate() if each.name == "request"]
