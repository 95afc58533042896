"""Archives: extraction, and refusal before anything is written."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from factory.errors import SourceError
from factory.stages.sources.archive import read_top_files, unpack
from factory.stages.sources.members import Limits
from tests.support.archives import file_entry, special_entry, tar_bytes

MakeTar = Callable[..., Path]
SYMLINK, HARDLINK, FOLDER = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


def refusal(archive: Path, destination: Path, limits: Limits | None = None) -> str:
    """Return the error's message; no file may be left."""
    with pytest.raises(SourceError) as caught:
        unpack(archive, destination, limits or Limits())
    assert not destination.exists() or not list(destination.iterdir())
    return caught.value.message


@pytest.mark.parametrize("suffix", ["tar.gz", "tgz", "tar.xz", "tar.bz2"])
def test_tar_of_every_compression_is_unpacked(make_tar: MakeTar, tmp_path: Path, suffix: str) -> None:
    archive = make_tar(file_entry("spam-1.0/src/a.c", b"int a;"), name=f"spam-1.0.{suffix}")
    tree = unpack(archive, tmp_path / "out")
    assert tree == tmp_path / "out" / "spam-1.0"
    assert (tree / "src/a.c").read_bytes() == b"int a;"


def test_zip_is_unpacked_with_modes_and_times(tmp_path: Path) -> None:
    archive = tmp_path / "spam-1.0.zip"
    with zipfile.ZipFile(archive, "w") as file:
        info = zipfile.ZipInfo("spam-1.0/configure", (2020, 2, 3, 4, 5, 6))
        info.external_attr = (stat.S_IFREG | 0o4755) << 16
        file.writestr(info, "#!/bin/sh\n")
        file.writestr(zipfile.ZipInfo("spam-1.0/a.c", (1980, 0, 0, 0, 0, 0)), "int a;")
    tree = unpack(archive, tmp_path / "out")
    assert stat.S_IMODE((tree / "configure").stat().st_mode) == 0o755
    assert (tree / "configure").stat().st_mtime == 1580702706
    assert (tree / "a.c").stat().st_mtime == 315532800


def test_folders_get_the_time_of_the_newest_file(make_tar: MakeTar, tmp_path: Path) -> None:
    entries = [file_entry("s/a/b/old", mtime=1_000_000_000), file_entry("s/new", mtime=1_600_000_000)]
    tree = unpack(make_tar(*entries), tmp_path / "out")
    assert (tree / "a/b/old").stat().st_mtime == 1_000_000_000
    assert {path.stat().st_mtime for path in (tree, tree / "a", tree / "a/b")} == {1_600_000_000}


def test_setuid_and_world_write_bits_are_dropped(make_tar: MakeTar, tmp_path: Path) -> None:
    tree = unpack(make_tar(file_entry("s/tool", b"x", mode=0o6777), file_entry("s/data", mode=0o000)), tmp_path / "out")
    assert stat.S_IMODE((tree / "tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((tree / "data").stat().st_mode) == 0o600
    assert (tree / "tool").stat().st_uid == os.getuid()


def test_links_inside_the_tree_are_kept(make_tar: MakeTar, tmp_path: Path) -> None:
    entries = [
        file_entry("s/src/a.c", b"int a;"),
        special_entry("s/lib/a.c", SYMLINK, "../src/a.c"),
        special_entry("s/b.c", HARDLINK, "s/src/a.c"),
    ]
    tree = unpack(make_tar(*entries), tmp_path / "out")
    assert (tree / "lib/a.c").readlink() == Path("../src/a.c")
    assert (tree / "lib/a.c").read_bytes() == (tree / "b.c").read_bytes() == b"int a;"


def test_older_tree_of_that_name_is_replaced(make_tar: MakeTar, tmp_path: Path) -> None:
    archive = make_tar(file_entry("s/a"))
    (unpack(archive, tmp_path / "out") / "left-over").touch()
    (tmp_path / "out/.unpacking/half").mkdir(parents=True)  # as a kill leaves it
    tree = unpack(archive, tmp_path / "out")
    assert list(tree.iterdir()) == [tree / "a"]
    assert list((tmp_path / "out").iterdir()) == [tree]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (file_entry("/etc/passwd"), "the member '/etc/passwd' has an absolute name"),
        (file_entry("s/../../x"), "the member 's/../../x' has '..' in its name"),
        (
            special_entry("s/l", SYMLINK, "/etc/passwd"),
            "the member 's/l' is a link to '/etc/passwd', which is not relative",
        ),
        (special_entry("s/l", SYMLINK, ".."), "the member 's/l' is a link to '..', which leaves the tree"),
        (
            special_entry("s/a/l", SYMLINK, "../../t"),
            "the member 's/a/l' is a link to '../../t', which leaves the tree",
        ),
        (special_entry("s/l", SYMLINK, "d/../../x"), "is a link to 'd/../../x', with '..' after a folder's name"),
        (special_entry("s/l", HARDLINK, "/etc/passwd"), "'s/l' is a hard link to '/etc/passwd', not a file before it"),
        (special_entry("s/l", HARDLINK, "../x"), "the member 's/l' is a hard link to '../x', not a file before it"),
        (special_entry("s/null", tarfile.CHRTYPE), "the member 's/null' is a device file"),
        (special_entry("s/disk", tarfile.BLKTYPE), "the member 's/disk' is a device file"),
        (special_entry("s/pipe", tarfile.FIFOTYPE), "the member 's/pipe' is a named pipe"),
        (special_entry("s/ok", SYMLINK, "x"), "the member 's/ok' collides with another member of that name, a file"),
        (special_entry("s/ok", FOLDER), "the member 's/ok' collides with another member of that name, a file"),
        (file_entry("s/ok/below"), "'s/ok/below' lies beneath 's/ok', which is a file"),
        (file_entry("t/ok"), "holds 's', 't' at its top; a source archive has exactly one folder there"),
    ],
)
def test_hostile_member_is_refused_by_name(
    make_tar: MakeTar, tmp_path: Path, entry: tuple[tarfile.TarInfo, bytes], expected: str
) -> None:
    message = refusal(make_tar(file_entry("s/ok"), entry), tmp_path / "out")
    assert message.startswith("spam-1.0.tar.gz: ")
    assert expected in message


