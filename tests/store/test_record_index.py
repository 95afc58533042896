"""Tests of the index of a store's records."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import StoreError
from factory.store import record_index
from factory.store.record_index import files_of
from factory.util.jsonio import save
from tests.support.records import record

HOUR = 3600 * 10**9


def put(folder: Path, key: str, name: str) -> Path:
    path = folder / f"{key}.json"
    save(path, replace(record(key), name=name))
    return path


def settle(folder: Path) -> None:
    """Make the folder's last change an old one, at another time than before."""
    settled = time.time_ns() - HOUR + len(list(folder.iterdir()))
    os.utime(folder, ns=(settled, settled))


def test_index_without_a_folder_is_empty(tmp_path: Path) -> None:
    assert files_of(tmp_path / "records", "demo") == []


def test_index_of_removed_folder_is_empty(tmp_path: Path) -> None:
    records = tmp_path / "records"
    first = put(records, "1", "demo")
    assert files_of(records, "demo") == [first]
    shutil.rmtree(records)
    assert files_of(records, "demo") == []
    second = put(records, "2", "demo")
    assert files_of(records, "demo") == [second]


def test_index_sees_added_replaced_and_removed_records(tmp_path: Path) -> None:
    first, second = put(tmp_path, "1", "demo"), put(tmp_path, "2", "other")
    assert (files_of(tmp_path, "demo"), files_of(tmp_path, "other")) == ([first], [second])
    third = put(tmp_path, "3", "demo")
    assert sorted(files_of(tmp_path, "demo")) == [first, third]
    put(tmp_path, "3", "renamed")
    assert (files_of(tmp_path, "demo"), files_of(tmp_path, "renamed")) == ([first], [third])
    first.unlink()
    assert files_of(tmp_path, "demo") == []


def test_index_reads_each_record_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    name_in = record_index._name_in

    def note(file: Path) -> str:
        read.append(file.stem)
        return name_in(file)

    monkeypatch.setattr(record_index, "_name_in", note)
    put(tmp_path, "1", "demo")
    settle(tmp_path)
    for _ in range(3):
        files_of(tmp_path, "demo")
    put(tmp_path, "2", "demo")
    settle(tmp_path)
    for name in ("demo", "demo", "other"):
        files_of(tmp_path, name)
    assert read == ["1", "2"]


def test_index_of_settled_folder_lists_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "1", "demo")
    settle(tmp_path)
    files_of(tmp_path, "demo")
    monkeypatch.delattr(os, "scandir")
    assert files_of(tmp_path, "demo") == [path]


def test_index_of_damaged_record_names_the_file(tmp_path: Path) -> None:
    path = put(tmp_path, "1", "demo")
    path.write_text('{"name": 1')
    with pytest.raises(StoreError, match=f"{path}: file is damaged"):
        files_of(tmp_path, "demo")
