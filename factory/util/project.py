"""The project folder: recipes/, patches/ and index/ of one factory.

It is found from the current folder upwards, as git and uv find theirs.
"""

from __future__ import annotations

from pathlib import Path

from factory.errors import RecipeError

RECIPES_FOLDER = "recipes"
PATCHES_FOLDER = "patches"
INDEX_FOLDER = "index"


def find_project() -> Path | None:
    """Return the current folder or the nearest one above it that is a project folder."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if _is_project(folder)), None)


def _is_project(folder: Path) -> bool:
    """Tell whether it has recipes/ with a recipe or beside index/: not just the name."""
    recipes = folder / RECIPES_FOLDER
    return recipes.is_dir() and ((folder / INDEX_FOLDER).is_dir() or any(recipes.glob("*/recipe.toml")))


def project_folder(chosen: Path | None) -> Path:
    """Return the absolute path of the `chosen` project folder, else of the nearest one.

    Raises:
        RecipeError: it is none, or there is none.
    """
    if chosen is None:
        found = find_project()
        if found is None:
            raise RecipeError(
                f"{Path.cwd()}: no project folder: none here or above has {RECIPES_FOLDER}/ with a recipe",
                hint="go to a project, name one with --project DIR, or make one: factory init",
            )
        return found
    if not _is_project(chosen):
        raise RecipeError(
            f"{chosen}: not a project folder: it has no {RECIPES_FOLDER}/ with a recipe",
            hint="name a project folder, or make it one: factory init DIR",
        )
    return chosen.absolute()
