"""The ledger: one JSON file a published wheel, the index's source of truth. What it lists never changes its bytes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import filelock
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from factory.errors import PublishError
from factory.files import content_of, write_if_changed
from factory.model import PYTHONS
from factory.serial import DAMAGED, decode

FORMAT = 1
LOCK_TIMEOUT = 900.0  # seconds; the lock is held while the dependencies of all wheels are fetched
# Narrower than what packaging takes: a file name becomes a path and a URL, so it has neither separators nor markup.
SAFE_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl", re.ASCII)
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
# A URL as RFC 3986 writes it, without credentials and fragment: it holds neither spaces nor quotes nor markup.
URL = re.compile(
    r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?([/?][A-Za-z0-9._~:/?@!$&'()*+,;=%-]*)?", re.ASCII
)

_OPTIONAL = ("uploaded", "url", "tracks", "provenance_url", "provenance_sha256")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """We built it: the key of its build record, and the ISA profiles and Pythons on which its checks passed."""

    record: str
    profiles: tuple[str, ...]
    pythons: tuple[str, ...] = PYTHONS[:1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """The file that its own project published, unchanged: a dependency of what we built."""


Origin = Built | Mirrored


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One published wheel. `project` and `version` are normalized, `size` is in bytes, hashes are hexadecimal sha256.

    `metadata_sha256` is that of the METADATA file in the wheel, None where that can't be fetched by itself (PEP 658).
    `yanked` is the reason, or None; `uploaded` the time in UTC (`2026-11-22T09:30:00Z`). `url` is where the file is,
    with its METADATA beside it, None where the index has the file itself. `tracks` is the page of the project that this
    one extends on another index (PEP 708). `provenance_url` is where the file's provenance is (PEP 740), and
    `provenance_sha256` its hash where it came with the wheel. Pages leave out what is not `listed` any more; its file
    stays.
    """

    filename: str
    project: str
    version: str
    sha256: str
    size: int
    requires_python: str | None
    metadata_sha256: str | None
    origin: Origin
    yanked: str | None = None
    uploaded: str | None = None
    url: str | None = None
    tracks: str | None = None
    provenance_url: str | None = None
    provenance_sha256: str | None = None
    listed: bool = True


def now() -> str:
    """This moment, as the ledger writes it."""
    return datetime.now(UTC).strftime(TIME_FORMAT)


def parse_filename(filename: str) -> tuple[str, str]:
    """The normalized project and version that a wheel's file name states.

    Raises:
        PublishError: it isn't the name of a wheel, or has characters that a path or a page can't take as they are.
    """
    try:
        if not SAFE_FILENAME.fullmatch(filename):
            raise InvalidWheelFilename("it has characters that no wheel's file name needs")
        return _parse_parts(filename)
    except InvalidWheelFilename as error:
        raise PublishError(f"{filename!r} can't be published: {error}", hint="rename it as PEP 427 says") from error


def _parse_parts(filename: str) -> tuple[str, str]:
    """The two parts of a name each by itself: a version has few files, and all versions have few tags."""
    head, *tags = filename.rsplit("-", 3)
    try:
        _require_tags("-".join(tags))
        return _parse_head(head)
    except InvalidWheelFilename:
        parse_wheel_filename(filename)  # which says what is wrong with the whole of it
        raise


@lru_cache(maxsize=256)
def _parse_head(head: str) -> tuple[str, str]:
    project, version, _build, _tags = parse_wheel_filename(f"{head}-py3-none-any.whl")
    return project, str(version)


@lru_cache(maxsize=256)
def _require_tags(tags: str) -> None:
    parse_wheel_filename(f"name-1-{tags}")


