"""Stored wheels of this project's recipes: other projects use the same store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name

from factory.model.artifacts import StoredWheel
from factory.model.record import BuildRecord
from factory.publish.ledger import Ledger
from factory.recipes.loader import RecipeProject
from factory.store.store import Store
from factory.util.atomic_files import sha256_of

# Ranks of a build record: another recipe made it, an earlier text of ours can have made it, ours made it.
FOREIGN, SIMILAR, OWN = range(3)


@dataclass(frozen=True)
class OwnRecipes:
    """Recipes and patches of a project folder, as build records name them."""

    projects: Sequence[RecipeProject]
    patches: Path

    @cached_property
    def _recipes(self) -> Mapping[NormalizedName, RecipeProject]:
        return {each.recipe: each for each in self.projects}

    @cached_property
    def _patches(self) -> Mapping[str, frozenset[str]]:
        """The sha256 of the patches in each folder `PROJECT/VERSION`."""
        folders = (path for path in self.patches.glob("*/*") if path.is_dir())
        found = {
            f"{path.parent.name}/{path.name}": frozenset(map(sha256_of, filter(Path.is_file, path.iterdir())))
            for path in folders
        }
        return {folder: patches for folder, patches in found.items() if patches}

    def rank(self, record: BuildRecord) -> int:
        """Rank a record by the version, the patches and the text of this project's recipe.

        The text may have changed since the build in comments only.
        """
        recipe = self._recipes.get(canonicalize_name(record.name))
        if recipe is None or recipe.version != record.version or not self._has_patches(record, recipe):
            return FOREIGN
        return OWN if recipe.file_sha256 == record.recipe_sha256 else SIMILAR

    def _has_patches(self, record: BuildRecord, recipe: RecipeProject) -> bool:
        """Test for a folder with exactly the record's patches; without any, for no such folder."""
        applied = frozenset(patch.sha256 for patch in record.patches)
        if applied:
            return applied in self._patches.values()
        return not {f"{name}/{record.version}" for name in (recipe.recipe, recipe.project)} & self._patches.keys()


def own_wheels(
    store: Store, recipes: OwnRecipes, ledger: Ledger
) -> tuple[Sequence[StoredWheel], Sequence[StoredWheel]]:
    """Return the newest wheels of this project's recipes or ledger, and the others.

    Of a version and tags, the recipe's own build is taken even if another project folder has built it since.
    """
    ranked = store.published_candidates(recipes.rank)
    own = {wheel for wheel, rank in ranked.items() if rank > FOREIGN or _is_published(wheel, ledger)}
    return [each for each in ranked if each in own], [each for each in ranked if each not in own]


def _is_published(wheel: StoredWheel, ledger: Ledger) -> bool:
    release = ledger.find(wheel.path.name)
    return release is not None and release.sha256 == wheel.sha256
