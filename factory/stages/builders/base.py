"""Builds: the value that builders work on, and the failure that they raise."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from factory.errors import BuildFailed, CommandFailed
from factory.model.artifacts import BuiltWheel, PackagePin
from factory.model.job import ProjectMetadata
from factory.model.protocols import Sandbox
from factory.model.recipe import Recipe
from factory.util.failure_hints import Hint, find_hint, is_machines_fault
from factory.util.log import LogSink
from factory.util.untrusted import UntrustedFolder

# Folder of commands with network, which no build can write: uv, Python and cargo read settings and modules of the
# current folder, and cargo runs programs that those name.
UNWRITTEN = PurePosixPath("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One build of a package: its sandbox, recipe, metadata and Python.

    At most `jobs` compilers at once. `folder` is the job's folder on the host, which commands in the sandbox cannot
    reach: notes of earlier runs and the finished wheel are there. Projects that `have_recipes` are installed as wheels
    alone.
    """

    sandbox: Sandbox
    folder: Path
    recipe: Recipe
    metadata: ProjectMetadata
    python: str
    log: LogSink
    jobs: int = 1
    have_recipes: Collection[str] = ()

    @property
    def work(self) -> Path:
        """Host folder mounted at /build."""
        return self.sandbox.work

    @property
    def outputs(self) -> UntrustedFolder:
        """The same folder, for files that the build wrote."""
        return UntrustedFolder(self.sandbox.work)

    @property
    def out(self) -> Path:
        """Host folder for the finished wheel."""
        return self.folder / "built"

    def failed(self, what: str, error: CommandFailed, *, network: bool = False) -> BuildFailed:
        """Return the failure of a command: last lines, a hint if known, and the log.

        `network` is true if the command had the network.
        """
        return build_failed(self.recipe, what, error, self.log, network=network)


class Builder(Protocol):
    """Interface of a builder's module."""

    @property
    def IN_MANYLINUX(self) -> bool:
        """True for a builder that works in the manylinux image instead of a build root."""
        ...

    def install_requirements(self, build: Build, wheels: Sequence[Path]) -> tuple[PackagePin, ...]:
        """Install the build requirements while the network is on.

        `wheels` are our own builds of some of them.
        """
        ...

    def build_wheel(self, build: Build, requirements: tuple[PackagePin, ...]) -> BuiltWheel:
        """Build the wheel; the network is off unless the module says otherwise."""
        ...


def build_failed(
    recipe: Recipe, what: str, error: CommandFailed, log: LogSink, *, network: bool = False
) -> BuildFailed:
    """Return the failure of a build's command: last lines, a hint if known, and the log.

    `network` is true if the command had the network.
    """
    known, whole = find_hint(error.output, network=network) or Hint(""), f"the whole log is {log.path}"
    failure = BuildFailed(
        f"{recipe.label}: {what}:\n{error.output}",
        hint=f"{known.text}; {whole}" if known.text else whole,
        machines_fault=is_machines_fault(error.output, network=network),
    )
    failure.changes = known.changes
    return failure
