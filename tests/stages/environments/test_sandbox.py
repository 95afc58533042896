"""Tests of the folders of copied sandboxes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from factory.stages.environments.sandbox import copy_tree, folder_of_copy


def test_copied_tree_has_links_modes_and_times(tmp_path: Path) -> None:
    source, target = tmp_path / "work", tmp_path / "work-k1"
    (source / "folder").mkdir(parents=True)
    program = source / "folder/program"
    program.write_text("x")
    program.chmod(0o750)
    (source / "same").hardlink_to(program)
    (source / "link").symlink_to(tmp_path)
    os.mkfifo(source / "fifo")
    copy_tree(source, target)
    copied, original = (target / "folder/program").stat(), program.stat()
    assert (copied.st_mode, copied.st_mtime_ns) == (original.st_mode, original.st_mtime_ns)
    assert (target / "same").samefile(target / "folder/program")
    assert (target / "link").readlink() == tmp_path
    assert stat.S_ISFIFO((target / "fifo").lstat().st_mode)


@pytest.mark.parametrize("keep", [True, False])
def test_folder_of_copy_is_removed_unless_kept(tmp_path: Path, *, keep: bool) -> None:
    (tmp_path / "work-k1").mkdir()
    with folder_of_copy(tmp_path / "work", "k1", keep=keep) as folder:
        assert not folder.exists()
        folder.mkdir()
    assert (tmp_path / "work-k1").exists() == keep
