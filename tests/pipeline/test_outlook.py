"""Outlooks of jobs: stored, or to be built with the reasons."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import LayerMissing
from factory.model.artifacts import AppliedPatch, PackagePin, RepairedWheel
from factory.model.job import Job
from factory.model.recipe import Recipe
from factory.model.record import BuildFailure, BuildRecord
from factory.pipeline.content_key import BUILD_LOGIC
from factory.pipeline.job import PreparedJob, Records
from factory.pipeline.key_changes import changed_since
from factory.pipeline.outlook import Forecast, Outlook
from factory.recipes.loader import load_recipe
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from tests.support.jobs import PINS, job_of, prepared
from tests.support.projects import CALLS, PATCH, add_patch, make_project
from tests.support.recipes import SMALLEST, write
from tests.support.records import record

NEWER = PackagePin(name="libc6", version="2.41-2", architecture="riscv64")


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return make_project(tmp_path).find("spam")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def add(
    store: Store, made: PreparedJob, *, content: str = "wheel", finished: int = 1, older: bool = True
) -> BuildRecord:
    """Store the build of a prepared job; records of older factories lack the parts of their key."""
    job, recipe = made.job, made.job.recipe
    path = store.root.parent / f"{recipe.name}-{recipe.version}-py3-none-any.whl"
    path.write_text(content)
    entry = replace(
        record(key=made.key, finished=f"2026-01-0{finished}T00:00:00+00:00"),
        name=recipe.name,
        version=recipe.version,
        recipe_sha256=recipe.file_sha256,
        source_sha256=recipe.source.sha256,
        patches=tuple(AppliedPatch(name=p.name, sha256=sha256_of(p), upstream_status="") for p in made.patches),
        environment_key=made.environment.root.key,
        environment=made.environment.root.lock(),
        target=made.config.target,
        built_with=job.toolchain,
        checks=tuple(replace(record().checks[0], profile=profile) for profile in recipe.check.profiles),
        key_parts={} if older else made.key_parts.recorded,
    )
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    return store.add(entry, RepairedWheel(path=path, sha256=sha256, platform_tags=()))


def outlook(store: Store, made: PreparedJob, *, serving: BuildRecord | None = None) -> Outlook:
    forecast = Forecast(prepare=lambda _job, _records: made, serving=lambda _job, _records: serving, store=store)
    (found,) = forecast.outlooks([made.job])
    assert found.key == made.key
    return found


def test_outlook_stored_job_is_built(recipe: Recipe, store: Store) -> None:
    made = prepared(job_of(recipe))
    entry = add(store, made)
    found = outlook(store, made)
    assert (found.record, found.reasons) == (entry, ())


def test_outlook_unknown_job_was_not_built(recipe: Recipe, store: Store) -> None:
    assert outlook(store, prepared(job_of(recipe))).reasons == ("it was not built yet",)


def test_outlook_names_stage_of_last_failure(recipe: Recipe, store: Store) -> None:
    failure = BuildFailure(name="spam", version="1.0", python="3.13", stage="audit", finished="", message="")
    store.add_failure(failure)
    (reason,) = outlook(store, prepared(job_of(recipe))).reasons
    assert "the stage audit failed" in reason


def test_outlook_wheel_of_other_python_is_only_checked(recipe: Recipe, store: Store) -> None:
    made = prepared(replace(job_of(recipe), python="3.14"))
    found = outlook(store, made, serving=record())
    assert (found.task, found.reasons) == ("to check", ("the wheel for Python 3.13 serves it",))
    add(store, prepared(made.job, pins=(NEWER,)))
    assert outlook(store, made, serving=record()).only_checked


def test_outlook_root_of_other_python_may_be_missing(recipe: Recipe, store: Store) -> None:
    made = prepared(job_of(recipe))

    def serving(_job: Job, _records: object) -> BuildRecord | None:
        raise LayerMissing("native layer")

    (found,) = Forecast(prepare=lambda *_: made, serving=serving, store=store).outlooks([made.job])
    assert found.reasons == ("it was not built yet",)


def test_outlook_changed_environment_names_packages(recipe: Recipe, store: Store) -> None:
    add(store, prepared(job_of(recipe)))
    (reason,) = outlook(store, prepared(job_of(recipe), pins=(NEWER,))).reasons
    assert "libc6 2.41-1 (riscv64) was there, libc6 2.41-2 (riscv64) is new" in reason


def test_outlook_new_patch_is_the_only_reason(tmp_path: Path, recipe: Recipe, store: Store) -> None:
    add(store, prepared(job_of(recipe)))
    patch = add_patch(tmp_path, PATCH)
    (reason,) = outlook(store, prepared(job_of(recipe), patches=(patch,))).reasons
    assert "0001-say-eggs.patch is new" in reason


def test_outlook_changed_and_removed_patches_are_named(tmp_path: Path, recipe: Recipe, store: Store) -> None:
    first, second = add_patch(tmp_path, PATCH), add_patch(tmp_path, PATCH, "0002-gone.patch")
    add(store, prepared(job_of(recipe), patches=(first, second)))
    first.write_text(PATCH.replace("eggs", "beans"))
    (reason,) = outlook(store, prepared(job_of(recipe), patches=(first,))).reasons
    assert "0002-gone.patch was removed" in reason
    assert "0001-say-eggs.patch differs" in reason


def test_outlook_rebuilt_dependency_is_the_only_reason(tmp_path: Path, recipe: Recipe, store: Store) -> None:
    """A comment in the recipe changes no key, so it is no reason."""
    eggs = load_recipe(write(tmp_path / "recipes", SMALLEST.replace("spam", "eggs"), "eggs"), SOURCE_KINDS)
    old = add(store, prepared(job_of(eggs)), content="old")
    new = add(store, prepared(job_of(eggs), pins=(NEWER,)), content="new", finished=2)
    add(store, prepared(job_of(recipe), wheels={"eggs": old.wheel_sha256}))
    commented = replace(recipe, file_sha256="other")
    found = outlook(store, prepared(job_of(commented), wheels={"eggs": new.wheel_sha256}))
    assert found.reasons == ("eggs was built again",)


def test_outlook_compares_with_most_similar_build(recipe: Recipe, store: Store) -> None:
    add(store, prepared(job_of(recipe)))
    add(store, prepared(job_of(replace(recipe, version="0.9", file_sha256="older"))), finished=2)
    (reason,) = outlook(store, prepared(job_of(recipe), pins=(*PINS, NEWER))).reasons
    assert "libc6 2.41-2 (riscv64) is new" in reason


def test_outlook_changed_recipe_and_version_are_named(recipe: Recipe, store: Store) -> None:
    add(store, prepared(job_of(replace(recipe, version="0.9", file_sha256="older"))))
    reasons = outlook(store, prepared(job_of(recipe))).reasons
    assert [each.split()[1] for each in reasons] == ["version", "recipe.toml"]


def test_outlook_changed_script_is_told_as_unrecorded(tmp_path: Path, recipe: Recipe, store: Store) -> None:
    add(store, prepared(job_of(recipe)))
    (tmp_path / "recipes/spam/smoke.py").write_text(CALLS + "print(1)\n")
    (reason,) = outlook(store, prepared(job_of(recipe))).reasons
    assert "the check's script" in reason


def test_outlook_earlier_build_logic_is_the_only_reason(recipe: Recipe, store: Store) -> None:
    add(store, prepared(job_of(recipe), build_logic=BUILD_LOGIC - 1))
    (reason,) = outlook(store, prepared(job_of(recipe))).reasons
    assert reason == "the factory's build logic has changed"


def test_outlook_names_each_recorded_change(tmp_path: Path, recipe: Recipe, store: Store) -> None:
    """The package's own files come first, then what it builds upon, then the factory."""
    changed, gone = add_patch(tmp_path, PATCH), add_patch(tmp_path, PATCH, "0002-gone.patch")
    then = prepared(
        job_of(recipe),
        patches=(changed, gone),
        wheels={"eggs": "1" * 64},
        inputs={"source": "a", "program patchelf": "patchelf 0.17"},
        build_logic=BUILD_LOGIC - 1,
    )
    add(store, then, older=False)
    changed.write_text(PATCH.replace("eggs", "beans"))
    (tmp_path / "recipes/spam/smoke.py").write_text(CALLS + "print(1)\n")
    build = replace(recipe.build, rust=True, apt=("zlib1g-dev", "libjpeg-dev", "libopenjp2-7-dev"))
    now = prepared(
        job_of(replace(recipe, build=build, file_sha256="other")),
        pins=(NEWER,),
        patches=(changed,),
        wheels={"eggs": "2" * 64},
        inputs={"source": "b", "program patchelf": "patchelf 0.18"},
    )
    assert outlook(store, now).reasons == (
        "build.apt in recipe.toml is new",
        "build.rust in recipe.toml was not set, is true",
        "its source has changed",
        "its patches have changed: 0002-gone.patch was removed, 0001-say-eggs.patch differs",
        "its check's smoke.py has changed",
        "eggs was built again",
        "the environment has changed: libc6 2.41-1 (riscv64) was there, libc6 2.41-2 (riscv64) is new",
        "patchelf was 0.17, is 0.18",
        f"the factory's build logic has changed: version {BUILD_LOGIC - 1} was used, now {BUILD_LOGIC}",
    )


