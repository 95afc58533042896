"""Export of the cache as one file: a tar archive, compressed by zstd on all cores."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import zstandard

from factory.errors import StoreError
from factory.store.archive_members import MemberInfo, describe
from factory.store.cache_areas import AREAS, NO_SETUID, Area, Items, is_file, is_tree, lock_of
from factory.store.trees import HOLES_LIMIT, holes, obstacle_of, walk
from factory.util.locks import held_if_free
from factory.util.paths import Layout

# Incremented when older factories cannot import the file correctly.
FORMAT = 1
# The first and the last member: they identify the file, and prove that it is complete.
FIRST, LAST = "factory-cache.json", "factory-cache.end.json"
LEVEL = 3
BUFFER = 1 << 20
# ccache has three levels of folders below those of recipes, the logs have two.
FILES_DEPTH = 8

Report = Callable[[str], None]


def export_cache(layout: Layout, target: Path, areas: Sequence[str], report: Report, *, since: int = 0) -> int:
    """Write the items of `areas` to the file `target`, by rename; return their number.

    A layer or job that another process is working on is excluded and reported. Items that did not change after `since`
    (nanoseconds) are left out.

    Raises:
        StoreError: the disk is full, or the folder of `target` is missing.
    """
    with _renamed(target) as file, _compressed(file) as packed:
        tar = tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=BUFFER)  # noqa: SIM115
        writer = _Writer(tar=tar, since=since)
        writer.note(FIRST, {"format": FORMAT})
        for name in areas:
            _export_area(name, AREAS[name], layout, writer, report)
        writer.note(LAST, {"members": writer.members})
        tar.close()
    return writer.items


def _export_area(name: str, area: Area, layout: Layout, writer: _Writer, report: Report) -> None:
    folder = area.folder(layout)
    if not folder.is_dir():
        return
    if area.items is Items.FILES:
        _export_files(folder, name, writer)
        return
    for tree in sorted(folder.iterdir()):
        if is_tree(tree.name) and (tree / area.mark).exists() and writer.wants(tree, area.mark):
            with held_if_free(lock_of(tree)) as alone:
                if not alone:
                    report(f"{name}/{tree.name}: excluded: another process is working on it")
                elif obstacle := obstacle_of(tree):
                    report(f"{name}/{tree.name}: excluded: {obstacle}")
                elif (tree / area.mark).exists():  # it may have been finished and removed meanwhile
                    writer.tree(tree, f"{name}/{tree.name}", rights=area.rights)


def _export_files(folder: Path, name: str, writer: _Writer) -> None:
    for entry in walk(folder, FILES_DEPTH, wanted=is_file):
        path = Path(entry.path)
        if entry.is_file(follow_symlinks=False) and holes(entry) < HOLES_LIMIT and writer.wants_file(entry):
            writer.file(path, f"{name}/{path.relative_to(folder)}")


@dataclass(slots=True, kw_only=True)
class _Writer:
    tar: tarfile.TarFile
    since: int = 0
    items: int = 0
    members: int = 0
    # For the current tree: the first name of each file with several names.
    _links: dict[tuple[int, int], str] = field(default_factory=dict)

    def wants(self, tree: Path, mark: str) -> bool:
        """Report whether a folder or something in it changed since the wanted time.

        A layer's mark has the time of its last use.
        """
        if not self.since or tree.stat().st_ctime_ns > self.since:
            return True
        return any(self.wants_file(entry) for entry in walk(tree) if entry.path != f"{tree}/{mark}")

    def wants_file(self, entry: os.DirEntry[str]) -> bool:
        """Report whether a file changed since the wanted time, in any way.

        Its modification time may be of a build's making.
        """
        return not self.since or entry.stat(follow_symlinks=False).st_ctime_ns > self.since

    def note(self, name: str, value: object) -> None:
        """Add a JSON value about the archive itself."""
        content = json.dumps(value).encode()
        info = MemberInfo(name)
        info.size = len(content)
        self.tar.addfile(info, io.BytesIO(content))

    def tree(self, root: Path, name: str, *, rights: int) -> None:
        """Add a folder with everything in it, and of modes the bits `rights`."""
        self._links.clear()
        self.items += 1
        self._add(root, name, rights)
        for entry in walk(root, on_error=_raise):
            self._add(Path(entry.path), name + entry.path.removeprefix(str(root)), rights)

    def file(self, path: Path, name: str) -> None:
        """Add a single file, unless it was removed meanwhile, as ccache does."""
        self._links.clear()
        with contextlib.suppress(FileNotFoundError):
            self._add(path, name, NO_SETUID)
            self.items += 1

    def _add(self, path: Path, name: str, rights: int) -> None:
        status = path.lstat()
        info = describe(path, name, status)
        if info is None:
            return
        info.mode &= rights
        if info.isreg():
            self._add_file(info, path, (status.st_dev, status.st_ino) if status.st_nlink > 1 else None)
        else:
            self._put(info, None)

    def _add_file(self, info: MemberInfo, path: Path, several: tuple[int, int] | None) -> None:
        known = self._links.setdefault(several, info.name) if several else info.name
        if known != info.name:
            info.type, info.linkname, info.size = tarfile.LNKTYPE, known, 0
            self._put(info, None)
            return
        with path.open("rb") as file:
            info.size = os.fstat(file.fileno()).st_size
            self._put(info, file)

    def _put(self, info: MemberInfo, content: IO[bytes] | None) -> None:
        self.tar.addfile(info, content)
        self.tar.members.clear()  # type: ignore[attr-defined]  # tarfile would keep tens of thousands in memory
        self.members += 1


def _raise(error: OSError) -> None:
    raise error


@contextmanager
def _renamed(target: Path) -> Iterator[IO[bytes]]:
    """Yield a file that gets its name when it is complete.

    Overwrite the rest of an interrupted run.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
            raise StoreError(
                f"{target}: cannot be written: {error.strerror}",
                hint="give a file in an existing folder, on a disk with free space; the cache is unchanged",
            ) from error
        raise
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def _compressed(file: IO[bytes]) -> Iterator[IO[bytes]]:
    compressor = zstandard.ZstdCompressor(level=LEVEL, threads=-1, write_checksum=True)
    with compressor.stream_writer(file, closefd=False) as packed:
        yield packed
