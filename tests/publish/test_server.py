from __future__ import annotations

import gzip
import http.client
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from factory.errors import PublishError
from factory.publish.index_files import write_simple
from factory.publish.server import HTML_V1, JSON_V1, negotiate, serve
from factory.util.atomic_files import sha256_of, write_if_changed
from tests.support.wheelmaker import make_wheel, release_of

WHEEL = "demo_thing-1.0-py3-none-any.whl"
PIP_ACCEPT = f"{JSON_V1}, {HTML_V1}; q=0.1, text/html; q=0.01"
EARLY, LATE = "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 2100 00:00:00 GMT"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    path = make_wheel(folder / "store", "demo_thing")
    write_simple([release_of(path)], lambda _release: path, folder / "out")
    (folder / "secret.txt").write_text("secret")
    (folder / "out/link.txt").symlink_to(folder / "secret.txt")
    (folder / "out/.lock").write_text("")
    return folder / "out"


@pytest.fixture(scope="module")
def url(root: Path) -> Iterator[str]:
    with serve(root) as base:
        yield base


def ask(url: str, path: str, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Request a path as given, without the normalization of other clients."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/simple/", "text/html; charset=utf-8"),
        ("/simple/demo-thing/", "text/html; charset=utf-8"),
        ("/simple/demo-thing/index.html", "text/html; charset=utf-8"),
        ("/simple/demo-thing/index.v1+json", JSON_V1),
        (f"/files/{WHEEL}", "application/octet-stream"),
        (f"/files/{WHEEL}.metadata", "text/plain; charset=utf-8"),
    ],
)
def test_file_has_content_type_and_head_has_no_body(url: str, path: str, kind: str) -> None:
    status, headers, body = ask(url, path)
    assert (status, headers["Content-Type"], headers["Content-Length"]) == (200, kind, str(len(body)))
    status, headers, nothing = ask(url, path, "HEAD")
    assert (status, headers["Content-Length"], nothing) == (200, str(len(body)), b"")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (PIP_ACCEPT, JSON_V1),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("*/*", "text/html"),
        ("", "text/html"),
        (HTML_V1, HTML_V1),
        ("application/vnd.pypi.simple.latest+json", JSON_V1),
        ("application/*", JSON_V1),
        (f"{JSON_V1}, {HTML_V1}, text/html;q=0.01", JSON_V1),
        (f"{JSON_V1};q=0, text/html;q=0.1", "text/html"),
        ("image/png", None),
        ("application/vnd.pypi.simple.v2+json", None),
        ("text/html;q=much", None),
        (f"{JSON_V1};charset=utf-8", JSON_V1),
        (f"{HTML_V1};charset=utf-8;q=0.1, {JSON_V1}; charset=utf-8; q=0.2", JSON_V1),
    ],
)
def test_accept_header_selects_content_type(accept: str, kind: str | None) -> None:
    assert negotiate(accept) == kind


def test_pip_gets_json_with_vary_header(url: str) -> None:
    _status, headers, body = ask(url, "/simple/demo-thing/", Accept=PIP_ACCEPT)
    assert (headers["Content-Type"], headers["Vary"], body[:1]) == (JSON_V1, "Accept, Accept-Encoding", b"{")
    assert headers["Cache-Control"] == "no-cache"
    assert ask(url, "/simple/demo-thing/", Accept="image/png")[0] == 406


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/", "/simple/"),
        ("/simple", "/simple/"),
        ("/simple/demo-thing", "/simple/demo-thing/"),
        ("/simple/Demo_Thing/", "/simple/demo-thing/"),
        ("/simple/a%0d%0aSet-Cookie:x/", "/simple/a%0D%0Aset-cookie%3Ax/"),
    ],
)
def test_name_not_normalized_is_redirected(url: str, path: str, location: str) -> None:
    status, headers, _body = ask(url, path)
    assert (status, headers["Location"]) == (301, location)


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/files/..%2f..%2fsecret.txt",
        "/simple/../../secret.txt",
        "/link.txt",
        "/.lock",
        "/files/",
        "/files",
        "/simple/no-such-project/",
        f"/files/{WHEEL}/",
        "/files/%00",
        "/simple/%00/",
    ],
)
def test_path_outside_the_index_is_not_found(url: str, path: str) -> None:
    status, headers, body = ask(url, path)
    assert status in (301, 404)
    assert b"secret" not in body
    assert headers.get("Location", "/simple/").startswith("/simple/")


