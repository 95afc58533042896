"""The plan of a run on many machines, as a file: waves of groups of builds."""

from __future__ import annotations

from dataclasses import dataclass

from factory.model.record import BuildFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBuild:
    """A recipe to build for a Python, and why."""

    name: str
    version: str
    python: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGroup:
    """Builds of one machine, which take about `minutes`.

    A group that `resumes` is built further by the group with the same builds in the next wave.
    """

    id: str
    builds: tuple[PlannedBuild, ...]
    minutes: int
    resumes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """Groups in waves; a group needs builds of earlier waves only.

    `refused` are recipes whose source can't be read, which is known without a build.
    """

    waves: tuple[tuple[PlannedGroup, ...], ...]
    refused: tuple[BuildFailure, ...] = ()

    @property
    def groups(self) -> tuple[PlannedGroup, ...]:
        """The groups of all waves."""
        return tuple(group for wave in self.waves for group in wave)
