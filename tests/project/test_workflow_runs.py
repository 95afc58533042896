"""Whole runs of *nightly* and *checks* on this machine.

Their packages build in a minute.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from factory.publish.ledger import Ledger
from factory.publish.release import Built
from factory.util.paths import Layout
from tests.support.checkouts import FACTORY, ROOT
from tests.support.github_server import REPOSITORY, TOKEN, github_served
from tests.support.workflows.runner import SUCCESS, WorkflowRun, default_inputs, local_event

pytestmark = pytest.mark.long


def git(folder: Path, *arguments: str) -> str:
    own = ("-c", "user.name=a", "-c", "user.email=a@example.invalid")
    return subprocess.run(["git", "-C", folder, *own, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Clone this repository's last commit as main, with one more.

    That one changes a recipe that no other needs.
    """
    root = tmp_path / "repository"
    git(tmp_path, "clone", "--quiet", str(ROOT), str(root))
    git(root, "checkout", "--quiet", "-B", "main")
    smoke = root / "recipes/kiwisolver/smoke.py"
    smoke.write_text(f"{smoke.read_text()}# Changed.\n")
    git(root, "commit", "--quiet", "--all", "--message=change")
    # Pushes go here.
    git(root, "config", "receive.denyCurrentBranch", "updateInstead")
    return root


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tools") / "nox"


@pytest.fixture
def run(
    repository: Path, tmp_path: Path, tools: Path, layout: Layout, hybrid: object, clean_root: object
) -> WorkflowRun:
    """Return a run whose cache has the roots of this machine.

    It has the metadata of the recipes' sources too.
    """
    made = WorkflowRun(
        repository=repository, folder=tmp_path / "run", tools=tools, event=local_event(TOKEN, repository=REPOSITORY)
    )
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "layers").symlink_to(layout.layers)
    layout.metadata.mkdir(exist_ok=True)
    (cache / "metadata").symlink_to(layout.metadata)
    kept = tmp_path / "run/storage/caches/factory-X64-before"
    kept.mkdir(parents=True)
    command = [*FACTORY, "cache", "export", "--layers", str(kept / "factory-cache.tar.zst")]
    subprocess.run(command, check=True, env={**os.environ, "FACTORY_CACHE": str(cache)}, cwd=ROOT)
    return made


def test_nightly_publishes_what_it_built(
    run: WorkflowRun, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with github_served() as hub:
        monkeypatch.setenv("GITHUB_API_URL", hub.url)
        inputs = {**default_inputs(repository, "nightly"), "packages": "msgspec"}
        result = run.run("nightly", inputs)
        assert hub.violations == []
    assert result == SUCCESS, run.results
    wheels = {name for files in map(hub.names, hub.releases) for name in files if name.endswith(".whl")}
    assert {wheel.split("-")[2] for wheel in wheels} == {"cp313", "cp314"}
    git(repository, "reset", "--quiet", "--hard")
    built = [each for each in Ledger(repository / "index/ledger").read() if isinstance(each.origin, Built)]
    assert {each.filename for each in built} == wheels
    assert all(str(each.url).startswith(hub.url) for each in built)
    pages = run.folder / "storage/pages"
    assert all(wheel in (pages / "simple/msgspec/index.html").read_text() for wheel in wheels)
    assert hub.issues == {}
    assert "index: add releases" in git(repository, "log", "-1", "--format=%s")
    assert git(repository, "show", "--name-only", "--format=").count("index/ledger/") > 0


def test_checks_build_what_a_change_touches(run: WorkflowRun, repository: Path) -> None:
    run.without = frozenset({"tests", "demo"})
    assert run.run("checks", default_inputs(repository, "checks")) == SUCCESS, run.results
    artifacts = run.folder / "storage/artifacts"
    plan = json.loads((artifacts / "plan/plan.json").read_text())
    assert {build["name"] for wave in plan["waves"] for group in wave for build in group["builds"]} == {"kiwisolver"}
    assert "kiwisolver" in (artifacts / "preview/simple/kiwisolver/index.html").read_text()
