"""TOML documents that cannot be parsed."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.errors import RecipeError
from factory.recipes.document import Document, show
from tests.support.recipes import SMALLEST, write


@pytest.mark.parametrize("content", [b"x = [1,\n", b"\xff"])
def test_damaged_document_error_has_line_and_hint(tmp_path: Path, content: bytes) -> None:
    file = write(tmp_path, SMALLEST) / "recipe.toml"
    file.write_bytes(content)
    with pytest.raises(RecipeError, match=r"recipe\.toml:1: .*\n  hint: "):
        Document(file)


@pytest.mark.parametrize("content", [f"x = {'[' * 3000}{']' * 3000}\n"])
def test_deep_document_is_an_error(tmp_path: Path, content: str) -> None:
    file = write(tmp_path, content) / "recipe.toml"
    with pytest.raises(RecipeError, match=r"recipe\.toml:1: .*nested too deeply\n  hint: "):
        Document(file)


def test_unprintable_key_is_shown_on_one_line() -> None:
    assert show(("build", "a\nb\x1b", "x y")) == r'build."a\nb\x1b"."x y"'


def test_missing_document_error_has_a_hint(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.toml:1: cannot be read: .*\n  hint: "):
        Document(tmp_path / "none.toml")
