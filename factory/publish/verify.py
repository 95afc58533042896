"""Is an index what its ledger says, to the byte? What was published must be there, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from factory.errors import PublishError
from factory.publish.ledger import Release
from factory.publish.simple_api import simple_pages
from factory.publish.wheel_metadata import METADATA, provenance_of, read_metadata
from factory.util.atomic_files import sha256_of


def differences(releases: Sequence[Release], output: Path, further: Mapping[str, str]) -> tuple[str, ...]:
    """What in the folder `output` is missing, strange, or another than `releases` make it; one line each.

    `further` are the names and sha256 of other files beside the wheels.
    """
    return (*_files(releases, output / "files", further), *_pages(releases, output))


def _files(releases: Sequence[Release], folder: Path, further: Mapping[str, str]) -> Iterator[str]:
    """A file that lies elsewhere may be here too: where it was moved, pinned addresses go on working."""
    own = [release for release in releases if release.url is None or (folder / release.filename).is_file()]
    expected = {release.filename: release.sha256 for release in own}
    metadata = ((f"{each.filename}{METADATA}", _metadata(each, folder)) for each in own)
    expected |= {name: sha256 for name, sha256 in metadata if sha256 is not None}
    expected |= {
        provenance_of(Path(each.filename)).name: each.provenance_sha256 for each in own if each.provenance_sha256
    }
    expected |= further
    yield from _wrong_files(expected, folder)


def _metadata(release: Release, folder: Path) -> str | None:
    """What the METADATA beside a wheel has to be. Where the wheel moved without, it stayed as it is in the wheel."""
    if release.metadata_sha256 is not None or not (folder / f"{release.filename}{METADATA}").is_file():
        return release.metadata_sha256
    try:
        return hashlib.sha256(read_metadata(folder / release.filename)).hexdigest()
    except PublishError:  # that the wheel is damaged is told by its hash
        return None


def _wrong_files(expected: Mapping[str, str], folder: Path) -> Iterator[str]:
    for name, sha256 in expected.items():
        path = folder / name
        if not path.is_file():
            yield f"files/{name}: it is missing"
        elif (found := sha256_of(path)) != sha256:
            yield f"files/{name}: has sha256 {found}, published was {sha256}"
    yield from (f"files/{name}: it is not in the ledger" for name in _names(folder) if name not in expected)


def _pages(releases: Sequence[Release], output: Path) -> Iterator[str]:
    pages = simple_pages(releases, output).items()
    expected = {path.relative_to(output).as_posix(): hashlib.sha256(text.encode()).hexdigest() for path, text in pages}
    yield from wrong_pages(expected, ("simple",), output)


def wrong_pages(expected: Mapping[str, str], folders: Iterable[str], output: Path) -> Iterator[str]:
    """What of the pages with these sha256 is missing or another, and what else is in these folders; one line each."""
    for name, sha256 in expected.items():
        path = output / name
        if not path.is_file():
            yield f"{name}: it is missing"
        elif sha256_of(path) != sha256:
            yield f"{name}: is not what the ledger gives"
    found = (f"{folder}/{name}" for folder in folders for name in _names(output / folder))
    yield from (f"{name}: nothing in the ledger makes it" for name in found if name not in expected)


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
