"""Suites: what `factory check --suite` installs beside the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.cli.commands.check import with_suite
from factory.cli.console import Reporter
from factory.errors import RecipeError, StoreError
from factory.pipeline.check import stored_needs
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.util.paths import Layout

RECIPE = '[package]\nname = "{name}"\nversion = "1"\n[source]\nkind = "local"\npath = "../../{name}"\n'
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "b"\n[project]\nname = "{name}"\nversion = "1"\n'
DEMO = '[check]\nmodel = "m"\ndependencies = false\n[suite]\nscript = "suite.py"\nrequires = ["helper"]\n'


@pytest.fixture
def run(tmp_path: Path) -> Run:
    for name, more in (("demo", DEMO), ("helper", "")):
        recipe = tmp_path / "recipes" / name
        recipe.mkdir(parents=True)
        (recipe / "recipe.toml").write_text(RECIPE.format(name=name) + more)
        for script in ("smoke.py", "suite.py"):
            (recipe / script).write_text("pass")
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(PROJECT.format(name=name))
    return Run(layout=Layout(tmp_path / "cache"), recipes=RecipeSet(tmp_path, SOURCE_KINDS), reporter=Reporter())


def test_suite_requires_recipes_that_its_check_does_not(run: Run) -> None:
    demo = run.recipes.find("demo")
    assert stored_needs(demo, run) == []
    with pytest.raises(StoreError, match="helper 1 was not built yet") as caught:
        stored_needs(with_suite(demo), run)
    assert "factory build helper" in str(caught.value.hint)


def test_suite_has_the_checks_model_and_dependencies(run: Run) -> None:
    options = with_suite(run.recipes.find("demo")).check
    assert (options.script is not None and options.script.name, options.model, options.dependencies) == (
        "suite.py",
        "m",
        False,
    )


def test_recipe_without_suite_names_the_table(run: Run) -> None:
    with pytest.raises(RecipeError, match="helper 1: no suite") as caught:
        with_suite(run.recipes.find("helper"))
    assert "[suite]" in str(caught.value.hint)
