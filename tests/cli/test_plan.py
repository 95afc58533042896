"""`factory plan` and `factory why`, on a cache without roots."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factory.cli.build_matrix import cost_line
from factory.cli.commands import plan, why
from factory.cli.options import make_run
from factory.cli.parser import parse_arguments
from factory.errors import RecipeError
from factory.model.build_plan import BuildPlan
from factory.pipeline.build import _look_up, _report_estimate
from factory.pipeline.metadata import describe
from factory.pipeline.plan import plan as build_jobs
from factory.util.jsonio import load
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


def test_build_estimates_as_plan_does(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also what was built before, and is not stored under its present key."""
    recipe = project / "recipes/asks/recipe.toml"
    recipe.write_text(recipe.read_text().replace("[build]\n", '[build]\nprocessor-time = "10m"\n'))
    args = parse_arguments(["plan", "asks"])
    assert plan.run(args) == 0
    lines = capsys.readouterr().out.splitlines()[3:]
    assert lines[0].startswith("to build: about ")
    assert lines[1:] == ["to make before: native layer (of unknown duration)"]
    run = make_run(args)
    jobs = build_jobs(["asks"], ["3.13"], run.recipes.by_name, lambda each: describe(each, run))
    _report_estimate(_look_up(jobs, run), run)
    assert capsys.readouterr().err.splitlines() == lines


def test_plan_json_has_needs_and_reasons(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.run(parse_arguments(["plan", "asks", "--python", "3.14", "--json"])) == 0
    vectors, asks = json.loads(capsys.readouterr().out)
    assert (vectors["name"], vectors["python"], vectors["reasons"]) == ("vectors-c", "3.14", [NOT_MADE])
    assert (asks["build_needs"], asks["wheel"]) == (["vectors-c"], "")


def test_plan_json_has_recipes_without_a_readable_source(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = project.parent / "packages/torn"
    source.mkdir(parents=True)
    (source / "pyproject.toml").write_text("[broken")
    add_recipe(project, "torn", more="", smoke="import torn\n", packages=source.parent)
    assert plan.run(parse_arguments(["plan", "--all", "--json"])) == 0
    refused = json.loads(capsys.readouterr().out)[-1]
    assert (refused["name"], refused["key"]) == ("torn", "")
    assert refused["problem"]


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
        "  to build",
        f"    {NOT_MADE}",
        "  needs to build: no other recipe",
        "  needs to run: no other recipe",
        "  needed by: asks 1.0 (build)",
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


def matrix(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[list[dict[str, object]]]:
    args = parse_arguments(["plan", "--github-matrix", "--processors", "4", *arguments])
    assert plan.run(args) == 0
    found: list[list[dict[str, object]]] = json.loads(capsys.readouterr().out)
    return found


def test_matrix_of_plan_is_one_output(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fromJSON` of a workflow reads it: a list of jobs for each wave, some of them empty."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(project / "outputs"))
    first, *others = matrix(capsys, "--all", "--output", "plan.json")
    assert first == [{"group": "1-1", "title": "vectors-c, asks", "minutes": 5}]
    assert others == [[]] * 5
    assert cost_line(load(project / "plan.json", BuildPlan)).startswith(
        "1 group in 1 wave: about 10 minutes of machines"
    )
    (line,) = (project / "outputs").read_text().splitlines()
    assert json.loads(line.removeprefix("waves=")) == [first, *others]
    (group,) = load(project / "plan.json", BuildPlan).groups
    assert [(build.name, build.python, build.reason) for build in group.builds] == [
        ("vectors-c", "3.13", NOT_MADE),
        ("asks", "3.13", "vectors-c is built before"),
    ]


def test_names_in_one_word_are_separated(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A workflow has one input for all of them, quoted."""
    for word in ("vectors-c asks", "vectors-c,asks", " vectors-c\n asks "):
        assert matrix(capsys, "--", word)[0][0]["title"] == "vectors-c, asks"


@pytest.mark.parametrize("arguments", [[], ["--all", "asks"], ["--all", "--changed-since", "HEAD"]])
def test_plan_takes_one_kind_of_selection(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    args = parse_arguments(["plan", *arguments])
    with pytest.raises(SystemExit):
        plan.run(args)
    assert "either names of recipes, or --all, or --changed-since" in capsys.readouterr().err


def test_plan_all_lists_every_recipe(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.run(parse_arguments(["plan", "--all", "--json"])) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == ["vectors-c", "asks"]
