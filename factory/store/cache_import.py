"""Import of an exported cache: unpacked, checked, then renamed into place.

Existing items of the cache stay unchanged.
"""

from __future__ import annotations

import errno
import json
import tarfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import zstandard

from factory.errors import StoreError
from factory.model.record import BuildFailure, BuildRecord, is_project_name, is_sound
from factory.store.archive_members import MemberInfo, create, is_whiteout, settle
from factory.store.cache_areas import AREAS, Area, Items, area_of, is_file, is_tree, lock_of
from factory.store.cache_export import BUFFER, FIRST, FORMAT, LAST, Report
from factory.store.store import Store
from factory.util.atomic_files import changed_at, sha256_of, sync_trees
from factory.util.jsonio import load
from factory.util.locks import held, held_if_free
from factory.util.paths import Layout
from factory.util.scratch import discard

# The folder of each area to unpack into: on the same disk as its items, so that a rename puts them in place.
PARTIAL = ".importing"
# Its time is that of the last import.
MARK = "imported"
SUFFIX = ".tar.zst"
# Suffixes of the signed files beside a wheel.
_ATTESTATIONS = (".provenance", ".intoto.jsonl")
_BELONGS = {Items.FILES: is_file, Items.TREES: is_tree}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The numbers of an area's new items and of those that the cache had already."""

    area: str
    added: int
    kept: int


def import_cache(layout: Layout, source: Path, report: Report, areas: Collection[str] = AREAS) -> Sequence[Imported]:
    """Merge the `areas` of an exported file into the cache.

    Each job and layer that is not imported is reported.

    Raises:
        StoreError: the file is damaged, unsafe, or of a newer factory, or the disk is full; nothing was imported.
    """
    layout.root.mkdir(parents=True, exist_ok=True)
    with held(layout.root / "import.lock", lambda: report("waiting for another import into this cache")):
        _discard_partial(layout)
        try:
            with _errors_named(source):
                _unpack(source, layout, areas)
            merged = [
                _merge(name, area, layout, report) for name, area in AREAS.items() if _partial(area, layout).is_dir()
            ]
            _forget_fixed(Store(layout.store))
            (layout.root / MARK).touch()
            return merged
        finally:
            _discard_partial(layout)


def imported_at(layout: Layout) -> int:
    """Return the time of the last import in nanoseconds, 0 if there was none."""
    return changed_at(layout.root / MARK)


def exported_files(source: Path) -> Sequence[Path]:
    """Return the exported files in a folder and the folders in it, or the file itself."""
    return sorted(source.rglob(f"*{SUFFIX}"), reverse=True) if source.is_dir() else [source]


def _forget_fixed(store: Store) -> None:
    """Remove failures of packages that were built after them, by another machine."""
    for failure in store.failures():
        record = store.latest(failure.name, failure.python)
        if record is not None and record.finished > failure.finished:
            store.forget_failure(record)


def _partial(area: Area, layout: Layout) -> Path:
    return area.folder(layout) / PARTIAL


def _discard_partial(layout: Layout) -> None:
    for area in AREAS.values():
        discard(_partial(area, layout))


@contextmanager
def _errors_named(source: Path) -> Iterator[None]:
    """Turn errors of the file and of the disk into StoreError."""
    try:
        yield
    except (tarfile.TarError, zstandard.ZstdError, EOFError, ValueError, OverflowError) as error:
        raise _refused(source, f"damaged, or not written by `factory cache export`: {error}") from error
    except FileNotFoundError as error:
        raise StoreError(f"{source}: file not found", hint="write one with: factory cache export FILE") from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise _refused(source, f"cannot be unpacked: {error}") from error
        raise StoreError(
            f"{source}: cannot be unpacked: {error.strerror}",
            hint="free some space, or set FACTORY_CACHE to another folder; the cache is unchanged",
        ) from error


def _refused(source: Path, cause: str) -> StoreError:
    return StoreError(
        f"{source}: not imported: {cause}", hint="the cache is unchanged; export again, and import only your own files"
    )


