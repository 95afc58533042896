"""Texts and changes of proposed recipes."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import RecipeChange
from factory.recipes.proposal.excerpts import Excerpt
from factory.recipes.proposal.proposal import Proposal
from tests.support.recipes import load_recipe

A = Excerpt(
    "tests/test_a.py", "def test_a():\n    pass\n\n\ndef test_b():\n    pass", {"test_a": "test_a", "test_b": "test_b"}
)
C = Excerpt("tests/test_c.py", "def test_c():\n    pass", {"test_c": "test_c"})
PROPOSAL = Proposal(name="spam", version="1.0", sha256="0" * 64, modules=("spam",), excerpts=(A, C))


def test_proposal_is_a_recipe(tmp_path: Path) -> None:
    changes = [
        RecipeChange(key="build.apt", value="zlib1g-dev"),
        RecipeChange(key="build.apt", value="libyaml-dev"),
        RecipeChange(key="build.requires", value="cmake<4"),
        RecipeChange(key="build.rust", value="true"),
        RecipeChange(key="build.environment.PRETEND", value="{version}"),
    ]
    proposal = PROPOSAL
    for change in changes:
        proposal = proposal.with_change(change)
        assert proposal.with_change(change) == proposal
    proposal.write(tmp_path / "spam")
    recipe = load_recipe(tmp_path / "spam")
    assert (recipe.name, recipe.version, recipe.shadows_upstream) == ("spam", "1.0", True)
    assert (recipe.build.apt, recipe.build.requires) == (("libyaml-dev", "zlib1g-dev"), ("cmake<4",))
    assert (recipe.build.rust, recipe.build.environment) == (True, {"PRETEND": "1.0"})
    assert recipe.check.script == tmp_path / "spam/smoke.py"


@pytest.mark.parametrize("key", ["build.apt", "build.config-settings", "audit.pure"])
def test_changes_without_value_or_place_change_nothing(key: str) -> None:
    assert PROPOSAL.with_change(RecipeChange(key=key, value="")) == PROPOSAL


def test_recipe_without_needs_has_no_build_table() -> None:
    assert "[build]" not in PROPOSAL.recipe_text()


def test_excerpt_with_the_most_good_tests_is_taken() -> None:
    assert tuple(PROPOSAL.tests) == ("test_a", "test_b")
    assert tuple(PROPOSAL.with_good_tests([["test_b"], []]).tests) == ("test_b",)
    assert tuple(PROPOSAL.with_good_tests([[], ["test_c"]]).tests) == ("test_c",)
    assert not PROPOSAL.with_good_tests([[], []]).tests


def test_survey_has_all_excerpts() -> None:
    text = PROPOSAL.survey_text()
    compile(text, "survey.py", "exec")
    assert all(repr(each.code) in text for each in (A, C))


def test_script_without_tests_fails_with_the_reason(tmp_path: Path) -> None:
    """It must not pass before someone has edited it."""
    (tmp_path / "spam.py").touch()
    script = tmp_path / "smoke.py"
    script.write_text(Proposal(name="spam", version="1", sha256="0" * 64, modules=("spam",)).script_text())
    finished = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert finished.returncode == 1
    assert "calls no compiled code yet" in finished.stderr


def test_script_of_odd_file_name_is_python() -> None:
    excerpt = Excerpt('tests/test_"""\nraise.py', "import spam", {"test_a": "test_a"})
    text = replace(PROPOSAL, excerpts=(excerpt,)).script_text()
    assert "tests/test_????raise.py" in (ast.get_docstring(ast.parse(text)) or "")
