"""Files of recipes that nothing uses, and licences of overlays."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path

from factory.model.recipe import MODULES_FOLDER, Recipe
from factory.pipeline.lint.finding import Finding, line_of
from factory.recipes.document import Document
from factory.recipes.loader import MODELS_FILE, RECIPE_FILE
from factory.stages.sources.metadata import PYPROJECT

# Files that commands find by their names: `factory bench` reads these two.
KNOWN = frozenset({RECIPE_FILE, "bench.py", "kernels", "tokens.py", "README.md", "__pycache__"})


def unused_files(recipes: Collection[Recipe]) -> Iterator[Finding]:
    """Iterate over the files and folders beside recipes that no recipe names."""
    used = {path.resolve() for recipe in recipes for path in _named(recipe)}
    for recipe in recipes:
        for path in sorted(recipe.directory.iterdir()):
            if path.name not in KNOWN and path.resolve() not in used:
                yield Finding(file=path, line=1, key="recipe", message="no recipe uses it")


def unused_models(root: Path, recipes: Collection[Recipe]) -> Iterator[Finding]:
    """Iterate over the models of `root/models.toml` that no check names."""
    if (root / MODELS_FILE).is_file():
        document = Document(root / MODELS_FILE)
        for name in sorted(document.data.keys() - {recipe.check.model for recipe in recipes}):
            file, line = document.place_of((name,))
            yield Finding(file=file, line=line, key=name, message="no check uses this model")


def overlay_licences(recipe: Recipe) -> Iterator[Finding]:
    """Iterate over overlays that make a project without a licence."""
    folders = recipe.source.overlay.folders if recipe.source.overlay and recipe.build.builder != "repack" else ()
    for file in (folder / PYPROJECT for folder in folders):
        if file.is_file():
            try:
                content = tomllib.loads(file.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                yield Finding(file=file, line=1, key="overlay", message=f"not TOML: {error}")
                continue
            project = content.get("project")
            if isinstance(project, dict) and not project.get("license") and "license" not in project.get("dynamic", ()):
                line = line_of(file.read_text(encoding="utf-8"), "[project]")
                yield Finding(file=file, line=line, key="project.license", message="is missing")


def _named(recipe: Recipe) -> Iterator[Path]:
    for options in filter(None, (recipe.check, recipe.suite)):
        if options.script is not None:
            yield options.script
            if options.modules:
                yield options.script.parent / MODULES_FOLDER
    if recipe.source.overlay is not None:
        yield from recipe.source.overlay.folders
