"""The error tree: failures that a user can cause or fix are FactoryErrors.

Any other exception is a bug.

A message has one shape, `<subject>: <what failed>: <cause>`: the subject is the file, key, package or address, and the
cause is the underlying error, if there is one. The hint is a command to run or an edit to make:

    demo 2.0: not published
      hint: published versions: 1.0, 1.1

Details of several lines (both hashes, the tail of a command's output) follow the message, indented.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeChange:
    """A change of a recipe that may avoid a failure.

    The value goes to the key, into its list if it is one.

    A Debian package is found by the file that was missed: its `kind` and `name`, as in Debian's index of files. The
    value is then the likely package, where that index is not at hand. `{version}` in a value is the package's version.
    """

    key: str
    value: str
    kind: str = ""
    name: str = ""


class FactoryError(Exception):
    """A failure with a message and a hint, see this module's description.

    `exit_code` is the exit status of the command line for this kind of failure. `machines_fault` marks failures of this
    machine, its disk or its network, which say nothing about the package.
    """

    exit_code: ClassVar[int] = 1
    # Whether the package is at fault, unless `machines_fault` is set: the site then shows the failure.
    blames_package: ClassVar[bool] = False
    # Stage that failed; the checkpoint of the running stage sets it and the next.
    stage: str = ""
    # Path of the log of that stage.
    log: str = ""
    # Changes of the recipe that the hint names.
    changes: tuple[RecipeChange, ...] = ()

    def __init__(self, message: str, *, hint: str | None = None, machines_fault: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.machines_fault = machines_fault

    def __str__(self) -> str:
        text = f"{self.message}\n  hint: {self.hint}" if self.hint else self.message
        return f"{text}\n  log: {self.log}" if self.log and self.log not in text else text


class RecipeError(FactoryError):
    """A recipe (or models.toml) that can't be read.

    The message lists every mistake as file:line.
    """

    exit_code = 3


class PythonExcluded(RecipeError):
    """A recipe, or one that it needs, whose source does not allow a Python."""


class PrerequisiteMissing(FactoryError):
    """The machine lacks something; the hint is the command that installs or fixes it."""

    exit_code = 4


class SourceError(FactoryError):
    """A source that can't be fetched, doesn't match its hash, or is unsafe to unpack."""

    exit_code = 5
    blames_package = True
    stage = "source"


class PatchError(FactoryError):
    """A patch without a header, or one that doesn't apply."""

    exit_code = 6
    blames_package = True
    stage = "patch"


class EnvironmentSetupError(FactoryError):
    """A root or a layer that could not be made or opened."""

    exit_code = 7


class LayerMissing(EnvironmentSetupError):
    """A layer, such as `native layer`, that a run needs and does not make."""

    def __init__(self, layer: str) -> None:
        super().__init__(f"{layer}: not made yet", hint="run: factory setup, or factory build")
        self.layer = layer


class CommandFailed(FactoryError):
    """A subprocess that failed, with the tail of what it printed."""

    def __init__(self, message: str, *, hint: str | None = None, status: int = 1, output: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.output = output


class BuildFailed(FactoryError):
    """The package's own build failed."""

    exit_code = 8
    blames_package = True
    stage = "build"


class RepairFailed(FactoryError):
    """auditwheel found no platform tag at or below the target's that holds."""

    exit_code = 9
    blames_package = True
    stage = "repair"


class AuditFailed(FactoryError):
    """A wheel contains what its tag or its recipe does not promise."""

    exit_code = 10
    blames_package = True
    stage = "audit"


class CheckFailed(FactoryError):
    """A wheel failed to install, or its check failed on a profile."""

    exit_code = 11
    blames_package = True
    stage = "check"


class StoreError(FactoryError):
    """The store or the cache can't be written or has been damaged."""

    exit_code = 12


class RebuildImpossible(FactoryError):
    """A source or package that a build record names is no longer available."""

    exit_code = 15


class NotReproducible(FactoryError):
    """A rebuilt wheel has other bytes than the recorded one."""

    exit_code = 16


class PublishError(FactoryError):
    """A refusal of the ledger or the index, or an index that can't be read."""

    exit_code = 13


class IndexDiffers(FactoryError):
    """An index differs from its ledger, or published entries were changed or removed."""

    exit_code = 17


class NotVerified(FactoryError):
    """A wheel that its index, its signatures or its content contradict."""

    exit_code = 18


class TimeLimitReached(FactoryError):
    """The run's time limit has passed.

    The same command resumes. The status is EX_TEMPFAIL of sysexits.h.

    `finished` are the stages that the package was through, where it was one that was cut.
    """

    exit_code = 75

    def __init__(
        self,
        message: str = "the time limit has passed",
        *,
        hint: str | None = "run the same command to resume; finished steps are kept",
        finished: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.finished = finished
