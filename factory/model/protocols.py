"""Protocols between packages: an opened root, and progress reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from factory.model.target import BASELINE_CPU
from factory.util.log import LogSink

# Mount points inside a root: the job's work folder, the source below it, and the host's files for the command.
BUILD = PurePosixPath("/build")
SOURCE = BUILD / "src"
INPUTS = PurePosixPath("/inputs")


@dataclass(frozen=True, slots=True)
class Command:
    """A command line for a sandbox, with its variables, folder, network and CPU.

    With `crates` it gets cargo's registries and their tokens too, if it has the network.
    With `native_pip`, a command of pip runs on a native Python where the root has one; see CopiedRoot.
    With `read_only`, it can write the build's folder and /tmp, but neither the root nor the virtual environment: later
    commands, which may have the network, run what is there.
    """

    argv: Sequence[str]
    _: KW_ONLY
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: PurePosixPath = BUILD
    network: bool = False
    crates: bool = False
    read_only: bool = False
    native_pip: bool = False
    cpu: str = BASELINE_CPU

    @property
    def program(self) -> str:
        """The first word of the command line."""
        return self.argv[0]


class Sandbox(Protocol):
    """An open root, with the host folder `work` at /build; other changes are discarded.

    Commands may write any file in `work`, so the host reads it through `factory.util.untrusted`. What the host gives
    to commands is in the host folder `inputs`, which they see read-only at /inputs.
    """

    @property
    def work(self) -> Path: ...

    @property
    def inputs(self) -> Path: ...

    def run(self, command: Command, *, log: LogSink) -> None:
        """Run a command inside.

        Raises:
            CommandFailed: the exit status is not 0.
        """
        ...


class CopiedRoot(Sandbox, Protocol):
    """An open root that can be copied."""

    @property
    def native_pip(self) -> bool:
        """Whether `pip` can run on a native Python; it installs the same files there."""
        ...

    def copied(self, name: str, *, keep: bool = False) -> AbstractContextManager[Sandbox]:
        """Open a copy of the root and of `work`, as they are now, beside `work`.

        It has the same `inputs` and no caches. Its changes are discarded unless they are to be kept, and no other copy
        sees them. Once there is a copy, no command that writes may run in the root itself.
        """
        ...


class Reporter(Protocol):
    """Progress of a run, for a person.

    Stages of several packages may be open at once, in several threads.
    """

    def overall(self, total: int, *, at_once: int) -> AbstractContextManager[None]:
        """Announce `total` packages, `at_once` of them at the same time, while the body runs."""
        ...

    def one_done(self) -> None:
        """Count one of those packages as done."""
        ...

    def stage(
        self, label: str, stage: str, log: Path, *, expected: float = 0.0, brief: bool = False
    ) -> AbstractContextManager[LogSink]:
        """Report one stage of one package; yields the log that it writes to.

        `expected` is its probable duration in seconds, 0 if unknown. A `brief` stage is reported only if it takes long.
        """
        ...

    def line(self, text: str) -> None:
        """Print one line."""
        ...
