"""Repair of small real wheels."""

from __future__ import annotations

import shutil
import zipfile
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from factory.elf.reader import read_links
from factory.errors import CommandFailed, RepairFailed
from factory.model.artifacts import BuiltWheel, RepairedWheel
from factory.model.protocols import Sandbox
from factory.model.recipe import RepairOptions
from factory.model.target import Target
from factory.stages.repair.wheel import RepairTools, copies, give_build_tag, repair
from factory.util.atomic_files import sha256_of
from tests.support.elf_images import Image
from tests.support.logs import MemoryLog
from tests.support.wheelmaker import make_wheel, write_zip


def write(folder: Path, name: str, image: Image) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(image.build())
    return path


def test_copies_keep_needed_and_shortest_names(tmp_path: Path) -> None:
    ggml = Image(soname="libggml.so.0")
    lib = tmp_path / "lib"
    libraries = [write(lib, name, ggml) for name in ("libggml.so", "libggml.so.0", "libggml.so.0.1.2")]
    libraries.append(write(lib, "libllama.so", Image(soname="libllama.so", needed=("libggml.so.0",))))
    assert [path.name for path in copies(libraries)] == ["libggml.so.0.1.2"]


def test_copies_exclude_different_libraries(tmp_path: Path) -> None:
    libraries = [write(tmp_path, name, Image(soname=name)) for name in ("liba.so", "liba.so.1")]
    assert copies(libraries) == []


def test_copies_exclude_equal_libraries_of_two_folders(tmp_path: Path) -> None:
    libraries = [write(tmp_path / package, "libx.so", Image(soname="libx.so")) for package in ("one", "two")]
    assert copies(libraries) == []


def no_root(work: Path) -> AbstractContextManager[Sandbox]:
    raise AssertionError(f"nothing is to be compiled in {work}")


NO_TOOLS = RepairTools(roots={}, strip=["no-such-program"], open_root=no_root, layers=Path("layers"))


REPAIRED = {"x.py": "as the project's repair left it"}


def repaired_before(folder: Path, tags: str) -> RepairedWheel:
    built = write_zip(folder / f"x-1-cp313-cp313-{tags}.whl", REPAIRED)
    wheel, options = BuiltWheel(path=built, requirements=()), RepairOptions()
    return repair(wheel, options, Target(), NO_TOOLS, folder / "out", "0", MemoryLog())


def test_repair_of_repaired_wheel_keeps_its_bytes(tmp_path: Path) -> None:
    wheel = repaired_before(tmp_path, "manylinux_2_31_riscv64.manylinux_2_39_riscv64")
    assert wheel.path == tmp_path / "out/x-1-cp313-cp313-manylinux_2_31_riscv64.manylinux_2_39_riscv64.whl"
    assert wheel.path.read_bytes() == (tmp_path / wheel.path.name).read_bytes()
    assert wheel.platform_tags == ("manylinux_2_31_riscv64", "manylinux_2_39_riscv64")


def test_repair_of_wheel_for_newer_glibc_fails(tmp_path: Path) -> None:
    with pytest.raises(RepairFailed, match=r"x-1-.*\.whl: manylinux_2_41_riscv64 is above"):
        repaired_before(tmp_path, "manylinux_2_41_riscv64")


def with_library(folder: Path) -> Path:
    """Make a wheel with a library that needs another."""
    wheel = make_wheel(folder, "demo", tag="cp313-cp313-linux_riscv64")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("demo/fast.so", Image(soname="fast.so", needed=("libmpi.so.40",)).build())
    return wheel


def test_repair_keeps_the_current_folder(tmp_path: Path) -> None:
    before, seen = Path.cwd(), set()

    class Witness(MemoryLog):
        def write(self, text: str) -> None:
            seen.add(Path.cwd())

    wheel = BuiltWheel(path=with_library(tmp_path), requirements=())
    tools = replace(NO_TOOLS, strip=["true"])
    with pytest.raises(RepairFailed, match=r"libmpi\.so\.40"):
        repair(wheel, RepairOptions(), Target(), tools, tmp_path / "out", "0", Witness())
    assert seen == {before}


def test_provided_library_is_not_bundled(tmp_path: Path) -> None:
    """It is in no folder that is searched: a package that the wheel requires loads it."""
    built, tools = BuiltWheel(path=with_library(tmp_path), requirements=()), replace(NO_TOOLS, strip=["true"])
    provided = ["libmpi.so.40"]
    wheel = repair(built, RepairOptions(), Target(), tools, tmp_path / "out", "0", MemoryLog(), provided)
    with zipfile.ZipFile(wheel.path) as archive:
        library = archive.extract("demo/fast.so", tmp_path)
        assert not any(name.startswith("demo.libs/") for name in archive.namelist())
    assert read_links(Path(library)).needed == ("libmpi.so.40",)


def test_strip_sees_and_writes_the_wheel_only(tmp_path: Path) -> None:
    secret, log = tmp_path / "secret", MemoryLog()
    secret.write_text("the machine's")
    script = f"echo $HOME; cat {secret}; echo changed > {secret}; grep CapEff /proc/self/status; exit 1"
    tools = replace(NO_TOOLS, strip=["sh", "-c", script])
    wheel = BuiltWheel(path=with_library(tmp_path), requirements=())
    with pytest.raises(CommandFailed):
        repair(wheel, RepairOptions(), Target(), tools, tmp_path / "out", "0", log)
    assert secret.read_text() == "the machine's"
    assert "the machine's" not in log.text
    assert "CapEff:\t0000000000000000" in log.text


def test_repair_leaving_out_unneeded_library_fails(tmp_path: Path) -> None:
    wheel = with_library(tmp_path)
    tools, options = replace(NO_TOOLS, strip=["true"]), RepairOptions(left_out=("libmpi.so.40", "libmpi.so.41"))
    with pytest.raises(RepairFailed) as caught:
        repair(BuiltWheel(path=wheel, requirements=()), options, Target(), tools, tmp_path / "out", "0", MemoryLog())
    assert all(part in caught.value.message for part in ("repair.left-out", wheel.name, "libmpi.so.41"))
    assert "libmpi.so.40" not in caught.value.message
    assert "readelf -d FILE" in str(caught.value.hint)


def test_build_tag_changes_file_name_and_tag_metadata_only(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "one", "demo", tag="py3-none-manylinux_2_31_riscv64")
    before = zipfile.ZipFile(wheel)
    contents = {name: before.read(name) for name in before.namelist()}
    twice = []
    for folder in ("one", "two"):
        copy = Path(shutil.copytree(tmp_path / "one", tmp_path / f"copy-{folder}")) / wheel.name
        found = RepairedWheel(path=copy, sha256=sha256_of(copy), platform_tags=("manylinux_2_31_riscv64",))
        twice.append(give_build_tag(found, 2, "315532802", MemoryLog()))
    assert twice[0].sha256 == twice[1].sha256 == sha256_of(twice[0].path)
    assert twice[0].path.name == "demo-1.0-2-py3-none-manylinux_2_31_riscv64.whl"
    after = zipfile.ZipFile(twice[0].path)
    changed = {name for name in after.namelist() if after.read(name) != contents[name]}
    assert changed == {"demo-1.0.dist-info/WHEEL", "demo-1.0.dist-info/RECORD"}
    assert b"\nBuild: 2\n" in after.read("demo-1.0.dist-info/WHEEL")
    assert list(twice[0].path.parent.iterdir()) == [twice[0].path]
