"""Fleets: real builds by a real scheduler and workers, some of which end too early."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from factory.errors import BuildFailed, FactoryError
from factory.util.paths import Layout
from tests.support.checkouts import ONE_PROFILE, SUMS, Checkout, add_recipe, copy_package, make_cache, make_checkout
from tests.support.fleets import Machines, machines
from tests.support.processes import survivors

pytestmark = pytest.mark.environment


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


def test_build_of_a_killed_worker_is_done_by_another(fleet: Fleet) -> None:
    _, address = fleet.machines.scheduler()
    killed = fleet.machine("killed")
    worker = fleet.machines.worker(address, killed)
    with fleet.machine("here").start("build", "vectors-c", *fleet.options(address)) as process:
        wait_for(process, "given to the fleet")
        while not list(killed.cache.glob("jobs/vectors-c-*/steps/*")):
            assert process.poll() is None
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
