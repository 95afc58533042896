"""Full disks: each way of writing names the file and its file system."""

from __future__ import annotations

import os
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from factory.cli import main
from factory.errors import SourceError, StoreError
from factory.stages.sources.archive import unpack
from factory.stages.sources.local import LocalSource
from factory.util import atomic_files, full_disk
from factory.util.log import LogFile
from tests.support.archives import file_entry, tar_bytes
from tests.support.logs import MemoryLog

# More than the disk has, and no archive's bomb.
CONTENT = random.Random(7).randbytes(400_000)


def by_rename(folder: Path) -> None:
    atomic_files.write_file(folder / "file", CONTENT)


def in_pieces(folder: Path) -> None:
    atomic_files.write_pieces(folder / "file", [CONTENT])


def by_copy(folder: Path) -> None:
    source = folder.parent / "source"
    source.write_bytes(CONTENT)
    atomic_files.copy_atomically(source, folder / "file")


def by_shutil(folder: Path) -> None:
    source = folder.parent / "source"
    source.write_bytes(CONTENT)
    shutil.copy(source, folder / "file")


def to_log(folder: Path) -> None:
    LogFile(folder / "file").write("x" * 400_000)


@pytest.mark.parametrize("write", [by_rename, in_pieces, by_copy, by_shutil, to_log], ids=lambda write: write.__name__)
def test_full_disk_names_file_and_file_system(tiny_disk: Path, write: Callable[[Path], None]) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        write(tiny_disk)
    described = full_disk.describe_full_disk(caught.value)
    assert described.startswith(f"{tiny_disk / 'file'}: can't be written: No space left on device: ")
    assert described.rpartition(": ")[2].startswith(f"the file system {tiny_disk} has ")


def make_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("s/small", "x")
        file.writestr("s/large", CONTENT)
    return path


def make_tar(path: Path) -> Path:
    path.write_bytes(tar_bytes([file_entry("s/small", b"x"), file_entry("s/large", CONTENT)]))
    return path


@pytest.mark.parametrize("make", [make_zip, make_tar], ids=lambda make: make.__name__)
def test_unpacking_names_the_member(tiny_disk: Path, tmp_path: Path, make: Callable[[Path], Path]) -> None:
    archive = make(tmp_path / ("s.zip" if make is make_zip else "s.tar.gz"))
    with pytest.raises(SourceError, match=f"s/large: can't be written: .*the file system {tiny_disk} ") as caught:
        unpack(archive, tiny_disk)
    assert caught.value.machines_fault
    assert not list(tiny_disk.iterdir())


def test_copied_source_names_the_copy(tiny_disk: Path, tmp_path: Path, log: MemoryLog) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "large").write_bytes(CONTENT)
    with pytest.raises(SourceError, match=f"{tiny_disk}/.*large: can't be written") as caught:
        LocalSource(project="s", version="1", path=folder).fetch(tmp_path, tiny_disk, log)
    assert caught.value.machines_fault


def test_command_reports_full_disk_without_traceback(
    tiny_disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("factory.cli.commands.doctor.run", lambda _args: by_rename(tiny_disk))
    assert main.main(["doctor"]) == StoreError.exit_code
    message, hint = capsys.readouterr().err.splitlines()
    assert message.startswith(f"factory: {tiny_disk / 'file'}: can't be written: No space left on device: ")
    assert hint.startswith("  hint: free disk space")


def test_file_system_of_missing_path_is_that_of_its_folder(tmp_path: Path) -> None:
    assert full_disk.file_system(tmp_path / "no/such") == full_disk.file_system(tmp_path)
    assert os.path.ismount(full_disk.file_system(tmp_path).split()[3])
