"""Index of a store's records by package, so that a look-up does not read the whole store."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from factory.model.record import BuildRecord
from factory.util.atomic_files import content_of
from factory.util.jsonio import DAMAGED, load

SUFFIX = ".json"
# A folder that changed less than this before it was read may change again with the same time.
SETTLED_NANOSECONDS = 2_000_000_000


class _Named(msgspec.Struct):
    """The part of a record that the index needs."""

    name: str


@dataclass(slots=True)
class _Folder:
    """Known contents of one folder of records, as of the folder's time."""

    changed: int = 0
    settled: bool = False
    names: dict[str, str] = field(default_factory=dict)
    states: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)


_FOLDERS: dict[str, _Folder] = {}
_LOCK = threading.Lock()
_DECODER = msgspec.json.Decoder(_Named)


def files_of(folder: Path, name: str) -> Sequence[Path]:
    """Return the files of a package's records in `folder`, which changes by renames only.

    Raises:
        StoreError: a file is damaged.
    """
    with _LOCK:
        known = _FOLDERS.setdefault(str(folder), _Folder())
        _update(folder, known)
        return [folder / file for file in known.files.get(name, ())]


def _update(folder: Path, known: _Folder) -> None:
    try:
        changed = folder.stat().st_mtime_ns
    except FileNotFoundError:
        known.files, known.settled = {}, False
        return
    if known.settled and changed == known.changed:
        return
    settled = time.time_ns() - changed > SETTLED_NANOSECONDS
    with os.scandir(folder) as entries:
        states = {entry.name: _state(entry) for entry in entries if entry.name.endswith(SUFFIX)}
    known.names = {
        file: known.names[file] if known.states.get(file) == state else _name_in(folder / file)
        for file, state in states.items()
    }
    known.files = {}
    for file, name in known.names.items():
        known.files.setdefault(name, []).append(file)
    known.states, known.changed, known.settled = states, changed, settled


def _state(entry: os.DirEntry[str]) -> tuple[int, int, int]:
    status = entry.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _name_in(file: Path) -> str:
    try:
        return _DECODER.decode(content_of(str(file))).name
    except DAMAGED:
        return load(file, BuildRecord).name
