"""Which libraries a wheel takes along, under which names, and what it lacks without those that are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.elf.dependencies import Closure, before_bundling, find_closure, own_files, relinking
from factory.elf.links import BrokenElf, Linked
from factory.elf.patchelf import Wanted
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
    """A wheel with an extension that needs a library of its own and Gloo, which needs MPI, which needs a fabric."""
    write(tmp_path / "tree/spam", "fast.so", "libspam.so", "libgloo.so.0")
    write(tmp_path / "tree/spam/lib", "libspam.so", "libgloo.so.0")
    write(tmp_path / "root", "libgloo.so.0", "libmpi.so.40", "libc.so.6")
    write(tmp_path / "root", "libmpi.so.40", "libfabric.so.1")
    write(tmp_path / "root", "libfabric.so.1")
    write(tmp_path / "root", "libspam.so", "libother.so")
    return tmp_path / "tree"


def test_the_closure_has_what_libraries_need_in_turn_and_prefers_the_wheels_own(tree: Path, tmp_path: Path) -> None:
    closure = find_closure(own_files(tree), [tmp_path / "root"], same)
    assert [each.path.name for each in closure.own] == ["fast.so", "libspam.so"]
    assert sorted(closure.besides) == ["libfabric.so.1", "libgloo.so.0", "libmpi.so.40"]


def test_what_is_left_out_brings_nothing_along(tree: Path, tmp_path: Path) -> None:
    closure = find_closure(own_files(tree), [tmp_path / "root"], same, ["libmpi.so.40"])
    assert sorted(closure.besides) == ["libgloo.so.0"]


def test_a_broken_library_is_named(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "root/libgloo.so.0").write_bytes(b"\x7fELF and then nothing")
    with pytest.raises(BrokenElf, match=r"libgloo\.so\.0 is not a whole ELF file"):
        find_closure(own_files(tree), [tmp_path / "root"], same)


def test_a_library_that_another_wheel_bundled_gets_its_name_back(tmp_path: Path) -> None:
    original = write(tmp_path / "root", "libgomp.so.1.0.0", soname="libgomp.so.1")
    (tmp_path / "root/libgomp.so.1").symlink_to(original)
    name = f"libgomp-{sha256_of(original)[:8]}.so.1.0.0"
    write(tmp_path / "blas.libs", name)
    write(tmp_path / "blas", "libopenblas.so", name)
    write(tmp_path / "tree", "fast.so", "libopenblas.so", "libgomp.so.1")
    write(tmp_path / "newer", "libgomp.so.1.0.0", "libc.so.6", soname="libgomp.so.1")
    folders = [tmp_path / "blas", tmp_path / "blas.libs", tmp_path / "newer", tmp_path / "root"]
    closure = find_closure(own_files(tmp_path / "tree"), folders, before_bundling(folders))
    assert sorted(closure.besides) == ["libgomp.so.1", "libopenblas.so"]
    assert relinking(closure.besides["libopenblas.so"], closure).replaced == {name: "libgomp.so.1"}
    assert not relinking(closure.own[0], closure).options()


@pytest.mark.parametrize("name", ["libgomp-00000000.so.1.0.0", "libeggs-0123abcd.so", "libgomp.so.1.0.0"])
def test_a_library_of_which_the_root_has_no_such_file_keeps_its_name(tmp_path: Path, name: str) -> None:
    write(tmp_path, "libgomp.so.1.0.0", soname="libgomp.so.1")
    assert before_bundling([tmp_path])(name) == name


def closure_without(*left_out: str) -> Closure:
    return Closure(own=(), besides={}, rename=same, left_out=left_out)


def linked(*needed: str) -> Linked:
    return Linked(path=Path("libgloo.so.0"), soname="libgloo.so.0", needed=needed)


def test_the_stand_in_takes_the_place_of_one_library_and_the_others_go() -> None:
    missing = [Wanted(name="MPI_Init", version="", library="", data=False)]
    closure = closure_without("libmpi.so.40", "libhiredis.so.1")
    change = relinking(linked("libhiredis.so.1", "libmpi.so.40", "libc.so.6"), closure, missing, "libx_left_out.so")
    assert change.replaced == {"libhiredis.so.1": "libx_left_out.so"}
    assert change.dropped == ["libmpi.so.40"]


def test_the_stand_in_takes_the_place_of_each_library_whose_versions_are_wanted() -> None:
    missing = [Wanted(name="ibv_open", version="IBV_1.1", library="libibverbs.so.1", data=False)]
    closure = closure_without("libmpi.so.40", "libibverbs.so.1")
    change = relinking(linked("libmpi.so.40", "libibverbs.so.1"), closure, missing, "libx_left_out.so")
    assert change.replaced == {"libibverbs.so.1": "libx_left_out.so"}
    assert change.dropped == ["libmpi.so.40"]


def test_a_library_that_nothing_calls_is_not_needed_any_more() -> None:
    change = relinking(linked("libmpi.so.40", "libc.so.6"), closure_without("libmpi.so.40"))
    assert (change.replaced, change.dropped) == ({}, ["libmpi.so.40"])


def test_a_name_that_is_needed_already_is_not_needed_twice() -> None:
    closure = Closure(own=(), besides={}, rename=lambda name: name.replace("-0123abcd", ""), left_out=())
    change = relinking(linked("libgomp.so.1", "libgomp-0123abcd.so.1"), closure)
    assert (change.replaced, change.dropped) == ({}, ["libgomp-0123abcd.so.1"])