class Ledger:
    """A folder `<project>/<filename>.json`. Reading needs no lock, since every file appears by rename."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = filelock.FileLock(folder / ".lock", timeout=LOCK_TIMEOUT)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other publishers out; may be nested.

        Raises:
            PublishError: another publisher held the lock for LOCK_TIMEOUT seconds.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except filelock.Timeout as error:
            raise PublishError(
                f"another publisher has held {self._lock.lock_file} for {LOCK_TIMEOUT:.0f} s",
                hint="wait until it has ended, or end it; the lock goes with its process",
            ) from error
        try:
            yield
        finally:
            self._lock.release()

    def read(self) -> tuple[Release, ...]:
        """Every release, ordered by project and file name.

        Raises:
            PublishError: a file of the ledger is damaged; the message names it.
        """
        if not self.folder.is_dir():
            return ()
        with os.scandir(self.folder) as entries:
            projects = sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_dir())
        return tuple(release for project in projects for release in self.read_project(project))

    def read_project(self, project: str) -> tuple[Release, ...]:
        """The releases of one project, ordered by file name.

        Raises:
            PublishError: as `read`.
        """
        folder = f"{self.folder}/{project}"  # a Path costs as much as reading what it leads to
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries if entry.name.endswith(".json") and entry.name[0] != ".")
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return tuple(_load(folder, name) for name in names)

    def find(self, filename: str) -> Release | None:
        """The release with this file name, if it was published."""
        path = self._path(filename)
        return _load(str(path.parent), path.name) if path.is_file() else None

    def verify(self, release: Release) -> None:
        """See that `release` may be added.

        Raises:
            PublishError: its file name was published with other bytes.
        """
        published = self.find(release.filename)
        if published is not None and published.sha256 != release.sha256:
            what = "is published already, with other bytes"
            raise _refused(release.filename, what, published.sha256, release.sha256)

    def verify_all(self, releases: Sequence[Release]) -> None:
        """See that all of `releases` may be added, one after the other.

        Raises:
            PublishError: as `verify`, or two of them have one file name and different bytes.
        """
        hashes: dict[str, str] = {}
        for release in releases:
            self.verify(release)
            other = hashes.setdefault(release.filename, release.sha256)
            if other != release.sha256:
                raise _refused(
                    release.filename, "is to be published twice, with different bytes", other, release.sha256
                )

    def add(self, release: Release) -> Release:
        """Publish one release and return what the ledger holds: the first entry, if these bytes were there before.

        Raises:
            PublishError: its file name was published with other bytes, or can't be published at all.
        """
        with self.locked():
            self.verify(release)
            published = self.find(release.filename)
            if published is not None:
                return published
            write_if_changed(self._path(release.filename), entry_of(release), durable=True)
            return release

    def set_yanked(self, project: str, version: Version, reason: str | None) -> tuple[Release, ...]:
        """Yank every file of a version with `reason` (PEP 592), or take that back with None.

        Returns those that are another way than before.

        Raises:
            PublishError: nothing of that version was published.
        """
        with self.locked():
            published = self.read_project(project)
            files = [release for release in published if Version(release.version) == version]
            if not files:
                raise _not_published(project, version, published)
            plain = None if reason is None else reason.encode(errors="replace").decode()
            return self.update(replace(release, yanked=plain) for release in files)

    def update(self, releases: Iterable[Release]) -> tuple[Release, ...]:
        """Write what is known now of published releases; returns those that are another way than before.

        Raises:
            PublishError: one was not published, or with other bytes.
        """
        with self.locked():
            changed = []
            for release in releases:
                published = self.find(release.filename)
                if published is None:
                    raise _not_published(release.project, Version(release.version), [])
                self.verify(release)
                if release != published:
                    write_if_changed(self._path(release.filename), entry_of(release), durable=True)
                    changed.append(release)
            return tuple(changed)

    def _path(self, filename: str) -> Path:
        project, _version = parse_filename(filename)
        return self.folder / project / f"{filename}.json"


def _not_published(project: str, version: Version, published: Sequence[Release]) -> PublishError:
    versions = sorted({release.version for release in published}, key=Version)
    hint = f"published of {project}: {', '.join(versions)}" if versions else f"the ledger has no project {project}"
    return PublishError(f"{project} {version} was not published", hint=hint)


def _refused(filename: str, what: str, kept: str, refused: str) -> PublishError:
    return PublishError(
        f"{filename} {what}:\n  published sha256 {kept}\n  refused   sha256 {refused}",
        hint="a published file never changes; give the rebuilt wheel a build tag: package.build = 1 in its recipe",
    )


def entry_of(release: Release) -> bytes:
    origin: dict[str, object] = {"kind": "mirrored"}
    if isinstance(release.origin, Built):
        built = release.origin
        origin = {
            "kind": "built",
            "record": built.record,
            "profiles": list(built.profiles),
            "pythons": list(built.pythons),
        }
    entry = {
        "format": FORMAT,
        "filename": release.filename,
        "project": release.project,
        "version": release.version,
        "sha256": release.sha256,
        "size": release.size,
        "requires_python": release.requires_python,
        "metadata_sha256": release.metadata_sha256,
        "origin": origin,
        "yanked": release.yanked,
        **_stated(release),
    }
    return (json.dumps(entry, indent=2, sort_keys=True) + "\n").encode()


def _stated(release: Release) -> dict[str, object]:
    """The fields that most releases, or those of an older ledger, don't have."""
    fields: dict[str, object] = {name: getattr(release, name) for name in _OPTIONAL}
    stated = {name: value for name, value in fields.items() if value is not None}
    return stated if release.listed else stated | {"listed": False}


