"""Packages of bundled libraries, found in real file trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from factory.errors import RepairFailed
from factory.model.artifacts import LibraryOrigin, PackagePin
from factory.stages.repair.provenance import Candidate, Roots, bundled_libraries, candidates_in, find_origins
from factory.util.atomic_files import sha256_of
from tests.support.wheelmaker import write_zip

LIB = "usr/lib/riscv64-linux-gnu"
CROSS = "opt/native/usr/riscv64-linux-gnu/lib"


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """Make a base layer, a layer of apt packages and one of native tools without dpkg's lists."""
    write(tmp_path / "base" / LIB / "libz.so.1.3.1", "z")
    listed(tmp_path / "base", "zlib1g:riscv64", "/usr/lib/riscv64-linux-gnu/libz.so.1.3.1")
    write(tmp_path / "apt" / LIB / "blas/libblas.so.3.12.1", "blas")
    listed(tmp_path / "apt", "libblas3:riscv64", "/lib/riscv64-linux-gnu/blas/libblas.so.3.12.1")
    write(tmp_path / "native" / CROSS / "libgfortran.so.5.0.0", "fortran")
    return {
        tmp_path / "base": (pin("zlib1g", "1:1.3"), pin("libgfortran5", "14")),
        tmp_path / "apt": (pin("zlib1g", "1:1.3"), pin("libblas3", "3.12"), pin("libblas3", "3.11", "amd64")),
        tmp_path / "native": (pin("gcc-14", "14", "amd64"), pin("libgfortran5-riscv64-cross", "14cross1", "all")),
    }


def pin(name: str, version: str, architecture: str = "riscv64") -> PackagePin:
    return PackagePin(name=name, version=version, architecture=architecture)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def listed(tree: Path, package: str, *paths: str) -> None:
    write(tree / f"var/lib/dpkg/info/{package}.list", "\n".join(("/.", *paths)) + "\n")


def bundled(folder: Path, *files: Path) -> Path:
    """Make a wheel into which auditwheel has copied these files."""
    names = [file.name.replace(".so", f"-{sha256_of(file)[:8]}.so", 1) for file in files]
    return write_zip(folder / "demo-1-py3-none-any.whl", {f"demo.libs/{name}": "patched" for name in names})


def origin_of(file: Path, original: Path, roots: Roots) -> LibraryOrigin | None:
    wheel = bundled(file.parent, file)
    found = find_origins(wheel, [Candidate(file=file, original=original)], {}, roots)
    return next(iter(found.values()), None)


def test_origin_of_library_in_dpkg_list_is_its_debian_package(tmp_path: Path, roots: Roots) -> None:
    file = tmp_path / "base" / LIB / "libz.so.1.3.1"
    expected = LibraryOrigin(kind="deb", name="zlib1g", version="1:1.3", architecture="riscv64")
    assert origin_of(file, file, roots) == expected


def test_origin_of_changed_copy_is_package_of_its_original(tmp_path: Path, roots: Roots) -> None:
    """A list from before the merge of /lib and /usr/lib counts too, and a package of another architecture doesn't."""
    original = tmp_path / "apt" / LIB / "blas/libblas.so.3.12.1"
    copy = write(tmp_path / "changed/libblas.so.3.12.1", "relinked")
    expected = LibraryOrigin(kind="deb", name="libblas3", version="3.12", architecture="riscv64")
    assert origin_of(copy, original, roots) == expected


def test_origin_in_cache_behind_link_is_found(tmp_path: Path, roots: Roots) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    linked = {tmp_path / "link" / tree.name: packages for tree, packages in roots.items()}
    file = tmp_path / "base" / LIB / "libz.so.1.3.1"
    found = origin_of(file, file, linked)
    assert found is not None
    assert found.name == "zlib1g"


def test_origin_in_layer_without_lists_is_named_after_library(tmp_path: Path, roots: Roots) -> None:
    """Packages of other layers don't count."""
    file = tmp_path / "native" / CROSS / "libgfortran.so.5.0.0"
    expected = LibraryOrigin(kind="deb", name="libgfortran5-riscv64-cross", version="14cross1", architecture="all")
    assert origin_of(file, file, roots) == expected


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libgomp.so.1.0.0", "libgomp1"),
        ("libgcc_s.so.1", "libgcc-s1"),
        ("libstdc++.so.6.0.33", "libstdc++6"),
        ("libx86.so.2", "libx86-2"),
        ("libssl.so.3", "libssl3t64"),
        ("libown.so", None),
    ],
)
def test_origin_by_name_follows_debian_policy(library: str, package: str | None, tmp_path: Path) -> None:
    file = write(tmp_path / "tree" / CROSS / library, "x")
    pins = tuple(pin(name, "1") for name in ("libgomp1", "libgcc-s1", "libstdc++6", "libx86-2", "libssl3t64"))
    found = origin_of(file, file, {tmp_path / "tree": (*pins, pin("libown", "1", "amd64"))})
    assert (None if found is None else found.name) == package


