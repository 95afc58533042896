"""`factory bump`: its lines, JSON and exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factory.cli.commands import bump
from factory.cli.parser import parse_arguments
from factory.errors import PatchError, RecipeError, SourceError
from tests.support.index_server import IndexServer
from tests.support.projects import PATCH, make_project, serve_spam
from tests.support.recipes import SHA256, SMALLEST, write


@pytest.fixture
def project(tmp_path: Path, index: IndexServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a recipe of spam 1.0, which the index has, with a patch."""
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "checkout"
    make_project(root, SMALLEST.replace(SHA256, serve_spam(index)), patch=PATCH)
    monkeypatch.chdir(root)
    return root


def test_bump_writes_recipe_and_says_so(project: Path, index: IndexServer, capsys: pytest.CaptureFixture[str]) -> None:
    serve_spam(index, "1.1")
    assert bump.run(parse_arguments(["bump"])) == 0
    assert capsys.readouterr().out.splitlines() == [
        "spam 1.0 -> 1.1",
        "  patch 0001-say-eggs.patch: applies",
        "  recipes/spam/recipe.toml: rewritten",
    ]
    assert bump.run(parse_arguments(["bump", "spam"])) == 0
    assert capsys.readouterr().out == "spam 1.1: newest\n"


def test_bump_check_changes_nothing(project: Path, index: IndexServer, capsys: pytest.CaptureFixture[str]) -> None:
    serve_spam(index, "1.1", word="beans")
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    assert bump.run(parse_arguments(["bump", "spam", "--check", "--json"])) == PatchError.exit_code
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
    (answer,) = json.loads(capsys.readouterr().out)
    assert (answer["pinned"], answer["newest"]) == ("1.0", "1.1")
    assert "FAILED" in answer["patches"]["0001-say-eggs.patch"]


def test_bump_of_project_that_index_lacks_goes_on(
    project: Path, index: IndexServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project / "recipes", SMALLEST.replace("spam", "eggs"), "eggs")
    assert bump.run(parse_arguments(["bump", "eggs", "spam"])) == SourceError.exit_code
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("eggs 1.0: ")
    assert "no such project" in first
    assert second == "spam 1.0: newest"


def test_fitting_bump_leaves_alone_what_does_not_fit(
    project: Path, index: IndexServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a nightly run needs it: what a person has to look at holds back nothing."""
    write(project / "recipes", SMALLEST.replace("spam", "eggs"), "eggs")
    serve_spam(index, "1.1", word="beans")
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    assert bump.run(parse_arguments(["bump", "--fitting", "--", ""])) == 0
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
    assert "spam 1.0 -> 1.1" in capsys.readouterr().out
    serve_spam(index, "1.2")
    assert bump.run(parse_arguments(["bump", "--fitting", "--", "eggs, spam"])) == 0
    assert 'version = "1.2"' in (project / "recipes/spam/recipe.toml").read_text()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/simple/", "garbage"])
def test_bump_without_index_is_an_error(project: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", url)
    with pytest.raises(SourceError, match="can't be read") as caught:
        bump.run(parse_arguments(["bump"]))
    assert caught.value.machines_fault


def test_bump_unknown_name_is_an_error(project: Path) -> None:
    with pytest.raises(RecipeError, match="no recipe for 'spma'"):
        bump.run(parse_arguments(["bump", "spma"]))


def test_bump_json_has_recipes_that_cannot_be_read(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project / "recipes", "[package", "draft")
    assert bump.run(parse_arguments(["bump", "--check", "--json"])) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [(each["name"], each["pinned"], bool(each["problem"])) for each in answers] == [
        ("spam", "1.0", False),
        ("draft", "", True),
    ]
