"""Tests of files kept from an interrupted build."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from factory.pipeline.incremental import begin_look, discard_unless_noted, ends_untouched, keep_noted_trees, renew


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_renewal_keeps_ninja_and_cargo_trees_only(tmp_path: Path) -> None:
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


def test_renewal_keeps_configured_files_but_no_later_ones(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write(old, "x.c", "include/config.h", "build/.ninja_log", "build/build.ninja", "generated/half.c")
    for name, seconds in (("include/config.h", 1), ("build/build.ninja", 2), ("generated/half.c", 3)):
        os.utime(old / name, (seconds, seconds))
    write(new, "x.c")
    keep_noted_trees(old, new)
    assert files(new) == ["build/.ninja_log", "build/build.ninja", "include/config.h", "x.c"]


def test_renewal_keeps_source_files_changed_by_configure(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write(old, "schema.h", "late.h", "x.c", "build/.ninja_log", "build/build.ninja")
    write(new, "schema.h", "late.h", "x.c")
    for copy, times in ((old, {"schema.h": 2, "late.h": 4, "x.c": 1, "build/build.ninja": 3}), (new, {"x.c": 1})):
        for name, seconds in times.items():
            (copy / name).write_text(f"{copy.name} {name}")
            os.utime(copy / name, (seconds, seconds))
    keep_noted_trees(old, new)
    assert (new / "schema.h").read_text() == "old schema.h"
    assert (new / "late.h").read_text() != "old late.h"
    assert (new / "x.c").read_text() == "new x.c"


def test_renewal_keeps_finished_ninja_outputs_only(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write(old, "x.c", "gen/shim.cpp", "gen/type.cpp", "gen/half.cpp", "build/.ninja_log", "build/x.o")
    outputs = ("/build/src/gen/shim.cpp", "../gen/type.cpp", "../gen/gone.cpp", "../x.c", "x.o", "/etc/passwd")
    lines = "".join(f"1\t2\t1795409479593687122\t{output}\ta75336f47e113154\n" for output in outputs)
    (old / "build/.ninja_log").write_text(f"# ninja log v7\n{lines}3\t4\t../gen/ha")
    write(new, "x.c")
    keep_noted_trees(old, new)
    assert files(new) == ["build/.ninja_log", "build/x.o", "gen/shim.cpp", "gen/type.cpp", "x.c"]


def test_a_first_patched_copy_has_nothing_to_keep(tmp_path: Path) -> None:
    write(tmp_path / "new", "x.c")
    keep_noted_trees(tmp_path / "old", tmp_path / "new")
    assert files(tmp_path / "new") == ["x.c"]


def test_a_build_tree_without_notes_begins_anew(tmp_path: Path) -> None:
    write(tmp_path, "make/Makefile", "make/half.o", "ninja/.ninja_log", "ninja/x.o")
    for name in ("make", "ninja", "none"):
        discard_unless_noted(tmp_path / name)
    assert files(tmp_path) == ["ninja/.ninja_log", "ninja/x.o"]


class Killed(BaseException):
    """Stand-in for SIGKILL."""


def renewed(work: Path) -> None:
    """Replace the tree of an interrupted build by a new copy of a source of one file."""
    renew(work / "src", work, lambda copy: write(copy, "x.c"))


def test_renewal_killed_at_any_step_keeps_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = ["build/.ninja_log", "build/build.ninja", "build/x.o", "config.h", "rust/.rustc_info.json", "x.c"]
    rename, moment, is_killed = Path.rename, 0, True
    while is_killed:
        work, left = tmp_path / str(moment), moment
        write(work / "src", *kept, "half.o")
        os.utime(work / "src/config.h", (1, 1))

        def rename_or_die(path: Path, target: Path) -> Path:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", rename_or_die)
        with suppress(Killed):
            renewed(work)
        monkeypatch.undo()
        is_killed = left < 0
        renewed(work)
        assert files(work) == [f"src/{name}" for name in kept]
        moment += 1
    assert moment > 5


def looked_into(tmp_path: Path) -> Path:
    """Open a debug shell in a job whose build was interrupted."""
    write(tmp_path, "work/src/x.c", "work/venv/bin/python")
    begin_look(tmp_path, tmp_path / "work")
    time.sleep(0.02)  # the kernel's clock for files ticks every few milliseconds
    return tmp_path / "work"


def test_a_job_that_was_only_looked_at_goes_on(tmp_path: Path) -> None:
    work = looked_into(tmp_path)
    assert (work / "src/x.c").read_text() == ""
    assert ends_untouched(tmp_path, work)
    write(work, "src/x.o")  # by a build
    assert ends_untouched(tmp_path, work)


def change(path: Path) -> None:
    """Write a file and set its time back, as copying tools do."""
    path.write_text("another")
    os.utime(path, (1, 1))


@pytest.mark.parametrize("touch", [change, Path.unlink, lambda path: path.rename(path.with_name("y.c"))])
def test_a_job_that_a_person_changed_is_known_to_be_from_then_on(
    tmp_path: Path, touch: Callable[[Path], object]
) -> None:
    work = looked_into(tmp_path)
    touch(work / "src/x.c")
    assert not ends_untouched(tmp_path, work)
    begin_look(tmp_path, work)
    assert not ends_untouched(tmp_path, work)
