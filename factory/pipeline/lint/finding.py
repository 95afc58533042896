"""Findings of the lint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from factory.model.recipe import Recipe
from factory.recipes.document import Document, KeyPath, show
from factory.recipes.loader import document_of

# A line of a RecipeError.
_MISTAKE = re.compile(r"(?P<file>.+?):(?P<line>\d+): (?:(?P<key>[^:]+): )?(?P<message>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A mistake at a line of a file; `key` is the key, the field of a header or the subject."""

    file: Path
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.message}"


@dataclass(frozen=True, slots=True)
class RecipeText:
    """A recipe with its document, which knows the lines of keys."""

    recipe: Recipe
    document: Document

    @classmethod
    def of(cls, recipe: Recipe) -> RecipeText:
        """Read the document of a recipe."""
        return cls(recipe, document_of(recipe))

    def finding(self, path: KeyPath, message: str) -> Finding:
        """Return a finding at a key."""
        file, line = self.document.place_of(path)
        return Finding(file=file, line=line, key=show(path), message=message)


def parse_mistake(text: str) -> Finding:
    """Return a mistake of the recipe reader, `file:line: key: message`, as a finding."""
    match = _MISTAKE.fullmatch(text)
    assert match is not None, text
    return Finding(
        file=Path(match["file"]), line=int(match["line"]), key=match["key"] or "recipe", message=match["message"]
    )


def line_of(text: str, start: str) -> int:
    """Return the number of the first line with that start, 1 if there is none."""
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines, 1) if line.startswith(start)), 1)
