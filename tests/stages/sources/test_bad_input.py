"""Sources that are damaged or hostile: always one error, and nothing is left."""

from __future__ import annotations

import io
import os
import random
import socket
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, suppress
from pathlib import Path

import pytest

from factory.errors import SourceError
from factory.model.artifacts import SourceTree
from factory.model.source import Overlay
from factory.stages.sources.archive import read_top_files, unpack
from factory.stages.sources.fetch import fetch
from factory.stages.sources.identity import identity
from factory.stages.sources.local import LocalSource
from factory.stages.sources.metadata import read_project_metadata
from factory.stages.sources.overlay import lay
from factory.stages.sources.source_files import MAX_PATH_BYTES
from factory.util.cancellation import time_limit
from tests.support.archives import file_entry, sdist, special_entry, tar_bytes
from tests.support.logs import MemoryLog

MUTATIONS = 150


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with chdir(path.parent), socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)


def make_device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this machine lets nobody make devices")


SPECIAL: dict[Callable[[Path], None], str] = {
    make_fifo: "a named pipe",
    make_socket: "a socket",
    make_device: "a device file",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[build-system]\nrequires = []\n[project]\nname = "spam"\nversion = "1.0"\n')
    return folder


def local(folder: Path) -> LocalSource:
    return LocalSource(project="spam", version="1.0", path=folder)


@contextmanager
def refused(*words: str) -> Iterator[None]:
    """Require one error within 5 s that has these words and no more than one line."""
    with time_limit(5, TimeoutError), pytest.raises(SourceError) as caught:
        yield
    assert all(word in caught.value.message for word in words), caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("make", SPECIAL, ids=lambda make: make.__name__)
@pytest.mark.parametrize("place", ["pipe", "src/pipe", "pyproject.toml"])
def test_special_file_in_local_source_is_refused(
    project: Path, tmp_path: Path, log: MemoryLog, make: Callable[[Path], None], place: str
) -> None:
    (project / place).unlink(missing_ok=True)
    make(project / place)
    with refused(str(project / place), SPECIAL[make]):
        identity(local(project))
    with refused(str(project / place), SPECIAL[make]):
        fetch(local(project), tmp_path / "cache", tmp_path / "out", log)


@pytest.mark.parametrize("make", SPECIAL, ids=lambda make: make.__name__)
def test_special_file_in_overlay_is_refused(
    project: Path, tmp_path: Path, log: MemoryLog, make: Callable[[Path], None]
) -> None:
    make(project / "src/pipe")
    (tmp_path / "tree").mkdir()
    with refused("src/pipe", SPECIAL[make]):
        overlay = Overlay(project="spam", version="1.0", folders=(project,))
        lay(overlay, SourceTree(path=tmp_path / "tree", sha256=""), log)


def test_link_loop_in_local_source_is_copied(project: Path, tmp_path: Path, log: MemoryLog) -> None:
    """Projects have them as test data, and they harm nobody."""
    (project / "a").symlink_to("b")
    (project / "b").symlink_to("a")
    (project / "src/itself").symlink_to("../src")
    tree = fetch(local(project), tmp_path / "cache", tmp_path / "out", log).path
    assert (tree / "a").readlink() == Path("b")
    assert tree.name == "spam-1.0"


def test_overlay_through_link_loop_is_refused(project: Path, tmp_path: Path, log: MemoryLog) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "src").symlink_to("src")
    (project / "src/x").touch()
    with pytest.raises((SourceError, FileExistsError)):
        lay(Overlay(project="spam", version="1.0", folders=(project,)), SourceTree(path=tree, sha256=""), log)


def test_path_of_5000_bytes_in_local_source_is_refused(project: Path, tmp_path: Path, log: MemoryLog) -> None:
    with chdir(project):
        for _ in range(25):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
        Path("deep").touch()
    with refused("too long", str(MAX_PATH_BYTES)):
        identity(local(project))
    with refused("too long"):
        fetch(local(project), tmp_path / "cache", tmp_path / "out", log)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def with_pax(name: str = "s/a", **headers: str) -> bytes:
    info = tarfile.TarInfo(name)
    info.pax_headers = headers
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
    return buffer.getvalue()


