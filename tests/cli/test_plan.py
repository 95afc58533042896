"""`factory plan` and `factory why`, on a cache without roots."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factory.cli.commands import plan, why
from factory.cli.main import parse_arguments
from factory.errors import RecipeError
from tests.support.checkouts import add_recipe, make_checkout

NOT_MADE = "native layer: not made yet"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write recipes of vectors-c and of asks, which needs it."""
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "checkout"
    make_checkout(root, tmp_path / "cache")
    add_recipe(root, "asks", more='[build]\nrequires = ["vectors-c"]\n', smoke="import asks\n")
    monkeypatch.chdir(root)
    return root


def test_plan_lists_jobs_with_their_state(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.run(parse_arguments(["plan", "asks"])) == 0
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == ["job", "Python", "needs", "state"]
    assert first.startswith("vectors-c 1.0 ")
    assert first.rstrip().endswith(NOT_MADE)
    assert second.split()[:4] == ["asks", "1.0", "3.13", "vectors-c"]
    assert "vectors-c is built before" in second


def test_plan_json_has_needs_and_reasons(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.run(parse_arguments(["plan", "asks", "--python", "3.14", "--json"])) == 0
    vectors, asks = json.loads(capsys.readouterr().out)
    assert (vectors["name"], vectors["python"], vectors["reasons"]) == ("vectors-c", "3.14", [NOT_MADE])
    assert (asks["build_needs"], asks["wheel"]) == (["vectors-c"], "")


def test_plan_explain_names_options_and_lines(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.run(parse_arguments(["plan", "asks", "--explain", "--python", "3.14", "--json"])) == 0
    (values,) = json.loads(capsys.readouterr().out).values()
    found = {each["key"]: (each["value"], each["origin"]) for each in values}
    assert found["Python"] == ("3.14", "command line")
    assert found["mode"][1] == "default"
    assert found["package.name"] == ("asks", "recipes/asks/recipe.toml:3")
    assert plan.run(parse_arguments(["plan", "asks", "vectors-c", "--explain"])) == 0
    shown = capsys.readouterr().out
    assert [label in shown for label in ("asks 1.0 for", "asks 1.0 ", "vectors-c 1.0 ")] == [False, True, True]


def test_why_shows_graph_and_reasons(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert why.run(parse_arguments(["why", "vectors-c"])) == 0
    assert capsys.readouterr().out.splitlines() == [
        "vectors-c 1.0, Python 3.13",
        "  needs to build: no other recipe",
        "  needs to run: no other recipe",
        "  needed by: asks 1.0 (build)",
        "  to build",
        f"    {NOT_MADE}",
    ]
    assert why.run(parse_arguments(["why", "asks", "--json"])) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert (answer["needs_to_build"], answer["needed_by"]) == (["vectors-c 1.0"], [])


@pytest.mark.parametrize("command", [["plan", "askes"], ["why", "askes"]])
def test_unknown_name_suggests_a_recipe(project: Path, command: list[str]) -> None:
    with pytest.raises(RecipeError, match="no recipe for 'askes'") as caught:
        parse_arguments(command).run(parse_arguments(command))
    assert caught.value.hint == "did you mean 'asks'?"


@pytest.mark.parametrize("command", [["plan", "asks"], ["why", "asks"]])
def test_broken_recipe_is_an_error(project: Path, command: list[str]) -> None:
    file = project / "recipes/vectors-c/recipe.toml"
    file.write_text(file.read_text() + "[check]\nprofile = []\n")
    with pytest.raises(RecipeError, match=r"vectors-c/recipe.toml:\d+: check.profile: unknown key"):
        parse_arguments(command).run(parse_arguments(command))


def test_plan_of_missing_source_is_an_error(project: Path) -> None:
    file = project / "recipes/asks/recipe.toml"
    file.write_text(file.read_text().replace("packages/asks", "packages/nowhere"))
    with pytest.raises(RecipeError, match=r"source\.path"):
        plan.run(parse_arguments(["plan", "asks"]))