def test_connection_serves_many_requests(url: str) -> None:
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    for _ in range(3):
        connection.request("GET", f"/files/{WHEEL}.metadata")
        assert connection.getresponse().read().startswith(b"Metadata-Version")
    connection.close()


def test_cached_file_gets_304(url: str, root: Path) -> None:
    _status, headers, _body = ask(url, f"/files/{WHEEL}")
    assert headers["ETag"] == f'"{sha256_of(root / "files" / WHEEL)}"'
    for known in (headers["ETag"], f'"other", {headers["ETag"]}', "*"):
        status, again, body = ask(url, f"/files/{WHEEL}", **{"If-None-Match": known})
        assert (status, again["ETag"], body) == (304, headers["ETag"], b"")
    assert ask(url, f"/files/{WHEEL}", **{"If-None-Match": '"other"'})[0] == 200
    _status, headers, _body = ask(url, "/simple/")
    assert ask(url, "/simple/", **{"If-Modified-Since": headers["Last-Modified"]})[0] == 304


def test_each_form_of_a_page_has_its_own_etag(url: str) -> None:
    forms = [
        {"Accept": accept, "Accept-Encoding": coding} for accept in ("text/html", JSON_V1) for coding in ("", "gzip")
    ]
    tags = [ask(url, "/simple/demo-thing/", **form)[1]["ETag"] for form in forms]
    assert len(set(tags)) == 4
    for form, tag in zip(forms, tags, strict=True):
        assert ask(url, "/simple/demo-thing/", **form, **{"If-None-Match": tag})[0] == 304


def test_replaced_file_gets_a_new_etag(tmp_path: Path) -> None:
    page = tmp_path / "simple/index.html"
    write_if_changed(page, b"one")
    with serve(tmp_path) as base:
        first = ask(base, "/simple/")[1]["ETag"]
        write_if_changed(page, b"two")
        assert ask(base, "/simple/", **{"If-None-Match": first})[::2] == (200, b"two")


@pytest.mark.parametrize(
    ("asked", "part"),
    [("bytes=0-9", slice(0, 10)), ("bytes=10-", slice(10, None)), ("bytes=-22", slice(-22, None))],
)
def test_range_is_sent_with_206(url: str, root: Path, asked: str, part: slice) -> None:
    whole = (root / "files" / WHEEL).read_bytes()
    status, headers, body = ask(url, f"/files/{WHEEL}", Range=asked)
    first = part.indices(len(whole))[0]
    assert (status, body) == (206, whole[part])
    assert headers["Content-Range"] == f"bytes {first}-{first + len(body) - 1}/{len(whole)}"
    assert headers["Accept-Ranges"] == "bytes"
    assert ask(url, f"/files/{WHEEL}", **{"Range": asked, "If-Range": headers["ETag"]})[0] == 206
    assert ask(url, f"/files/{WHEEL}", **{"Range": asked, "If-Range": '"other"'})[::2] == (200, whole)


def test_range_beyond_the_file_gets_416(url: str, root: Path) -> None:
    size = (root / "files" / WHEEL).stat().st_size
    status, headers, _body = ask(url, f"/files/{WHEEL}", Range=f"bytes={size}-")
    assert (status, headers["Content-Range"]) == (416, f"bytes */{size}")


@pytest.mark.parametrize(
    "asked",
    ["lines=0-9", "bytes", "bytes=", "bytes=x-y", "bytes=9-0", "bytes=--9", "nonsense", "bytes=0-0,2-2", "bytes=5-,-5"],
)
def test_range_other_than_one_of_bytes_is_ignored(url: str, root: Path, asked: str) -> None:
    status, headers, body = ask(url, f"/files/{WHEEL}", Range=asked)
    assert (status, headers["Content-Range"], body) == (200, None, (root / "files" / WHEEL).read_bytes())


