"""Verification of a written index.

Its files and pages are those of the ledger, to the byte, and no others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from factory.errors import PublishError
from factory.publish.provenance import provenance_path
from factory.publish.release import Release
from factory.publish.simple_api import simple_pages
from factory.publish.wheel_metadata import METADATA_SUFFIX, read_metadata
from factory.util.atomic_files import sha256_of


def find_differences(releases: Sequence[Release], output: Path, further: Mapping[str, str]) -> tuple[str, ...]:
    """Return a line for each missing, unknown or different file or page in `output`.

    `further` maps the names of other sidecar files to their sha256.
    """
    return (*_files(releases, output / "files", further), *_pages(releases, output))


def _files(releases: Sequence[Release], folder: Path, further: Mapping[str, str]) -> Iterator[str]:
    """Compare `files/`.

    Linked files may be there too: the address of a wheel that was uploaded elsewhere later stays valid.
    """
    own = [release for release in releases if release.url is None or (folder / release.filename).is_file()]
    expected = {release.filename: release.sha256 for release in own}
    metadata = ((f"{each.filename}{METADATA_SUFFIX}", _metadata(each, folder)) for each in own)
    expected |= {name: sha256 for name, sha256 in metadata if sha256 is not None}
    expected |= {
        provenance_path(Path(each.filename)).name: each.provenance_sha256 for each in own if each.provenance_sha256
    }
    expected |= further
    yield from _wrong_files(expected, folder)


def _metadata(release: Release, folder: Path) -> str | None:
    """Return the expected sha256 of a METADATA file.

    One left behind by a moved wheel is compared with the wheel.
    """
    if release.metadata_sha256 is not None or not (folder / f"{release.filename}{METADATA_SUFFIX}").is_file():
        return release.metadata_sha256
    try:
        return hashlib.sha256(read_metadata(folder / release.filename)).hexdigest()
    except PublishError:  # a damaged wheel is reported by its hash
        return None


def _wrong_files(expected: Mapping[str, str], folder: Path) -> Iterator[str]:
    for name, sha256 in expected.items():
        path = folder / name
        if not path.is_file():
            yield f"files/{name}: missing"
        elif (found := sha256_of(path)) != sha256:
            yield f"files/{name}: has sha256 {found}, published with {sha256}"
    yield from (f"files/{name}: not in the ledger" for name in _names(folder) if name not in expected)


def _pages(releases: Sequence[Release], output: Path) -> Iterator[str]:
    pages = simple_pages(releases, output).items()
    expected = {path.relative_to(output).as_posix(): hashlib.sha256(text.encode()).hexdigest() for path, text in pages}
    yield from find_page_differences(expected, ("simple",), output)


def find_page_differences(expected: Mapping[str, str], folders: Iterable[str], output: Path) -> Iterator[str]:
    """Yield a line for each missing or different page, and other file in `folders`."""
    for name, sha256 in expected.items():
        path = output / name
        if not path.is_file():
            yield f"{name}: missing"
        elif sha256_of(path) != sha256:
            yield f"{name}: differs from the ledger"
    found = (f"{folder}/{name}" for folder in folders for name in _names(output / folder))
    yield from (f"{name}: not a page of the ledger" for name in found if name not in expected)


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
