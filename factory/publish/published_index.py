"""A published index as a reader sees it: by HTTP, or in a folder. Nothing that it states is trusted."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urljoin, urlsplit

import msgspec
import requests

from factory.errors import PublishError
from factory.host.index_session import open_session, read_index_config, split_credentials
from factory.publish.provenance import PROVENANCE_SUFFIX
from factory.publish.release import SHA256
from factory.publish.simple_api import JSON_NAME
from factory.util.atomic_files import COPY_BYTES, write_pieces
from factory.util.jsonio import DAMAGED, decode
from factory.util.redaction import without_secrets

PAGE_LIMIT = 64 << 20  # bytes
# To connect, and between two parts of an answer: who waits for an index can do without it.
TIMEOUT_SECONDS = (10.0, 30.0)
RETRIES = 1
SERVER_ERROR = 500  # the first status of faults of a server; those before are of a request


class IndexedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as the index's page states it (PEP 691)."""

    filename: str
    url: str
    hashes: dict[str, str]
    size: int | None = None
    yanked: bool | str = False
    provenance: str | None = None
    core_metadata: bool | dict[str, str] = msgspec.field(name="core-metadata", default=False)

    @property
    def sha256(self) -> str:
        """The stated hash, empty if it is none."""
        stated = self.hashes.get("sha256", "")
        return stated if SHA256.fullmatch(stated) else ""


class _Page(msgspec.Struct):
    files: list[IndexedFile]


class Source(Protocol):
    """The files of an index, by their paths in it."""

    def read(self, path: str, limit: int) -> bytes | None:
        """Return a file, None if there is none; raises PublishError if it can't be read or is larger."""

    def pieces(self, path: str) -> Iterator[bytes]:
        """Yield a file's content."""


@dataclass(frozen=True, slots=True)
class PublishedIndex:
    """An index at an address or in a folder, `name` in messages."""

    name: str
    source: Source

    def files(self, project: str) -> list[IndexedFile]:
        """Return a project's files, none if the index does not have the project.

        Raises:
            PublishError: the index does not answer, or its page is damaged.
        """
        path = f"simple/{quote(project)}/{JSON_NAME}"
        content = self.source.read(path, PAGE_LIMIT)
        if content is None:
            return []
        try:
            return decode(content, _Page).files
        except DAMAGED as error:
            raise PublishError(f"{self.name}/{path}: damaged page: {error}", hint="ask who runs this index") from error

    def sidecar(self, filename: str, suffix: str, limit: int) -> bytes | None:
        """Return a file beside a wheel, None if there is none.

        Raises:
            PublishError: it cannot be read, or is larger than `limit`.
        """
        return self.source.read(f"files/{quote(filename)}{suffix}", limit)

    def provenance(self, file: IndexedFile, limit: int) -> bytes | None:
        """Return a wheel's provenance (PEP 740), None if there is none.

        Raises:
            PublishError: as `sidecar`.
        """
        if file.provenance is not None and (found := self.source.read(file.provenance, limit)) is not None:
            return found
        return self.sidecar(file.filename, PROVENANCE_SUFFIX, limit)

    def fetch(self, project: str, file: IndexedFile, to: Path, limit: int) -> None:
        """Copy a file to `to`.

        Raises:
            PublishError: it is missing, larger than `limit`, or has another sha256 than stated.
        """
        digest = hashlib.sha256()
        try:
            path = urljoin(f"simple/{quote(project)}/", file.url) if "://" not in file.url else file.url
        except ValueError as error:
            raise PublishError(f"{file.filename}: the index states no address: {error}") from error

        def checked() -> Iterator[bytes]:
            left = limit
            for piece in self.source.pieces(path):
                left -= len(piece)
                if left < 0:
                    raise PublishError(f"{file.filename}: larger than {limit} bytes, which the index states")
                digest.update(piece)
                yield piece

        write_pieces(to, checked())
        if digest.hexdigest() != file.sha256:
            to.unlink()
            raise PublishError(f"{file.filename}: sha256 is {digest.hexdigest()}, the index states {file.sha256}")


@dataclass(frozen=True, slots=True)
class _Folder:
    """An index in a folder of this machine."""

    root: Path

    def read(self, path: str, limit: int) -> bytes | None:
        file = self._file(path)
        if file is None:
            return None
        if file.stat().st_size > limit:
            raise PublishError(f"{file}: not read: it has more than {limit} bytes")
        return file.read_bytes()

    def pieces(self, path: str) -> Iterator[bytes]:
        file = self._file(path)
        if file is None:
            raise PublishError(f"{self.root / path}: file not found")
        with file.open("rb") as content:
            while piece := content.read(COPY_BYTES):
                yield piece

    def _file(self, path: str) -> Path | None:
        """Return a file of the index; None if it is missing, at an address, or outside."""
        try:
            file = (self.root / unquote(path)).resolve()
            inside = "://" not in path and file.is_relative_to(self.root.resolve())
            return file if inside and file.is_file() else None
        except (OSError, ValueError):  # a name that no file can have
            return None


@dataclass(frozen=True, slots=True)
class _Server:
    """An index at an address, which ends with a slash."""

    url: str
    session: requests.Session

    def read(self, path: str, limit: int) -> bytes | None:
        with self._answer(path) as answer:
            if answer.status_code in (requests.codes.not_found, requests.codes.gone):
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
            missing = isinstance(error, requests.HTTPError) and error.response.status_code < SERVER_ERROR
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
def open_index(where: str) -> Iterator[PublishedIndex]:
    """Open the index at an address, or in a folder; its `simple/` may be named instead.

    Raises:
        PublishError: the folder has no index.
    """
    if not re.match("(?i)https?://", where):
        folder = Path(where)
        folder = folder if (folder / "simple").is_dir() else folder.parent
        if not (folder / "simple").is_dir():
            raise PublishError(f"{where}: not an index: it has no folder simple/", hint="name its folder or address")
        yield PublishedIndex(str(folder), _Folder(folder))
        return
    url, credentials = split_credentials(where.rstrip("/").removesuffix("/simple") + "/")
    config = read_index_config()
    if credentials is not None or urlsplit(config.url).netloc != urlsplit(url).netloc:
        config = dataclasses.replace(config, url=url, credentials=credentials)
    with open_session(config, RETRIES) as session:
        yield PublishedIndex(url.rstrip("/"), _Server(url, session))
