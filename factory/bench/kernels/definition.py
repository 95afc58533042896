"""Kernel sets of recipes: drivers, their cases, and flags for each profile.

`recipes/NAME/kernels/kernels.toml` declares them. A driver is a C++ file beside it, compiled against the source's tree.
It is called with the arguments of a case and a number of calls: it prepares the case, runs it once, compares the result
with a reference, and then runs it that number of times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from factory.errors import RecipeError
from factory.model.declaration import INSIDE_SOURCE, INSIDE_WHEEL, OneOf, Rule, about
from factory.model.recipe import Recipe
from factory.model.target import PROFILES
from factory.recipes.reader import read_file

FOLDER = "kernels"
FILE = "kernels.toml"
UPSTREAM, PATCHED = "upstream", "patched"
TREES = (UPSTREAM, PATCHED)
PROFILE = Rule(refusal="{value} is no ISA profile", holds=lambda name: name in PROFILES)
ProfileName = Annotated[str, PROFILE]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case of a driver, with the amounts of work that its floor follows from."""

    macs: int = field(metadata=about("multiply-adds of one call, or elements where there are none"))
    rows: int = field(metadata=about("rows that share each loaded element: M of a matrix product"))
    bits: int = field(metadata=about("width of a streamed element in memory"))
    moves: int = field(default=1, metadata=about("times that each streamed element is loaded or stored"))
    operations: int = field(default=1, metadata=about("vector operations for each element and row"))
    preparation: int = field(default=0, metadata=about("vector operations for each element, shared by its rows"))
    arguments: tuple[str, ...] = field(default=(), metadata=about("arguments of the driver; by default the name"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A driver's cases by name."""

    cases: Mapping[str, Case] = field(metadata=about("cases by name"))
    trees: Annotated[tuple[str, ...], OneOf(names=TREES)] = field(
        default=TREES, metadata=about("trees that it is compiled against")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSet:
    """A recipe's drivers, and how they are compiled.

    `upstream` and `patched` have the flags of each tree by profile: a tree is not measured on other profiles.
    """

    drivers: Mapping[str, Driver] = field(metadata=about("drivers by file name without .cpp"))
    flags: tuple[str, ...] = field(default=(), metadata=about("flags of the compiler"))
    includes: tuple[Annotated[str, INSIDE_SOURCE], ...] = field(
        default=(), metadata=about("folders of the source with headers")
    )
    headers: tuple[Annotated[str, INSIDE_WHEEL], ...] = field(
        default=(), metadata=about("folders with headers in the wheels that the build needs")
    )
    header_roots: tuple[Annotated[str, INSIDE_WHEEL], ...] = field(
        default=(), metadata=about("folders in those wheels that are searched for headers")
    )
    upstream: Mapping[ProfileName, tuple[str, ...]] = field(metadata=about("flags by profile, without our patches"))
    patched: Mapping[ProfileName, tuple[str, ...]] = field(metadata=about("flags by profile, with our patches"))

    @property
    def profiles(self) -> tuple[str, ...]:
        """Profiles with flags for a tree, from the plainest to the most demanding."""
        return tuple(profile for profile in PROFILES if profile in self.upstream or profile in self.patched)

    def flags_of(self, tree: str, profile: str) -> tuple[str, ...] | None:
        """Return the flags of a tree on a profile; None if it is not measured there."""
        return (self.patched if tree == PATCHED else self.upstream).get(profile)


def has_kernels(recipe: Recipe) -> bool:
    """Report whether a recipe declares kernels."""
    return (recipe.directory / FOLDER / FILE).is_file()


def read_kernels(recipe: Recipe) -> KernelSet:
    """Read a recipe's kernel set.

    Raises:
        RecipeError: the file has mistakes, or a driver is missing.
    """
    folder = recipe.directory / FOLDER
    kernels = read_file(folder / FILE, KernelSet)
    for name in kernels.drivers:
        if not driver_path(folder, name).is_file():
            raise RecipeError(f"{folder / FILE}: drivers.{name}: {name}.cpp does not exist", hint="write it")
    return kernels


def driver_path(folder: Path, driver: str) -> Path:
    """Return the source file of a driver."""
    return folder / f"{driver}.cpp"


def select(kernels: KernelSet, wanted: tuple[str, ...], folder: Path) -> Mapping[str, Mapping[str, Case]]:
    """Return the wanted cases by driver, or all if none are named.

    Raises:
        RecipeError: there is no such case.
    """
    known = [name for driver in kernels.drivers.values() for name in driver.cases]
    missing = [name for name in wanted if name not in known]
    if missing:
        raise RecipeError(f"{folder / FILE}: no case {missing[0]!r}", hint=f"--case with one of: {', '.join(known)}")
    chosen = {
        name: {case: value for case, value in driver.cases.items() if not wanted or case in wanted}
        for name, driver in kernels.drivers.items()
    }
    return {name: cases for name, cases in chosen.items() if cases}
