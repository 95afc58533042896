"""Tests of published indexes as their readers see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.errors import PublishError
from factory.publish.published_index import open_index


def test_open_index_takes_the_folder_or_its_simple_pages(tmp_path: Path) -> None:
    (tmp_path / "simple").mkdir()
    for where in (tmp_path, tmp_path / "simple"):
        with open_index(str(where)) as index:
            assert index.name == str(tmp_path)


@pytest.mark.parametrize("name", ["indx", "indx/simple", "file"])
def test_open_index_does_not_take_a_parent_instead(tmp_path: Path, name: str) -> None:
    """A mistyped folder is not the index above it."""
    (tmp_path / "simple").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(PublishError, match="not an index: it has no folder simple/"), open_index(f"{tmp_path}/{name}"):
        pass
