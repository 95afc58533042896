"""Time of planning many recipes: the plan, the content keys, and what the store has.

Usage, as root: python benchmarks/plan_scale.py [--sizes N ...] [--runs N]

The recipes, their sources' metadata, the roots' layers and the store are made up: two records for each recipe, of two
Pythons, as large as those of real packages. Two commands are measured as whole processes. `built` is `factory build` of
all recipes when the store has them all. `changed` looks up everything that a build looks up before it compiles, after
all check scripts have changed: a record with the key, the same job for another Python, the package's newest record.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from measured import Measured, wall_and_peak

from factory.cli.console import Reporter, print_table
from factory.cli.main import main as factory
from factory.model.artifacts import PackagePin, RepairedWheel
from factory.model.job import Job, JobId, ProjectMetadata
from factory.model.record import AuditSummary, BuildRecord, CheckResult, StageRun
from factory.model.target import DEFAULT_PROFILES, PYTHONS
from factory.pipeline.job import PreparedJob, Records, built_for_another_python, prepare_job
from factory.pipeline.metadata import describe
from factory.pipeline.order import STAGES
from factory.pipeline.plan import plan
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.environments.layers import Layer, LayerStore, MakeLayer
from factory.stages.sources.identity import identity
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.util.atomic_files import sha256_of
from factory.util.jsonio import save
from factory.util.paths import CACHE_VARIABLE, Layout
from factory.util.process import run

SIZES = (50, 100, 200, 500, 1000, 2000)
PINS = tuple(PackagePin(name=f"package-{number}", version=f"1.{number}-1+deb13u1") for number in range(40))
WHEEL_BYTES = 200_000
# Every tenth recipe is a library that the next nine need.
FAMILY = 10


def main() -> int:
    """Measure each size, print the curves, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of recipes (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default: %(default)s)")
    parser.add_argument("--process", nargs=2, metavar=("KIND", "DIR"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.process:
        kind, folder = arguments.process
        return run_process(kind, Path(folder))
    rows: list[Sequence[str]] = []
    first: dict[str, float] = {}
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory(prefix="plan-scale-") as folder:
            make_recipes(Path(folder), size)
            start("fill", Path(folder))
            for kind in ("built", "changed"):
                measured = [start(kind, Path(folder)) for _ in range(arguments.runs)]
                rows.append(row(size, kind, measured, first))
    print(f"{len(PYTHONS)} Pythons, {arguments.runs} runs, load {os.getloadavg()[0]:.1f}")
    print_table(("recipes", "command", "wall, min/median", "processor, min", "to the first size", "peak"), rows)
    return 0


def row(size: int, kind: str, measured: Sequence[Measured], first: dict[str, float]) -> Sequence[str]:
    processors, (wall, peak) = min(each.processors for each in measured), wall_and_peak(measured)
    ratio = processors / first.setdefault(kind, processors)
    return (str(size), kind, wall, f"{processors:.2f}", f"{ratio:.1f}", peak)


def start(kind: str, folder: Path) -> Measured:
    """Run a process of its own for `kind`, and measure it."""
    command = [sys.executable, __file__, "--process", kind, str(folder)]
    started = time.monotonic()
    environment = {**os.environ, CACHE_VARIABLE: str(folder / "cache")}
    printed = run(command, env=environment)
    seconds = time.monotonic() - started
    own = json.loads(printed.splitlines()[-1])
    return Measured(seconds, own["processors"], own["megabytes"])


def run_process(kind: str, folder: Path) -> int:
    """Do the work of one process, and print its own cost."""
    LayerStore.ensure = partial_layer(LayerStore.ensure)  # type: ignore[method-assign, assignment]
    names = sorted(path.name for path in (folder / "built/recipes").iterdir())
    if kind == "built":
        pythons = [word for python in PYTHONS for word in ("--python", python)]
        status = factory(["build", *names, *pythons, "--project", str(folder / kind)])
    else:
        status = 0
        chosen = run_in(folder, "built" if kind == "fill" else kind)
        look_up(names, chosen, fill=kind == "fill")
    times = os.times()
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"processors": times.user + times.system, "megabytes": int(peak.split()[1]) / 1000}))
    return status


