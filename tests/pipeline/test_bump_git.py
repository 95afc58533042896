"""Bumps of sources at addresses: newer tags of git, and what cannot be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.cli.console import Reporter
from factory.pipeline.bump import apply_bump, find_bump, obstacle
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.versions import TagForm, parse_version
from factory.util.paths import Layout
from tests.support.git_repositories import GitRepository, make_repository
from tests.support.logs import MemoryLog
from tests.support.projects import PATCH, make_project
from tests.support.recipes import SHA256, SMALLEST

PYPROJECT = '[build-system]\nrequires = ["flit_core{more}"]\n[project]\nname = "spam"\ndynamic = ["version"]\n'


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    """Return a repository with the annotated tags v1.0, v1.2, v1.10 and v2.0rc1, and others."""
    made = make_repository(tmp_path / "spam")
    for version in ("1.0", "1.2", "1.10", "2.0rc1"):
        more = "" if version == "1.0" else ">=4"
        made.commit({"pyproject.toml": PYPROJECT.format(more=more), "spam.py": 'WORD = "ham"\n', "version": version})
        made.git("tag", "--annotate", "--message=x", f"v{version}")
    for other in ("nightly/v3.0", "v9-of-something", "9.0", "v", "v1!5.0"):
        made.git("tag", other)
    return made


def run_of(root: Path, repository: GitRepository, more: str = "", patch: str = "") -> Run:
    """Return a run with a recipe of the commit v1.0."""
    pins = f'url = "{repository.url}"\ncommit = "{repository.git("rev-parse", "v1.0^{}")}" # pinned\n{more}'
    text = SMALLEST.partition("[source]")[0] + f'[source]\nkind = "git"\n{pins}'
    recipes = make_project(root / "project", text, patch=patch)
    return Run(layout=Layout(root / "cache"), recipes=recipes, reporter=Reporter())


def test_bump_pins_the_newest_tag(repository: GitRepository, tmp_path: Path) -> None:
    run = run_of(tmp_path, repository, 'tag = "v1.0"\n', PATCH)
    recipe = run.recipes.find("spam")
    found = find_bump(recipe, run, MemoryLog())
    assert found is not None
    assert found.changes == ("build requirement flit-core: flit_core -> flit_core>=4",)
    assert [fit.reason for fit in found.patches] == [""]
    apply_bump(found, run)
    commit = repository.git("rev-parse", "v1.10^{}")
    text = (recipe.directory / "recipe.toml").read_text()
    assert f'commit = "{commit}" # pinned\ntag = "v1.10"\n' in text
    assert "sha256" not in text
    again = RecipeSet(run.recipes.folder, run.recipes.kinds).find("spam")
    assert (again.version, again.source.version) == ("1.10", "1.10")
    assert find_bump(again, run, MemoryLog()) is None
    assert (run.recipes.folder / "patches/spam/1.10/0001-say-eggs.patch").is_file()


def test_bump_pins_the_hash_of_the_newer_tree(repository: GitRepository, tmp_path: Path) -> None:
    run = run_of(tmp_path, repository, f'tag = "v1.0"\nsha256 = "{SHA256}"\n')
    found = find_bump(run.recipes.find("spam"), run, MemoryLog())
    assert found is not None
    assert found.pins().keys() == {"commit", "tag", "sha256"}
    assert found.source.sha256 not in ("", SHA256)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("", "has no source.tag, by which newer versions are found: bump it by hand"),
        ('tag = "release"\n', "its tag release does not end with the version, so newer tags cannot be told"),
        ('tag = "v1.1"\n', "its tag v1.1 does not end with the version"),
    ],
)
def test_bump_says_why_newer_tags_cannot_be_told(
    more: str, words: str, repository: GitRepository, tmp_path: Path
) -> None:
    assert words in obstacle(run_of(tmp_path, repository, more).recipes.find("spam"))


def test_bump_of_an_archive_at_an_address_is_by_hand(tmp_path: Path) -> None:
    text = SMALLEST.replace("pypi", "url") + 'urls = ["https://example.org/spam-1.0.zip"]\n'
    found = obstacle(make_project(tmp_path, text).find("spam"))
    assert found == "its archive is at an address, which lists no versions: bump it by hand"


@pytest.mark.parametrize(
    ("tag", "version", "form"),
    [
        ("v1.0", "1.0", ("v", ".")),
        ("1.0", "1.0", ("", ".")),
        ("v2.14.0", "2.14", ("v", ".")),
        ("release_1_2_3", "1.2.3", ("release_", "_")),
        ("spam-1-2", "1.2", ("spam-", "-")),
        ("spam2-1.0", "1.0", ("spam2-", ".")),
        ("v2.1.0", "1.0", None),
        ("py3-v1.0", "1.0", ("py3-v", ".")),
        ("v1.0rc1", "1.0rc1", ("v", ".")),
        ("v1.0-final", "1.0", None),
        ("v1.1", "1.0", None),
        ("v", "1.0", None),
    ],
)
def test_form_of_tags_is_found(tag: str, version: str, form: tuple[str, str] | None) -> None:
    found = TagForm.of(tag, version)
    assert found == (None if form is None else TagForm(*form))


def test_form_takes_tags_of_the_same_form_only() -> None:
    form = TagForm("v", ".")
    assert form.version_of("v1.10") == parse_version("1.10")
    assert [form.version_of(tag) for tag in ("1.10", "vv1", "xv1", "v1.x", "v")] == [None] * 5
