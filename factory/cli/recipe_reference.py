"""Write the recipe reference and the JSON schema into a docs folder: `python -m` this."""

from __future__ import annotations

from pathlib import Path

from factory.recipes.reference import render_reference
from factory.recipes.schema import render_schema
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.util.atomic_files import write_if_changed
from factory.util.project import project_folder

REFERENCE, SCHEMA = "recipe-reference.md", "recipe.schema.json"


def generate() -> dict[str, str]:
    """Return the texts of the generated files by their names in `docs/`."""
    return {REFERENCE: render_reference(SOURCE_KINDS), SCHEMA: render_schema(SOURCE_KINDS)}


def main(docs: Path) -> None:
    """Write the files that changed."""
    for name, text in generate().items():
        write_if_changed(docs / name, text.encode())


if __name__ == "__main__":
    main(project_folder(None) / "docs")
