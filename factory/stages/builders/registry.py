"""Builders: environment, source and recipe in, wheel out. A new one is one new module and one line here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from factory.model.artifacts import BuiltWheel, PackagePin
from factory.model.job import ProjectMetadata
from factory.model.protocols import Sandbox
from factory.model.recipe import Recipe
from factory.stages.builders import cibuildwheel, pep517, repack
from factory.util.log import LogSink


class Builder(Protocol):
    """What a builder's module has."""

    @property
    def IN_MANYLINUX(self) -> bool:
        """Whether it works in the manylinux image, instead of in an opened root."""
        ...

    def install_requirements(
        self,
        sandbox: Sandbox,
        metadata: ProjectMetadata,
        recipe: Recipe,
        python: str,
        wheels: Sequence[Path],
        log: LogSink,
    ) -> tuple[PackagePin, ...]:
        """Prepare the build while the network is on."""
        ...

    def build(
        self,
        sandbox: Sandbox,
        metadata: ProjectMetadata,
        recipe: Recipe,
        python: str,
        requirements: tuple[PackagePin, ...],
        jobs: int,
        log: LogSink,
    ) -> BuiltWheel:
        """Build with at most `jobs` compilers at once, and the network off unless the module says otherwise."""
        ...


BUILDERS: Mapping[str, Builder] = {"pep517": pep517, "cibuildwheel": cibuildwheel, "repack": repack}
