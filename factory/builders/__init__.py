"""Builders: environment, source and recipe in, wheel out. A new one is one new module and one line here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from factory.builders import pep517
from factory.model import BuiltWheel, LogSink, PackagePin, ProjectMetadata, Recipe, Sandbox


class Builder(Protocol):
    """What a builder's module has."""

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
        requirements: tuple[PackagePin, ...],
        jobs: int,
        log: LogSink,
    ) -> BuiltWheel:
        """Build with the network off, with at most `jobs` compilers at once."""
        ...


BUILDERS: Mapping[str, Builder] = {"pep517": pep517}