def test_suffix_range_longer_than_file_is_whole_file(url: str, root: Path) -> None:
    whole = (root / "files" / WHEEL).read_bytes()
    for length in (len(whole), len(whole) + 1, 999999):
        status, headers, body = ask(url, f"/files/{WHEEL}", Range=f"bytes=-{length}")
        assert (status, headers["Content-Range"]) == (206, f"bytes 0-{len(whole) - 1}/{len(whole)}")
        assert body == whole


@pytest.mark.parametrize("asked", ["bytes=0-9", "bytes=999999-"])
def test_head_with_range_describes_the_whole_file(url: str, root: Path, asked: str) -> None:
    status, headers, body = ask(url, f"/files/{WHEEL}", "HEAD", Range=asked)
    assert (status, headers["Content-Length"], body) == (200, str((root / "files" / WHEEL).stat().st_size), b"")


def test_cached_file_with_range_gets_304(url: str) -> None:
    headers = ask(url, f"/files/{WHEEL}", "HEAD")[1]
    for known in ({"If-None-Match": headers["ETag"]}, {"If-Modified-Since": headers["Last-Modified"]}):
        for asked in ("bytes=0-9", "bytes=999999-"):
            assert ask(url, f"/files/{WHEEL}", Range=asked, **known)[::2] == (304, b"")
    other = {"If-None-Match": '"other"', "If-Modified-Since": headers["Last-Modified"]}
    assert ask(url, f"/files/{WHEEL}", Range="bytes=0-9", **other)[0] == 206


def test_if_range_needs_strong_etag_or_exact_time(url: str, root: Path) -> None:
    whole = (root / "files" / WHEEL).read_bytes()
    headers = ask(url, f"/files/{WHEEL}", "HEAD")[1]
    part = {"Range": "bytes=0-9", "If-Range": headers["Last-Modified"]}
    assert ask(url, f"/files/{WHEEL}", **part)[::2] == (206, whole[:10])
    for other in (f"W/{headers['ETag']}", EARLY, LATE, "*", "x"):
        assert ask(url, f"/files/{WHEEL}", **part | {"If-Range": other})[::2] == (200, whole)


@pytest.mark.parametrize(
    "condition", [{"If-Match": '"other"'}, {"If-Match": 'W/"{tag}"'}, {"If-Unmodified-Since": "{early}"}]
)
def test_failed_precondition_gets_412(url: str, root: Path, condition: dict[str, str]) -> None:
    tag = sha256_of(root / "files" / WHEEL)
    condition = {name: value.format(tag=tag, early=EARLY) for name, value in condition.items()}
    for part in ({}, {"Range": "bytes=0-9"}, {"If-None-Match": f'"{tag}"'}):
        status, headers, body = ask(url, f"/files/{WHEEL}", **condition, **part)
        assert (status, headers["ETag"], b"PK" in body) == (412, None, False)


def test_fulfilled_precondition_sends_the_file(url: str, root: Path) -> None:
    tag = f'"{sha256_of(root / "files" / WHEEL)}"'
    for condition in ({"If-Match": tag}, {"If-Match": "*"}, {"If-Unmodified-Since": LATE}):
        assert ask(url, f"/files/{WHEEL}", **condition)[0] == 200
        assert ask(url, f"/files/{WHEEL}", **condition, Range="bytes=0-9")[0] == 206
        assert ask(url, f"/files/{WHEEL}", **condition, **{"If-None-Match": tag})[0] == 304
    assert ask(url, f"/files/{WHEEL}", **{"If-Match": tag, "If-Unmodified-Since": EARLY})[0] == 200


def test_error_response_has_vary_header(url: str) -> None:
    for status, path, headers in (
        (404, "/simple/no-such-project/", {}),
        (406, "/simple/demo-thing/", {"Accept": "image/png"}),
        (412, "/simple/demo-thing/", {"If-Match": '"other"'}),
        (416, "/simple/demo-thing/", {"Range": "bytes=999999-"}),
    ):
        answer = ask(url, path, **headers)
        assert (answer[0], answer[1]["Vary"]) == (status, "Accept, Accept-Encoding")