def _unpack(source: Path, layout: Layout, areas: Collection[str]) -> None:
    unpacker = _Unpacker(source=source, layout=layout)
    with (
        source.open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file) as packed,
        tarfile.open(fileobj=packed, mode="r|", tarinfo=MemberInfo, bufsize=BUFFER) as tar,
    ):
        _require_format(source, tar)
        while (info := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # tarfile would keep tens of thousands in memory
            if info.name == LAST:
                if _note(tar, info).get("members") != unpacker.members:
                    raise _refused(source, "damaged: its number of members differs from the stated one")
                break
            area = area_of(info.name)
            if area is None or area in areas:
                unpacker.add(info, tar)
            else:
                unpacker.members += 1
        else:
            raise _refused(source, "truncated: its last member is missing")
    unpacker.finish()


def _require_format(source: Path, tar: tarfile.TarFile) -> None:
    first = tar.next()
    if first is None or first.name != FIRST:
        raise _refused(source, "not written by `factory cache export`")
    written = _note(tar, first).get("format")
    if written != FORMAT:
        raise StoreError(
            f"{source}: not imported: format {written}, but this factory reads format {FORMAT}",
            hint="import it with the version of the factory that exported it; the cache is unchanged",
        )


def _note(tar: tarfile.TarFile, info: tarfile.TarInfo) -> dict[str, object]:
    content = tar.extractfile(info)
    value = json.loads(content.read(BUFFER)) if content else None
    return value if isinstance(value, dict) else {}


@dataclass(slots=True, kw_only=True)
class _Unpacker:
    """Checks members in the archive's order and creates them below each area's PARTIAL folder.

    Links may point anywhere, as in a root. Nothing is written through a link: a member is accepted only if its parent
    is a folder of the archive itself.
    """

    source: Path
    layout: Layout
    members: int = 0
    _kinds: dict[str, bytes] = field(default_factory=dict)
    _folders: list[tuple[tarfile.TarInfo, Path]] = field(default_factory=list)

    def add(self, info: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        """Check and create one member."""
        area = self._area(info)
        path = _partial(AREAS[area], self.layout) / PurePosixPath(info.name).relative_to(area)
        if AREAS[area].items is Items.FILES:
            self._check_file(info)
        else:
            self._check_in_tree(info, len(PurePosixPath(info.name).relative_to(area).parts))
        info.mode &= AREAS[area].rights
        path.parent.mkdir(parents=True, exist_ok=True)
        if info.islnk():
            path.hardlink_to(self._link_target(info, area))
        else:
            create(info, path, tar.extractfile(info) if info.isreg() else None)
        if info.isdir():
            self._folders.append((info, path))
        self._kinds[info.name] = info.type
        self.members += 1

    def finish(self) -> None:
        """Settle the folders, innermost first, and check items against their names."""
        for info, path in reversed(self._folders):
            settle(info, path)
        for name, area in AREAS.items():
            folder = _partial(area, self.layout)
            if area.items is Items.TREES and folder.is_dir():
                self._require_marks(name, folder, area.mark)
            if area.hashed:
                self._require_hashes(name, folder)
        self._require_records(_partial(AREAS["store/records"], self.layout))
        self._require_failures(_partial(AREAS["store/failures"], self.layout))

    def _area(self, info: tarfile.TarInfo) -> str:
        path, area = PurePosixPath(info.name), area_of(info.name)
        if path.is_absolute() or ".." in path.parts or str(path) != info.name or "\0" in info.name:
            raise self._refuse(info, "unsafe name")
        if area is None or not _BELONGS[AREAS[area].items](path.relative_to(area).parts[0]):
            raise self._refuse(info, "not in an area of a cache")
        if info.name in self._kinds:
            raise self._refuse(info, "duplicate")
        return area

    def _check_file(self, info: tarfile.TarInfo) -> None:
        if not info.isreg():
            raise self._refuse(info, "not a regular file")
        if any(str(parent) in self._kinds for parent in PurePosixPath(info.name).parents):
            raise self._refuse(info, "its parent is a file")

    def _check_in_tree(self, info: tarfile.TarInfo, depth: int) -> None:
        if not (info.isreg() or info.isdir() or info.issym() or info.islnk() or is_whiteout(info)):
            raise self._refuse(info, "a device or a pipe")
        if depth == 1 and not info.isdir():
            raise self._refuse(info, "not a folder")
        if depth > 1 and self._kinds.get(str(PurePosixPath(info.name).parent)) != tarfile.DIRTYPE:
            raise self._refuse(info, "its parent is not a folder of the archive")

    def _link_target(self, info: tarfile.TarInfo, area: str) -> Path:
        item = PurePosixPath(info.name).relative_to(area).parts[0]
        kind = self._kinds.get(info.linkname)
        if kind not in tarfile.REGULAR_TYPES or not info.linkname.startswith(f"{area}/{item}/"):
            raise self._refuse(info, f"a hard link to {info.linkname!r}, which is no earlier file of the item")
        return _partial(AREAS[area], self.layout) / PurePosixPath(info.linkname).relative_to(area)

    def _require_marks(self, name: str, folder: Path, mark: str) -> None:
        for tree in folder.iterdir():
            if not (tree / mark).exists():
                raise _refused(self.source, f"damaged: {name}/{tree.name} has no {mark}")

    def _require_hashes(self, name: str, folder: Path) -> None:
        for path in folder.rglob("*"):
            if path.is_file() and not _is_attestation(path) and sha256_of(path) != path.parent.name:
                raise _refused(self.source, f"damaged: {name}/{path.relative_to(folder)} has another sha256")

    def _require_records(self, folder: Path) -> None:
        for path in folder.glob("*"):
            try:
                record = load(path, BuildRecord)
                key = record.key
            except StoreError as error:
                raise _refused(self.source, f"damaged build record: {path.name}") from error
            if path.name != f"{key}.json":
                raise _refused(self.source, f"build record with another key: {path.name}")
            if not is_sound(record):
                raise _refused(self.source, f"build record with an unsafe name: {path.name}")

    def _require_failures(self, folder: Path) -> None:
        for path in folder.glob("*"):
            try:
                failure = load(path, BuildFailure)
            except StoreError as error:
                raise _refused(self.source, f"damaged failure: {path.name}") from error
            if path.name != f"{failure.name}-{failure.python}.json":
                raise _refused(self.source, f"failure of another package: {path.name}")
            if not all(map(is_project_name, (failure.name, failure.project or failure.name))):
                raise _refused(self.source, f"failure with an unsafe name: {path.name}")

    def _refuse(self, info: tarfile.TarInfo, cause: str) -> StoreError:
        return _refused(self.source, f"unsafe member {info.name!r}: {cause}")


def _is_attestation(path: Path) -> bool:
    """Report whether a file is provenance or signed statements of the wheel beside it."""
    name, end, suffix = path.name.partition(".whl")
    return suffix in _ATTESTATIONS and path.with_name(f"{name}{end}").is_file()


def _merge(name: str, area: Area, layout: Layout, report: Report) -> Imported:
    # Whatever this area's items name is on disk before them, and they before they get their names.
    sync_trees(layout.root)
    partial, added, kept = _partial(area, layout), 0, 0
    trees = area.items is Items.TREES
    for path in sorted(partial.iterdir() if trees else partial.rglob("*")):
        if trees or path.is_file():
            taken = _take_tree(path, name, area, layout, report) if trees else _take_file(path, partial, area)
            added, kept = added + taken, kept + (not taken)
    return Imported(area=name, added=added, kept=kept)


def _take_tree(tree: Path, name: str, area: Area, layout: Layout, report: Report) -> bool:
    final = area.folder(layout) / tree.name
    with held_if_free(lock_of(final)) as alone:
        if not alone:
            report(f"{name}/{tree.name}: not imported: another process is working on it")
        elif final.exists():
            report(f"{name}/{tree.name}: not imported: it already exists")
        elif name == "jobs" and _is_built(tree.name, layout):
            report(f"{name}/{tree.name}: not imported: the store has its wheel")
        else:
            tree.rename(final)
            return True
    return False


def _is_built(job: str, layout: Layout) -> bool:
    """Report whether the store has a record for a job's key.

    The job's folder is named by its beginning.
    """
    return any((layout.store / "records").glob(f"{job.rpartition('-')[2]}*.json"))


def _take_file(path: Path, partial: Path, area: Area) -> bool:
    final = partial.parent / path.relative_to(partial)
    if final.exists() and not (area.dated and _is_newer(path, final)):
        return False
    final.parent.mkdir(parents=True, exist_ok=True)
    path.rename(final)
    return True


def _is_newer(failure: Path, known: Path) -> bool:
    return load(failure, BuildFailure).finished > load(known, BuildFailure).finished
