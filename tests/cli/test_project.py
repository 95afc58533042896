"""The project folder: found upwards, named by --project, made by factory init."""

from __future__ import annotations

import inspect
import io
import json
import re
from contextlib import redirect_stdout, suppress
from importlib import import_module
from pathlib import Path

import pytest

from factory.cli.commands import COMMANDS
from factory.cli.main import main
from factory.cli.parser import parse_arguments
from factory.cli.project_options import ledger_folder
from factory.errors import RecipeError
from factory.util.project import find_project, project_folder
from tests.support.projects import make_project

# Commands that need a project folder, with arguments that are otherwise right.
NEED_PROJECT = (
    ["plan", "spam"],
    ["why", "spam"],
    ["build", "spam"],
    ["check", "spam"],
    ["rebuild", "spam"],
    ["shell", "spam"],
    ["diff", "spam"],
    ["new", "spam"],
    ["lint"],
    ["bump"],
    ["retire"],
    ["index"],
    ["index", "--pages-only"],
    ["index", "--verify"],
    ["refresh"],
    ["retain", "--builds", "1"],
    ["yank", "spam==1", "--reason", "x"],
    ["unyank", "spam==1"],
    ["coverage"],
    ["bench", "instructions", "spam"],
)


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder without a project."""
    folder = tmp_path / "outside"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("factory.cli.main.become_root", lambda: None)
    return folder


def test_project_is_found_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_project(tmp_path)
    below = tmp_path / "recipes/spam"
    monkeypatch.chdir(below)
    assert project_folder(None) == find_project() == tmp_path


def test_other_recipes_above_are_no_project(outside: Path) -> None:
    (outside.parent / "recipes/cakes").mkdir(parents=True)
    assert find_project() is None


@pytest.mark.parametrize("command", NEED_PROJECT, ids=" ".join)
def test_commands_without_project_give_one_error(
    outside: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == RecipeError.exit_code
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"factory: {outside}: no project folder: ")
    assert "--project DIR" in hint
    assert "factory init" in hint
    assert list(outside.iterdir()) == []


def test_commands_that_read_recipes_have_the_project_option() -> None:
    """`setup` and `image` make roots only."""
    without = {"setup", "image"}
    for name in COMMANDS:
        source = inspect.getsource(import_module(f"factory.cli.commands.{name}"))
        if name not in without and re.search(r"make_run\(|recipe_set\(|project_folder\(|ledger_folder\(", source):
            with redirect_stdout(io.StringIO()) as shown, suppress(SystemExit):
                main([name, "--help"])
            assert "--project DIR" in shown.getvalue(), name


WITH_JSON = [command for command in NEED_PROJECT if command[0] not in ("shell", "diff", "new")]


@pytest.mark.parametrize("command", WITH_JSON, ids=" ".join)
def test_error_with_json_is_json(outside: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--json"]) == RecipeError.exit_code
    shown = capsys.readouterr()
    answer = json.loads(shown.out)
    assert answer["error"].startswith(f"{outside}: no project folder: ")
    assert f"factory: {answer['error']}\n  hint: {answer['hint']}\n" == shown.err


@pytest.mark.parametrize("command", NEED_PROJECT, ids=" ".join)
def test_commands_name_a_project_that_is_none(
    outside: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (outside / "file").write_text("")
    for name in ("missing", "file"):
        assert main([*command, "--project", name]) == RecipeError.exit_code
        assert f"factory: {name}: not a project folder: " in capsys.readouterr().err


def test_project_option_selects_another_project(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_project(outside.parent / "other")
    assert main(["lint", "spam", "--project", "../other"]) == 0
    assert capsys.readouterr().out == "recipes: 1, findings: 0\n"


def test_ledger_is_that_of_the_project(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ledger(*options: str) -> Path:
        return ledger_folder(parse_arguments(["retain", "--builds", "1", *options]), Path("out"))

    with pytest.raises(RecipeError, match="no project folder"):
        ledger()
    Path("out/ledger").mkdir(parents=True)
    assert ledger() == Path("out/ledger")
    Path("out/ledger").rmdir()
    project = outside.parent / "project"
    make_project(project)
    assert ledger("--project", str(project)) == project / "index/ledger"
    monkeypatch.chdir(project)
    assert ledger() == project / "index/ledger"
    (project / "out/ledger").mkdir(parents=True)
    assert ledger() == Path("out/ledger"), "the ledger that an older factory wrote"
    (project / "index/ledger").mkdir(parents=True)
    assert ledger() == project / "index/ledger"
    assert ledger("--ledger", "elsewhere") == Path("elsewhere")


def test_init_makes_a_project(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    made, following = capsys.readouterr().out.splitlines()
    assert made == ".: made recipes/, patches/, index/site.toml, index/upstream.toml, .gitignore"
    assert following == "next: factory new NAME --try"
    assert main(["lint"]) == 0
    assert main(["index", "--pages-only"]) == 13  # nothing was published yet
    (outside / ".gitignore").write_text("mine\n")
    capsys.readouterr()
    assert main(["init"]) == 0
    assert capsys.readouterr().out.startswith(".: no change\n")
    assert (outside / ".gitignore").read_text() == "mine\n"


def test_init_of_another_folder_names_it(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "wheels/mine"]) == 0
    made, following = capsys.readouterr().out.splitlines()
    assert made.startswith("wheels/mine: made recipes/")
    assert following == "next: factory new NAME --try --project wheels/mine"
    assert find_project() is None
