"""Repair: from the build backend's wheel to one with the lowest manylinux tag that holds.

Strips debugging symbols, removes copies of shared objects that stand for symbolic links (zip files have none), and lets
auditwheel bundle libraries and choose the tag. A library that needs changes before it is bundled is changed in a copy:
to undo the renaming by a build requirement's own repair, and to remove needed libraries that are left out.
"""

from __future__ import annotations

import shutil
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from auditwheel.tools import dir2zip, zip2dir
from auditwheel.wheeltools import rewrite_record
from packaging.utils import parse_wheel_filename

from factory.elf.bounds import MalformedElf
from factory.elf.dependencies import find_closure, link_change, missing_symbols, original_names, own_files, unneeded
from factory.elf.patchelf import relink
from factory.elf.reader import is_elf, read_links
from factory.elf.symbols import NeededSymbol
from factory.errors import CommandFailed, RepairFailed
from factory.model.artifacts import BuiltWheel, RepairedWheel
from factory.model.protocols import Sandbox
from factory.model.recipe import RepairOptions
from factory.model.target import Target
from factory.stages.repair.provenance import Candidate, Roots, bundled_libraries, candidates_in, find_origins
from factory.stages.repair.stub_library import compile_stub
from factory.util.atomic_files import sha256_of
from factory.util.confinement import run_tool
from factory.util.failure_hints import Hint, find_hint
from factory.util.log import LogSink

# The last one has libraries of native compilers that the root itself may lack, such as Fortran's.
LIBRARY_FOLDERS = ("usr/lib/riscv64-linux-gnu", "usr/lib", "opt/native/usr/riscv64-linux-gnu/lib")


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairTools:
    """The parts of the build environment that the repair uses.

    `roots` are the layers of its root filesystem, with the libraries to bundle; `strip` is the command that strips
    riscv64 files; `open_root` opens the root with a work folder, to compile in it; `layers` is the folder of all
    layers.
    """

    roots: Roots
    strip: Sequence[str]
    open_root: Callable[[Path], AbstractContextManager[Sandbox]]
    layers: Path

    @property
    def readable(self) -> list[Path]:
        """Folders that confined programs read; they see the machine's own in any case."""
        return [self.layers, *(tree for tree in self.roots if tree != Path("/"))]


def repair(
    built: BuiltWheel,
    options: RepairOptions,
    target: Target,
    tools: RepairTools,
    out: Path,
    epoch: str,
    log: LogSink,
    provided: Sequence[str] = (),
) -> RepairedWheel:
    """Write the repaired wheel to the folder `out`.

    One that already has its final tags keeps its bytes. `epoch` is the modification time, in seconds, of the files in
    the wheel. Libraries in `provided`, which another package loads, are not bundled.

    Raises:
        RepairFailed: no platform tag at or below the target's holds, or a needed library is missing.
    """
    shutil.rmtree(out, ignore_errors=True)
    of_roots = [root / name for root in tools.roots for name in LIBRARY_FOLDERS if (root / name).is_dir()]
    if _is_repaired(built.path):
        # The project's build bundled and stripped it; stripping again would damage sections that patchelf moved.
        out.mkdir(parents=True)
        wheel = _within(_final(Path(shutil.copy(built.path, out))), target)
        return _with_origins(wheel, candidates_in(of_roots, bundled_libraries(wheel.path)), built, tools)
    (out / "slim").mkdir(parents=True)
    slimmed = out / "slim" / built.path.name
    folders = [out / "changed", *built.library_folders, *of_roots]
    folders[0].mkdir()
    candidates: list[Candidate] = []
    with _unpacked(built.path, slimmed, out / "tree") as tree:
        compiled = _slim(tree, tools, log)
        if compiled:
            candidates = _relink(tree, folders, built.path.name, options, tools, log)
    if not compiled:
        return _final(Path(shutil.copy(built.path, out)))
    _auditwheel(slimmed, folders, provided, out, epoch, tools, log)
    wheels = [path for path in out.iterdir() if path.suffix == ".whl"]
    if len(wheels) != 1:
        raise RepairFailed(f"{built.path.name}: auditwheel made {len(wheels)} wheels, not one")
    return _with_origins(_within(_final(wheels[0]), target), candidates, built, tools)


def give_build_tag(wheel: RepairedWheel, number: int, epoch: str, log: LogSink) -> RepairedWheel:
    """Replace the wheel by one with a build tag and otherwise the same content."""
    tags = [sys.executable, "-m", "wheel", "tags", "--build", str(number), "--remove", str(wheel.path)]
    folder = wheel.path.parent
    run_tool(tags, writable=[folder], env={"SOURCE_DATE_EPOCH": epoch}, log=log, what="wheel tags")
    (tagged,) = wheel.path.parent.glob("*.whl")
    return replace(_final(tagged), library_origins=wheel.library_origins)


@contextmanager
def _unpacked(wheel: Path, packed: Path, folder: Path) -> Iterator[Path]:
    """Unpack a wheel to a new folder, and pack it afterwards.

    Like auditwheel's InWheel, but without changing the current folder, which all threads share.
    """
    folder.mkdir()
    tree = folder.resolve()
    zip2dir(wheel, tree)
    yield tree
    rewrite_record(tree)
    dir2zip(tree, packed, zlib.Z_DEFAULT_COMPRESSION, None)
    shutil.rmtree(tree)


def _is_repaired(wheel: Path) -> bool:
    return all(tag.platform.startswith("manylinux") for tag in parse_wheel_filename(wheel.name)[3])


