"""Wheels of one store that several project folders use."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from factory.cli.main import main
from factory.cli.own_wheels import OwnRecipes, own_wheels
from factory.model.artifacts import AppliedPatch, RepairedWheel
from factory.publish.ledger import Ledger
from factory.recipes.loader import recipe_projects
from factory.store.store import Store
from factory.util.atomic_files import sha256_of, write_if_changed
from tests.support.records import record
from tests.support.wheelmaker import make_wheel, release_of

RECIPE = '[package]\nname = "{name}"\nversion = "{version}"\n'


class Project:
    """A project folder whose builds are in a store that others use too."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store = folder, store

    def recipe(self, name: str, version: str = "1.0", *, comment: str = "") -> None:
        text = comment + RECIPE.format(name=name, version=version)
        write_if_changed(self.folder / "recipes" / name / "recipe.toml", text.encode())

    def patch(self, name: str, text: str) -> None:
        write_if_changed(self.folder / "patches" / name / "1.0/0001-change.patch", text.encode())

    def build(self, name: str, version: str = "1.0") -> str:
        """Store a wheel as a build of the recipe does; return its sha256."""
        path = make_wheel(self.folder / f"made-{version}", name, version, code=f"MADE = {str(self.folder)!r}\n")
        recipe = sha256_of(self.folder / "recipes" / name / "recipe.toml")
        files = sorted((self.folder / "patches" / name / version).glob("*"))
        patches = tuple(AppliedPatch(name=each.name, sha256=sha256_of(each), upstream_status="") for each in files)
        number = len(self.store.records())
        made = replace(
            record(
                hashlib.sha256(f"{number}".encode()).hexdigest(), finished=f"2026-01-{number + 1:02}T00:00:00+00:00"
            ),
            name=name,
            version=version,
            recipe_sha256=recipe,
            patches=patches,
        )
        wheel = RepairedWheel(path=path, sha256=sha256_of(path), platform_tags=("any",))
        return self.store.add(made, wheel).wheel_sha256

    def wheels(self) -> list[str]:
        """Return the sha256 of those that this project's index would publish."""
        projects, _ = recipe_projects(self.folder / "recipes")
        own, _ = own_wheels(
            self.store, OwnRecipes(projects, self.folder / "patches"), Ledger(self.folder / "index/ledger")
        )
        return [each.sha256 for each in own]


@pytest.fixture
def projects(tmp_path: Path) -> tuple[Project, Project]:
    store = Store(tmp_path / "cache/store")
    made = Project(tmp_path / "ours", store), Project(tmp_path / "theirs", store)
    for each in made:
        each.recipe("demo")
    return made


def test_build_of_another_text_is_not_taken_for_ours(projects: tuple[Project, Project]) -> None:
    ours, theirs = projects
    theirs.recipe("demo", comment="# with other options\n")
    built = ours.build("demo")
    other = theirs.build("demo")
    assert (ours.wheels(), theirs.wheels()) == ([built], [other])


def test_build_with_other_patches_is_not_taken_for_ours(projects: tuple[Project, Project]) -> None:
    ours, theirs = projects
    theirs.patch("demo", "theirs")
    other = theirs.build("demo")
    assert (ours.wheels(), theirs.wheels()) == ([], [other])
    ours.patch("demo", "ours")
    assert ours.wheels() == []
    built = ours.build("demo")
    assert (ours.wheels(), theirs.wheels()) == ([built], [other])


def test_build_of_another_version_is_not_taken_for_ours(projects: tuple[Project, Project]) -> None:
    ours, theirs = projects
    theirs.recipe("demo", "2.0")
    theirs.recipe("further")
    built, other, further = ours.build("demo"), theirs.build("demo", "2.0"), theirs.build("further")
    assert (ours.wheels(), theirs.wheels()) == ([built], [other, further])


def test_build_of_a_shared_recipe_is_ours(projects: tuple[Project, Project]) -> None:
    ours, theirs = projects
    built = theirs.build("demo")
    assert ours.wheels() == [built]


def test_comment_in_the_recipe_keeps_its_build(projects: tuple[Project, Project]) -> None:
    ours, _ = projects
    built = ours.build("demo")
    ours.recipe("demo", comment="# a remark\n")
    assert ours.wheels() == [built]


def test_published_version_stays_after_a_bump(projects: tuple[Project, Project]) -> None:
    ours, _ = projects
    old = ours.build("demo")
    Ledger(ours.folder / "index/ledger").add(release_of(next(ours.folder.glob("made-1.0/*.whl"))))
    ours.recipe("demo", "2.0")
    assert ours.wheels() == [old]


@pytest.mark.usefixtures("upstream")
def test_index_notes_what_it_does_not_publish(
    projects: tuple[Project, Project], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = projects
    theirs.recipe("demo", "2.0")
    theirs.recipe("further")
    for name, version in (("demo", "2.0"), ("further", "1.0")):
        theirs.build(name, version)
    ours.build("demo")
    monkeypatch.setenv("FACTORY_CACHE", str(ours.folder.parent / "cache"))
    out = ours.folder / "out"
    (ours.folder / "recipes/draft").mkdir()
    (ours.folder / "recipes/draft/recipe.toml").write_text("[package\n")
    assert main(["index", "--project", str(ours.folder), "--output", str(out), "--json"]) == 0
    shown = capsys.readouterr()
    notes = shown.err
    assert "factory: recipe left out: " in notes
    lines = [line for line in notes.splitlines() if line.startswith("factory: ")]
    assert [f"factory: {note}" for note in json.loads(shown.out)["notes"]] == lines
    assert "factory: not published, since no recipe here makes them: further\n" in notes
    assert "another version of the recipe or of its patches made them: demo 2.0\n" in notes
    assert [path.name for path in (out / "files").glob("*.whl")] == ["demo-1.0-py3-none-any.whl"]
