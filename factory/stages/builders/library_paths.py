"""Search paths for libraries that build requirements bring as wheels.

Their entry points name the folders as modules, by the conventions of pkgconf on the package index (`pkg_config`) and of
scikit-build-core (`cmake.prefix`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from configparser import ConfigParser
from configparser import Error as NotEntryPoints
from pathlib import Path, PurePosixPath

from factory.elf import bundled
from factory.util.untrusted import UnsafeOutput, UntrustedFolder, is_beneath

# Entry point group -> variable that build programs read.
GROUPS = {"pkg_config": "PKG_CONFIG_PATH", "cmake.prefix": "CMAKE_PREFIX_PATH"}
# Entry point group -> folder of the shared libraries, relative to the folder that the entry point names.
LIBRARIES = {"pkg_config": "..", "cmake.prefix": "lib"}
ENTRY_POINTS = "*.dist-info/entry_points.txt"
MODULE = re.compile(r"\w+(\.\w+)*")


def library_variables(venv: Path, inside: PurePosixPath) -> dict[str, str]:
    """Return search-path variables for the environment `venv`, mounted at `inside`.

    Empty variables are omitted.
    """
    found = {
        variable: [inside / folder.relative_to(venv) for folder in _named(venv, group)]
        for group, variable in GROUPS.items()
    }
    return {variable: ":".join(map(str, folders)) for variable, folders in found.items() if folders}


def library_folders(venv: Path) -> tuple[Path, ...]:
    """Return folders of `venv` with libraries to link with, and those of dependencies.

    Raises:
        UnsafeOutput: a file in one of them is a link that leads out of `venv`, which builds can write.
    """
    if venv.is_symlink():
        raise UnsafeOutput(f"the build's {venv.name}: it is a link")
    theirs = [folder for packages in site_packages(venv) for folder in sorted(packages.glob(f"*{bundled.FOLDER}"))]
    found = [(folder / where).resolve() for group, where in LIBRARIES.items() for folder in _named(venv, group)]
    folders = dict.fromkeys(folder for folder in (*found, *theirs) if is_beneath(folder, venv) and folder.is_dir())
    for path in (path for folder in folders for path in folder.iterdir()):
        if not is_beneath(path, venv):
            raise UnsafeOutput(f"{path.name[:200]!r} in the build's {venv.name}: it is a link that leads out of it")
    return tuple(folders)


def site_packages(venv: Path) -> Iterator[Path]:
    """Return the site-packages folders of a virtual environment."""
    return venv.glob("lib/python3*/site-packages")


def _named(venv: Path, group: str) -> list[Path]:
    """Return the folders that a group's entry points name, sorted."""
    return sorted(
        {
            packages / module.replace(".", "/")
            for packages in site_packages(venv)
            for file in packages.glob(ENTRY_POINTS)
            for module in _modules(venv, file, group)
        }
    )


def _modules(venv: Path, file: Path, group: str) -> list[str]:
    """Return the modules in a file's entry points of a group; a damaged file has none."""
    parser = ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    try:
        parser.read_string(UntrustedFolder(venv).read_text(file.relative_to(venv).as_posix()))
    except (NotEntryPoints, FileNotFoundError):
        return []
    values = parser[group].values() if parser.has_section(group) else ()
    return [value for value in values if MODULE.fullmatch(value)]
