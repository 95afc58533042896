"""Our own QEMU: what is said before it is built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from factory.cli.console import Reporter
from factory.errors import PatchError, PrerequisiteMissing
from factory.model.target import ALL_PROFILES, OWN_PROFILES, PROFILES, needs_own_qemu
from factory.pipeline.own_qemu import SOURCE, with_own_qemu
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.environments.base import Root
from factory.stages.sources import patches
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.util.paths import Layout

ROOT = Root(layers=(), variables={})
PROJECT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(layout=Layout(tmp_path / "cache"), recipes=RecipeSet(tmp_path, SOURCE_KINDS), reporter=Reporter())


def test_only_own_profiles_need_our_qemu(run: Run) -> None:
    needing = {name for name, profile in ALL_PROFILES.items() if needs_own_qemu(profile.qemu_cpu)}
    assert needing == OWN_PROFILES.keys()
    assert with_own_qemu(ROOT, PROFILES, run) is ROOT
    assert not run.layout.layers.exists()


def test_project_without_the_patch_is_told_which(run: Run) -> None:
    folder = run.recipes.patches / "qemu" / SOURCE.version
    with pytest.raises(PatchError) as caught:
        with_own_qemu(ROOT, ["rv64gc", "k1-ime"], run)
    assert caught.value.message == f"profile k1-ime: {folder}: no patch of QEMU"


def test_docker_is_refused(run: Run) -> None:
    docker = run.with_config(replace(run.config, environment="docker"))
    with pytest.raises(PrerequisiteMissing, match="--environment docker: profile k1-ime needs a QEMU of its own"):
        with_own_qemu(ROOT, ["k1-ime"], docker)


def test_factorys_project_has_one_patch_with_a_status() -> None:
    (patch,) = patches.select(PROJECT / "patches", SOURCE)
    assert patches.read_header(patch).upstream_status == "Pending"