def test_last_of_two_files_of_one_name_counts(make_tar: MakeTar, tmp_path: Path) -> None:
    archive = make_tar(file_entry("s/a", b"first"), file_entry("s/b"), file_entry("s/./a", b"last"))
    assert (unpack(archive, tmp_path / "out") / "a").read_bytes() == b"last"
    assert read_top_files(archive, ["a"]) == ("s", {"a": b"last"})


def test_file_below_a_link_is_refused(make_tar: MakeTar, tmp_path: Path) -> None:
    entries = [special_entry("s/d", SYMLINK, "e"), special_entry("s/e", FOLDER), file_entry("s/d/x")]
    assert "'s/d/x' lies beneath 's/d'" in refusal(make_tar(*entries), tmp_path / "out")


def test_archive_without_a_top_folder_is_refused(make_tar: MakeTar, tmp_path: Path) -> None:
    assert "holds 'x' at its top, which is not a folder" in refusal(make_tar(file_entry("x")), tmp_path / "out")
    assert "holds nothing at its top" in refusal(make_tar(), tmp_path / "out")


def test_zip_with_a_link_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "spam.zip"
    with zipfile.ZipFile(archive, "w") as file:
        info = zipfile.ZipInfo("s/link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    assert "the member 's/link' is a link" in refusal(archive, tmp_path / "out")


def test_zip_with_dots_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "spam.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("s/../../x", "")
    assert "the member 's/../../x' has '..' in its name" in refusal(archive, tmp_path / "out")


def test_too_many_members_are_refused(make_tar: MakeTar, tmp_path: Path) -> None:
    archive = make_tar(*(file_entry(f"s/{number}") for number in range(5)))
    assert "the member 's/3' exceeds the limit of 3 members" in refusal(archive, tmp_path / "out", Limits(members=3))


def test_too_many_bytes_are_refused(make_tar: MakeTar, tmp_path: Path) -> None:
    archive = make_tar(file_entry("s/a", b"x" * 600), file_entry("s/b", b"x" * 600))
    found = refusal(archive, tmp_path / "out", Limits(total_bytes=1000))
    assert "the member 's/b' exceeds the limit of 1000 unpacked bytes" in found


def test_too_high_a_ratio_is_refused(make_tar: MakeTar, tmp_path: Path) -> None:
    archive = make_tar(file_entry("s/zeros", bytes(1_000_000)))
    found = refusal(archive, tmp_path / "out", Limits(ratio_floor=100_000))
    assert "the member 's/zeros' unpacks to more than 100 times" in found


def test_bomb_is_refused_before_decompression(tmp_path: Path) -> None:
    """The header states 10 GB that are not even there."""
    info = tarfile.TarInfo("s/big")
    info.size = 10 * 1024**3
    archive = tmp_path / "bomb.tar.gz"
    archive.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    assert "the member 's/big' exceeds the limit of 8589934592 unpacked bytes" in refusal(archive, tmp_path / "out")


def test_header_of_gigabytes_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 2 * 1024**3
    archive = tmp_path / "bomb.tar.gz"
    archive.write_bytes(gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(4096)))
    assert "extended header states 2147483648 bytes: a bomb" in refusal(archive, tmp_path / "out")


def test_long_name_passes_the_header_guard(make_tar: MakeTar, tmp_path: Path) -> None:
    name = "s/" + "/".join(["long-folder-name"] * 20) + "/file"
    assert (unpack(make_tar(file_entry(name, b"x")), tmp_path / "out") / name[2:]).read_bytes() == b"x"


@pytest.mark.parametrize("suffix", ["tar.gz", "tar.xz", "tar.bz2", "zip"])
def test_damaged_archive_is_refused(tmp_path: Path, suffix: str) -> None:
    buffer = io.BytesIO()
    if suffix == "zip":
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("s/a", os.urandom(50_000))
        whole = buffer.getvalue()
    else:
        whole = tar_bytes([file_entry("s/a", os.urandom(50_000)), file_entry("s/b")], f"w:{suffix[4:]}")
    archive = tmp_path / f"spam.{suffix}"
    archive.write_bytes(whole[:20_000])
    assert f"spam.{suffix}: the archive is damaged: " in refusal(archive, tmp_path / "out")
    archive.write_bytes(b"<html>not found</html>")
    assert f"spam.{suffix}: the archive is damaged: " in refusal(archive, tmp_path / "out")


def test_unknown_archive_kind_lists_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "spam.rar").touch()
    with pytest.raises(SourceError, match=r"spam\.rar: not a known kind.*\n  hint: the known kinds are: \.tar\.gz, "):
        unpack(tmp_path / "spam.rar", tmp_path / "out")
