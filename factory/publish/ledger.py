"""The ledger: one JSON file a published wheel, the index's source of truth. What it lists never changes its bytes."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import filelock
import msgspec
from msgspec.structs import replace
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from factory.errors import PublishError
from factory.model.target import PYTHONS
from factory.util.atomic_files import content_of, is_file, write_if_changed
from factory.util.jsonio import DAMAGED, decode

FORMAT = 1
LOCK_TIMEOUT = 900.0  # seconds; the lock is held while the dependencies of new wheels are fetched
# A file's name takes 255; what lies beside a wheel, also while it is being written, has a longer one than the wheel.
FILENAME_CHARACTERS = 200
# Narrower than what packaging takes: a file name becomes a path and a URL, so it has neither separators nor markup.
SAFE_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl", re.ASCII)
_SHA256 = r"(?a)\A[0-9a-f]{64}\Z"
_TIME = r"(?a)\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z\Z"
# A URL as RFC 3986 writes it, without credentials and fragment: it holds neither spaces nor quotes nor markup.
_URL = r"(?a)\Ahttps?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?([/?][A-Za-z0-9._~:/?@!$&'()*+,;=%-]*)?\Z"
SHA256, TIME, URL = (re.compile(pattern) for pattern in (_SHA256, _TIME, _URL))
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

# Texts of which reading the ledger proves the form.
Sha256 = Annotated[str, msgspec.Meta(pattern=_SHA256)]
Time = Annotated[str, msgspec.Meta(pattern=_TIME)]
Url = Annotated[str, msgspec.Meta(pattern=_URL)]
# Clients that read JSON take an empty reason for none at all: the file would not be yanked to them.
Reason = Annotated[str, msgspec.Meta(min_length=1)]

_OPTIONAL = ("uploaded", "url", "tracks", "provenance_url", "provenance_sha256", "yanked_upstream")


class Built(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="built", gc=False):
    """We built it: the key of its build record, and the ISA profiles and Pythons on which its checks passed."""

    record: str
    profiles: tuple[str, ...]
    pythons: tuple[str, ...] = PYTHONS[:1]  # the first entries were written when there was one Python only


class Mirrored(msgspec.Struct, frozen=True, tag_field="kind", tag="mirrored"):
    """The file that its own project published, unchanged: a dependency of what we built."""


Origin = Built | Mirrored


class Release(msgspec.Struct, frozen=True, kw_only=True, tag_field="format", tag=FORMAT, gc=False):
    """One published wheel. `project` and `version` are normalized, `size` is in bytes, hashes are hexadecimal sha256.

    `metadata_sha256` is that of the METADATA file in the wheel, None where that can't be fetched by itself (PEP 658).
    `yanked` is the reason, or None; `uploaded` the time in UTC (`2026-11-22T09:30:00Z`). `url` is where the file is,
    with its METADATA beside it, None where the index has the file itself. `tracks` is the page of the project that this
    one extends on another index (PEP 708). `provenance_url` is where the file's provenance is (PEP 740), and
    `provenance_sha256` its hash where it came with the wheel. Pages leave out what is not `listed` any more; its file
    stays. `yanked_upstream` is the reason that its own project gave when it was asked last, None where that hasn't
    yanked it: `yanked` is ours where it is another one.
    """

    filename: str
    project: str
    version: str
    sha256: Sha256
    size: int
    requires_python: str | None
    metadata_sha256: Sha256 | None
    origin: Origin
    yanked: Reason | None = None
    uploaded: Time | None = None
    url: Url | None = None
    tracks: Url | None = None
    provenance_url: Url | None = None
    provenance_sha256: Sha256 | None = None
    listed: bool = True
    yanked_upstream: Reason | None = None


def now() -> str:
    """This moment, as the ledger writes it."""
    return datetime.now(UTC).strftime(TIME_FORMAT)


def ordered(releases: Iterable[Release]) -> tuple[Release, ...]:
    """As `Ledger.read` has them."""
    return tuple(sorted(releases, key=lambda release: (release.project, release.filename)))


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
    """What the parts of a name say, each by itself: all files of a project share one, and most versions are common."""
    head, *tags = filename.rsplit("-", 3)
    project, _, rest = head.partition("-")
    version, *build = rest.split("-", 1)
    try:
        _require("name", "1", *build, *tags)
        return _parse_project(project), _parse_version(version)
    except InvalidWheelFilename:
        parse_wheel_filename(filename)  # which says what is wrong with the whole of it
        raise


@lru_cache(maxsize=256)
def _parse_project(part: str) -> str:
    return parse_wheel_filename(f"{part}-1-py3-none-any.whl")[0]


@lru_cache(maxsize=4096)
def _parse_version(part: str) -> str:
    return str(parse_wheel_filename(f"name-{part}-py3-none-any.whl")[1])


@lru_cache(maxsize=256)
def _require(*parts: str) -> None:
    parse_wheel_filename("-".join(parts))


class Ledger:
    """A folder `<project>/<filename>.json`. Reading needs no lock, since every file appears by rename."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = filelock.FileLock(folder / ".lock", timeout=LOCK_TIMEOUT)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other publishers out; may be nested.

        Raises:
            PublishError: another publisher held the lock for LOCK_TIMEOUT seconds, or the folder can't be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except PermissionError as error:
            raise PublishError(
                f"the ledger {self.folder} can't be written: {error.strerror}: {error.filename}",
                hint=f"make it yours: sudo chown -R $(id -un) {shlex.quote(str(self.folder))}",
            ) from error
        except filelock.Timeout as error:
            raise PublishError(
                f"another publisher has held {self._lock.lock_file} for {LOCK_TIMEOUT:.0f} s",
                hint="wait until it has ended, or end it; the lock goes with its process",
            ) from error
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Look while no publisher is at work. Who may not write the ledger can't lock it, and looks all the same.

        Raises:
            PublishError: a publisher held the lock for LOCK_TIMEOUT seconds.
        """
        lock = Path(self._lock.lock_file)
        writable = os.access(self.folder, os.W_OK) and (not lock.exists() or os.access(lock, os.W_OK))
        with self.locked() if writable else nullcontext():
            yield

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
        return _load(str(path.parent), path.name) if is_file(path) else None

    def verify(self, release: Release) -> None:
        """See that `release` may be added.

        Raises:
            PublishError: its file name was published with other bytes, or is too long.
        """
        published = self.find(release.filename)
        if published is None and len(release.filename) > FILENAME_CHARACTERS:
            raise _too_long(release.filename)
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


def _too_long(filename: str) -> PublishError:
    return PublishError(
        f"{filename} can't be published: its file name has {len(filename)} characters",
        hint=f"{FILENAME_CHARACTERS} are possible; give the wheel fewer tags, or a shorter version",
    )


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


class _Entry(msgspec.Struct):
    """What every entry says first of all: in which form it is written."""

    format: int


def _load(folder: str, name: str) -> Release:
    try:
        release = _release(content_of(f"{folder}/{name}"))
        if name != f"{release.filename}.json" or not folder.endswith(f"/{release.project}"):
            raise ValueError(f"it describes {release.filename}")
    except (*DAMAGED, PublishError) as error:
        raise PublishError(
            f"the ledger file {folder}/{name} is damaged: {error}",
            hint=f"take it back from the last commit: git checkout -- {name}, in its folder",
        ) from error
    return release


def _release(content: bytes) -> Release:
    try:
        release = decode(content, Release)
    except msgspec.ValidationError:
        form = decode(content, _Entry).format
        if form != FORMAT:
            raise ValueError(f"its format is {form}, this program reads {FORMAT}") from None
        raise
    if parse_filename(release.filename) != (release.project, release.version):
        raise ValueError(f"{release.project} {release.version} is not what {release.filename} says")
    return release
