"""Graph of recipes: what needs a package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from packaging.utils import NormalizedName

from factory.errors import RecipeError
from factory.model.recipe import Recipe
from factory.pipeline.plan import Describe, plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """A recipe that needs a package, and when: `build`, `run`."""

    package: str
    uses: tuple[str, ...]


def dependents(
    name: NormalizedName, python: str, recipes: Mapping[str, Recipe], describe: Describe
) -> Iterator[Dependent]:
    """Iterate over the recipes that need a recipe directly.

    Those that exclude the Python are omitted.
    """
    for _, recipe in sorted(recipes.items()):
        try:
            *_, job = plan([recipe.name], [python], recipes, describe, [recipe.toolchain])
        except RecipeError:
            continue
        uses = [use for use, needs in (("build", job.build_needs), ("run", job.run_needs)) if name in needs]
        if uses:
            yield Dependent(package=recipe.label, uses=tuple(uses))
