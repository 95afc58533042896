"""Counts the instructions that a package's own libraries execute in one call of a case, on each profile."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.utils import parse_wheel_filename

from factory.bench.inside import run_case
from factory.bench.instructions.classes import Counts, classify
from factory.bench.instructions.counter import count_instructions
from factory.bench.instructions.libraries import Libraries, mapped_libraries, relative
from factory.bench.instructions.trace import Instruction
from factory.errors import FactoryError, RecipeError
from factory.model.protocols import BUILD, Command, Sandbox
from factory.model.recipe import Recipe
from factory.model.target import PROFILES
from factory.pipeline.check import PackageCheck, stored_beside
from factory.pipeline.run import Run
from factory.stages.audit.wheel_reader import open_wheel
from factory.util.log import LogSink
from factory.util.scratch import own_folder

SCRIPT = "bench.py"
ANSWER = "answer"
INSTALLED = "/site-packages/"
# One thread, and the same order of everything in each run: so that two runs differ in what is counted alone.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "",  # compiled once, imports take the same work in each run
}
ATTEMPTS = 6
NOWHERE = range(0x1000, 0x2000)  # no library is there: for runs that show where they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one call of a case counts with one wheel on one profile."""

    case: str
    wheel: str
    profile: str
    counts: Counts


def measure(
    recipe: Recipe,
    wheels: Mapping[str, Path],
    profiles: Sequence[str],
    wanted_cases: Sequence[str],
    run: Run,
) -> tuple[Measurement, ...]:
    """Count each case with each of the wheels (by label) on each profile; all cases where none are named.

    Raises:
        RecipeError: the recipe has no benchmark, or not such a case.
        FactoryError: a case can't be counted.
    """
    script = recipe.directory / SCRIPT
    if not script.is_file():
        raise RecipeError(
            f"{recipe.label} has no benchmark",
            hint=f"write {script} with CASES; docs/benchmarks.md says how",
        )
    found: list[Measurement] = []
    for label, wheel in wheels.items():
        with run.stages(recipe.label_for(run.config.target.python))(f"count {label}") as log:
            found += _measure_wheel(recipe, script, label, wheel, profiles, wanted_cases, run, log)
    order = {case: number for number, case in enumerate(dict.fromkeys(each.case for each in found))}
    return tuple(sorted(found, key=lambda each: order[each.case]))


def _measure_wheel(
    recipe: Recipe,
    script: Path,
    label: str,
    wheel: Path,
    profiles: Sequence[str],
    wanted_cases: Sequence[str],
    run: Run,
    log: LogSink,
) -> list[Measurement]:
    exactly = replace(recipe, version=str(parse_wheel_filename(wheel.name)[1]))
    with own_folder(run.layout.jobs, "bench", recipe.name, keep=run.keep) as folder:
        check = PackageCheck(recipe=exactly, run=run)
        index = check.write_index(wheel, stored_beside(wheel, run.store), folder, log)
        with check.installed(index, folder / "work", log) as sandbox:
            shutil.copy(script, sandbox.work / SCRIPT)
            shutil.copy(run_case.__file__, sandbox.work / Path(run_case.__file__).name)
            runner = Runner(sandbox=sandbox, packages=packages_with_libraries(wheel), log=log)
            cases = chosen(runner.cases(), wanted_cases, script)
            return [
                Measurement(case=case, wheel=label, profile=profile, counts=runner.count(case, profile))
                for case in cases
                for profile in profiles
            ]


def packages_with_libraries(wheel: Path) -> tuple[str, ...]:
    """What the wheel installs into site-packages with compiled code in it: packages, modules, bundled libraries.

    Raises:
        FactoryError: it has no compiled code.
        AuditFailed: it can't be read.
    """
    with open_wheel(wheel) as opened:
        found = {path.partition("/")[0] for path, _ in opened.elf_files()}
    if not found:
        raise FactoryError(f"{wheel.name} has no compiled code to count", hint="is all of it Python?")
    return tuple(sorted(found))


def chosen(cases: Sequence[str], wanted: Sequence[str], script: Path) -> Sequence[str]:
    """The wanted cases, or all where none are named.

    Raises:
        RecipeError: there is no such case.
    """
    missing = [case for case in wanted if case not in cases]
    if missing:
        raise RecipeError(f"{script} has no case {missing[0]!r}", hint=f"its cases are: {', '.join(cases)}")
    return wanted or cases


@dataclass(slots=True, kw_only=True)
class Runner:
    """Runs cases in a root where the package is installed.

    `libraries` are those of `packages`, entries of site-packages, where the last run had them. Once two runs had them
    in the same places, they are `settled`: the next run most often has them there too, and is asked to count them.
    """

    sandbox: Sandbox
    packages: tuple[str, ...]
    log: LogSink
    libraries: Libraries = field(default_factory=dict)
    settled: bool = False

    def cases(self) -> list[str]:
        """The names of the cases, in their order."""
        self.sandbox.run(Command(_command(), env=ENVIRONMENT), log=self.log)
        names: list[str] = json.loads(self._answer())
        return names

    def count(self, case: str, profile: str) -> Counts:
        """What a run with one call executes more than a run with none, which only prepares it.

        Raises:
            CommandFailed: the case fails.
            FactoryError: the two runs have not enough in common.
        """
        cpu = PROFILES[profile].qemu_cpu
        none, one = (self._counted(case, calls, cpu) for calls in (0, 1))
        one.subtract(none)
        if any(count < 0 for count in one.values()):
            raise FactoryError(
                f"a run that calls {case!r} executes some instructions less often than one that does not",
                hint="what a benchmark prepares is the same in each run: it has no randomness and no threads",
            )
        return classify(+one)

    def _counted(self, case: str, calls: int, cpu: str) -> Counter[Instruction]:
        """What a run executes in the libraries; it is repeated where they were not in their expected places.

        Until these are known nothing is counted, which takes a fraction of the time. The first run of all compiles
        what it imports, and so may have them elsewhere than those after it.
        """
        for _ in range(ATTEMPTS):
            expected, counted = self.libraries, self.settled
            ranges = list(expected.values()) if counted else [NOWHERE]
            command = _command(case, str(calls))
            counts = count_instructions(self.sandbox, command, log=self.log, cpu=cpu, env=ENVIRONMENT, ranges=ranges)
            self.libraries = mapped_libraries(self._answer(), self._is_the_packages)
            if not self.libraries:
                raise FactoryError(f"the case {case!r} loads no library of the package")
            self.settled = self.libraries == expected
            if counted and self.settled:
                return relative(counts, expected)
        raise FactoryError(f"the libraries of {case!r} are at other addresses in each run")

    def _is_the_packages(self, path: str) -> bool:
        return path.partition(INSTALLED)[2].partition("/")[0] in self.packages

    def _answer(self) -> str:
        return (self.sandbox.work / ANSWER).read_text(encoding="utf-8")


def _command(*case: str) -> list[str]:
    return ["python", str(BUILD / Path(run_case.__file__).name), str(BUILD / SCRIPT), *case]
