"""The store: finished wheels by their sha256, and build records by their content key.

Files are written under another name, synced to disk and renamed, the record last: a wheel with a record is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from factory.model.artifacts import RepairedWheel, StoredWheel
from factory.model.record import BuildFailure, BuildRecord
from factory.store.record_index import files_of
from factory.util.atomic_files import copy_durably, sha256_of
from factory.util.jsonio import load, save
from factory.util.wheel_tags import is_portable

# State of the wheels that this process has compared with their records.
_WHOLE: dict[Path, tuple[int, int, int]] = {}


def _rank_equally(_record: BuildRecord) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Store:
    """Wheels, records and failures below one folder."""

    root: Path

    def record(self, key: str) -> BuildRecord | None:
        """Return the record with this content key; None without a sound wheel."""
        path = self.record_path(key)
        record = load(path, BuildRecord, self._cache) if path.is_file() else None
        return record if record is not None and self._is_whole(record) else None

    def records(self) -> list[BuildRecord]:
        """Return all records whose wheels exist, the oldest first."""
        return self._present(self._records.glob("*.json"))

    def records_named(self, names: Iterable[str]) -> list[BuildRecord]:
        """Return the records of packages whose wheels exist, the oldest first."""
        return self._present(path for name in names for path in files_of(self._records, name))

    def latest(self, name: str, python: str, toolchain: str | None = None) -> BuildRecord | None:
        """Return a package's newest publishable record for a Python, or that of a toolchain."""
        found = [
            record
            for record in self.records_of(name)
            if record.target.python == python
            and (not record.comparison if toolchain is None else record.built_with == toolchain)
        ]
        return found[-1] if found else None

    def records_of(self, name: str) -> list[BuildRecord]:
        """Return a package's records whose wheels are whole, the oldest first."""
        return [record for record in self.records_named([name]) if record.name == name and self._is_whole(record)]

    def add(self, record: BuildRecord, wheel: RepairedWheel) -> BuildRecord:
        """Store a wheel and its record."""
        kept = replace(record, wheel=wheel.path.name, wheel_sha256=wheel.sha256)
        copy_durably(wheel.path, self.wheel_path(kept), wheel.sha256)
        return self.add_checked(kept)

    def add_checked(self, record: BuildRecord) -> BuildRecord:
        """Store a record whose wheel is in the store."""
        save(self.record_path(record.key), record, self._cache)
        self.forget_failure(record)
        return record

    def forget_failure(self, record: BuildRecord) -> None:
        """Remove the failure of a package and Python that were built successfully."""
        if not record.comparison:
            self._failure_path(record.name, record.target.python).unlink(missing_ok=True)

    def add_failure(self, failure: BuildFailure) -> None:
        """Store the last failure of a package for a Python, until a build of it succeeds."""
        path = self._failure_path(failure.name, failure.python)
        save(path, failure.after(load(path, BuildFailure)) if path.is_file() else failure)

    def failures(self) -> tuple[BuildFailure, ...]:
        """Return the failures of all packages and Pythons whose last build failed."""
        return tuple(load(path, BuildFailure) for path in sorted((self.root / "failures").glob("*.json")))

    @property
    def wheels(self) -> Path:
        """The folder of all wheels, each in a folder named by its sha256."""
        return self.root / "wheels"

    def wheel_path(self, record: BuildRecord) -> Path:
        """Return the path of a record's wheel."""
        return self.wheels / record.wheel_sha256 / record.wheel

    def published_candidates(self, rank: Callable[[BuildRecord], int] = _rank_equally) -> dict[StoredWheel, int]:
        """Return the publishable wheels with their ranks.

        Of each version and tags it is the newest checked one of the highest rank.
        """
        checked = self._checked()
        ranks = {record.key: rank(record) for record in checked}
        ranked = sorted(checked, key=lambda record: ranks[record.key])
        newest = {_without_build_tag(record.wheel): record for record in ranked}
        return {self._stored(each, checked): ranks[each.key] for each in newest.values() if _is_publishable(each)}

    def candidate(self, wheel: Path) -> StoredWheel | None:
        """Return the file `wheel` with its passed checks.

        Return None if no record has these bytes and passed.
        """
        sha256, checked = sha256_of(wheel), self._checked()
        records = [each for each in checked if (each.wheel, each.wheel_sha256) == (wheel.name, sha256)]
        if not records or not _is_publishable(records[-1]):
            return None
        return replace(self._stored(records[-1], checked), path=wheel)

    def _checked(self) -> list[BuildRecord]:
        return [record for record in self.records() if record.checks and not record.comparison]

    def _stored(self, newest: BuildRecord, checked: Sequence[BuildRecord]) -> StoredWheel:
        """Return a wheel, from its newest record and its records for each Python."""
        records = [record for record in checked if record.wheel_sha256 == newest.wheel_sha256]
        return StoredWheel(
            path=self.wheel_path(newest),
            sha256=newest.wheel_sha256,
            record_key=newest.wheel_of or newest.key,
            profiles=tuple(check.profile for check in newest.checks),
            pythons=tuple(sorted({record.target.python for record in records})),
        )

    def _is_whole(self, record: BuildRecord) -> bool:
        """Compare a wheel's bytes with its record, once for each change of the file."""
        path = self.wheel_path(record)
        if not path.is_file():
            return False
        status = path.stat()
        state = (status.st_ino, status.st_size, status.st_mtime_ns)
        if _WHOLE.get(path) != state:
            if sha256_of(path) != record.wheel_sha256:
                return False
            _WHOLE[path] = state
        return True

    def _present(self, files: Iterable[Path]) -> list[BuildRecord]:
        """Read records; return those whose wheels exist, the oldest first."""
        found = [load(path, BuildRecord, self._cache) for path in files]
        present = [record for record in found if self.wheel_path(record).is_file()]
        return sorted(present, key=lambda record: (record.finished, record.key))

    @property
    def _records(self) -> Path:
        return self.root / "records"

    @property
    def _cache(self) -> Path:
        """The folder of the store and of the logs that its records name."""
        return self.root.parent

    def _failure_path(self, name: str, python: str) -> Path:
        return self.root / "failures" / f"{name}-{python}.json"

    def record_path(self, key: str) -> Path:
        """Return the path of the record with this content key."""
        return self._records / f"{key}.json"


def _without_build_tag(wheel: str) -> tuple[str, ...]:
    """Return the name, version, Python, ABI and platform of a wheel's file name."""
    parts = wheel.split("-")
    return (*parts[:2], *parts[-3:])


def _is_publishable(record: BuildRecord) -> bool:
    """Return whether the wheel passed its checks and has a tag that says where it runs."""
    return all(check.passed for check in record.checks) and is_portable(record.wheel)
