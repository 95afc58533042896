"""Dependencies of real ELF files: their closure, renaming, and libraries that are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.elf.bounds import MalformedElf
from factory.elf.dependencies import Closure, find_closure, link_change, original_names, own_files
from factory.elf.reader import LinkedFile
from factory.elf.symbols import NeededSymbol
from factory.util.atomic_files import sha256_of
from tests.support.elf_images import Image


def write(folder: Path, name: str, *needed: str, soname: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(Image(soname=soname or name, needed=needed).build())
    return path


def same(name: str) -> str:
    return name


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a wheel with an extension that needs its library and Gloo, which needs MPI, which needs a fabric."""
    write(tmp_path / "tree/spam", "fast.so", "libspam.so", "libgloo.so.0")
    write(tmp_path / "tree/spam/lib", "libspam.so", "libgloo.so.0")
    write(tmp_path / "root", "libgloo.so.0", "libmpi.so.40", "libc.so.6")
    write(tmp_path / "root", "libmpi.so.40", "libfabric.so.1")
    write(tmp_path / "root", "libfabric.so.1")
    write(tmp_path / "root", "libspam.so", "libother.so")
    return tmp_path / "tree"


def test_closure_is_transitive_and_prefers_own_libraries(tree: Path, tmp_path: Path) -> None:
    closure = find_closure(own_files(tree), [tmp_path / "root"], same)
    assert [each.path.name for each in closure.own] == ["fast.so", "libspam.so"]
    assert sorted(closure.external) == ["libfabric.so.1", "libgloo.so.0", "libmpi.so.40"]


def test_closure_ends_at_left_out_library(tree: Path, tmp_path: Path) -> None:
    closure = find_closure(own_files(tree), [tmp_path / "root"], same, ["libmpi.so.40"])
    assert sorted(closure.external) == ["libgloo.so.0"]


def test_closure_with_malformed_library_names_the_file(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "root/libgloo.so.0").write_bytes(b"\x7fELF and then nothing")
    with pytest.raises(MalformedElf, match=r"libgloo\.so\.0: cannot be read"):
        find_closure(own_files(tree), [tmp_path / "root"], same)


def test_closure_restores_names_of_libraries_bundled_elsewhere(tmp_path: Path) -> None:
    original = write(tmp_path / "root", "libgomp.so.1.0.0", soname="libgomp.so.1")
    (tmp_path / "root/libgomp.so.1").symlink_to(original)
    name = f"libgomp-{sha256_of(original)[:8]}.so.1.0.0"
    write(tmp_path / "blas.libs", name)
    write(tmp_path / "blas", "libopenblas.so", name)
    write(tmp_path / "tree", "fast.so", "libopenblas.so", "libgomp.so.1")
    write(tmp_path / "newer", "libgomp.so.1.0.0", "libc.so.6", soname="libgomp.so.1")
    folders = [tmp_path / "blas", tmp_path / "blas.libs", tmp_path / "newer", tmp_path / "root"]
    closure = find_closure(own_files(tmp_path / "tree"), folders, original_names(folders))
    assert sorted(closure.external) == ["libgomp.so.1", "libopenblas.so"]
    assert link_change(closure.external["libopenblas.so"], closure).replaced == {name: "libgomp.so.1"}
    assert not link_change(closure.own[0], closure).options()


@pytest.mark.parametrize("name", ["libgomp-00000000.so.1.0.0", "libeggs-0123abcd.so", "libgomp.so.1.0.0"])
def test_original_name_without_same_file_is_unchanged(tmp_path: Path, name: str) -> None:
    write(tmp_path, "libgomp.so.1.0.0", soname="libgomp.so.1")
    assert original_names([tmp_path])(name) == name


def closure_without(*left_out: str) -> Closure:
    return Closure(own=(), external={}, rename=same, left_out=left_out)


def linked(*needed: str) -> LinkedFile:
    return LinkedFile(path=Path("libgloo.so.0"), soname="libgloo.so.0", needed=needed)


def test_stub_replaces_first_library_and_others_are_dropped() -> None:
    missing = [NeededSymbol(name="MPI_Init", version="", library="", data=False)]
    closure = closure_without("libmpi.so.40", "libhiredis.so.1")
    change = link_change(linked("libhiredis.so.1", "libmpi.so.40", "libc.so.6"), closure, missing, "libx_left_out.so")
    assert change.replaced == {"libhiredis.so.1": "libx_left_out.so"}
    assert change.dropped == ["libmpi.so.40"]


def test_stub_replaces_libraries_with_versioned_symbols() -> None:
    missing = [NeededSymbol(name="ibv_open", version="IBV_1.1", library="libibverbs.so.1", data=False)]
    closure = closure_without("libmpi.so.40", "libibverbs.so.1")
    change = link_change(linked("libmpi.so.40", "libibverbs.so.1"), closure, missing, "libx_left_out.so")
    assert change.replaced == {"libibverbs.so.1": "libx_left_out.so"}
    assert change.dropped == ["libmpi.so.40"]


def test_left_out_library_without_missing_symbols_is_dropped() -> None:
    change = link_change(linked("libmpi.so.40", "libc.so.6"), closure_without("libmpi.so.40"))
    assert (change.replaced, change.dropped) == ({}, ["libmpi.so.40"])


def test_renamed_library_is_needed_only_once() -> None:
    closure = Closure(own=(), external={}, rename=lambda name: name.replace("-0123abcd", ""), left_out=())
    change = link_change(linked("libgomp.so.1", "libgomp-0123abcd.so.1"), closure)
    assert (change.replaced, change.dropped) == ({}, ["libgomp-0123abcd.so.1"])
