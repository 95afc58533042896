"""Fleets: real builds by a real scheduler and workers, some of which end too early."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from factory.errors import BuildFailed, FactoryError, RecipeError, SourceError
from factory.pipeline.fleet.worker import Order, build_order
from factory.store.store import Store
from factory.util.paths import Layout
from tests.support.checkouts import (
    ONE_PROFILE,
    PACKAGES,
    SUMS,
    Checkout,
    add_recipe,
    copy_package,
    make_cache,
    make_checkout,
)
from tests.support.fleets import Machines, machines
from tests.support.processes import survivors
from tests.support.records import FAILURE
from tests.support.waiting import wait_until

pytestmark = pytest.mark.environment
NUMBER = """
import json, os, stable_c
shown = f"{stable_c.number('6 apples')}"
open(os.environ["FACTORY_RESULT"], "w").write(json.dumps({"shown": shown, "facts": {}}))
"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Machines with one project folder, and caches that share the layers of this machine."""

    folder: Path
    layout: Layout
    machines: Machines

    def machine(self, name: str) -> Checkout:
        """Return the project with a machine's own cache."""
        return Checkout(root=self.folder / "checkout", cache=make_cache(self.folder / name, self.layout))

    def options(self, address: str) -> list[str]:
        return ["--scheduler", address, "--exchange", str(self.folder / "exchange")]


@pytest.fixture
def fleet(tmp_path: Path, layout: Layout, hybrid: object, clean_root: object) -> Iterator[Fleet]:
    packages, root = tmp_path / "packages", tmp_path / "checkout"
    copy_package(packages, "other-c")
    copy_package(packages, "after-c", requires='"setuptools>=77", "vectors-c"')
    for name in ("other-c", "after-c"):
        add_recipe(root, name, more=ONE_PROFILE, smoke=SUMS, packages=packages)
    make_checkout(root, tmp_path, more=ONE_PROFILE)
    with machines(tmp_path) as found:
        yield Fleet(tmp_path, layout, found)


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    """Read what a command reports until it says `text`."""
    assert process.stderr is not None
    shown = ""
    while text not in shown:
        line = process.stderr.readline()
        assert line, shown
        shown += line
    return shown


def test_workers_build_and_results_are_shared(fleet: Fleet) -> None:
    _, address = fleet.machines.scheduler()
    for name in ("one", "two", "three"):
        fleet.machines.worker(address, fleet.machine(name))
    here = fleet.machine("here")
    built = here.factory("build", "--all", *fleet.options(address))
    assert built.returncode == 0, built.stderr
    assert built.stderr.count(": built on ") == 3
    assert built.stderr.index("after-c 1.0: given") > built.stderr.index("vectors-c 1.0: built")
    assert len(list(here.cache.glob("store/wheels/*/*.whl"))) == 3
    assert list(here.cache.glob("logs/after-c-1.0/*/build.log"))
    assert here.factory("build", "--all").stderr.count(": already built, ") == 3
    elsewhere = fleet.machine("elsewhere").factory("build", "after-c", *fleet.options(address))
    assert elsewhere.returncode == 0, elsewhere.stderr
    assert ": given to the fleet" not in elsewhere.stderr


def test_new_worker_gets_indirect_needs(fleet: Fleet) -> None:
    """Its build plans the needs of its needs too, which other workers built."""
    copy_package(fleet.folder / "packages", "last-c", requires='"setuptools>=77", "after-c"')
    add_recipe(fleet.folder / "checkout", "last-c", more=ONE_PROFILE, smoke=SUMS, packages=fleet.folder / "packages")
    _, address = fleet.machines.scheduler()
    first = fleet.machines.worker(address, fleet.machine("first"))
    here = fleet.machine("here")
    assert here.factory("build", "after-c", *fleet.options(address)).returncode == 0
    first.kill()
    fleet.machines.worker(address, fleet.machine("second"))
    last = here.factory("build", "last-c", *fleet.options(address))
    assert last.returncode == 0, last.stderr
    assert last.stderr.count(": built on ") == 1


def test_wheel_for_both_pythons_is_built_once(fleet: Fleet) -> None:
    packages = fleet.folder / "packages"
    shutil.copytree(PACKAGES / "stable-c", packages / "stable-c")
    project = packages / "stable-c/pyproject.toml"
    project.write_text(project.read_text().replace('"setuptools>=77"', '"setuptools>=77", "vectors-c"'))
    add_recipe(fleet.folder / "checkout", "stable-c", more=ONE_PROFILE, smoke=NUMBER, packages=packages)
    _, address = fleet.machines.scheduler()
    for name in ("one", "two"):
        fleet.machines.worker(address, fleet.machine(name))
    both = ("--python", "3.13", "--python", "3.14")
    built = fleet.machine("here").factory("build", "stable-c", *both, *fleet.options(address))
    assert built.returncode == 0, built.stderr
    assert len(list(fleet.folder.glob("exchange/store/wheels/*/stable_c-*.whl"))) == 1


def test_each_toolchain_is_built_by_one_worker(fleet: Fleet) -> None:
    recipe = fleet.folder / "checkout/recipes/vectors-c/recipe.toml"
    recipe.write_text(recipe.read_text() + '[build]\ntoolchains = ["gcc", "clang"]\n')
    _, address = fleet.machines.scheduler()
    workers = [fleet.machine("one"), fleet.machine("two")]
    for each in workers:
        fleet.machines.worker(address, each)
    built = fleet.machine("here").factory("build", "vectors-c", *fleet.options(address))
    assert built.returncode == 0, built.stderr
    assert sum(len(Store(each.cache / "store").records()) for each in workers) == 2


