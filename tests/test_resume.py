"""What is kept of a build that was cut: what notes tell to be whole."""

from __future__ import annotations

import os
from pathlib import Path

from factory.resume import discard_unless_noted, keep_noted_trees


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_trees_of_ninja_and_cargo_move_to_the_new_copy_and_nothing_else_does(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write(
        old, "x.c", "half.o", "cmake/.ninja_log", "cmake/x.o", "rust/target/.rustc_info.json", "rust/target/release/x"
    )
    write(new, "x.c", "rust/lib.rs")
    keep_noted_trees(old, new)
    kept = ["cmake/.ninja_log", "cmake/x.o", "rust/lib.rs", "rust/target/.rustc_info.json", "rust/target/release/x"]
    assert files(new) == sorted([*kept, "x.c"])


def test_what_setuptools_put_into_a_tree_of_ninja_is_not_kept(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    folders = ("lib.linux-riscv64-cpython-313", "temp.linux-riscv64-cpython-313", "bdist.linux-riscv64")
    write(old, "build/.ninja_log", "build/lib/libx.so", *(f"build/{folder}/half.so" for folder in folders))
    new.mkdir()
    keep_noted_trees(old, new)
    assert files(new) == ["build/.ninja_log", "build/lib/libx.so"]


def test_what_a_configuration_wrote_beside_the_sources_is_kept_and_what_came_later_is_not(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write(old, "x.c", "include/config.h", "build/.ninja_log", "build/build.ninja", "generated/half.c")
    for name, seconds in (("include/config.h", 1), ("build/build.ninja", 2), ("generated/half.c", 3)):
        os.utime(old / name, (seconds, seconds))
    write(new, "x.c")
    keep_noted_trees(old, new)
    assert files(new) == ["build/.ninja_log", "build/build.ninja", "include/config.h", "x.c"]


def test_a_first_patched_copy_has_nothing_to_keep(tmp_path: Path) -> None:
    write(tmp_path / "new", "x.c")
    keep_noted_trees(tmp_path / "old", tmp_path / "new")
    assert files(tmp_path / "new") == ["x.c"]


def test_a_build_tree_without_notes_begins_anew(tmp_path: Path) -> None:
    write(tmp_path, "make/Makefile", "make/half.o", "ninja/.ninja_log", "ninja/x.o")
    for name in ("make", "ninja", "none"):
        discard_unless_noted(tmp_path / name)
    assert files(tmp_path) == ["ninja/.ninja_log", "ninja/x.o"]
