"""Builder that repacks a distribution's riscv64 packages into a wheel, without compiling.

The source is the package with the Python files; its parts, in the folder `packages`, are the packages with the
libraries. The wheel has the Python files of the package, with links followed. Shared libraries lose the distribution's
versioned names and find each other by relative run paths, as in other wheels; the repair bundles their further
dependencies from the same packages. Every package whose files are taken must bring its licence.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from email.parser import HeaderParser
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name
from packaging.version import Version

from factory.elf.bounds import MalformedElf
from factory.elf.dependencies import Closure, find_closure, link_change, own_files
from factory.elf.patchelf import relink
from factory.elf.reader import LinkedFile
from factory.errors import BuildFailed, CommandFailed
from factory.model.artifacts import BuiltWheel, LibraryOrigin, PackagePin
from factory.model.recipe import Recipe, RepackOptions
from factory.stages.builders.base import Build
from factory.stages.builders.library_paths import library_folders, site_packages
from factory.stages.builders.native_python import VENV
from factory.stages.builders.pep517 import install_into, make_venv
from factory.util.log import LogSink
from factory.util.process import run

IN_MANYLINUX = False
PARTS = "packages"
PYTHON_FILES = "usr/lib/python3/dist-packages"
LIBRARIES = ("usr/lib/riscv64-linux-gnu", "usr/lib")
LICENCE = "usr/share/doc/{package}/copyright"
# Metadata files that the distribution's installer wrote, or that `wheel pack` writes.
NOTES = ("INSTALLER", "REQUESTED", "RECORD", "WHEEL", "direct_url.json")
WHEEL = """Wheel-Version: 1.0
Generator: riscv64-wheel-factory repack
Root-Is-Purelib: false
Tag: {tag}
"""


def install_requirements(build: Build, wheels: Sequence[Path]) -> tuple[PackagePin, ...]:
    """Install the recipe's requirements: libraries that replace some of the distribution's.

    Raises:
        BuildFailed: a requirement can't be resolved or installed.
    """
    try:
        make_venv(build)
        return install_into(build, build.recipe.build.requires, wheels)
    except CommandFailed as error:
        raise build.failed("build requirements could not be installed", error, network=True) from error


def build_wheel(build: Build, requirements: tuple[PackagePin, ...]) -> BuiltWheel:
    """Make the wheel in `build.out`.

    Raises:
        BuildFailed: the packages hold no Python project of that name and version, two have the same file, a licence is
            missing, or a tool failed.
    """
    recipe, log = build.recipe, build.log
    files, tree = (build.work.resolve() / name for name in ("files", "tree"))
    for folder in (files, tree, build.out):
        shutil.rmtree(folder, ignore_errors=True)
    build.out.mkdir(parents=True)
    owners = merge(packages_of(build.work / "src", recipe), files)
    take_python_files(files, tree, recipe.build.repack, log)
    folders = (*(files / name for name in LIBRARIES), *library_folders(build.work / VENV.name))
    try:
        bundled = link_together(tree, folders, recipe, log)
        places = {*bundled, *links_lead_to(files), *(files / folder for folder in recipe.build.repack.placed)}
        taken = {owner for path, owner in owners.items() if not places.isdisjoint((path, *path.parents))}
        take_licences(files, tree, taken, recipe)
        take_licences_of_wheels(build.work / VENV.name, tree)
        write_wheel_file(tree, recipe, build.python)
        command = [sys.executable, "-m", "wheel", "pack", str(tree), "--dest-dir", str(build.out)]
        run(command, log=log, env={**os.environ, **_date(build.work / "src")}, what="packing the wheel")
    except CommandFailed as error:
        raise build.failed("packing the wheel failed", error) from error
    (wheel,) = build.out.glob("*.whl")
    origins = library_origins({path: owners[path] for path in bundled if path in owners}, recipe)
    return BuiltWheel(path=wheel, requirements=requirements, library_folders=folders, library_origins=origins)


def library_origins(owners: Mapping[Path, str], recipe: Recipe) -> dict[Path, LibraryOrigin]:
    """Map libraries to their Debian packages; `owners` has the package names."""
    versions = {package.name: package.version for package in recipe.repacked}
    return {
        path: LibraryOrigin(kind="deb", name=name, version=versions[name], architecture="riscv64")
        for path, name in owners.items()
        if name in versions
    }


def packages_of(source: Path, recipe: Recipe) -> dict[str, Path]:
    """Return the folders of the unpacked packages by package name."""
    parts = sorted(source.glob(f"{PARTS}/*")) if (source / PARTS).is_dir() else []
    return {recipe.package: source, **{part.name: part for part in parts}}


def merge(packages: Mapping[str, Path], files: Path) -> dict[Path, str]:
    """Merge the packages' files into `files`, as in a system's root.

    Return each file's package.

    Raises:
        BuildFailed: two packages have the same file.
    """
    owners: dict[Path, str] = {}
    for package, folder in packages.items():
        for path in sorted((folder / "usr").rglob("*")):
            target = files / path.relative_to(folder)
            if path.is_dir() and not path.is_symlink():
                target.mkdir(parents=True, exist_ok=True)
                continue
            if target in owners:
                raise BuildFailed(
                    f"{target.relative_to(files)}: the packages {owners[target]} and {package} both have this file",
                    hint="pin packages that can be installed together",
                )
            owners[target] = package
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)
    return owners


def take_python_files(files: Path, tree: Path, options: RepackOptions, log: LogSink) -> None:
    """Copy the packages' Python files and the folders that the recipe places in the wheel.

    Links are followed; those without a target are left out.
    """
    if not (files / PYTHON_FILES).is_dir():
        raise BuildFailed(
            f"{PYTHON_FILES}: no package has it", hint="name the package with the Python files as source.package"
        )
    for path in sorted((files / PYTHON_FILES).rglob("*")):
        if path.is_symlink() and not path.exists():
            log.write(f"without the link {path.relative_to(files / PYTHON_FILES)}\n")
            path.unlink()
    shutil.copytree(files / PYTHON_FILES, tree)
    for folder, place in options.placed.items():
        if not (files / folder).is_dir():
            raise BuildFailed(f"build.repack.placed: no package has the folder {folder}", hint="correct the path")
        shutil.copytree(files / folder, tree / place, dirs_exist_ok=True)
    for path in sorted(tree.rglob("*")):
        name = path.relative_to(tree).as_posix()
        if path.is_file() and any(fnmatchcase(name, glob) for glob in options.excluded):
            log.write(f"without {name}\n")
            path.unlink()


def links_lead_to(files: Path) -> frozenset[Path]:
    """Return the targets of links among the Python files; they are copied into the wheel."""
    links = (path for path in (files / PYTHON_FILES).rglob("*") if path.is_symlink())
    return frozenset(path.resolve() for path in links)


def link_together(tree: Path, folders: Sequence[Path], recipe: Recipe, log: LogSink) -> frozenset[Path]:
    """Rename and relink the libraries; return the files that the repair will bundle.

    Raises:
        BuildFailed: an ELF file is damaged.
    """
    try:
        own = own_files(tree)
        names = {each.soname: each.path.name for each in own if each.soname and each.soname != each.path.name}
        names |= recipe.build.repack.replaced
        closure = find_closure(own, folders, lambda name: names.get(name, name))
    except MalformedElf as error:
        raise BuildFailed(str(error)) from error
    for each in own:
        soname = each.path.name if each.soname and each.soname != each.path.name else None
        change = link_change(each, closure)
        relink(each.path, replace(change, soname=soname, run_path=_run_path(each, closure)), log)
    for each in closure.external.values():
        relink(each.path, link_change(each, closure), log)
    return frozenset(each.path for each in closure.external.values())


def _run_path(each: LinkedFile, closure: Closure) -> str | None:
    """Return the run path from a file to the wheel's libraries that it needs.

    Return None if it needs none.
    """
    needed = set(map(closure.rename, each.needed))
    folders = {other.path.parent for other in closure.own if other.path.name in needed}
    entries = {str(PurePosixPath("$ORIGIN", os.path.relpath(folder, each.path.parent))) for folder in folders}
    return ":".join(sorted(entries)) or None


def take_licences(files: Path, tree: Path, packages: set[str], recipe: Recipe) -> None:
    """Copy the licences of the source package and of other `packages` into the wheel.

    Raises:
        BuildFailed: a package has no licence file.
    """
    folder = _dist_info(tree)
    for package in sorted({recipe.package} | packages):
        licence = files / LICENCE.format(package=package)
        if not licence.is_file():
            raise BuildFailed(
                f"{LICENCE.format(package=package)}: the package {package} has no licence file",
                hint="pin the package to which its documentation folder links as a further part of the source",
            )
        _add_licence(folder, f"debian/{package}/copyright", licence)


def take_licences_of_wheels(venv: Path, tree: Path) -> None:
    """Copy the licences of the distributions installed in `venv` into the wheel."""
    for packages in site_packages(venv):
        for licence in sorted(packages.glob("*.dist-info/licenses/**/*")):
            project, _, *inside = licence.relative_to(packages).parts
            if licence.is_file():
                _add_licence(_dist_info(tree), "/".join((project.partition("-")[0], *inside)), licence)


def _add_licence(dist_info: Path, name: str, licence: Path) -> None:
    target = dist_info / "licenses" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(licence, target)
    head, _, rest = (dist_info / "METADATA").read_text(encoding="utf-8").partition("\n\n")
    (dist_info / "METADATA").write_text(f"{head}\nLicense-File: {name}\n\n{rest}", encoding="utf-8")


def write_wheel_file(tree: Path, recipe: Recipe, python: str) -> None:
    """Replace the metadata of an installed distribution by that of a wheel.

    Raises:
        BuildFailed: name or version differ from the recipe's.
    """
    folder = _dist_info(tree)
    stated = HeaderParser().parsestr((folder / "METADATA").read_text(encoding="utf-8"))
    name, version = str(stated["Name"]), str(stated["Version"])
    if canonicalize_name(name) != canonicalize_name(recipe.project) or Version(version) != Version(recipe.version):
        raise BuildFailed(
            f"{recipe.label}: the package {recipe.package} contains {name} {version}",
            hint="correct package.version in the recipe, or pin another version of the package",
        )
    for note in NOTES:
        (folder / note).unlink(missing_ok=True)
    tag = f"cp{python.replace('.', '')}"
    (folder / "WHEEL").write_text(WHEEL.format(tag=f"{tag}-{tag}-linux_riscv64"))


def _dist_info(tree: Path) -> Path:
    found = sorted(tree.glob("*.dist-info"))
    if len(found) != 1:
        raise BuildFailed(f"the packages contain {len(found)} *.dist-info folders, expected one")
    return found[0]


def _date(source: Path) -> dict[str, str]:
    return {"SOURCE_DATE_EPOCH": str(int(source.stat().st_mtime))}