def partial_layer(ensure: object) -> object:
    """Return LayerStore.ensure with empty layers of some packages.

    All else is the factory's own.
    """

    def ensure_empty(store: LayerStore, kind: str, definition: object, _make: MakeLayer, of: str = "") -> Layer:
        return ensure(store, kind, definition, lambda _tree, _log: PINS)  # type: ignore[operator, no-any-return]

    return ensure_empty


def run_in(folder: Path, checkout: str) -> Run:
    recipes = RecipeSet(folder / checkout, SOURCE_KINDS)
    return Run(layout=Layout(folder / "cache"), recipes=recipes, reporter=Reporter())


def look_up(names: Sequence[str], run: Run, *, fill: bool) -> None:
    """Prepare all jobs in order; look up their records, or fill the store with them."""
    records: dict[JobId, BuildRecord] = {}
    for job in plan(names, PYTHONS, run.recipes.by_name, partial(describe, run=run)):
        prepared = prepare_job(job, records, run)
        records[job.id] = stored(prepared, run) if fill else newest(job, prepared, records, run)


def newest(job: Job, prepared: PreparedJob, records: Records, run: Run) -> BuildRecord:
    assert run.store.record(prepared.key) is None
    assert built_for_another_python(job, records, run) is None
    return run.newest(job.recipe, job.python)


def stored(prepared: PreparedJob, run: Run) -> BuildRecord:
    """Store a wheel and a record for a job."""
    job, root = prepared.job, prepared.environment.root
    tag = f"cp{job.python.replace('.', '')}"
    wheel = run.layout.root / f"{job.recipe.name.replace('-', '_')}-1.0-{tag}-{tag}-manylinux_2_39_riscv64.whl"
    wheel.write_bytes(prepared.key.encode() * (WHEEL_BYTES // len(prepared.key)))
    commands = ("[in the root] $ " + "x" * 300,) * 2
    record = BuildRecord(
        key=prepared.key,
        name=job.recipe.name,
        version=job.recipe.version,
        recipe_sha256=job.recipe.file_sha256,
        source_sha256=identity(job.recipe.source),
        patches=(),
        target=prepared.config.target,
        mode=prepared.config.mode,
        environment_key=root.key,
        environment=root.lock(),
        toolchain={"gcc": "14"},
        requirements=PINS[:4],
        stages=tuple(
            StageRun(stage=each, seconds=1.5, commands=commands, log=run.layout.logs / f"{each}.log") for each in STAGES
        ),
        checks=tuple(
            CheckResult(profile=each, passed=True, seconds=1.0, shown="ok", facts={}) for each in DEFAULT_PROFILES
        ),
        audit=AuditSummary(
            libraries=1, glibc="2.27", dispatched=(), system_libraries=("libc.so.6",), bundled={}, sboms=()
        ),
        finished="2026-01-01T00:00:00+00:00",
    )
    added = run.store.add(record, RepairedWheel(path=wheel, sha256=sha256_of(wheel), platform_tags=()))
    wheel.unlink()
    return added


def make_recipes(folder: Path, count: int) -> None:
    """Write recipes, their scripts and the cached metadata of their sources."""
    for number in range(count):
        name = f"project-{number}"
        recipe = folder / "built/recipes" / name
        recipe.mkdir(parents=True)
        source = f'[source]\nkind = "pypi"\nsha256 = "{number:064x}"\n'
        (recipe / "recipe.toml").write_text(f'[package]\nname = "{name}"\nversion = "1.0"\n\n{source}')
        (recipe / "smoke.py").write_text(f"import {name.replace('-', '_')}\n" + "# text of a usual length\n" * 100)
        library = f"project-{number - number % FAMILY}"
        own = (library,) if number % FAMILY else ()
        metadata = ProjectMetadata(
            name=name,
            version="1.0",
            build_backend="setuptools.build_meta",
            build_requires=("setuptools>=77", "cython>=3; python_version >= '3.9'", *own),
            requires_python=">=3.10",
            dependencies=("typing-extensions; python_version < '3.11'", *own),
        )
        save(Layout(folder / "cache").metadata / f"{number:064x}.json", metadata)
    shutil.copytree(folder / "built", folder / "changed")
    for script in (folder / "changed").glob("recipes/*/smoke.py"):
        script.write_text(script.read_text() + "changed = True\n")


if __name__ == "__main__":
    sys.exit(main())
