"""Sources from a Debian mirror's pool."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import SourceError
from factory.model.source import Source
from factory.stages.sources.deb import DebSource
from factory.stages.sources.debian import DebianPackaging, DebianSource
from factory.stages.sources.debian_pool import pool_folder
from factory.stages.sources.identity import identity
from tests.support.archives import file_entry, sdist, tar_bytes
from tests.support.index_server import IndexServer
from tests.support.logs import MemoryLog

TARBALL = sdist()
PIN = DebianSource(project="spam", version="1.0+ds", sha256=hashlib.sha256(TARBALL).hexdigest())
FOLDER = "main/s/spam"
# Small, and in stable Debian since 2013.
REAL = DebianSource(
    project="hello",
    version="2.10",
    sha256="31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b",
)


@pytest.fixture
def mirror(index: IndexServer, monkeypatch: pytest.MonkeyPatch) -> IndexServer:
    monkeypatch.setenv("FACTORY_DEBIAN_MIRROR", f"{index.url}/")
    return index


def add(mirror: IndexServer, name: str, content: bytes = TARBALL) -> None:
    mirror.files[f"{FOLDER}/{name}"] = content


def refusal(pin: Source, tmp_path: Path, log: MemoryLog) -> SourceError:
    with pytest.raises(SourceError) as caught:
        pin.fetch(tmp_path / "cache", tmp_path / "out", log)
    return caught.value


def test_tarball_of_any_compression_is_found(mirror: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    add(mirror, "spam_1.0+ds.orig.tar.gz")
    tree = PIN.fetch(tmp_path / "cache", tmp_path / "out", log)
    assert (tree.path, tree.sha256) == (tmp_path / "out/spam-1.0", PIN.sha256)
    assert f"downloading {mirror.url}/pool/{FOLDER}/spam_1.0%2Bds.orig.tar.gz" in log.text


def test_cached_tarball_needs_no_mirror(mirror: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    add(mirror, "spam_1.0+ds.orig.tar.gz")
    PIN.fetch(tmp_path / "cache", tmp_path / "out", log)
    mirror.requests.clear()
    PIN.fetch(tmp_path / "cache", tmp_path / "out", log)
    assert mirror.requests == []


def test_missing_version_lists_those_in_the_pool(mirror: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    names = ("spam_1.1%2bds.orig.tar.xz", "spam_1.1%2bds-2.dsc", "spam_0.9.orig.tar.gz", "spam_0.9.orig.tar.gz.asc")
    mirror.files[FOLDER] = "".join(f'<a href="{name}">{name}</a>' for name in names).encode()
    assert refusal(PIN, tmp_path, log).message == (
        f"spam 1.0+ds: the Debian mirror has no spam_1.0+ds.orig.tar.{{xz,gz,bz2}} in {mirror.url}/pool/{FOLDER}; "
        "the versions there: 0.9, 1.1+ds"
    )


def test_mirror_without_listings_names_the_folder(mirror: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    error = refusal(PIN, tmp_path, log)
    assert error.message == (
        f"spam 1.0+ds: the Debian mirror has no spam_1.0+ds.orig.tar.{{xz,gz,bz2}} in {mirror.url}/pool/{FOLDER}; "
        "the mirror lists no versions of it"
    )
    assert "FACTORY_DEBIAN_MIRROR" in str(error)


def test_tarball_with_another_hash_is_not_kept(mirror: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    add(mirror, "spam_1.0+ds.orig.tar.gz", TARBALL + b"\0")
    found = hashlib.sha256(TARBALL + b"\0").hexdigest()
    assert refusal(PIN, tmp_path, log).message == (
        "spam_1.0+ds.orig.tar.gz: the download has another content than the one pinned\n"
        f"  pinned sha256: {PIN.sha256}\n  found sha256:  {found}"
    )
    assert not list((tmp_path / "cache").rglob("*.tar.*[!lock]"))


def test_unreachable_mirror_names_the_variable(
    mirror: IndexServer, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.credentials = "other"
    assert "answers 401 Unauthorized" in refusal(PIN, tmp_path, log).message
    monkeypatch.setenv("FACTORY_DEBIAN_MIRROR", "http://me:s3cret@127.0.0.1:9/debian")
    error = refusal(PIN, tmp_path, log)
    assert error.message.startswith("Debian mirror: cannot read http://127.0.0.1:9/debian/pool/main/s/spam/")
    assert "s3cret" not in str(error)
    assert error.machines_fault
    assert "set FACTORY_DEBIAN_MIRROR to another mirror" in str(error)


def test_pool_folder_of_libraries_has_four_letters() -> None:
    assert (pool_folder("openblas"), pool_folder("libffi")) == ("pool/main/o/openblas", "pool/main/libf/libffi")


FIRST = "--- a/spam.txt\n+++ b/spam.txt\n@@ -1 +1 @@\n-eggs\n+bacon\n"
SECOND = "--- a/spam.txt\n+++ b/spam.txt\n@@ -1 +1 @@\n-bacon\n+sausage\n"
PACKAGED = tar_bytes([file_entry("spam-1.0/PKG-INFO"), file_entry("spam-1.0/spam.txt", b"eggs\n")])
PACKAGING = tar_bytes(
    [
        file_entry("debian/control", mtime=1_600_000_000),
        file_entry("debian/patches/series", b"first.patch # why\n\n# second.patch is later\nsecond.patch\n"),
        file_entry("debian/patches/first.patch", FIRST.encode()),
        file_entry("debian/patches/second.patch", SECOND.encode()),
    ],
    "w:xz",
)


def packaged(mirror: IndexServer, *left_out: str) -> DebianSource:
    """Put a source and Debian's revision 2 of it on the mirror; return the pin."""
    add(mirror, "spam_1.0+ds.orig.tar.gz", PACKAGED)
    add(mirror, "spam_1.0+ds-2.debian.tar.xz", PACKAGING)
    sha256 = hashlib.sha256(PACKAGING).hexdigest()
    packaging = DebianPackaging(revision="2", sha256=sha256, left_out=left_out)
    return replace(PIN, sha256=hashlib.sha256(PACKAGED).hexdigest(), packaging=packaging)