def test_origin_in_site_packages_is_wheel_with_record(tmp_path: Path, roots: Roots) -> None:
    site = tmp_path / "venv/lib/python3.13/site-packages"
    file = write(site / "blas/lib/libopenblas.so", "blas")
    write(site / "open_blas-0.3.dist-info/METADATA", "Metadata-Version: 2.1\nName: Open.BLAS\nVersion: 0.3\n")
    write(site / "open_blas-0.3.dist-info/RECORD", "blas/lib/libopenblas.so,,\n")
    assert origin_of(file, file, roots) == LibraryOrigin(kind="pypi", name="open-blas", version="0.3")


@pytest.mark.parametrize(
    ("record", "metadata"),
    [
        ("blas/lib/libopenblas.so,sha256=a,many\n", "Name: open-blas\nVersion: 0.3\n"),
        ("blas/lib/libopenblas.so,,\n", "Version: 0.3\n"),
        ("blas/lib/libopenblas.so,,\n", "Name: open-blas\n"),
    ],
)
def test_origin_in_site_packages_with_damaged_files_is_absent(
    record: str, metadata: str, tmp_path: Path, roots: Roots
) -> None:
    """A build can change the files of its virtual environment."""
    site = tmp_path / "venv/lib/python3.13/site-packages"
    file = write(site / "blas/lib/libopenblas.so", "blas")
    write(site / "open_blas-0.3.dist-info/METADATA", f"Metadata-Version: 2.1\n{metadata}")
    write(site / "open_blas-0.3.dist-info/RECORD", record)
    assert origin_of(file, file, roots) is None


@pytest.mark.parametrize("name", ["RECORD", "METADATA"])
def test_origin_by_a_fifo_is_absent_and_does_not_wait(name: str, tmp_path: Path, roots: Roots) -> None:
    site = tmp_path / "venv/lib/python3.13/site-packages"
    file = write(site / "blas/lib/libopenblas.so", "blas")
    write(site / "open_blas-0.3.dist-info/METADATA", "Name: open-blas\nVersion: 0.3\n")
    write(site / "open_blas-0.3.dist-info/RECORD", "blas/lib/libopenblas.so,,\n")
    (site / "open_blas-0.3.dist-info" / name).unlink()
    os.mkfifo(site / "open_blas-0.3.dist-info" / name)
    assert origin_of(file, file, roots) is None


def test_origin_that_builder_knows_is_kept(tmp_path: Path) -> None:
    file = write(tmp_path / "files/usr/lib/libprotobuf.so.32", "x")
    known = LibraryOrigin(kind="deb", name="libprotobuf32t64", version="3.21", architecture="riscv64")
    wheel = bundled(tmp_path, file)
    (found,) = find_origins(wheel, [Candidate(file=file, original=file)], {file: known}, {}).values()
    assert found == known


def test_origin_of_unknown_library_is_absent(tmp_path: Path, roots: Roots) -> None:
    """Another file of the same name, and one of no package, are not guessed at."""
    file = write(tmp_path / "elsewhere/libz.so.1.3.1", "another z")
    candidates = candidates_in([tmp_path / "base" / LIB], bundled_libraries(bundled(tmp_path, file)))
    assert [each.file.name for each in candidates] == ["libz.so.1.3.1"]
    assert find_origins(bundled(tmp_path, file), candidates, {}, roots) == {}
    assert origin_of(file, file, roots) is None


def test_bundled_libraries_are_those_of_the_top_folder(tmp_path: Path) -> None:
    members = {"demo.libs/libz-1.so": "", "demo/libx.so": "", "demo/x.libs/liby.so": "", "./": ""}
    assert bundled_libraries(write_zip(tmp_path / "demo.whl", members)) == ["demo.libs/libz-1.so"]


def test_bundled_libraries_of_no_zip_archive_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RepairFailed, match=r"demo\.whl: .*zip archive"):
        bundled_libraries(write(tmp_path / "demo.whl", "no zip"))
