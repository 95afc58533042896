"""Repair removes copies of libraries, and only those that nothing needs by name."""

from __future__ import annotations

from pathlib import Path

from factory.repair import copies
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