@pytest.mark.parametrize(("left_out", "content"), [((), "sausage\n"), (("second.patch",), "bacon\n")])
def test_packaging_applies_patches_but_those_left_out(
    mirror: IndexServer, tmp_path: Path, log: MemoryLog, left_out: tuple[str, ...], content: str
) -> None:
    pin = packaged(mirror, *left_out)
    tree = pin.fetch(tmp_path / "cache", tmp_path / "out", log)
    assert (tree.path / "spam.txt").read_text() == content
    assert (tree.path / "debian/control").is_file()
    assert {path.stat().st_mtime for path in (tree.path, *tree.path.rglob("*"))} == {1_500_000_000}
    assert identity(pin) not in (identity(packaged(mirror, "first.patch")), identity(replace(pin, packaging=None)))


def test_packaging_names_unknown_and_failed_patches(mirror: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    error = refusal(packaged(mirror, "third.patch"), tmp_path, log)
    assert error.message.startswith("spam_1.0+ds-2.debian.tar.xz: cannot leave out third.patch: ")
    assert "patches are: first.patch, second.patch" in str(error)
    error = refusal(packaged(mirror, "first.patch"), tmp_path, log)
    assert error.message.startswith("the distribution's second.patch does not apply to spam-1.0\n")


def test_missing_revision_is_explained(mirror: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    pin = packaged(mirror)
    del mirror.files[f"{FOLDER}/spam_1.0+ds-2.debian.tar.xz"]
    error = refusal(pin, tmp_path, log)
    assert error.message.startswith("spam_1.0+ds-2.debian.tar.xz: can't be downloaded from ")
    assert "Debian removes a revision when the next one" in str(error)


def test_binary_package_is_unpacked_below_its_name(mirror: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    content = deb(tmp_path / "package")
    add(mirror, "python3-spam_1.0-2_riscv64.deb", content)
    tree = deb_pin(content).fetch(tmp_path / "cache", tmp_path / "out", log)
    assert tree.path == tmp_path / "out/python3-spam"
    assert (tree.path / "usr/lib/python3/dist-packages/spam.py").read_text() == "eggs = 1\n"


def test_binary_package_for_all_architectures_is_found(mirror: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    content = deb(tmp_path / "package")
    add(mirror, "python3-spam_1.0-2_all.deb", content)
    tree = deb_pin(content).fetch(tmp_path / "cache", tmp_path / "out", log)
    assert tree.path == tmp_path / "out/python3-spam"


def test_file_other_than_a_binary_package_is_refused(mirror: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    add(mirror, "python3-spam_1.0-2_riscv64.deb", TARBALL)
    with pytest.raises(SourceError, match=r"python3-spam_1\.0-2_riscv64\.deb: cannot be unpacked: .*not a Debian"):
        deb_pin(TARBALL).fetch(tmp_path / "cache", tmp_path / "out", log)


def deb_pin(content: bytes) -> Source:
    sha256 = hashlib.sha256(content).hexdigest()
    return DebSource(project="spam", package="python3-spam", version="1.0-2", sha256=sha256)


def deb(folder: Path) -> bytes:
    """Make a small binary package."""
    module = folder / "usr/lib/python3/dist-packages/spam.py"
    module.parent.mkdir(parents=True)
    module.write_text("eggs = 1\n")
    (folder / "DEBIAN").mkdir()
    control = "Package: python3-spam\nVersion: 1.0-2\nArchitecture: riscv64\nMaintainer: nobody\nDescription: spam\n"
    (folder / "DEBIAN/control").write_text(control)
    subprocess.run(["dpkg-deb", "--build", folder, f"{folder}.deb"], check=True, capture_output=True)
    return Path(f"{folder}.deb").read_bytes()


@pytest.mark.environment
def test_package_of_the_real_mirror_is_fetched(tmp_path: Path, log: MemoryLog) -> None:
    tree = REAL.fetch(tmp_path / "cache", tmp_path / "out", log)
    assert (tree.path / "configure.ac").is_file()