BAD_ARCHIVES = {
    "name of 300 bytes": tar_bytes([file_entry("s/" + "n" * 300)]),
    "folder of 300 bytes": tar_bytes([file_entry("s/" + "n" * 300 + "/x")]),
    "name of 100 characters in 300 bytes": tar_bytes([file_entry("s/" + "€" * 100)]),
    "path of 5000 bytes": tar_bytes([file_entry("s/" + "n/" * 2500 + "x")]),
    "link to a path of 5000 bytes": tar_bytes([special_entry("s/l", tarfile.SYMTYPE, "n/" * 2500 + "x")]),
    "link to a name of 300 bytes": tar_bytes([special_entry("s/l", tarfile.SYMTYPE, "n" * 300)]),
    "time nan": with_pax(mtime="nan"),
    "time inf": with_pax(mtime="inf"),
    "time -inf": with_pax(mtime="-inf"),
    "time 1e300": with_pax(mtime="1e300"),
    "time of year 30000": with_pax(mtime="900000000000"),
    "size -1": with_pax(size="-1"),
    "size huge": with_pax(size="9" * 40),
    "path with NUL": with_pax(path="s/a\0b"),
    "top .unpacking": tar_bytes([file_entry(".unpacking/a")]),
    "top .unpacking-old": tar_bytes([file_entry(".unpacking-old/a")]),
    "top .parts": tar_bytes([file_entry(".parts/a")]),
    "top with newline": tar_bytes([file_entry("s\nx/a")]),
    "top not UTF-8": tar_bytes([file_entry("s\udcff/a")]),
    "top of controls": tar_bytes([file_entry("s\x1b[2J/a")]),
    "empty": b"",
    "no archive": b"<html>" * 100,
    "gzip of text": tar_bytes([file_entry("s/a")])[:40],
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_bad_archive_is_one_error(tmp_path: Path, case: str) -> None:
    archive, out = write(tmp_path / "spam-1.0.tar.gz", BAD_ARCHIVES[case]), tmp_path / "out"
    out.mkdir()
    with refused("spam-1.0.tar.gz: "):
        unpack(archive, out)
    assert list(out.iterdir()) == []
    with refused("spam-1.0.tar.gz: "):
        read_top_files(archive, ("PKG-INFO",))


def test_link_loop_in_archive_is_unpacked(tmp_path: Path) -> None:
    entries = [
        file_entry("s/a"),
        special_entry("s/l", tarfile.SYMTYPE, "m"),
        special_entry("s/m", tarfile.SYMTYPE, "l"),
        special_entry("s/n", tarfile.SYMTYPE, "n"),
    ]
    tree = unpack(write(tmp_path / "spam-1.0.tar.gz", tar_bytes(entries)), tmp_path / "out")
    assert {path.name for path in tree.iterdir()} == {"a", "l", "m", "n"}


@pytest.mark.parametrize("place", [".unpacking", "debian"])
def test_link_in_place_of_folder_is_replaced(tmp_path: Path, place: str) -> None:
    """A source may have a link where its packaging is unpacked."""
    out, other = tmp_path / "out", tmp_path / "other"
    out.mkdir()
    other.mkdir()
    (other / "kept").touch()
    for target in (other, tmp_path / "nowhere"):
        (out / place).unlink(missing_ok=True)
        (out / place).symlink_to(target)
        folder = unpack(write(tmp_path / "x.tar.gz", tar_bytes([file_entry("debian/a")])), out)
        assert folder == out / "debian"
        assert not folder.is_symlink()
        assert (other / "kept").is_file()
        (folder / "a").unlink()
        folder.rmdir()


def mutations(content: bytes, number: int) -> Iterator[bytes]:
    """Yield copies with changed, removed and repeated bytes, the same in each run."""
    chance = random.Random(7)
    for _ in range(number):
        changed = bytearray(content)
        for _ in range(chance.choice((1, 1, 2, 8))):
            place = chance.randrange(1 + (min(len(changed), 4096) if chance.random() < 0.7 else len(changed)))
            match chance.randrange(4):
                case 0:
                    changed[place : place + 1] = [chance.randrange(256)]
                case 1:
                    changed[place : place + 12] = chance.choice(
                        (b"\xff" * 12, b"0" * 12, b"-00000000001", b"77777777777\0")
                    )
                case 2:
                    del changed[place : place + chance.randrange(1, 600)]
                case _:
                    changed[place:place] = changed[place : place + 512]
        yield bytes(changed)


def zip_bytes() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("s/pyproject.toml", "s/src/a.c", "s/src/b.c"):
            file.writestr(name, "[project]\n" * 40)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "tar.bz2", "zip"])
