"""Archives of commits, with their submodules, in the download cache.

An archive is as `git archive` makes it: files with the attribute `export-ignore` are missing, and `export-subst` is
substituted. The cache finds it by the commit and its options, and verifies its sha256.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from factory.errors import SourceError
from factory.host.git import Git
from factory.model.artifacts import SourceOrigin
from factory.stages.sources.archive import open_checked
from factory.stages.sources.disk import cache_slot, explain_full_disk, publish
from factory.stages.sources.git_repository import MAX_SUBMODULES, Repository, Submodule
from factory.stages.sources.members import DEFAULT_LIMITS
from factory.util.atomic_files import sha256_of
from factory.util.jsonio import convert, encode
from factory.util.locks import held, held_if_free
from factory.util.log import LogSink
from factory.util.quantities import quantity
from factory.util.scratch import discard

# Of what this module makes of a commit; increment when that changes.
FORMAT = 1
# The folder of all members.
TOP = "source"
# The archive's own header that lists the submodules.
ORIGINS = "FACTORY.submodules"
# The file that Git LFS keeps in place of one that it stores on a server of its own.
LFS_POINTER, MAX_POINTER_BYTES = b"version https://git-lfs.", 1024
NAMED_POINTERS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit of a repository.

    `subject` begins messages, `replaced` are folders of submodules to leave empty.
    """

    subject: str
    url: str
    commit: str
    tag: str = ""
    submodules: bool = False
    replaced: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Return a hash of all that decides the archive's content, which the address does not."""
        deciding = (FORMAT, self.commit, self.tag, self.submodules, *sorted(self.replaced if self.submodules else ()))
        return hashlib.sha256("\0".join(map(str, deciding)).encode()).hexdigest()


def archive_of(pin: Commit, cache: Path, log: LogSink) -> Path:
    """Return the archive of a commit in the cache, made if need be.

    Of two processes one makes it and the other waits. An interrupted fetch starts over.

    Raises:
        SourceError: the server does not deliver the commit, or it has files of Git LFS, an unsafe submodule or member.
    """
    name = f"git-{pin.digest}.tar"
    cache.mkdir(parents=True, exist_ok=True)
    waiting = f"waiting for another process that fetches commit {pin.commit}\n"
    with held(cache / f"{name}.lock", lambda: log.write(waiting)):
        found = next((path for path in sorted(cache.glob(f"??/*/{name}")) if _is_intact(path)), None)
        return found or _make(pin, name, cache, log)


def origins_of(pin: Commit, archive: Path) -> tuple[SourceOrigin, ...]:
    """Return where a commit and its submodules come from, as the archive states it."""
    own = SourceOrigin(kind="git", urls=(pin.url,), commit=pin.commit, tag=pin.tag)
    with open_checked(archive) as tar:
        listed = tar.pax_headers.get(ORIGINS)
    return (own, *(convert(json.loads(listed), tuple[SourceOrigin, ...]) if listed else ()))


def _is_intact(path: Path) -> bool:
    return sha256_of(path) == path.parent.name


def _make(pin: Commit, name: str, cache: Path, log: LogSink) -> Path:
    work = cache / f".{name.removesuffix('.tar')}"
    discard(work)
    _discard_abandoned(cache)
    try:
        with explain_full_disk(cache):
            made = _Maker(pin=pin, work=work, log=log).make()
            slot = cache_slot(cache, sha256_of(made))
            return publish(made, slot / name)
    finally:
        discard(work)


