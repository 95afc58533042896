"""Exchange of a fleet: wheels, records and logs in a common folder or bucket.

It has the layout of a cache. A record is written last, so what has a record is complete. fsspec reads the addresses: a
shared folder, `s3://`, and what else has a package for it.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from factory.errors import FactoryError, StoreError
from factory.model.artifacts import RepairedWheel
from factory.model.record import BuildRecord, is_sound
from factory.store.store import Store
from factory.util.atomic_files import write_if_changed
from factory.util.jsonio import load
from factory.util.paths import Layout
from factory.util.redaction import without_secrets
from factory.util.scratch import own_folder

# Folder of files that are being written; those of killed writers are removed later.
PARTIAL = "partial"
ABANDONED = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Builds at an address, such as `/mnt/fleet` or `s3://bucket/fleet`, for this cache."""

    url: str
    layout: Layout

    @property
    def name(self) -> str:
        """The address for messages."""
        return without_secrets(self.url)

    def put(self, record: BuildRecord) -> None:
        """Write a stored build, unless it is there.

        Raises:
            StoreError: the exchange cannot be written.
        """
        store, at = self._store, self.layout.root
        with self._opened() as (files, root):
            if files.exists(f"{root}/{_below(at, store.record_path(record.key))}"):
                return
            _remove_abandoned(files, f"{root}/{PARTIAL}")
            logs = [log for log in self._logs(record) if log.is_file()]
            for path in (*logs, store.wheel_path(record), store.record_path(record.key)):
                _write(files, path, root, _below(at, path))

    def take(self, key: str) -> BuildRecord | None:
        """Read a build into the store; None if the exchange does not have it.

        Raises:
            StoreError: the exchange cannot be read, or a wheel's bytes are not those that its record names.
        """
        layout, store, own = self.layout, self._store, f"{key}-{threading.get_ident()}"
        with own_folder(layout.scratch, "exchange", own, keep=False) as folder, self._opened() as (files, root):
            folder.mkdir(parents=True)
            copy = folder / "record.json"
            try:
                files.get_file(f"{root}/{_below(layout.root, store.record_path(key))}", str(copy))
            except FileNotFoundError:
                return None
            record = load(copy, BuildRecord, layout.root)
            if record.key != key or not is_sound(record):
                raise StoreError(
                    f"{self.name}: the record of {key} has another key, or an unsafe name", hint="remove that record"
                )
            for log in self._logs(record):
                self._copy_log(files, root, log)
            wheel = folder / Path(record.wheel).name
            files.get_file(f"{root}/{_below(layout.root, store.wheel_path(record))}", str(wheel))
            return store.add(record, RepairedWheel(path=wheel, sha256=record.wheel_sha256, platform_tags=()))

    def put_log(self, log: str) -> None:
        """Write the log of a failed build, by its path below the cache.

        Raises:
            StoreError: the exchange cannot be written.
        """
        path = self._log(log)
        with self._opened() as (files, root):
            if path.is_file():
                _remove_abandoned(files, f"{root}/{PARTIAL}")
                _write(files, path, root, _below(self.layout.root, path))

    def take_log(self, log: str) -> Path | None:
        """Read the log of a failed build into this cache; None if the exchange does not have it.

        Raises:
            StoreError: the exchange cannot be read, or the path is not that of a log.
        """
        path = self._log(log)
        with self._opened() as (files, root):
            return path if self._copy_log(files, root, path) else None

    def _log(self, log: str) -> Path:
        path = self.layout.root / log
        if not path.is_relative_to(self.layout.logs):
            raise StoreError(f"{log}: no log in the cache, though a failure names it")
        _below(self.layout.root, path)
        return path

    def _copy_log(self, files: Any, root: str, log: Path) -> bool:
        at = f"{root}/{_below(self.layout.root, log)}"
        found = bool(files.exists(at))
        if found:
            log.parent.mkdir(parents=True, exist_ok=True)
            write_if_changed(log, files.cat_file(at))
        return found

    def _logs(self, record: BuildRecord) -> list[Path]:
        """Return the logs that a record names; those of substitutes are elsewhere."""
        return [stage.log for stage in record.stages if stage.log.is_relative_to(self.layout.logs)]

    @property
    def _store(self) -> Store:
        return Store(self.layout.store)

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, str]]:
        """Yield the file system and the folder in it; failures become a StoreError."""
        from fsspec.core import url_to_fs

        try:
            yield url_to_fs(self.url)
        except FactoryError:
            raise
        except Exception as error:  # each package of fsspec has errors of its own
            cause = without_secrets(str(error)) or type(error).__name__
            raise StoreError(
                f"{self.name}: exchange not reached: {cause}", hint="name a folder, or an address such as s3://bucket"
            ) from error


def _below(root: Path, path: Path) -> str:
    """Return a path relative to the cache.

    Raises:
        StoreError: it is elsewhere, so that a record would read or write files outside.
    """
    if ".." in path.parts or not path.is_relative_to(root):
        raise StoreError(f"{path}: not in the cache, though a record names it", hint="remove that record")
    return path.relative_to(root).as_posix()


def _write(files: Any, path: Path, root: str, below: str) -> None:
    """Write a file elsewhere, then rename it: readers see it whole."""
    target, folder = f"{root}/{below}", f"{root}/{PARTIAL}"
    for each in (folder, target.rpartition("/")[0]):
        files.makedirs(each, exist_ok=True)
    partial = f"{folder}/{uuid.uuid4().hex}"
    try:
        files.put_file(str(path), partial)
        files.mv(partial, target)
    except BaseException:
        with suppress(Exception):
            files.rm_file(partial)
        raise


def _remove_abandoned(files: Any, folder: str) -> None:
    """Remove files of writers that were killed, which are a day old."""
    if not files.isdir(folder):
        return
    files.invalidate_cache(folder)
    oldest = datetime.now(UTC) - ABANDONED
    for each in files.ls(folder, detail=False):
        with suppress(FileNotFoundError, NotImplementedError):  # another writer's; a file system without times
            written = files.modified(each)
            if (written if written.tzinfo else written.replace(tzinfo=UTC)) < oldest:
                files.rm_file(each)
