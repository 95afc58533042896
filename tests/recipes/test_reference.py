"""Recipe reference and JSON schema."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from factory.cli.recipe_reference import SCHEMA, generate

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*/recipe.toml"))
SHA256 = "0" * 64


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads(generate()[SCHEMA])
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("name", generate())
def test_generated_docs_are_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == generate()[name], "run: .ci/nox reference"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parent.name)
def test_schema_accepts_recipes_of_the_repository(validator: Any, path: Path) -> None:
    assert [error.message for error in validator.iter_errors(tomllib.loads(path.read_text()))] == []


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("package", "verison", "1"),
        ("source", "sha256", "abc"),
        ("source", "path", "x"),
        ("source", "parts", {"x": {"kind": "pypi", "sha256": SHA256}}),
        ("build", "builder", "pep571"),
        ("build", "environment", {"A B": "x"}),
        ("build", "memory-per-job", 2),
        ("check", "same-tokens", -1),
        ("check", "time-limit", "0s"),
        ("check", "build-root", True),
        ("check", "needs-source", True),
        ("check", "profiles", []),
    ],
)
def test_schema_refuses_mistakes(validator: Any, table: str, key: str, value: object) -> None:
    recipe: dict[str, dict[str, object]] = {
        "package": {"name": "spam", "version": "1"},
        "source": {"kind": "pypi", "sha256": SHA256},
    }
    assert validator.is_valid(recipe)
    recipe.setdefault(table, {})[key] = value
    assert not validator.is_valid(recipe)