def test_earlier_failure_on_a_worker_is_not_told(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = fleet.machine("worker")
    (machine.root / "recipes/vectors-c/recipe.toml").write_text("nonsense")
    Store(machine.cache / "store").add_failure(replace(FAILURE, name="vectors-c"))
    monkeypatch.setenv("FACTORY_CACHE", str(machine.cache))
    monkeypatch.chdir(machine.root)
    exchange = str(fleet.folder / "exchange")
    answer = build_order(
        Order(name="vectors-c", pythons=("3.13",), key="0" * 64, needs=(), options=(), exchange=exchange)
    )
    assert (answer.status, answer.failure) == (RecipeError.exit_code, None)


def test_unreadable_source_fails_after_all_others(fleet: Fleet) -> None:
    (fleet.folder / "packages/other-c/pyproject.toml").write_text("nonsense")
    here = fleet.machine("here")
    failed = here.factory("build", "--all")
    assert failed.returncode == SourceError.exit_code, failed.stderr
    assert "other-c 1.0: not built: " in failed.stderr
    assert {each.name for each in Store(here.cache / "store").records()} == {"vectors-c", "after-c"}
    assert [path.name for path in here.cache.glob("store/failures/*")] == ["other-c-3.13.json"]


def test_build_of_a_killed_worker_is_done_by_another(fleet: Fleet) -> None:
    _, address = fleet.machines.scheduler()
    killed = fleet.machine("killed")
    worker = fleet.machines.worker(address, killed)
    with fleet.machine("here").start("build", "vectors-c", *fleet.options(address)) as process:
        wait_for(process, "given to the fleet")
        wait_until(lambda: list(killed.cache.glob("jobs/vectors-c-*/steps/*")), process=process)
        worker.kill()
        fleet.machines.worker(address, fleet.machine("other"))
        shown = wait_for(process, ": built on ")
    assert process.returncode == 0, shown
    assert survivors(killed.cache) == []
    assert len(list((fleet.folder / "exchange/store/records").iterdir())) == 1


def test_lost_scheduler_is_told_and_nothing_is_lost(fleet: Fleet) -> None:
    scheduler, address = fleet.machines.scheduler()
    worker = fleet.machine("worker")
    fleet.machines.worker(address, worker)
    here = fleet.machine("here")
    with here.start("build", "after-c", *fleet.options(address)) as process:
        wait_for(process, "vectors-c 1.0: built on ")
        scheduler.kill()
        assert process.stderr is not None
        shown = process.stderr.read()
    assert process.returncode == FactoryError.exit_code, shown
    assert f"{address}: the scheduler is lost" in shown
    _, address = fleet.machines.scheduler()
    fleet.machines.worker(address, worker)
    again = here.factory("build", "after-c", *fleet.options(address))
    assert again.returncode == 0, again.stderr
    assert "vectors-c 1.0: given to the fleet" not in again.stderr


def test_failure_of_a_worker_is_told_as_here(fleet: Fleet) -> None:
    recipe = fleet.folder / "checkout/recipes/vectors-c/recipe.toml"
    recipe.write_text(recipe.read_text().replace('"plain"', '"nonsense"'))
    _, address = fleet.machines.scheduler()
    fleet.machines.worker(address, fleet.machine("worker"))
    here = fleet.machine("here")
    failed = here.factory("build", "after-c", "other-c", *fleet.options(address))
    assert failed.returncode == BuildFailed.exit_code, failed.stderr
    assert "VECTORS_C is 'nonsense'" in failed.stderr
    assert "other-c 1.0: built on " in failed.stderr
    assert "not built: after-c 1.0 (needs vectors-c 1.0)" in failed.stderr
    assert [path.name for path in here.cache.glob("store/failures/*")] == ["vectors-c-3.13.json"]
    (log,) = here.cache.glob("logs/vectors-c-1.0/*/environment.log")
    assert "VECTORS_C is 'nonsense'" in log.read_text()
    assert f"log: {log}" in failed.stderr


def test_runs_with_other_exchanges_share_no_build(fleet: Fleet) -> None:
    """Each finds the result in its own exchange."""
    _, address = fleet.machines.scheduler()
    fleet.machines.worker(address, fleet.machine("worker"))
    ways = [["--scheduler", address, "--exchange", str(fleet.folder / name)] for name in ("first", "second")]
    running = [fleet.machine(f"here-{number}").start("build", "vectors-c", *way) for number, way in enumerate(ways)]
    for process in running:
        _, shown = process.communicate()
        assert process.returncode == 0, shown


def test_worker_with_other_recipes_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    _, address = fleet.machines.scheduler()
    other = make_checkout(tmp_path / "other", make_cache(tmp_path / "worker", fleet.layout), more="[audit]\n")
    fleet.machines.worker(address, other)
    failed = fleet.machine("here").factory("build", "vectors-c", *fleet.options(address))
    assert failed.returncode == FactoryError.exit_code, failed.stderr
    assert "this machine has other recipes, or another factory" in failed.stderr


def test_missing_scheduler_is_an_error(fleet: Fleet) -> None:
    failed = fleet.machine("here").factory("build", "vectors-c", *fleet.options("tcp://127.0.0.1:9"))
    assert failed.returncode == FactoryError.exit_code
    assert "tcp://127.0.0.1:9: no scheduler answers" in failed.stderr
