"""Repair: from what the build backend made to a wheel with the lowest manylinux tag that holds.

Strips debugging symbols, removes copies of shared objects that stand for symbolic links (zip files have none), and lets
auditwheel bundle libraries and choose the tag.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from auditwheel.wheeltools import InWheel
from packaging.utils import parse_wheel_filename

from factory.elf_links import BrokenElf, is_elf, read_links
from factory.errors import CommandFailed, RepairFailed
from factory.files import sha256_of
from factory.model import BuiltWheel, LogSink, RepairedWheel, Target
from factory.process import run, with_own_programs

# The last one has the libraries of native compilers that the root itself may lack, such as Fortran's.
LIBRARY_FOLDERS = ("usr/lib/riscv64-linux-gnu", "usr/lib", "opt/native/usr/riscv64-linux-gnu/lib")


def repair(
    built: BuiltWheel, target: Target, roots: Sequence[Path], strip: Sequence[str], out: Path, epoch: str, log: LogSink
) -> RepairedWheel:
    """Write the repaired wheel to the folder `out`; one that has its final tags already keeps its bytes.

    `roots` are the folders of the build's root filesystem, where the libraries to bundle are; `strip` is the command
    that strips riscv64 files; `epoch` is the time, in seconds, that files in the wheel get.

    Raises:
        RepairFailed: no platform tag at or below the target's holds, or a needed library is missing.
    """
    shutil.rmtree(out, ignore_errors=True)
    if _is_repaired(built.path):
        # Its own build decided what to bundle and to strip; stripping again would harm what patchelf has moved.
        out.mkdir(parents=True)
        return _within(_final(Path(shutil.copy(built.path, out))), target)
    slim = out / "slim"
    slim.mkdir(parents=True)
    slimmed = slim / built.path.name
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    if not _slim(built.path, slimmed, strip, log):
        return _final(Path(shutil.copy(built.path, out)))
    of_roots = [root / name for root in roots for name in LIBRARY_FOLDERS if (root / name).is_dir()]
    _auditwheel(slimmed, [*built.library_folders, *of_roots], out, environment, log)
    wheels = [path for path in out.iterdir() if path.suffix == ".whl"]
    if len(wheels) != 1:
        raise RepairFailed(f"auditwheel made {len(wheels)} wheels of {built.path.name}; one was expected")
    return _within(_final(wheels[0]), target)


def give_build_tag(wheel: RepairedWheel, number: int, epoch: str, log: LogSink) -> RepairedWheel:
    """Replace the wheel by one with that build tag: with another file name, and the same content otherwise."""
    tags = [sys.executable, "-m", "wheel", "tags", "--build", str(number), "--remove", str(wheel.path)]
    run(tags, log=log, env={**os.environ, "SOURCE_DATE_EPOCH": epoch}, what="giving the wheel its build tag")
    (tagged,) = wheel.path.parent.glob("*.whl")
    return _final(tagged)


def _is_repaired(wheel: Path) -> bool:
    return all(tag.platform.startswith("manylinux") for tag in parse_wheel_filename(wheel.name)[3])


def _slim(wheel: Path, slimmed: Path, strip: Sequence[str], log: LogSink) -> bool:
    """Strip the wheel's ELF files and remove copies of them; returns whether there are any."""
    with InWheel(wheel, slimmed) as folder_name:
        folder = Path(folder_name)
        libraries = [path for path in sorted(folder.rglob("*")) if is_elf(path)]
        for path in libraries:
            run([*strip, "--strip-unneeded", str(path)], log=log, what=f"stripping {path.name}")
        for path in copies(libraries):
            log.write(f"removed {path.relative_to(folder)}: a copy of another library in the same folder\n")
            path.unlink()
    return bool(libraries)


def copies(libraries: Sequence[Path]) -> list[Path]:
    """The shared objects that are copies of one beside them and that nothing in the wheel needs by their own name.

    Of equal files those stay that a library needs by name (DT_NEEDED), and the one with the shortest name, which is
    what `ctypes` and `dlopen` callers use.
    """
    needed = {name for path in libraries for name in _needed(path)}
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in libraries:
        groups.setdefault((path.parent, sha256_of(path)), []).append(path)
    return [path for group in groups.values() for path in _spare(group, needed)]


def _spare(group: list[Path], needed: set[str]) -> list[Path]:
    shortest = min(group, key=lambda path: (len(path.name), path.name))
    return [path for path in group if path != shortest and path.name not in needed]


def _needed(path: Path) -> tuple[str, ...]:
    try:
        return read_links(path).needed
    except BrokenElf as error:
        raise RepairFailed(f"{path.name} in the wheel is {error}") from error


def _auditwheel(wheel: Path, folders: Sequence[Path], out: Path, environment: dict[str, str], log: LogSink) -> None:
    command = [sys.executable, "-m", "auditwheel", "repair", "--plat", "auto", "--only-plat"]
    command += ["--ldpaths", ":".join(map(str, folders)), "--wheel-dir", str(out), str(wheel)]
    try:
        run(command, log=log, env=with_own_programs(environment), what="auditwheel")
    except CommandFailed as error:
        raise RepairFailed(
            f"{wheel.name} can't be repaired:\n{error.output}", hint=f"the whole log is {log.path}"
        ) from error


def _final(wheel: Path) -> RepairedWheel:
    tags = sorted({tag.platform for tag in parse_wheel_filename(wheel.name)[3]})
    return RepairedWheel(path=wheel, sha256=sha256_of(wheel), platform_tags=tuple(tags))


def _within(wheel: RepairedWheel, target: Target) -> RepairedWheel:
    floor = target.glibc_floor
    for tag in wheel.platform_tags:
        parts = tag.split("_")
        if parts[0] != "manylinux" or (int(parts[1]), int(parts[2])) > floor:
            raise RepairFailed(
                f"{wheel.path.name} needs {tag}, which is newer than the target's {target.platform_ceiling}",
                hint="`auditwheel show` on the wheel lists the symbol versions that need it",
            )
    return wheel