def test_mutated_archive_unpacks_or_is_one_error(tmp_path: Path, kind: str) -> None:
    whole = (
        zip_bytes()
        if kind == "zip"
        else tar_bytes([file_entry("s/" + "n" * 120 + "/b/c" + "a", b"x" * 900), *SMALL], f"w:{kind.partition('.')[2]}")
    )
    refusals = 0
    for content in mutations(whole, MUTATIONS):
        archive, out = write(tmp_path / f"spam-1.0.{kind}", content), tmp_path / "out"
        out.mkdir(exist_ok=True)
        try:
            tree = unpack(archive, out)
            assert tree.parent == out
        except SourceError:
            refusals += 1
            assert not [path for path in out.iterdir() if path.name.startswith(".")]
        with suppress(SourceError):
            read_top_files(archive, ("PKG-INFO", "pyproject.toml"))
    assert refusals > MUTATIONS / 20


SMALL = [
    file_entry("s/pyproject.toml", b'[project]\nname = "spam"\n'),
    special_entry("s/link", tarfile.SYMTYPE, "pyproject.toml"),
    special_entry("s/same", tarfile.LNKTYPE, "s/pyproject.toml"),
    special_entry("s/folder", tarfile.DIRTYPE),
]

SYSTEM = '[build-system]\nrequires = ["hatchling"]\n'
BAD_METADATA = {
    "PKG-INFO: Requires-Dist": [
        "Requires-Dist: ===", "Requires-Dist: a b c", "Requires-Dist: eggs >= banana",
        "Requires-Dist: eggs; nope == '1'",
        "Requires-Dist: eggs @", "Requires-Dist: eggs; python_version ~= 'x'", "Requires-Dist: [x]",
        "Requires-Dist: " + "(" * 5000,
    ],
    "PKG-INFO: Requires-Python": [
        "Requires-Python: banana", "Requires-Python: 3.9", "Requires-Python: >=3.6.*", "Requires-Python: >=3,,banana",
    ],
    "pyproject.toml: build-system.requires": [
        '[build-system]\nrequires = ["a b"]', '[build-system]\nrequires = ["ok", ">=1"]',
        '[build-system]\nrequires = ["x; os_nam == \'a\'"]', '[build-system]\nrequires = [""]',
    ],
    "pyproject.toml: project.dependencies": [f'{SYSTEM}[project]\nname = "x"\ndependencies = ["a b"]'],
    "pyproject.toml: project.requires-python": [f'{SYSTEM}[project]\nname = "x"\nrequires-python = "banana"'],
    "pyproject.toml: ": ["x = " + "[" * 5000, "x = 1\nx = 2", "\udcff", "[build-system]\nrequires = 1"],
}  # fmt: skip


@pytest.mark.parametrize(("subject", "line"), [(key, line) for key, lines in BAD_METADATA.items() for line in lines])
def test_bad_metadata_is_one_error_with_file(tmp_path: Path, subject: str, line: str) -> None:
    core = f"Metadata-Version: 2.4\nName: spam\nVersion: 1.0\n{line}\n"
    name, text = ("PKG-INFO", core) if subject.startswith("PKG-INFO") else ("pyproject.toml", line)
    (tmp_path / "pyproject.toml").write_text(SYSTEM)
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with refused(f"{tmp_path.name}/{subject}"):
        read_project_metadata(SourceTree(path=tmp_path, sha256=""))


def test_huge_metadata_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "pyproject.toml").open("wb") as file:
        file.truncate(1 << 40)
    with refused("pyproject.toml", "too large"):
        read_project_metadata(SourceTree(path=tmp_path, sha256=""))


def test_sdist_without_faults_is_unpacked(tmp_path: Path) -> None:
    assert unpack(write(tmp_path / "spam-1.0.tar.gz", sdist()), tmp_path / "out").name == "spam-1.0"
