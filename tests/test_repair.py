"""Repair removes copies of libraries, and only those that nothing needs by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.errors import RepairFailed
from factory.model import BuiltWheel, RepairedWheel, Target
from factory.repair import copies, repair
from tests.conftest import MemoryLog
from tests.elf_images import Image


def write(folder: Path, name: str, image: Image) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(image.build())
    return path


def test_of_links_stored_as_copies_the_needed_and_the_short_name_stay(tmp_path: Path) -> None:
    ggml = Image(soname="libggml.so.0")
    lib = tmp_path / "lib"
    libraries = [write(lib, name, ggml) for name in ("libggml.so", "libggml.so.0", "libggml.so.0.1.2")]
    libraries.append(write(lib, "libllama.so", Image(soname="libllama.so", needed=("libggml.so.0",))))
    assert [path.name for path in copies(libraries)] == ["libggml.so.0.1.2"]


def test_libraries_that_differ_are_no_copies(tmp_path: Path) -> None:
    libraries = [write(tmp_path, name, Image(soname=name)) for name in ("liba.so", "liba.so.1")]
    assert copies(libraries) == []


def test_equal_libraries_of_two_packages_both_stay(tmp_path: Path) -> None:
    libraries = [write(tmp_path / package, "libx.so", Image(soname="libx.so")) for package in ("one", "two")]
    assert copies(libraries) == []


def repaired_before(folder: Path, tags: str) -> RepairedWheel:
    built = folder / f"x-1-cp313-cp313-{tags}.whl"
    built.write_bytes(b"as the project's own repair left it")
    unused = ["no-such-program"]
    return repair(BuiltWheel(path=built, requirements=()), Target(), (), unused, folder / "out", "0", MemoryLog())


def test_a_wheel_that_its_own_build_repaired_keeps_its_bytes(tmp_path: Path) -> None:
    wheel = repaired_before(tmp_path, "manylinux_2_31_riscv64.manylinux_2_39_riscv64")
    assert wheel.path == tmp_path / "out/x-1-cp313-cp313-manylinux_2_31_riscv64.manylinux_2_39_riscv64.whl"
    assert wheel.path.read_bytes() == b"as the project's own repair left it"
    assert wheel.platform_tags == ("manylinux_2_31_riscv64", "manylinux_2_39_riscv64")


def test_a_wheel_repaired_for_a_newer_glibc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RepairFailed, match="needs manylinux_2_41_riscv64, which is newer than the target's"):
        repaired_before(tmp_path, "manylinux_2_41_riscv64")
