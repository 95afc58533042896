"""Proposals of recipes, from a package index to files, and their trial builds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from factory.cli.commands.new import describe, parse_project
from factory.cli.console import Reporter
from factory.errors import CheckFailed, RecipeChange, RecipeError, SourceError
from factory.pipeline.new_recipe import changed, good_tests, propose
from factory.pipeline.run import Run
from factory.recipes.proposal.excerpts import Excerpt
from factory.recipes.proposal.proposal import Proposal
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.util.paths import Layout
from tests.support.archives import file_entry, special_entry, tar_bytes
from tests.support.checkouts import Checkout
from tests.support.index_server import IndexServer
from tests.support.recipes import load_recipe

FILES = {
    "PKG-INFO": "Metadata-Version: 2.1\nName: spam\nVersion: 1.0\nClassifier: License :: OSI Approved :: MIT License\n",
    "setup.py": "from setuptools import Extension, setup\nsetup(ext_modules=[Extension('spam._fast', ['fast.c'])])\n",
    "spam/__init__.py": "from spam._fast import fast\n",
    "tests/test_spam.py": "import spam\ndef test_fast():\n    assert spam.fast(1) == 2\n",
}
C = {"fast.c": 'static PyMethodDef methods[] = {{"fast", fast, METH_O, ""}};\n'}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "recipes").mkdir()
    recipes = RecipeSet(tmp_path, SOURCE_KINDS)
    return Run(layout=Layout(tmp_path / "cache"), recipes=recipes, reporter=Reporter())


def offer(index: IndexServer, files: dict[str, str], name: str = "spam-1.0.tar.gz") -> None:
    entries = [file_entry(f"spam-1.0/{path}", text.encode()) for path, text in files.items()]
    index.add(name, tar_bytes(entries))


def test_proposal_has_what_the_sdist_tells(index: IndexServer, run: Run, tmp_path: Path) -> None:
    offer(index, FILES | C)
    index.add("spam-1.0-cp313-cp313-linux_riscv64.whl", b"")
    new = propose("Spam", None, run)
    assert (new.backend, new.languages, new.licence) == ("setuptools.build_meta:__legacy__", ("C",), "MIT License")
    assert new.riscv64_wheels == 1
    assert new.proposal.extensions == ("spam._fast",)
    new.proposal.write(tmp_path / "recipes/spam")
    recipe = load_recipe(tmp_path / "recipes/spam")
    assert (recipe.name, recipe.version, recipe.source.sha256) == ("spam", "1.0", index.hashes["spam-1.0.tar.gz"])
    assert "assert spam.fast(1) == 2" in (tmp_path / "recipes/spam/smoke.py").read_text()
    text = "\n".join(describe(new, "recipes/spam"))
    assert "check: test_fast of tests/test_spam.py" in text


def test_project_without_tests_is_told_plainly(index: IndexServer, run: Run) -> None:
    offer(index, {name: text for name, text in FILES.items() if "test" not in name} | C)
    new = propose("spam", "1.0", run)
    assert "smoke.py fails until" in "\n".join(describe(new, "recipes/spam"))
    assert "raise SystemExit" in new.proposal.script_text()


def test_tests_that_need_an_extra_are_left_out(index: IndexServer, run: Run) -> None:
    """A check installs the package without extras."""
    needed = "Requires-Dist: eggs\nRequires-Dist: pytest; extra == 'tests'\nRequires-Dist: ham; python_version < '3'\n"
    test = "import spam\nimport {0}\ndef test_{0}():\n    assert spam.fast({0}.one) == 2\n"
    tests = {f"tests/test_{name}.py": test.format(name) for name in ("eggs", "ham", "pytest")}
    offer(index, FILES | C | tests | {"PKG-INFO": FILES["PKG-INFO"] + needed})
    found = propose("spam", None, run).proposal.excerpts
    assert {each.file for each in found} == {"tests/test_spam.py", "tests/test_eggs.py"}


def test_sdist_of_another_project_is_refused(index: IndexServer, run: Run) -> None:
    offer(index, FILES | C | {"PKG-INFO": "Metadata-Version: 2.1\nName: eggs\nVersion: 1.0\n"})
    with pytest.raises(SourceError, match="eggs"):
        propose("spam", None, run)


def test_crates_of_setup_py_need_rust(index: IndexServer, run: Run) -> None:
    offer(index, FILES | {"Cargo.toml": "[package]", "src/lib.rs": "fn fast() {}"})
    assert tomllib.loads(propose("spam", None, run).proposal.recipe_text())["build"] == {"rust": True}


def test_crates_elsewhere_in_the_source_need_none(index: IndexServer, run: Run) -> None:
    offer(index, FILES | C | {"vendor/x/Cargo.toml": "[package]", "vendor/x/lib.rs": "fn fast() {}"})
    assert "rust" not in propose("spam", None, run).proposal.recipe_text()


def test_pure_project_is_refused(index: IndexServer, run: Run) -> None:
    offer(index, FILES)
    with pytest.raises(SourceError, match=r"spam 1\.0: pure Python"):
        propose("spam", None, run)


def test_project_with_pure_wheels_only_is_refused(index: IndexServer, run: Run) -> None:
    offer(index, FILES | C)
    index.add("spam-1.0-py3-none-any.whl", b"")
    with pytest.raises(SourceError, match=r"spam 1\.0: pure Python"):
        propose("spam", None, run)


def test_unsafe_sdist_is_refused(index: IndexServer, run: Run, tmp_path: Path) -> None:
    link = special_entry("spam-1.0/out", b"2", "../../../outside")
    index.add("spam-1.0.tar.gz", tar_bytes([file_entry("spam-1.0/setup.py"), link]))
    with pytest.raises(SourceError, match="spam-1"):
        propose("spam", None, run)
    assert not (tmp_path / "recipes/spam").exists()


def test_project_with_a_recipe_is_refused(index: IndexServer, run: Run, tmp_path: Path) -> None:
    Proposal(name="spam", version="1.0", sha256="0" * 64, modules=("spam",)).write(tmp_path / "recipes/spam")
    with pytest.raises(RecipeError, match="spam has a recipe") as caught:
        propose("SPAM", None, run)
    assert caught.value.hint == "run: factory build spam"


def test_folder_without_recipe_is_not_overwritten(index: IndexServer, run: Run, tmp_path: Path) -> None:
    (tmp_path / "recipes/spam").mkdir()
    with pytest.raises(RecipeError, match="exists, without a recipe"):
        propose("spam", None, run)


@pytest.mark.parametrize(
    ("text", "expected"), [("spam", ("spam", None)), ("Spam.eggs==1.0rc1", ("Spam.eggs", "1.0rc1"))]
)
def test_project_is_parsed(text: str, expected: tuple[str, str | None]) -> None:
    assert parse_project(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "spam==", "spam>=1", "spam==x", "../spam", "spam[fast]", "spam @ https://example.org/x", "x" * 300],
)
def test_other_words_are_no_project(text: str) -> None:
    with pytest.raises(RecipeError, match="not a project of the package index"):
        parse_project(text)


def test_failure_changes_the_proposal_once(run: Run) -> None:
    shown: list[str] = []
    proposal = Proposal(name="spam", version="1.0", sha256="0" * 64, modules=("spam",))
    change = RecipeChange(key="build.requires", value="cmake")
    better = changed(proposal, (change,), run, shown.append)
    assert better.requires == ("cmake",)
    assert changed(better, (change,), run, shown.append) == better
    assert shown == ["change: build.requires: cmake"]


SURVEYED = Proposal(
    name="spam",
    version="1.0",
    sha256="0" * 64,
    modules=("spam",),
    excerpts=(Excerpt("a.py", "", {"test_a": "test_a", "test_b": "test_b"}),),
)


def test_survey_names_good_tests() -> None:
    assert good_tests({"facts": {"good": [["test_b", "other"]]}}, SURVEYED) == [["test_b"]]


@pytest.mark.parametrize("facts", [{}, {"facts": 1}, {"facts": {"good": []}}, {"facts": {"good": [1]}}, {"facts": []}])
def test_spoiled_survey_is_refused(facts: dict[str, object]) -> None:
    with pytest.raises(CheckFailed, match=r"spam 1\.0: the survey"):
        good_tests(facts, SURVEYED)


@pytest.mark.environment
def test_new_recipe_is_tried_and_passes(fresh_cache: Path, tmp_path: Path) -> None:
    """A real project, whose tests are partly in Python alone: the trial drops these."""
    checkout = Checkout(root=tmp_path / "project", cache=fresh_cache)
    for name in ("recipes", "index"):
        (checkout.root / name).mkdir(parents=True)
    finished = checkout.factory("new", "markupsafe==3.0.4", "--try")
    assert finished.returncode == 0, finished.stderr
    assert "change: smoke.py: test_" in finished.stderr
    assert re.search(r"tests passed: \d+; they called _escape_inner", finished.stderr)
    assert "markupsafe-3.0.4-cp313-cp313-manylinux_2_" in finished.stdout
    assert "a recipe" in checkout.factory("new", "MarkupSafe").stderr
