"""Run of one command: its configuration, recipes, folders and progress."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from factory.errors import LayerMissing, StoreError
from factory.model.protocols import Reporter
from factory.model.recipe import Recipe
from factory.model.record import BuildRecord
from factory.pipeline.config import BuildConfig
from factory.pipeline.job_slots import CompileSlots, processors
from factory.pipeline.roots import MadeRoots, RootProvider
from factory.recipes.recipe_set import RecipeSet
from factory.stages.builders.ccache import CompilerCache
from factory.stages.environments.layers import LayerStore
from factory.store.store import Store
from factory.util.log import LogSink, OpenStage
from factory.util.paths import Layout, short

if TYPE_CHECKING:
    from factory.pipeline.substitutes import Substitutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Choices of one command: configuration, recipes, folders, reporter, limits.

    Builds of `substitutes` are taken in place of own ones. A run that only looks has `makes_layers` false: a missing
    layer then raises LayerMissing.
    """

    layout: Layout
    recipes: RecipeSet
    reporter: Reporter
    config: BuildConfig = field(default_factory=BuildConfig)
    keep: bool = False
    slots: CompileSlots = field(default_factory=lambda: CompileSlots(processors()))
    recipes_at_once: int = 1
    compiler_cache: CompilerCache = field(default_factory=CompilerCache)
    made_roots: MadeRoots = field(default_factory=dict)
    makes_layers: bool = True
    substitutes: Substitutes | None = None

    def with_config(self, config: BuildConfig) -> Run:
        """Return the run with another configuration."""
        return replace(self, config=config)

    @property
    def store(self) -> Store:
        """Store of finished wheels."""
        return Store(self.layout.store)

    @property
    def roots(self) -> RootProvider:
        """Roots of this run's mode and environment."""
        config = self.config
        return RootProvider(
            store=self.layers,
            mode=config.mode,
            environment=config.environment,
            made=self.made_roots,
        )

    @property
    def layers(self) -> LayerStore:
        """Layers of roots."""
        opener = self.stages("environment") if self.makes_layers else refuse_layer
        return LayerStore(layout=self.layout, open_stage=opener)

    def newest(self, recipe: Recipe, python: str) -> BuildRecord:
        """Return the newest publishable build of a recipe for a Python.

        Raises:
            StoreError: there is none.
        """
        record = self.store.latest(canonicalize_name(recipe.name), python)
        if record is None:
            hint = f"run: factory build {recipe.name} --python {python}"
            raise StoreError(f"{recipe.label_for(python, recipe.toolchain)} was not built yet", hint=hint)
        return record

    def stages(
        self, label: str, key: str = "", expected: Mapping[str, float] | None = None, *, brief: bool = False
    ) -> OpenStage:
        """Return the opener of a package's stages: each is reported and has a log file.

        Builds with a content `key` have a log folder each. `expected` has the seconds that a stage took before. Of
        `brief` stages only those that take long are reported.
        """
        folder, before = self.layout.logs / label.replace(" ", "-") / short(key), expected or {}

        def open_stage(stage: str) -> AbstractContextManager[LogSink]:
            log = folder / f"{stage.replace(' ', '-')}.log"
            return self.reporter.stage(label, stage, log, expected=before.get(stage, 0.0), brief=brief)

        return open_stage


def refuse_layer(stage: str) -> AbstractContextManager[LogSink]:
    """Refuse to make a layer.

    Raises:
        LayerMissing: always.
    """
    raise LayerMissing(stage)
