"""Server of a published index: reads its files by HTTP."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

import requests

from factory.errors import PublishError
from factory.host.index_session import open_session, read_index_config, split_credentials
from factory.util.atomic_files import COPY_BYTES
from factory.util.redaction import without_secrets

# To connect, and between two parts of an answer: who waits for an index can do without it.
TIMEOUT_SECONDS = (10.0, 30.0)
RETRIES = 1


@dataclass(frozen=True, slots=True)
class IndexServer:
    """An index at an address, which ends with a slash."""

    url: str
    session: requests.Session

    def read(self, path: str, limit: int) -> bytes | None:
        with self._answer(path) as answer:
            if answer.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
                return None
            content = bytearray()
            for piece in _body(answer):
                content += piece
                if len(content) > limit:
                    large = f"{without_secrets(urljoin(self.url, path))}: not read: it has more than {limit} bytes"
                    raise PublishError(large, machines_fault=True)
            return bytes(content)

    def pieces(self, path: str) -> Iterator[bytes]:
        with self._answer(path) as answer:
            yield from _body(answer)

    @contextmanager
    def _answer(self, path: str) -> Iterator[requests.Response]:
        shown = without_secrets(path)
        try:
            url = urljoin(self.url, path)
            shown = without_secrets(url)
            if urlsplit(url).scheme not in ("http", "https"):
                raise PublishError(f"{shown}: no http address")
            headers = {"Accept-Encoding": "identity", "Accept": "*/*"}
            with self.session.get(url, timeout=TIMEOUT_SECONDS, stream=True, headers=headers) as answer:
                yield answer
        except (requests.RequestException, ValueError) as error:  # the latter for what is no address
            status = error.response.status_code if isinstance(error, requests.HTTPError) else None
            missing = status is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR
            raise PublishError(
                f"{shown}: cannot fetch it: {without_secrets(str(error))}",
                machines_fault=not missing and not isinstance(error, ValueError),
            ) from error


def _body(answer: requests.Response) -> Iterator[bytes]:
    """Yield the body of a successful answer, which must be complete."""
    answer.raise_for_status()
    length, total = answer.headers.get("Content-Length", ""), 0
    for piece in answer.iter_content(COPY_BYTES):
        total += len(piece)
        yield piece
    if length.isdecimal() and total < int(length):
        raise requests.ConnectionError(f"the answer ended after {total} of {length} bytes")


@contextmanager
def open_server(address: str) -> Iterator[IndexServer]:
    """Open the index at an address or that of its `simple/`, also with credentials."""
    url, credentials = split_credentials(address.rstrip("/").removesuffix("/simple") + "/")
    config = read_index_config()
    if credentials is not None or urlsplit(config.url).netloc != urlsplit(url).netloc:
        config = dataclasses.replace(config, url=url, credentials=credentials)
    with open_session(config, RETRIES) as session:
        yield IndexServer(url, session)
