"""What a run works with: where recipes come from, where results go, and which roots things are built and checked in."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.errors import StoreError
from factory.model.protocols import Reporter
from factory.model.recipe import ModelPin, Recipe
from factory.model.record import BuildRecord
from factory.model.target import NATIVE_MODE, NATIVE_PROFILE, TOOLCHAINS, Target
from factory.pipeline.job_slots import CompileSlots, processors
from factory.recipes.loader import MODELS_FILE, load_models, load_recipes
from factory.stages.builders.ccache import CompilerCache
from factory.stages.builders.registry import BUILDERS
from factory.stages.environments.base import Environment, Root, RootRequest
from factory.stages.environments.docker.cibuildwheel import CibuildwheelEnvironment
from factory.stages.environments.manylinux import manylinux_root
from factory.stages.environments.registry import DEFAULT_ENVIRONMENT, ENVIRONMENTS, OWN_CHECK_ROOTS, OWN_ROOTS
from factory.stages.environments.roots import MODES, check_root, default_mode, require_machine
from factory.store.store import Store
from factory.util.log import OpenStage
from factory.util.paths import Layout, short

# One after the other: their layers have much in common, and the kernel's table of interpreters is one for all.
_MAKING_ROOTS = threading.Lock()

DEFAULT_TARGET = Target()


@dataclass(frozen=True, slots=True, kw_only=True)
class Factory:
    """Where recipes come from, where results go, and what is built for."""

    layout: Layout
    checkout: Path
    reporter: Reporter
    target: Target = DEFAULT_TARGET
    toolchain: str = TOOLCHAINS[0]
    mode: str = "hybrid"
    environment: str = DEFAULT_ENVIRONMENT
    keep: bool = False
    slots: CompileSlots = field(default_factory=lambda: CompileSlots(processors()))
    recipes_at_once: int = 1
    compiler_cache: CompilerCache = field(default_factory=CompilerCache)

    def __post_init__(self) -> None:
        require_machine(self.mode, self.environment)

    def build_root(self, request: RootRequest) -> Root:
        """The root that a job is built in, made if it isn't there yet."""
        make = OWN_ROOTS.get(self.environment, MODES[self.mode])
        with _MAKING_ROOTS:
            return make(self.layout, request, self.stages("environment"))

    def check_root(self) -> Root:
        """The clean root that a wheel is checked in."""
        make = OWN_CHECK_ROOTS.get(self.environment, check_root)
        with _MAKING_ROOTS:
            return make(self.layout, self.target.python, self.stages("environment"))

    def build_environment(self, recipe: Recipe, request: RootRequest) -> Environment:
        """What the recipe's builder works in."""
        if not BUILDERS[recipe.build.builder].IN_MANYLINUX:
            return self.open_root(self.build_root(request))
        stages = self.stages("environment")
        with _MAKING_ROOTS:
            root = manylinux_root(self.layout, self.mode, request, stages)
        return CibuildwheelEnvironment(root=root, layout=self.layout, open_stage=stages)

    def for_python(self, python: str, toolchain: str = TOOLCHAINS[0]) -> Factory:
        """The same factory, building for that Python with that toolchain."""
        return replace(self, target=replace(self.target, python=python), toolchain=toolchain)

    def label(self, recipe: Recipe) -> str:
        """What the recipe is called where it is built or run."""
        return recipe.label_for(self.target.python, self.toolchain)

    def options_for(self, recipe: Recipe) -> str:
        """The options by which commands know what is built of the recipe, and in which root."""
        mode = "" if self.mode == default_mode() else f" --mode {self.mode}"
        environment = "" if self.environment == DEFAULT_ENVIRONMENT else f" --environment {self.environment}"
        return f"{recipe.options_for(self.target.python, self.toolchain)}{mode}{environment}"

    def open_root(self, root: Root) -> Environment:
        """The root in the kind of environment that commands run in."""
        return ENVIRONMENTS[self.environment](root=root, layout=self.layout, open_stage=self.stages("environment"))

    def profiles(self, recipe: Recipe) -> tuple[str, ...]:
        """What the recipe's check runs on: its profiles, or the CPU of the riscv64 machine that this is."""
        return (NATIVE_PROFILE,) if self.mode == NATIVE_MODE else recipe.check.profiles

    @property
    def store(self) -> Store:
        return Store(self.layout.store)

    def newest(self, recipe: Recipe, python: str) -> BuildRecord:
        """The newest build of a package for a Python that may be published.

        Raises:
            StoreError: there is none.
        """
        record = self.store.latest(canonicalize_name(recipe.name), python)
        if record is None:
            hint = f"run: factory build {recipe.name} --python {python}"
            raise StoreError(f"{recipe.label_for(python, recipe.toolchain)} was not built yet", hint=hint)
        return record

    def recipes(self) -> Mapping[str, Recipe]:
        return load_recipes(self.checkout / "recipes")

    def model_pin(self, name: str) -> ModelPin:
        """A model of recipes/models.toml."""
        return load_models(self.checkout / "recipes" / MODELS_FILE)[name]

    def stages(self, label: str, key: str = "") -> OpenStage:
        """How stages of one package (or of the environment) are opened: reported, and logged to files of their own.

        Those of a build, of which the content `key` is known, share no file with other builds of the package.
        """
        folder = self.layout.logs / label.replace(" ", "-") / short(key)
        return lambda stage: self.reporter.stage(label, stage, folder / f"{stage.replace(' ', '-')}.log")
