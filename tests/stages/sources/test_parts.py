"""Sources that become a folder of another one."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import SourceError
from factory.stages.sources.fetch import fetch
from factory.stages.sources.identity import identity
from factory.stages.sources.pypi import PypiSource
from tests.support.archives import sdist
from tests.support.index_server import IndexServer
from tests.support.logs import MemoryLog

PART, SPAM = sdist("eggs"), sdist()
EGGS = PypiSource(project="eggs", version="1.0", sha256=hashlib.sha256(PART).hexdigest())
WHOLE = PypiSource(project="spam", version="1.0", sha256=hashlib.sha256(SPAM).hexdigest())


@pytest.fixture
def served(index: IndexServer) -> IndexServer:
    index.add("spam-1.0.tar.gz", SPAM)
    index.add("eggs-1.0.tar.gz", PART)
    return index


def fetched(folder: str, tmp_path: Path, log: MemoryLog) -> Path:
    return fetch(replace(WHOLE, parts={folder: EGGS}), tmp_path / "cache", tmp_path / "out", log).path


def test_part_becomes_a_folder_of_the_source(served: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    tree = fetched("vendor/eggs", tmp_path, log)
    assert (tree / "vendor/eggs/eggs.py").is_file()
    assert list((tmp_path / "out").iterdir()) == [tree]
    assert tree.stat().st_mtime == 1_500_000_000


@pytest.mark.parametrize("folder", ["spam.py", "."])
def test_part_replaces_nothing(folder: str, served: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    with pytest.raises(SourceError) as caught:
        fetched(folder, tmp_path, log)
    assert caught.value.message.startswith(f"eggs-1.0: cannot become {folder} of spam-1.0: it exists")


def test_identity_covers_parts_and_their_folders() -> None:
    found = {identity(replace(WHOLE, parts=parts)) for parts in ({}, {"a": EGGS}, {"b": EGGS}, {"a": WHOLE})}
    assert len(found) == 4
    assert identity(WHOLE) == WHOLE.sha256
