"""One error tree. Every failure a person can cause or mend is a FactoryError; anything else is a bug."""

from __future__ import annotations

from typing import ClassVar


class FactoryError(Exception):
    """What failed (the message) and what to do next (the hint).

    `exit_code` is what the command line returns for this kind of failure. `machines_fault` says that this machine, its
    disk or its network failed, which tells nothing about the package.
    """

    exit_code: ClassVar[int] = 1
    # Whether the package is at fault, unless `machines_fault` is set: the site then shows the failure.
    blames_package: ClassVar[bool] = False
    # Stage that failed; the checkpoint of the running stage sets it.
    stage: str = ""

    def __init__(self, message: str, *, hint: str | None = None, machines_fault: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.machines_fault = machines_fault

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class RecipeError(FactoryError):
    """A recipe (or models.toml) that can't be read; the message lists every mistake as file:line."""

    exit_code = 3


class PrerequisiteMissing(FactoryError):
    """The machine lacks something; the hint is the command that mends it."""

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
    """A wheel did not install, or did not run rightly on a profile."""

    exit_code = 11
    blames_package = True
    stage = "check"


class StoreError(FactoryError):
    """The store or the cache can't be written or has been damaged."""

    exit_code = 12


class RebuildImpossible(FactoryError):
    """What a build record names isn't to be had any more."""

    exit_code = 15


class NotReproducible(FactoryError):
    """A rebuilt wheel has other bytes than the recorded one."""

    exit_code = 16


class PublishError(FactoryError):
    """The ledger or the index refuses what was asked."""

    exit_code = 13


class IndexDiffers(FactoryError):
    """A written index is not what its ledger gives, or the ledger lost or changed what was published."""

    exit_code = 17


class TimeLimitReached(FactoryError):
    """The run's time limit has passed; the same command goes on. The status is EX_TEMPFAIL of sysexits.h.

    `finished` are the stages that the package was through, where it was one that was cut.
    """

    exit_code = 75

    def __init__(
        self,
        message: str = "the time limit has passed",
        *,
        hint: str | None = "run the same command to go on; what was finished is kept",
        finished: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.finished = finished