def _discard_abandoned(cache: Path) -> None:
    """Remove what killed processes left, which may be large."""
    for folder in cache.glob(".git-*"):
        with held_if_free(cache / f"{folder.name.removeprefix('.')}.tar.lock") as alone:
            if alone:
                discard(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maker:
    """Maker of an archive, in the folder `work`."""

    pin: Commit
    work: Path
    log: LogSink

    def make(self) -> Path:
        """Fetch the commit and its submodules, and join their archives."""
        pin = self.pin
        repository = self._fetched(pin.subject, pin.url, pin.commit)
        whole = self._archived(repository, "", pin.tag)
        if not pin.submodules:
            _require_no_pointers(pin.subject, (whole,))
            return whole
        parts = list(self._parts(repository, whole))
        archives = (whole, *(archive for archive, _ in parts))
        _require_no_pointers(pin.subject, archives)
        joined = self.work / "joined.tar"
        _join(archives, joined, [origin for _, origin in parts])
        return joined

    def _parts(self, repository: Repository, whole: Path) -> Iterator[tuple[Path, SourceOrigin]]:
        """Iterate over the archives of all submodules, those of submodules too."""
        waiting = [("", repository, whole)]
        number, size = 0, whole.stat().st_size
        while waiting:
            above, parent, archive = waiting.pop()
            folders = _folders(archive)
            for each in parent.submodules():
                folder = str(PurePosixPath(above, each.path))
                # A submodule with export-ignore has no folder.
                if folder in self.pin.replaced or f"{TOP}/{folder}" not in folders:
                    continue
                child = self._fetched(f"{self.pin.subject}: submodule {folder}", each.url, each.commit)
                part = self._archived(child, folder)
                number, size = number + 1, size + part.stat().st_size
                self._require_limits(number, size)
                yield part, _origin(folder, each)
                waiting.append((folder, child, part))
            discard(parent.folder)

    def _fetched(self, subject: str, url: str, commit: str) -> Repository:
        self.log.write(f"fetching commit {commit} from {url}\n")
        git = Git(folder=self.work / "git", log=self.log, file_bytes=DEFAULT_LIMITS.total_bytes)
        name = hashlib.sha256(f"{subject}\0{url}".encode()).hexdigest()
        repository = Repository(git=git, folder=git.folder / name, url=url, commit=commit, subject=subject)
        repository.fetch()
        return repository

    def _archived(self, repository: Repository, folder: str, tag: str = "") -> Path:
        path = repository.folder.with_suffix(".tar")
        repository.archive(path, str(PurePosixPath(TOP, folder)), tag)
        return path

    def _require_limits(self, number: int, size: int) -> None:
        if number > MAX_SUBMODULES or size > DEFAULT_LIMITS.total_bytes:
            raise SourceError(
                f"{self.pin.subject}: more than {MAX_SUBMODULES} submodules or {DEFAULT_LIMITS.total_bytes} bytes: "
                "a bomb",
                hint="look at the repository by hand before you trust it",
            )


def _origin(folder: str, submodule: Submodule) -> SourceOrigin:
    return SourceOrigin(kind="git", urls=(submodule.url,), folder=folder, commit=submodule.commit)


def _folders(archive: Path) -> frozenset[str]:
    with open_checked(archive) as tar:
        return frozenset(info.name.rstrip("/") for info in tar if info.isdir())


def _require_no_pointers(subject: str, archives: Sequence[Path]) -> None:
    """Refuse files of Git LFS, whose content is not in the commit.

    Raises:
        SourceError: naming some of them.
    """
    found = [name for archive in archives for name in _pointers(archive)]
    if found:
        named = ", ".join(found[:NAMED_POINTERS]) + (", ..." if len(found) > NAMED_POINTERS else "")
        raise SourceError(
            f"{subject}: Git LFS is not supported: {quantity(len(found), 'pointer')} to a server that no "
            f"commit pins: {named}",
            hint='take an archive that has the files, by source.kind = "url", "pypi" or "debian"',
        )


def _pointers(archive: Path) -> Iterator[str]:
    with open_checked(archive) as tar:
        for info in tar:
            if info.isreg() and len(LFS_POINTER) <= info.size < MAX_POINTER_BYTES:
                content = tar.extractfile(info)
                if content is not None and content.read(len(LFS_POINTER)) == LFS_POINTER:
                    yield info.name.removeprefix(f"{TOP}/")


def _join(archives: Sequence[Path], path: Path, origins: Sequence[SourceOrigin]) -> None:
    """Write the members of all archives into one, with a header that states the submodules."""
    header = {ORIGINS: encode(origins).decode()}
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT, pax_headers=header) as joined:
        for archive in archives:
            with open_checked(archive) as tar:
                for info in tar:
                    info.pax_headers = {}  # git's header for all members has the commit as a comment
                    joined.addfile(info, tar.extractfile(info) if info.isreg() else None)
            archive.unlink()
