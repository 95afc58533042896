"""Build configuration: target, mode, environment and toolchain."""

from __future__ import annotations

from dataclasses import dataclass, replace

from factory.model.job import Job
from factory.model.recipe import Recipe
from factory.model.target import DEFAULT_TARGET, HYBRID_MODE, NATIVE_MODE, NATIVE_PROFILE, TOOLCHAINS, Target
from factory.stages.environments.registry import DEFAULT_ENVIRONMENT
from factory.stages.environments.roots import default_mode, require_machine


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildConfig:
    """Target, mode, environment and toolchain of builds.

    A job has its own Python and toolchain: `for_job`.

    Raises:
        PrerequisiteMissing: this machine can't run the mode or the environment.
    """

    target: Target = DEFAULT_TARGET
    mode: str = HYBRID_MODE
    environment: str = DEFAULT_ENVIRONMENT
    toolchain: str = TOOLCHAINS[0]

    def __post_init__(self) -> None:
        require_machine(self.mode, self.environment)

    def for_python(self, python: str, toolchain: str = TOOLCHAINS[0]) -> BuildConfig:
        """Return the configuration with another Python and toolchain."""
        return replace(self, target=replace(self.target, python=python), toolchain=toolchain)

    def for_job(self, job: Job) -> BuildConfig:
        """Return the configuration with a job's Python and toolchain."""
        return self.for_python(job.python, job.toolchain)

    def label(self, recipe: Recipe) -> str:
        """Name a recipe's build in messages; defaults are left out."""
        return recipe.label_for(self.target.python, self.toolchain)

    def options(self, recipe: Recipe) -> str:
        """Command-line options that select a recipe's build and its root; defaults are left out."""
        mode = "" if self.mode == default_mode() else f" --mode {self.mode}"
        environment = "" if self.environment == DEFAULT_ENVIRONMENT else f" --environment {self.environment}"
        return f"{recipe.options_for(self.target.python, self.toolchain)}{mode}{environment}"

    def profiles(self, recipe: Recipe) -> tuple[str, ...]:
        """ISA profiles of a recipe's check; on a riscv64 machine, its own CPU."""
        return (NATIVE_PROFILE,) if self.mode == NATIVE_MODE else recipe.check.profiles
