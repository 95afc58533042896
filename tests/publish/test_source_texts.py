"""Tests of the texts of recipes and patches that the ledger keeps."""

from __future__ import annotations

import hashlib
from pathlib import Path

from factory.publish.source_texts import find_texts


def test_folder_in_place_of_a_recipe_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "recipes/good").mkdir(parents=True)
    (tmp_path / "recipes/good/recipe.toml").write_bytes(b"x = 1\n")
    (tmp_path / "recipes/bad/recipe.toml").mkdir(parents=True)
    (tmp_path / "patches/good/1/bad.patch").mkdir(parents=True)
    assert find_texts(tmp_path)[hashlib.sha256(b"x = 1\n").hexdigest()] == b"x = 1\n"
