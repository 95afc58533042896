"""Reader of declared classes: each mistake is reported once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.recipes import SMALLEST, problems_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SMALLEST + "version = {}\n", "recipe.toml:7: source.version: must be a string"),
        (SMALLEST + "project = 1\n", "recipe.toml:7: source.project: must be a string"),
        (SMALLEST.replace('"pypi"', "''"), "recipe.toml:5: source.kind: must not be empty"),
    ],
)
def test_mistake_in_source_is_reported_once(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = problems_of(tmp_path, text)
    assert problem.startswith(expected)
