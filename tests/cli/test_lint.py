"""`factory lint`: its lines, JSON and exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factory.cli import main
from factory.errors import RecipeError
from tests.support.projects import make_project
from tests.support.recipes import SMALLEST


def test_lint_prints_findings_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_project(tmp_path, SMALLEST + "[build]\nrust = false\n")
    monkeypatch.chdir(tmp_path)
    assert main.main(["lint"]) == RecipeError.exit_code
    finding, total = capsys.readouterr().out.splitlines()
    assert finding.startswith("recipes/spam/recipe.toml:8: build.rust: ")
    assert total == "recipes: 1, findings: 1"
    assert main.main(["lint", "spam", "--json"]) == RecipeError.exit_code
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["file"], entry["line"], entry["key"]) == ("recipes/spam/recipe.toml", 8, "build.rust")


def test_lint_without_findings_succeeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_project(tmp_path)
    assert main.main(["lint", "--project", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "recipes: 1, findings: 0\n"
    assert main.main(["lint", "--project", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_lint_unknown_name_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_project(tmp_path)
    assert main.main(["lint", "spma", "--project", str(tmp_path)]) == RecipeError.exit_code
    assert "did you mean 'spam'?" in capsys.readouterr().err


def test_lint_without_recipes_folder_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["lint", "--project", str(tmp_path / "none")]) == RecipeError.exit_code
    error, hint = capsys.readouterr().err.splitlines()
    assert error == f"factory: {tmp_path}/none: not a project folder: it has no recipes/ with a recipe"
    assert "factory init DIR" in hint