@pytest.mark.parametrize("path", [f"/simple/{'x' * 300}/", f"/{'x' * 300}", f"/files/{'x' * 256}.whl", "/x" * 2500])
def test_impossible_file_name_gets_404(url: str, path: str) -> None:
    assert ask(url, path)[0] == 404


def test_pages_are_compressed_on_request_wheels_are_not(url: str, root: Path) -> None:
    for path, content in (
        ("/simple/demo-thing/", (root / "simple/demo-thing/index.html").read_bytes()),
        (f"/files/{WHEEL}.metadata", (root / f"files/{WHEEL}.metadata").read_bytes()),
    ):
        _status, headers, body = ask(url, path, **{"Accept-Encoding": "gzip, deflate"})
        assert (headers["Content-Encoding"], gzip.decompress(body)) == ("gzip", content)
        for refused in ("", "identity", "gzip;q=0", "br"):
            _status, headers, body = ask(url, path, **{"Accept-Encoding": refused})
            assert (headers["Content-Encoding"], body) == (None, content)
        status, headers, body = ask(url, path, **{"Accept-Encoding": "gzip", "Range": "bytes=0-3"})
        assert (status, headers["Content-Encoding"], body) == (206, None, content[:4])
    assert ask(url, f"/files/{WHEEL}", **{"Accept-Encoding": "gzip"})[1]["Content-Encoding"] is None


def test_method_other_than_get_and_head_gets_405(url: str) -> None:
    for method in ("POST", "PUT", "DELETE"):
        status, headers, _body = ask(url, "/simple/", method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_root_serves_the_front_page_of_the_site(tmp_path: Path) -> None:
    for name in ("simple/index.html", "index.html", "project/demo/index.html"):
        write_if_changed(tmp_path / name, name.encode())
    with serve(tmp_path) as base:
        assert ask(base, "/")[2] == b"index.html"
        assert ask(base, "/project/demo/")[2] == b"project/demo/index.html"
        assert ask(base, "/project/demo")[1]["Location"] == "/project/demo/"


def test_callback_gets_a_line_for_each_request(root: Path) -> None:
    lines: list[str] = []
    with serve(root, on_request=lines.append) as base:
        ask(base, "/simple/")
        ask(base, "/simple/a%0Ab/x")
    size = (root / "simple/index.html").stat().st_size
    assert lines == [f"GET /simple/ 200 {size}", "GET /simple/a%0Ab/x 404 207"]


def test_line_of_a_request_has_the_size_that_was_sent(root: Path) -> None:
    lines: list[str] = []
    wheel, page = f"/files/{WHEEL}", "/simple/"
    with serve(root, on_request=lines.append) as base:
        answers = [
            ask(base, path, method, **headers)
            for path in (wheel, page, "/simple", "/none")
            for method in ("GET", "HEAD", "POST")
            for headers in ({}, {"Range": "bytes=0-9"}, {"If-None-Match": "*"}, {"Accept-Encoding": "gzip"})
        ]
    assert [tuple(map(int, line.split()[2:])) for line in lines] == [(status, len(body)) for status, _, body in answers]
    assert {status for status, _, _ in answers} == {200, 206, 301, 304, 404, 405}


def test_folder_without_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="not an index"), serve(tmp_path):
        pass


def test_port_in_use_is_refused_with_hint(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PublishError, match=f"port {port}") as caught, serve(root, port=port):
            pass
    assert "--port" in str(caught.value.hint)


SERVE = """
import argparse, sys
from factory.cli.commands import serve
parser = argparse.ArgumentParser()
serve.configure(parser)
sys.exit(serve.run(parser.parse_args()))
"""


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_commands_and_stops_on_signal(root: Path, ended_by: signal.Signals) -> None:
    argv = [sys.executable, "-c", SERVE, str(root), "--port", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        base = first.split(" at ")[1].split("/simple/")[0]
        assert child.stdout.readline() == f"pip install --index-url {base}/simple/ NAME\n"
        assert child.stdout.readline() == f"uv pip install --default-index {base}/simple/ NAME\n"
        assert ask(base, "/simple/")[0] == 200
        child.send_signal(ended_by)
        assert child.wait(10) == 0
