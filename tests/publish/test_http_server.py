"""Connections of the index's server.

Many, silent and slow ones, requests that are none, and addresses to print.
"""

from __future__ import annotations

import select
import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from waitress.trigger import trigger

from factory.host.addresses import reachable_urls
from factory.publish import http_server
from factory.publish.server import serve
from factory.publish.simple_api import install_lines
from factory.util.atomic_files import write_if_changed

REQUEST = b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    write_if_changed(folder / "simple/index.html", b"packages\n")
    return folder


@pytest.fixture(scope="module")
def url(root: Path) -> Iterator[str]:
    with serve(root) as base:
        yield base


def exchange(url: str, request: bytes) -> bytes:
    """Send bytes as they are, and return the response.

    It ends with the connection or at its first pause.
    """
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(1 << 16)


def test_response_names_the_server(url: str) -> None:
    for path in (b"/simple/", b"/nothing"):
        assert b"\r\nServer: factory-index\r\n" in exchange(url, REQUEST % path)


def test_pipe_stays_open_while_a_stop_writes_to_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker may wake the server between the two steps of a stop."""
    wake = vars(trigger)["_physical_pull"]

    def wake_twice(pipe: trigger) -> None:
        wake(pipe)
        time.sleep(0.5)
        wake(pipe)

    with serve(root) as url:
        assert exchange(url, REQUEST % b"/simple/").startswith(b"HTTP/1.1 200 ")
        monkeypatch.setattr(trigger, "_physical_pull", wake_twice)


@pytest.mark.parametrize(
    "target",
    [
        *(b"http://[", b"http://[::1/simple/", b"http://[x]/", b"http://x:99999999/simple/", b"http://x:abc/simple/"),
        *(b"http://", b"http:///simple/", b"http:/simple/", b"http://u:p@x/simple/", b"http://x\\y/simple/"),
        *(b"http://\xff/simple/", b"ftp://x/simple/", b"x:80", b"simple/", b"?x", b"*"),
    ],
)
def test_invalid_target_gets_400(url: str, target: bytes) -> None:
    assert exchange(url, REQUEST % target).startswith(b"HTTP/1.1 400 ")


def test_absolute_target_is_answered(url: str) -> None:
    for target in (b"http://x/simple/", b"HTTP://x:80/simple/", b"http://[::1]:80/simple/?x"):
        assert exchange(url, REQUEST % target).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "host", [b"a\r\nHost: b", b"a\r\nHost: a", b"\r\nHost:", b"a b", b"a/b", b"u@b", b"b:xx", b"[::1", b"\xc3\x80.lan"]
)
def test_repeated_or_invalid_host_gets_400(url: str, host: bytes) -> None:
    for version in (b"1.0", b"1.1"):
        answer = exchange(url, b"GET /simple/ HTTP/" + version + b"\r\nHost: " + host + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/" + version + b" 400 ")


@pytest.mark.parametrize("host", [b"", b"b:80", b"b:", b"[::1]:80", b"[fe80::1%25eth0]", b"my_host.lan", b"127.0.0.1"])
def test_valid_host_is_answered(url: str, host: bytes) -> None:
    request = b"GET /simple/ HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    assert exchange(url, request).startswith(b"HTTP/1.1 200 ")


def test_request_without_host_gets_400(url: str) -> None:
    assert exchange(url, b"GET /simple/ HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert exchange(url, b"GET /simple/ HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 ")


def test_endless_headers_get_431(root: Path) -> None:
    lines: list[str] = []
    with serve(root, on_request=lines.append) as base:
        for request in (b"GET /" + b"x" * 100_000, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-More: x\r\n" * 10_000):
            assert exchange(base, request).startswith(b"HTTP/1.0 431 ")
        assert exchange(base, REQUEST % b"/simple/").startswith(b"HTTP/1.1 200 ")
        assert exchange(base, REQUEST % (b"/" + b"x" * 10_000)).startswith(b"HTTP/1.1 404 ")
    assert [len(line) < 300 for line in lines] == [True, True]


def test_silent_and_slow_clients_stop_nobody(url: str) -> None:
    parts = urlsplit(url)
    with ExitStack() as opened:
        for number in range(300):
            client = opened.enter_context(socket.create_connection((parts.hostname, parts.port)))
            client.sendall(b"GET / HTTP/1.1\r\n" if number % 2 else b"")
        assert {exchange(url, REQUEST % b"/simple/")[:15] for _ in range(20)} == {b"HTTP/1.1 200 OK"}


def test_many_requests_at_once_are_all_answered(url: str) -> None:
    """All connections are open before the first request is sent."""
    parts = urlsplit(url)
    with ExitStack() as opened:
        clients = [
            opened.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=60)) for _ in range(400)
        ]
        for client in clients:
            client.sendall(REQUEST % b"/simple/")
        assert {client.recv(15) for client in clients} == {b"HTTP/1.1 200 OK"}


def test_slow_headers_end_the_connection(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEADER_SECONDS", 1)
    monkeypatch.setattr(http_server, "CLEANUP_SECONDS", 1)
    with serve(root) as base:
        parts = urlsplit(base)
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as client:
            client.sendall(b"GET / HTTP/1.1\r\n")
            while not select.select([client], [], [], 0.1)[0]:
                client.sendall(b"X-Drip: x\r\n")
            assert client.recv(1) == b""


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("http://192.0.2.7:8000/simple/", " --trusted-host 192.0.2.7"),
        ("http://[2001:db8::1]:8000/simple/", " --trusted-host 2001:db8::1"),
        ("https://wheels.example/$(a);b/simple/", ""),
        ("http://board.lan/simple/", " --trusted-host board.lan"),
        ("http://127.0.0.1:8000/simple/", ""),
        ("http://[::1]:8000/simple/", ""),
        ("http://localhost:8000/simple/", ""),
        ("https://wheels.example/simple/", ""),
        ("file:///srv/index/simple/", ""),
    ],
)
def test_install_line_trusts_http_of_another_machine(url: str, trusted: str) -> None:
    pip, uv = map(shlex.split, install_lines(url))
    assert pip == f"pip install --index-url {url}{trusted} NAME".split()
    assert uv == f"uv pip install --default-index {url} NAME".split()


def test_server_of_all_addresses_names_those_of_the_machine() -> None:
    assert reachable_urls("http://127.0.0.1:80") == ["http://127.0.0.1:80"]
    found = reachable_urls("http://0.0.0.0:8000")
    assert found[-1] == "http://127.0.0.1:8000"
    assert all(url.endswith(":8000") and "0.0.0.0" not in url for url in found)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_server_of_all_ipv6_addresses_answers_at_each_named(root: Path) -> None:
    with serve(root, "::") as base:
        named = reachable_urls(base)
        assert f"http://127.0.0.1:{urlsplit(base).port}" in named
        assert {exchange(url, REQUEST % b"/simple/")[:15] for url in named} == {b"HTTP/1.1 200 OK"}
