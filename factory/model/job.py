"""Jobs: the nodes of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from packaging.utils import NormalizedName, canonicalize_name

from factory.model.recipe import Recipe
from factory.model.target import PYTHONS, TOOLCHAINS


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectMetadata:
    """Metadata of a source; None for fields that only its build backend knows.

    `cargo_locks` are not part of the source: they repeat the crates of an earlier build, see `BuiltWheel`.
    """

    name: str | None
    version: str | None
    build_backend: str
    build_requires: tuple[str, ...]
    backend_path: tuple[str, ...] = ()
    requires_python: str = ""
    dependencies: tuple[str, ...] = ()
    license: str = ""
    cargo_locks: Mapping[str, str] = field(default_factory=dict)

    @property
    def license_line(self) -> str:
        """The first line of the licence, whose whole text some projects state."""
        return next((line.strip() for line in self.license.splitlines() if line.strip()), "")


# The recipe's name, the Python, and the toolchain of a wheel that is only for comparison, else "".
JobId = tuple[NormalizedName, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A recipe to build for a Python and toolchain, with the recipes that it needs.

    `build_needs` and `run_needs` are the recipes whose wheels its build and its run need; `check_needs` are the latter
    with those that these need in turn. `earlier` are the Pythons for
    which the plan builds the same recipe first: their wheel may serve this Python too.
    """

    recipe: Recipe
    metadata: ProjectMetadata
    python: str = PYTHONS[0]
    toolchain: str = TOOLCHAINS[0]
    build_needs: frozenset[NormalizedName] = frozenset()
    run_needs: frozenset[NormalizedName] = frozenset()
    check_needs: frozenset[NormalizedName] = frozenset()
    earlier: frozenset[str] = frozenset()

    @property
    def id(self) -> JobId:
        return canonicalize_name(self.recipe.name), self.python, self.toolchain if self.comparison else ""

    @property
    def comparison(self) -> bool:
        """True for a wheel that is only compared with the published one."""
        return self.toolchain != self.recipe.toolchain

    @property
    def label(self) -> str:
        return self.recipe.label_for(self.python, self.toolchain)

    @property
    def needs(self) -> frozenset[JobId]:
        """The jobs that must end before this one starts."""
        name, _, comparison = self.id
        needed = {(other, self.python, "") for other in self.build_needs | self.run_needs}
        return frozenset(needed | {(name, python, comparison) for python in self.earlier})