def _load(folder: str, name: str) -> Release:
    try:
        release = _release(decode(content_of(f"{folder}/{name}"), object))
        if name != f"{release.filename}.json" or not folder.endswith(f"/{release.project}"):
            raise ValueError(f"it describes {release.filename}")
    except (*DAMAGED, PublishError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise PublishError(
            f"the ledger file {folder}/{name} is damaged: {reason}",
            hint=f"take it back from the last commit: git checkout -- {name}, in its folder",
        ) from error
    return release


def _release(entry: object) -> Release:
    fields = _typed(entry, dict, "the file")
    if fields["format"] != FORMAT:
        raise ValueError(f"its format is {fields['format']!r}, this program reads {FORMAT}")
    filename = _typed(fields["filename"], str, "filename")
    stated = (_typed(fields["project"], str, "project"), _typed(fields["version"], str, "version"))
    if parse_filename(filename) != stated:
        raise ValueError(f"project and version {stated} aren't those of {filename}")
    return Release(
        filename=filename,
        project=stated[0],
        version=stated[1],
        sha256=_sha256(fields),
        size=_typed(fields["size"], int, "size"),
        requires_python=_optional_text(fields, "requires_python"),
        metadata_sha256=_written(fields, "metadata_sha256", SHA256, "a hexadecimal sha256"),
        origin=_origin(_typed(fields["origin"], dict, "origin")),
        yanked=_optional_text(fields, "yanked"),
        uploaded=_written(fields, "uploaded", TIME, "a time such as 2026-11-22T09:30:00Z"),
        url=_written(fields, "url", URL, "a URL"),
        tracks=_written(fields, "tracks", URL, "a URL"),
        provenance_url=_written(fields, "provenance_url", URL, "a URL"),
        provenance_sha256=_written(fields, "provenance_sha256", SHA256, "a hexadecimal sha256"),
        listed=_typed(fields.get("listed", True), bool, "listed"),
    )


def _origin(fields: Mapping[str, object]) -> Origin:
    if fields["kind"] == "mirrored":
        return Mirrored()
    if fields["kind"] != "built":
        raise ValueError(f"origin.kind is {fields['kind']!r}, not 'built' or 'mirrored'")
    profiles = _typed(fields["profiles"], list, "origin.profiles")
    # The first entries were written when there was one Python only.
    pythons = _typed(fields.get("pythons", list(PYTHONS[:1])), list, "origin.pythons")
    return Built(
        record=_typed(fields["record"], str, "origin.record"),
        profiles=tuple(_typed(name, str, "a profile") for name in profiles),
        pythons=tuple(_typed(name, str, "a Python") for name in pythons),
    )


def _typed(value: object, kind: type[T], what: str) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"{what} is {value!r:.80}, not of type {kind.__name__}")
    return value


def _optional_text(fields: Mapping[str, object], key: str) -> str | None:
    if fields[key] is None:
        return None
    value = _typed(fields[key], str, key)
    value.encode()  # half of a surrogate pair, which no page can hold, is a ValueError
    return value


def _sha256(fields: Mapping[str, object]) -> str:
    value = _written(fields, "sha256", SHA256, "a hexadecimal sha256")
    if value is None:
        raise KeyError("sha256")
    return value


def _written(fields: Mapping[str, object], key: str, pattern: re.Pattern[str], what: str) -> str | None:
    """The text of a field, None where it has none."""
    value = fields.get(key)
    if value is not None and not pattern.fullmatch(_typed(value, str, key)):
        raise ValueError(f"{key} is {value!r:.80}, not {what}")
    return None if value is None else str(value)