def _slim(tree: Path, tools: RepairTools, log: LogSink) -> bool:
    """Strip an unpacked wheel's ELF files and remove copies of them.

    Return whether there are any.
    """
    libraries = [path for path in sorted(tree.rglob("*")) if is_elf(path)]
    for path in libraries:
        command = [*tools.strip, "--strip-unneeded", str(path)]
        run_tool(command, readable=tools.readable, writable=[path.parent], log=log, what=f"strip {path.name}")
    for path in copies(libraries):
        log.write(f"removed {path.relative_to(tree)}: a copy of another library in the same folder\n")
        path.unlink()
    return bool(libraries)


def _relink(
    tree: Path, folders: Sequence[Path], wheel: str, options: RepairOptions, tools: RepairTools, log: LogSink
) -> list[Candidate]:
    """Relink the wheel's files, and copies of libraries in `folders` in the first of these.

    Return those libraries.
    """
    changed = folders[0]
    try:
        closure = find_closure(own_files(tree), folders, original_names(folders), options.left_out)
        missing = missing_symbols(closure)
    except MalformedElf as error:
        raise RepairFailed(f"{wheel}: {error}") from error
    if others := unneeded(closure):
        raise RepairFailed(
            f"repair.left-out: nothing in {wheel} needs {' or '.join(others)}",
            hint="correct the recipe: `readelf -d FILE` prints the names of the libraries that a file needs",
        )
    stub = f"lib{parse_wheel_filename(wheel)[0]}_left_out.so"
    if everything := frozenset[NeededSymbol]().union(*missing.values()):
        with tools.open_root(changed.with_name("stub")) as sandbox:
            shutil.copy(compile_stub(sandbox, stub, everything, options.left_out, log), changed)
    for each in closure.own:
        relink(each.path, link_change(each, closure, missing.get(each.path, ()), stub), log)
    candidates = []
    for name, each in closure.external.items():
        change, file = link_change(each, closure, missing.get(each.path, ()), stub), each.path
        if change.options():
            file = _copy(each.path, name, changed)
            relink(file, change, log)
        candidates.append(Candidate(file=file, original=each.path))
    return candidates


def _copy(library: Path, name: str, folder: Path) -> Path:
    """Copy a library to a folder, also under the name by which files need it."""
    copy = Path(shutil.copy(library, folder))
    if name != copy.name:
        (folder / name).symlink_to(copy.name)
    return copy


def copies(libraries: Sequence[Path]) -> list[Path]:
    """List the redundant copies among the shared objects of each folder.

    Of equal files, those that a library needs by name (DT_NEEDED) stay, and the one with the shortest name, which
    callers of `ctypes` and `dlopen` use.
    """
    needed = {name for path in libraries for name in _needed(path)}
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in libraries:
        groups.setdefault((path.parent, sha256_of(path)), []).append(path)
    return [path for group in groups.values() for path in _redundant(group, needed)]


def _redundant(group: list[Path], needed: set[str]) -> list[Path]:
    shortest = min(group, key=lambda path: (len(path.name), path.name))
    return [path for path in group if path != shortest and path.name not in needed]


def _needed(path: Path) -> tuple[str, ...]:
    try:
        return read_links(path).needed
    except MalformedElf as error:
        raise RepairFailed(str(error)) from error


def _auditwheel(
    wheel: Path,
    folders: Sequence[Path],
    provided: Sequence[str],
    out: Path,
    epoch: str,
    tools: RepairTools,
    log: LogSink,
) -> None:
    command = [sys.executable, "-m", "auditwheel", "repair", "--plat", "auto", "--only-plat"]
    command += [word for name in provided for word in ("--exclude", name)]
    command += ["--ldpaths", ":".join(map(str, folders)), "--wheel-dir", str(out), str(wheel)]
    try:
        seen, variables = [*tools.readable, *folders], {"SOURCE_DATE_EPOCH": epoch}
        run_tool(command, readable=seen, writable=[out], env=variables, log=log, what="auditwheel")
    except CommandFailed as error:
        known, whole = find_hint(error.output) or Hint(""), f"the whole log is {log.path}"
        failure = RepairFailed(
            f"{wheel.name}: auditwheel failed:\n{error.output}",
            hint=f"{known.text}; {whole}" if known.text else whole,
        )
        failure.changes = known.changes
        raise failure from error


def _final(wheel: Path) -> RepairedWheel:
    tags = sorted({tag.platform for tag in parse_wheel_filename(wheel.name)[3]})
    return RepairedWheel(path=wheel, sha256=sha256_of(wheel), platform_tags=tuple(tags))


def _with_origins(
    wheel: RepairedWheel, candidates: Sequence[Candidate], built: BuiltWheel, tools: RepairTools
) -> RepairedWheel:
    return replace(wheel, library_origins=find_origins(wheel.path, candidates, built.library_origins, tools.roots))


def _within(wheel: RepairedWheel, target: Target) -> RepairedWheel:
    floor = target.glibc_floor
    for tag in wheel.platform_tags:
        parts = tag.split("_")
        if parts[0] != "manylinux" or (int(parts[1]), int(parts[2])) > floor:
            raise RepairFailed(
                f"{wheel.path.name}: {tag} is above the target's {target.platform_ceiling}",
                hint=f"run: auditwheel show {wheel.path.name}; it lists the symbol versions that need that tag",
            )
    return wheel
