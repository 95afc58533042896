"""Published index as a reader sees it, untrusted: by HTTP, or in a folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urljoin

import msgspec

from factory.errors import PublishError
from factory.publish.provenance import PROVENANCE_SUFFIX
from factory.publish.release import SHA256
from factory.publish.simple_api import JSON_NAME
from factory.util.atomic_files import COPY_BYTES, write_pieces
from factory.util.jsonio import DAMAGED, decode

PAGE_LIMIT = 64 << 20  # bytes


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
        """Return a file, None if there is none; PublishError if unreadable or larger."""

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


@contextmanager
def open_index(where: str) -> Iterator[PublishedIndex]:
    """Open the index at an address, or in a folder; its `simple/` may be named instead.

    Raises:
        PublishError: the folder has no index.
    """
    if not re.match("(?i)https?://", where):
        folder = Path(where)
        folder = folder.parent if folder.name == "simple" and folder.is_dir() else folder
        if not (folder / "simple").is_dir():
            raise PublishError(f"{where}: not an index: it has no folder simple/", hint="name its folder or address")
        yield PublishedIndex(str(folder), _Folder(folder))
        return
    from factory.publish.index_server import open_server

    with open_server(where) as server:
        yield PublishedIndex(server.url.rstrip("/"), server)
