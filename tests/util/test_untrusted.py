"""Tests of folders that builds write: no name leads out, waits or fills memory."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from factory.util.untrusted import UnsafeOutput, UntrustedFolder, is_beneath


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a build's folder, beside a secret."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "work/sub").mkdir(parents=True)
    (tmp_path / "work/sub/file").write_text("own")
    return tmp_path / "work"


def link(path: Path) -> None:
    path.symlink_to("../secret")


def link_inside(path: Path) -> None:
    path.symlink_to("sub/file")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    parent = os.open(path.parent, os.O_PATH)  # a socket's path has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"/proc/self/fd/{parent}/{path.name}")
    os.close(parent)


def directory(path: Path) -> None:
    path.mkdir()


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def test_names_of_a_planted_link_are_refused(folder: Path) -> None:
    (folder / "other").symlink_to("sub")
    assert UntrustedFolder(folder).names("sub") == ["file"]
    for name in ("other", "sub/file"):
        with pytest.raises(UnsafeOutput, match=f"'{name}'"):
            UntrustedFolder(folder).names(name)


@pytest.mark.parametrize("plant", [link, link_inside, fifo, unix_socket, directory, huge])
def test_planted_file_is_refused(folder: Path, plant: Callable[[Path], None]) -> None:
    plant(folder / "answer")
    untrusted = UntrustedFolder(folder)
    with pytest.raises(UnsafeOutput, match="'answer'"):
        untrusted.read("answer")
    with pytest.raises(UnsafeOutput, match="'answer'"):
        untrusted.copy("answer", folder.with_name("copy"), limit=100)
    assert not folder.with_name("copy").exists()


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../secret", "sub/../../secret", "a\0b"])
def test_path_that_leaves_the_folder_is_refused(folder: Path, path: str) -> None:
    for act in (UntrustedFolder(folder).read, lambda each: UntrustedFolder(folder).write(each, b"x")):
        with pytest.raises(UnsafeOutput):
            act(path)
    assert folder.with_name("secret").read_text() == "secret"


def test_folder_on_the_way_must_not_be_a_link(folder: Path) -> None:
    (folder / "hop").symlink_to("..")
    untrusted = UntrustedFolder(folder)
    for act in (lambda: untrusted.read("hop/secret"), lambda: untrusted.write("hop/secret", b"x")):
        with pytest.raises(UnsafeOutput, match="hop"):
            act()
    assert folder.with_name("secret").read_text() == "secret"


def test_write_replaces_a_link_and_not_its_target(folder: Path) -> None:
    link(folder / "note")
    UntrustedFolder(folder).write("note", b"new")
    assert (folder / "note").read_text() == "new"
    assert folder.with_name("secret").read_text() == "secret"


def test_remove_takes_the_link_away(folder: Path) -> None:
    link(folder / "note")
    UntrustedFolder(folder).remove("note")
    UntrustedFolder(folder).remove("note")
    assert not (folder / "note").is_symlink()
    assert folder.with_name("secret").exists()


def test_regular_file_is_read_copied_and_found(folder: Path) -> None:
    untrusted = UntrustedFolder(folder)
    untrusted.copy("sub/file", folder.with_name("copy"))
    assert (untrusted.read("sub/file"), folder.with_name("copy").read_text()) == (b"own", "own")
    assert untrusted.has("sub/file")
    assert not untrusted.has("sub/none")
    assert not untrusted.has("sub")


@pytest.mark.parametrize("text", [b"[" * 100_000, b"{", b"", b"\xff"])
def test_text_that_is_no_json_is_refused(folder: Path, text: bytes) -> None:
    (folder / "answer").write_bytes(text)
    with pytest.raises(UnsafeOutput, match="'answer'"):
        UntrustedFolder(folder).read_json("answer")


def test_path_beneath_follows_links(folder: Path) -> None:
    (folder / "out").symlink_to("..")
    (folder / "loop").symlink_to("loop")
    assert is_beneath(folder / "sub/file", folder)
    assert not is_beneath(folder / "out/secret", folder)
    assert not is_beneath(folder / "loop/x", folder)