def test_outlook_new_version_needs_no_word_on_its_source(recipe: Recipe, store: Store) -> None:
    older = replace(recipe, version="0.9", source=replace(recipe.source, version="0.9"), file_sha256="older")
    add(store, prepared(job_of(older), inputs={"source": "a"}), older=False)
    assert outlook(store, prepared(job_of(recipe), inputs={"source": "b"})).reasons == ("the version was 0.9, is 1.0",)


def test_outlook_prefers_records_with_the_parts_of_their_key(tmp_path: Path, recipe: Recipe, store: Store) -> None:
    add(store, prepared(job_of(recipe), pins=(NEWER,)), older=False)
    script = tmp_path / "recipes/spam/smoke.py"
    script.write_text(CALLS + "print(1)\n")
    add(store, prepared(job_of(recipe)), finished=2)
    script.write_text(CALLS + "print(2)\n")
    assert outlook(store, prepared(job_of(recipe), pins=(NEWER,))).reasons == ("its check's smoke.py has changed",)


def test_outlook_waits_for_dependency_and_root(recipe: Recipe, store: Store) -> None:
    needing = job_of(replace(recipe, name="eggs"), build_needs=frozenset({"spam"}))

    def prepare(job: Job, _records: object) -> PreparedJob:
        raise LayerMissing("apt layer")

    def outlooks(jobs: Sequence[Job]) -> list[Outlook]:
        return Forecast(prepare=prepare, serving=lambda *_: None, store=store).outlooks(jobs)

    spam, eggs = outlooks([job_of(recipe), needing])
    assert (spam.key, spam.task, spam.reasons) == ("", "to build", ("apt layer: not made yet",))
    assert (spam.missing_layer, eggs.missing_layer) == ("apt layer", "")
    assert (eggs.key, eggs.reasons) == ("", ("spam is built before",))
    add(store, prepared(job_of(recipe)))
    (spam, eggs) = outlooks([job_of(recipe), needing])
    assert (spam.task, eggs.task) == ("perhaps to build", "to build")
    assert eggs.reasons == ("spam is built before", "apt layer: not made yet")


