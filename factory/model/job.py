"""Jobs of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from packaging.utils import NormalizedName, canonicalize_name

from factory.model.recipe import Recipe
from factory.model.target import PYTHONS, TOOLCHAINS


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectMetadata:
    """What a source says of itself. None where only running its build backend would tell.

    `cargo_locks` are no part of a source: they repeat an earlier build's choice of crates, see `BuiltWheel`.
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


# A recipe's name, a Python, and the toolchain where the wheel is only for comparison, else "".
JobId = tuple[NormalizedName, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One recipe for one Python and toolchain in a plan, with the other recipes whose wheels its build and run need.

    `earlier` are the Pythons for which the plan builds the same recipe first: their wheel may serve this one too.
    """

    recipe: Recipe
    metadata: ProjectMetadata
    python: str = PYTHONS[0]
    toolchain: str = TOOLCHAINS[0]
    build_needs: frozenset[NormalizedName] = frozenset()
    run_needs: frozenset[NormalizedName] = frozenset()
    earlier: frozenset[str] = frozenset()

    @property
    def id(self) -> JobId:
        return canonicalize_name(self.recipe.name), self.python, self.toolchain if self.comparison else ""

    @property
    def comparison(self) -> bool:
        """Whether the wheel is only to be compared with the one that gets published."""
        return self.toolchain != self.recipe.toolchain

    @property
    def label(self) -> str:
        return self.recipe.label_for(self.python, self.toolchain)

    @property
    def needs(self) -> frozenset[JobId]:
        """The jobs that must have ended before this one begins."""
        name, _, comparison = self.id
        needed = {(other, self.python, "") for other in self.build_needs | self.run_needs}
        return frozenset(needed | {(name, python, comparison) for python in self.earlier})
