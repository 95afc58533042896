"""Counts of kernels.

Each driver is compiled against both trees and run under the instruction counter.
"""

from __future__ import annotations

import shutil
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory.bench.instructions.classes import Counts, classify
from factory.bench.instructions.counter import count_instructions
from factory.bench.instructions.trace import Instruction
from factory.bench.kernels.definition import (
    FOLDER,
    PATCHED,
    TREES,
    Case,
    KernelSet,
    driver_path,
    read_kernels,
    select,
)
from factory.bench.kernels.floor import Floor, floor_of
from factory.bench.kernels.prediction import PROCESSORS, Predictor, predictor
from factory.errors import FactoryError
from factory.model.distribution import DEFAULT_DISTRIBUTION
from factory.model.protocols import BUILD, INPUTS, Command, Sandbox
from factory.model.recipe import Recipe
from factory.model.target import PROFILES
from factory.pipeline.job import PreparedJob, prepare_package
from factory.pipeline.run import Run
from factory.stages.environments.layers import LayerStore
from factory.stages.environments.variables import compiler_variables
from factory.stages.sources.fetch import fetch
from factory.stages.sources.prepare import prepare
from factory.util.log import LogSink
from factory.util.scratch import own_folder

HEADERS = "headers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Counts of one call of a case with a tree's kernels on a profile.

    `cycles` is None where they can't be predicted.
    """

    case: str
    tree: str
    profile: str
    macs: int
    counts: Counts
    floor: Floor
    cycles: float | None


def measure(recipe: Recipe, profiles: Sequence[str], wanted: Sequence[str], run: Run) -> tuple[Measurement, ...]:
    """Count each case on each profile, with upstream's kernels and with ours.

    Without `profiles` or `wanted` cases, all that are declared are counted.

    Raises:
        RecipeError: the kernels are not declared correctly, or there is no such case.
        CommandFailed: a driver does not compile, or its results are wrong.
        FactoryError: a case cannot be counted.
    """
    kernels = read_kernels(recipe)
    chosen = select(kernels, tuple(wanted), recipe.directory / FOLDER)
    profiles = profiles or kernels.profiles
    prepared = prepare_package(recipe.name, run)
    stages = run.stages(recipe.label)
    with own_folder(run.layout.scratch, "kernels", recipe.name, keep=run.keep) as folder:
        work = folder / "work"
        with stages("kernel sources") as log:
            _make_trees(prepared, kernels, folder, work, run, log)
        caches = f"_kernels-{prepared.caches}"  # a driver must not write what a build reads
        with prepared.environment.open(work, caches=caches, keep=run.keep) as sandbox, stages("count kernels") as log:
            shutil.copytree(recipe.directory / FOLDER, sandbox.inputs / FOLDER)
            store = LayerStore(layout=run.layout, open_stage=stages)
            bench = _Bench(
                kernels=kernels,
                compiler=_compiler(prepared),
                sandbox=sandbox,
                predictor=predictor(store, DEFAULT_DISTRIBUTION, folder, log),
                log=log,
            )
            found = [each for driver, cases in chosen.items() for each in bench.measure(driver, cases, profiles)]
    return tuple(found)


def _make_trees(prepared: PreparedJob, kernels: KernelSet, folder: Path, work: Path, run: Run, log: LogSink) -> None:
    """Make both trees in `work`, and unpack the headers of other wheels."""
    source = prepared.job.recipe.source
    for tree in TREES:
        fetched = fetch(source, run.layout.downloads, folder / tree, log)
        prepare(source, prepared.patches if tree == PATCHED else [], fetched, log)
        work.mkdir(parents=True, exist_ok=True)
        fetched.path.rename(work / tree)
    for wheel in prepared.dependencies:
        with zipfile.ZipFile(wheel) as opened:
            names = [
                name for name in opened.namelist() if name.startswith(tuple(f"{each}/" for each in kernels.headers))
            ]
            opened.extractall(work / HEADERS, names)


def _compiler(prepared: PreparedJob) -> str:
    return compiler_variables(prepared.job.toolchain, DEFAULT_DISTRIBUTION).get("CXX", "g++")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """Drivers in an opened build root with both trees."""

    kernels: KernelSet
    compiler: str
    sandbox: Sandbox
    predictor: Predictor
    log: LogSink

    def measure(self, driver: str, cases: Mapping[str, Case], profiles: Sequence[str]) -> list[Measurement]:
        """Measure the cases of a driver, ordered by case and profile."""
        found: list[Measurement] = []
        for profile in profiles:
            for tree in self.kernels.drivers[driver].trees:
                flags = self.kernels.flags_of(tree, profile)
                if flags is not None:
                    program = self._compile(driver, tree, profile, flags)
                    found += [self._count(program, name, case, tree, profile) for name, case in cases.items()]
        order = list(cases)
        return sorted(found, key=lambda each: (order.index(each.case), profiles.index(each.profile)))

    def _compile(self, driver: str, tree: str, profile: str, flags: Sequence[str]) -> str:
        program = str(BUILD / f"{driver}-{tree}-{profile}")
        include = [INPUTS / FOLDER, *(BUILD / tree / each for each in self.kernels.includes)]
        include += [BUILD / HEADERS / each for each in self.kernels.header_roots]
        options = [*self.kernels.flags, *flags, f"-DKERNELS_{tree.upper()}=1", *(f"-I{each}" for each in include)]
        source = str(driver_path(Path(INPUTS, FOLDER), driver))
        # Static: nothing but the driver differs between two runs.
        self.sandbox.run(Command([self.compiler, *options, "-static", "-o", program, source]), log=self.log)
        return program

    def _count(self, program: str, name: str, case: Case, tree: str, profile: str) -> Measurement:
        executed = self._difference(program, name, case.arguments or (name,), PROFILES[profile].qemu_cpu)
        processor = PROCESSORS.get(profile)
        return Measurement(
            case=name,
            tree=tree,
            profile=profile,
            macs=case.macs,
            counts=classify(executed),
            floor=floor_of(case, PROFILES[profile].vlen),
            cycles=None if processor is None else self.predictor.cycles(executed, processor),
        )

    def _difference(self, program: str, name: str, arguments: Sequence[str], cpu: str) -> Counter[Instruction]:
        """Count one call: the difference between a run with two calls and a run with one."""
        one, two = (
            count_instructions(self.sandbox, [program, *arguments, calls], log=self.log, cpu=cpu)
            for calls in ("1", "2")
        )
        two.subtract(one)
        if any(count < 0 for count in two.values()):
            raise FactoryError(
                f"{name!r}: cannot count one call: some instructions run less often with two calls than with one",
                hint="remove randomness from the preparation of the case",
            )
        return +two