def test_outlook_of_rebuilt_need_depends_on_its_wheel(tmp_path: Path, recipe: Recipe, store: Store) -> None:
    """A check's script is in the key, but a wheel of the same bytes changes no other key."""
    spam, eggs = job_of(recipe), job_of(replace(recipe, name="eggs"), build_needs=frozenset({"spam"}))
    wheel = add(store, prepared(spam, pins=(NEWER,))).wheel_sha256

    def prepare(job: Job, records: Records) -> PreparedJob:
        needed = {str(name): records[name, job.python, ""].wheel_sha256 for name in job.build_needs}
        return prepared(job, wheels=needed)

    def outlook_of_eggs() -> Outlook:
        return Forecast(prepare=prepare, serving=lambda *_: None, store=store).outlooks([spam, eggs])[1]

    assert (outlook_of_eggs().task, outlook_of_eggs().reasons) == (
        "to build",
        ("it was not built yet", "spam is built before"),
    )
    add(store, prepared(eggs, wheels={"spam": wheel}), content="eggs")
    assert (outlook_of_eggs().task, outlook_of_eggs().reasons) == (
        "perhaps to build",
        ("spam is built before, and this only if its wheel differs",),
    )


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    environment = {**os.environ, "GIT_COMMITTER_DATE": "2025-12-31T00:00:00Z"}
    subprocess.run(["git", "-C", folder, *identity, *arguments], env=environment, check=True, capture_output=True)


def test_outlook_names_files_that_changed_in_git(tmp_path: Path, recipe: Recipe, store: Store) -> None:
    git(tmp_path, "init")
    git(tmp_path, "add", "recipes")
    git(tmp_path, "commit", "-m", "x")
    add(store, prepared(job_of(recipe)))
    (tmp_path / "recipes/spam/smoke.py").write_text(CALLS + "print(1)\n")
    (tmp_path / "recipes/spam/recipe.toml").write_text(SMALLEST + "# a comment\n")
    (reason,) = outlook(store, prepared(job_of(recipe))).reasons
    assert reason.endswith(": recipes/spam/smoke.py")


def test_changed_since_knows_nothing_before_the_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "x").write_text("x")
    git(tmp_path, "add", "x")
    git(tmp_path, "commit", "-m", "x")
    (tmp_path / "x").write_text("y")
    assert changed_since(tmp_path, "2026-01-01T00:00:00+00:00", [tmp_path / "x"]) == ["x"]
    assert changed_since(tmp_path, "2025-01-01T00:00:00+00:00", [tmp_path / "x"]) == []
    assert changed_since(tmp_path, "2026-01-01T00:00:00+00:00", []) == []


def test_changed_since_keeps_names_with_spaces(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "sm\u00f6ke it.py").write_text("x")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "x")
    (tmp_path / "sm\u00f6ke it.py").write_text("y")
    assert changed_since(tmp_path, "2026-01-01T00:00:00+00:00", [tmp_path]) == ["sm\u00f6ke it.py"]
