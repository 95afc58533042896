"""Libraries for a build that come as wheels: where the installed build requirements keep what builds look for.

They say so by entry points whose values name folders as modules, by the conventions of pkgconf on the package index
(`pkg_config`) and of scikit-build-core (`cmake.prefix`).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath

from factory.elf import bundled

# An entry point group -> the variable that build programs read.
GROUPS = {"pkg_config": "PKG_CONFIG_PATH", "cmake.prefix": "CMAKE_PREFIX_PATH"}
# An entry point group -> where the shared libraries are, from the folder that the entry point names.
LIBRARIES = {"pkg_config": "..", "cmake.prefix": "lib"}


def library_variables(venv: Path, inside: PurePosixPath) -> dict[str, str]:
    """The search paths for libraries in the virtual environment `venv`, which a build sees as the folder `inside`.

    A variable with nothing to say is left out.
    """
    found = {
        variable: [inside / folder.relative_to(venv) for folder in _named(venv, group)]
        for group, variable in GROUPS.items()
    }
    return {variable: ":".join(map(str, folders)) for variable, folders in found.items() if folders}


def library_folders(venv: Path) -> tuple[Path, ...]:
    """The folders in the virtual environment whose shared libraries a build may have linked with, or these need."""
    theirs = [folder for packages in site_packages(venv) for folder in sorted(packages.glob(f"*{bundled.FOLDER}"))]
    found = [(folder / where).resolve() for group, where in LIBRARIES.items() for folder in _named(venv, group)]
    return tuple(dict.fromkeys(folder for folder in (*found, *theirs) if folder.is_dir()))


def site_packages(venv: Path) -> Iterator[Path]:
    """Where a virtual environment has what is installed in it."""
    return venv.glob("lib/python3*/site-packages")


def _named(venv: Path, group: str) -> list[Path]:
    """The folders that a group's entry points name, in an order that doesn't depend on the file system's."""
    return sorted(
        {
            packages / point.value.replace(".", "/")
            for packages in site_packages(venv)
            for installed in distributions(path=[str(packages)])
            for point in installed.entry_points.select(group=group)
        }
    )
